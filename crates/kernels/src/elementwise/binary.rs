use crate::Machine;
use crate::layout::nest::{Nest, contiguous};
use crate::problem::ProblemError;
use crate::simd::{Kernel, Lanes};
use crate::vector::{CHUNK, Map, load, map_in_place, store};

/// An operation on two numbers. Truth values are 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a b`.
    Mul,
    /// `a / b`.
    Div,
    /// `a / b` of whole numbers, cut off toward 0; 0 where `b` is 0.
    Quotient,
    /// `a` to the power `b`.
    Pow,
    /// The smaller one; NaN if either is.
    Min,
    /// The larger one; NaN if either is.
    Max,
    /// `a` where it is not negative, else `a b`.
    Rectify,
    /// Whether `a = b`.
    Equal,
    /// Whether `a > b`.
    Greater,
    /// Whether `a < b`.
    Less,
    /// Whether `a >= b`.
    GreaterOrEqual,
    /// Whether `a <= b`.
    LessOrEqual,
    /// Whether both are true.
    And,
    /// Whether at least one is true.
    Or,
    /// Whether one is true and the other is not.
    Xor,
}

impl BinaryOp {
    /// `a op b` of two numbers.
    pub fn apply(self, a: f32, b: f32) -> f32 {
        let truth = |holds: bool| f32::from(u8::from(holds));
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Quotient if b == 0.0 => 0.0,
            // Adding 0 makes a positive one of a negative 0.
            Self::Quotient => (a / b).trunc() + 0.0,
            Self::Pow => a.powf(b),
            Self::Min if a.is_nan() || b.is_nan() => f32::NAN,
            Self::Min => a.min(b),
            Self::Max if a.is_nan() || b.is_nan() => f32::NAN,
            Self::Max => a.max(b),
            Self::Rectify => {
                if a < 0.0 {
                    a * b
                } else {
                    a
                }
            }
            Self::Equal => truth(a == b),
            Self::Greater => truth(a > b),
            Self::Less => truth(a < b),
            Self::GreaterOrEqual => truth(a >= b),
            Self::LessOrEqual => truth(a <= b),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::Xor => truth((a != 0.0) != (b != 0.0)),
        }
    }

    /// `a = a op b` for arrays of one shape.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply_in_place(self, machine: &Machine, a: &mut [f32], b: &[f32]) {
        if let Some(op) = self.in_registers() {
            return map_in_place(machine, a, [b], op);
        }
        assert_eq!(a.len(), b.len(), "both inputs have one length");
        machine.threads.run_chunks(a, CHUNK, |index, a| {
            let b = &b[index * CHUNK..index * CHUNK + a.len()];
            a.iter_mut().zip(b).for_each(|(a, b)| *a = self.apply(*a, *b));
        });
    }

    fn in_registers(self) -> Option<InRegisters> {
        Some(match self {
            Self::Add => InRegisters::Add,
            Self::Sub => InRegisters::Sub,
            Self::Mul => InRegisters::Mul,
            Self::Div => InRegisters::Div,
            _ => return None,
        })
    }
}

/// The operations that stand in training's hot loops.
#[derive(Clone, Copy)]
enum InRegisters {
    Add,
    Sub,
    Mul,
    Div,
}

impl Map<1> for InRegisters {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, a: L::Vector, [b]: [L::Vector; 1]) -> L::Vector {
        match self {
            Self::Add => lanes.add(a, b),
            Self::Sub => lanes.sub(a, b),
            Self::Mul => lanes.mul(a, b),
            Self::Div => lanes.div(a, b),
        }
    }
}

/// `a op b` with NumPy's broadcasting: shapes are aligned at their last axes, and axes of size 1 or missing
/// ones repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    op: BinaryOp,
    nest: Nest<2>,
    /// Size of the output's outermost axis.
    batch: usize,
}

impl Binary {
    /// Of arrays of the given shapes.
    ///
    /// # Errors
    /// Too many axes, or sizes that differ where neither is 1.
    pub fn new(op: BinaryOp, a_shape: &[usize], b_shape: &[usize]) -> Result<Self, ProblemError> {
        let rank = a_shape.len().max(b_shape.len());
        let (a_strides, b_strides) = (contiguous(a_shape)?, contiguous(b_shape)?);
        let mut axes = [(1, [0, 0]); crate::layout::MAX_RANK];
        for (axis, joined) in axes[..rank].iter_mut().enumerate() {
            let at = |shape: &[usize], strides: &[isize]| {
                (axis + shape.len()).checked_sub(rank).map_or((1, 0), |axis| (shape[axis], strides[axis]))
            };
            let ((left, a_stride), (right, b_stride)) = (at(a_shape, &a_strides), at(b_shape, &b_strides));
            if left != right && left != 1 && right != 1 {
                return Err(ProblemError::Broadcast { axis_from_end: rank - 1 - axis, left, right });
            }
            *joined = (if left == 1 { right } else { left }, [a_stride, b_stride]);
        }
        let batch = if rank == 0 { 1 } else { axes[0].0 };
        Ok(Self { op, nest: Nest::new(axes[..rank].iter().copied())?, batch })
    }

    /// Values of `rows` rows of the output.
    pub fn output_len(&self, rows: usize) -> usize {
        self.nest.with_rows(self.batch, rows).len()
    }

    /// Writes the result of `rows` rows of the output's outermost axis.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn apply_into(&self, machine: &Machine, rows: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
        let nest = &self.nest.with_rows(self.batch, rows);
        let op = self.op.in_registers();
        machine.threads.run_chunks(&mut y[..nest.len()], CHUNK, |index, y| match op {
            Some(op) => machine.isa.run(Runs { op, nest, first: index * CHUNK, a, b, y }),
            None => self.one_by_one(nest, index * CHUNK, a, b, y),
        });
    }

    /// The steps of the nest from `first` on, as many as `y` is long.
    fn one_by_one(&self, nest: &Nest<2>, first: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
        let [a_stride, b_stride] = nest.inner_strides();
        for (start, len) in nest.runs(first..first + y.len()) {
            let [mut i, mut j] = nest.offsets(start);
            for y in &mut y[start - first..start - first + len] {
                *y = self.op.apply(a[i as usize], b[j as usize]);
                (i, j) = (i + a_stride, j + b_stride);
            }
        }
    }
}

/// The steps of a nest from `first` on, as many as `y` is long.
struct Runs<'a> {
    op: InRegisters,
    nest: &'a Nest<2>,
    first: usize,
    a: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Runs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let repeats = self.nest.inner_strides().map(|stride| stride == 0);
        for (start, len) in self.nest.runs(self.first..self.first + self.y.len()) {
            let offsets = self.nest.offsets(start);
            let part = |x: &'_ [f32], k: usize| {
                let (at, len) = (offsets[k] as usize, if repeats[k] { 1 } else { len });
                x[at..at + len].as_ptr()
            };
            let (a, b) = (part(self.a, 0), part(self.b, 1));
            let y = &mut self.y[start - self.first..start - self.first + len];
            for at in (0..len).step_by(L::COUNT) {
                let count = L::COUNT.min(len - at);
                // SAFETY: `at + count <= len`, which `y` has, and each operand either has or repeats its one
                // value.
                unsafe {
                    let a = if repeats[0] { lanes.splat(*a) } else { load(lanes, a.add(at), count) };
                    let b = if repeats[1] { lanes.splat(*b) } else { load(lanes, b.add(at), count) };
                    store(lanes, y.as_mut_ptr().add(at), self.op.apply(lanes, a, [b]), count);
                }
            }
        }
    }
}
