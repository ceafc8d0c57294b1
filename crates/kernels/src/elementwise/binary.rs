use crate::Machine;
use crate::layout::nest::{Nest, contiguous};
use crate::problem::ProblemError;
use crate::simd::{Kernel, Lanes};
use crate::vector::{CHUNK, Map, load, map_in_place, store};

/// An operation on two numbers.
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
}

impl BinaryOp {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, a: L::Vector, b: L::Vector) -> L::Vector {
        match self {
            Self::Add => lanes.add(a, b),
            Self::Sub => lanes.sub(a, b),
            Self::Mul => lanes.mul(a, b),
            Self::Div => lanes.div(a, b),
        }
    }

    /// `a = a op b` for arrays of one shape.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply_in_place(self, machine: &Machine, a: &mut [f32], b: &[f32]) {
        map_in_place(machine, a, [b], self);
    }
}

impl Map<1> for BinaryOp {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, a: L::Vector, [b]: [L::Vector; 1]) -> L::Vector {
        BinaryOp::apply(self, lanes, a, b)
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
        machine.threads.run_chunks(&mut y[..nest.len()], CHUNK, |index, y| {
            machine.isa.run(Runs { op: self.op, nest, first: index * CHUNK, a, b, y });
        });
    }
}

/// The steps of a nest from `first` on, as many as `y` is long.
struct Runs<'a> {
    op: BinaryOp,
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
                    store(lanes, y.as_mut_ptr().add(at), self.op.apply(lanes, a, b), count);
                }
            }
        }
    }
}
