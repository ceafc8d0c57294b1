use super::MAX_RANK;
use super::nest::{Nest, contiguous};
use crate::problem::ProblemError;
use crate::vector::CHUNK;
use crate::{Machine, SharedMut};

/// A copy whose output is row-major and whose input is read with any strides: transposing, slicing, expanding.
///
/// A transposition of split axes is ONNX's DepthToSpace and SpaceToDepth; an expansion of `[1, size]` to
/// `[repeats, size]` for every axis is its Tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// Over the output's axes; the stride is the input's.
    nest: Nest<1>,
    /// Where the input's first value is.
    start: usize,
    /// Size of the output's outermost axis.
    batch: usize,
    /// Values of the whole input.
    input_len: usize,
}

impl Gather {
    fn new(
        shape: &[usize],
        start: usize,
        axes: impl ExactSizeIterator<Item = (usize, isize)>,
    ) -> Result<Self, ProblemError> {
        let mut axes = axes.map(|(size, stride)| (size, [stride])).peekable();
        let batch = axes.peek().map_or(1, |axis| axis.0);
        Ok(Self { nest: Nest::new(axes)?, start, batch, input_len: shape.iter().product() })
    }

    /// Axis `i` of the output is axis `permutation[i]` of an input of the given shape.
    ///
    /// # Errors
    /// Too many axes, or no permutation of them.
    pub fn transpose(shape: &[usize], permutation: &[usize]) -> Result<Self, ProblemError> {
        let strides = contiguous(shape)?;
        let complete = (0..shape.len()).all(|axis| permutation.contains(&axis));
        if permutation.len() != shape.len() || !complete {
            return Err(ProblemError::Axes);
        }
        Self::new(shape, 0, permutation.iter().map(|&axis| (shape[axis], strides[axis])))
    }

    /// `sizes[i]` positions of axis `i`, from `starts[i]` on, `steps[i]` (perhaps negative, not 0) apart.
    ///
    /// # Errors
    /// Too many axes, lists of different lengths, positions that the axis does not have.
    pub fn slice(
        shape: &[usize],
        starts: &[usize],
        steps: &[isize],
        sizes: &[usize],
    ) -> Result<Self, ProblemError> {
        let strides = contiguous(shape)?;
        if [starts.len(), steps.len(), sizes.len()] != [shape.len(); 3] {
            return Err(ProblemError::Axes);
        }
        let last = |axis: usize| starts[axis] as isize + steps[axis] * (sizes[axis] as isize - 1);
        let inside =
            |axis: usize| starts[axis] < shape[axis] && (0..shape[axis] as isize).contains(&last(axis));
        let wrong = |&axis: &usize| steps[axis] == 0 || (sizes[axis] > 0 && !inside(axis));
        if let Some(axis) = (0..shape.len()).find(wrong) {
            return Err(ProblemError::Slice { axis });
        }
        let start = (0..shape.len()).map(|axis| starts[axis] * strides[axis] as usize).sum();
        let start = if sizes.contains(&0) { 0 } else { start };
        Self::new(shape, start, (0..shape.len()).map(|axis| (sizes[axis], strides[axis] * steps[axis])))
    }

    /// An input of shape `from`, repeated to the shape `to` along axes of size 1 and missing leading ones.
    ///
    /// # Errors
    /// Too many axes, or sizes that differ and are not 1.
    pub fn expand(from: &[usize], to: &[usize]) -> Result<Self, ProblemError> {
        let strides = contiguous(from)?;
        let missing = to.len().checked_sub(from.len()).ok_or(ProblemError::Rank(from.len()))?;
        for (axis, (&left, &right)) in from.iter().zip(&to[missing..]).enumerate() {
            if left != right && left != 1 {
                return Err(ProblemError::Broadcast { axis_from_end: from.len() - 1 - axis, left, right });
            }
        }
        let stride = |axis: usize| axis.checked_sub(missing).map_or(0, |axis| strides[axis]);
        Self::new(from, 0, (0..to.len()).map(|axis| (to[axis], stride(axis))))
    }

    /// Copies into `y`. `rows` of the output's outermost axis are present; if that axis is not the input's
    /// outermost as well, `rows` must be all of it.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn copy_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32]) {
        let nest = self.nest.with_rows(self.batch, rows);
        let y = &mut y[..nest.len()];
        if let Some(tiles) = Tiles::new(&nest) {
            return tiles.copy_into(machine, &x[self.start..], y);
        }
        let [stride] = nest.inner_strides();
        machine.threads.run_chunks(y, CHUNK, |index, y| {
            let first = index * CHUNK;
            for (start, len) in nest.runs(first..first + y.len()) {
                let from = self.place(&nest, start);
                copy_run(x, from, stride, &mut y[start - first..start - first + len]);
            }
        });
    }

    /// The gradient of [`copy_into`](Self::copy_into) where no value is read twice (not after
    /// [`expand`](Self::expand)): writes every `dy` to where its value came from, and 0 elsewhere.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn scatter_into(&self, machine: &Machine, rows: usize, dy: &[f32], dx: &mut [f32]) {
        let nest = self.nest.with_rows(self.batch, rows);
        let dy = &dy[..nest.len()];
        let len = if rows == self.batch { self.input_len } else { self.input_len / self.batch * rows };
        let dx = &mut dx[..len];
        machine.threads.run_chunks(dx, CHUNK, |_, dx| dx.fill(0.0));
        let [stride] = nest.inner_strides();
        let shared = SharedMut::new(dx);
        machine.threads.run(dy.len().div_ceil(CHUNK), |_, index| {
            for (start, len) in nest.runs(index * CHUNK..dy.len().min((index + 1) * CHUNK)) {
                let mut to = self.place(&nest, start) as isize;
                for dy in &dy[start..start + len] {
                    // SAFETY: distinct steps of the nest are distinct values of the input, and each is one
                    // task's.
                    let value = unsafe { shared.slice(to as usize, 1) };
                    value[0] = *dy;
                    to += stride;
                }
            }
        });
    }

    /// The input index of step `step`.
    fn place(&self, nest: &Nest<1>, step: usize) -> usize {
        (self.start as isize + nest.offsets(step)[0]) as usize
    }
}

fn copy_run(x: &[f32], from: usize, stride: isize, y: &mut [f32]) {
    match stride {
        0 => y.fill(x[from]),
        1 => y.copy_from_slice(&x[from..from + y.len()]),
        _ => {
            let mut at = from as isize;
            for y in y {
                *y = x[at as usize];
                at += stride;
            }
        }
    }
}

/// Side of the square in which a transposition reads and writes: so many cache lines stay in L1.
const TILE: usize = 16;

/// A transposition proper: the input's contiguous axis is not the output's. Square tiles use whole lines of
/// both.
struct Tiles<'a> {
    nest: &'a Nest<1>,
    /// The axis along which the input is contiguous.
    axis: usize,
    /// The output's stride along it.
    out_stride: usize,
}

impl<'a> Tiles<'a> {
    fn new(nest: &'a Nest<1>) -> Option<Self> {
        let last = nest.rank() - 1;
        let positive = (0..=last).all(|axis| nest.strides(axis)[0] > 0);
        let axis = (0..last).find(|&axis| nest.strides(axis) == [1])?;
        let out_stride = nest.shape()[axis + 1..].iter().product();
        positive.then_some(Self { nest, axis, out_stride })
    }

    fn copy_into(&self, machine: &Machine, x: &[f32], y: &mut [f32]) {
        let shape = self.nest.shape();
        let (size, inner) = (shape[self.axis], self.nest.inner());
        let bands = size.div_ceil(TILE);
        let lines = y.len() / (size * inner).max(1);
        let shared = SharedMut::new(y);
        machine.threads.run(lines * bands, |_, task| {
            let (line, first) = (task / bands, task % bands * TILE);
            let (from, to) = self.start(line);
            let rows = first..size.min(first + TILE);
            for column in (0..inner).step_by(TILE) {
                let columns = column..inner.min(column + TILE);
                for row in rows.clone() {
                    let to = to + row * self.out_stride + columns.start;
                    // SAFETY: a task has whole lines of the output along the last axis, one for each of its
                    // rows.
                    let y = unsafe { shared.slice(to, columns.len()) };
                    copy_run(x, self.input(from, row, columns.start), self.nest.inner_strides()[0], y);
                }
            }
        });
    }

    fn input(&self, from: usize, row: usize, column: usize) -> usize {
        from + row + column * self.nest.inner_strides()[0] as usize
    }

    /// Where line `line` of the remaining axes begins, in the input and in the output.
    fn start(&self, mut line: usize) -> (usize, usize) {
        let shape = self.nest.shape();
        let (mut from, mut to) = (0, 0);
        for axis in (0..MAX_RANK.min(shape.len() - 1)).rev().filter(|&axis| axis != self.axis) {
            let place = line % shape[axis];
            line /= shape[axis];
            from += place * self.nest.strides(axis)[0] as usize;
            to += place * shape[axis + 1..].iter().product::<usize>();
        }
        (from, to)
    }
}
