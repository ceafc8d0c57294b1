use super::nest::{Nest, contiguous};
use super::take::{check, place};
use crate::cut::part;
use crate::problem::ProblemError;
use crate::vector::CHUNK;
use crate::{Machine, SharedMut};

/// ONNX's GatherElements: every output value has its own index along one axis, and its own place along the others.
///
/// For `axis = 1` of three, `y[i, j, k] = x[i, indices[i, j, k], k]`. Indices are whole numbers from `-size` to
/// `size - 1`, `size` being x's along the axis; negative ones count from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeElements {
    /// Over the axes of the indices; the stride is x's, 0 along the axis.
    nest: Nest<1>,
    /// Size of the outermost axis of the indices.
    batch: usize,
    /// Indices that share their positions before the axis.
    block: usize,
    /// Positions of x along the axis.
    size: usize,
    /// From one of them to the next.
    stride: usize,
}

impl TakeElements {
    /// Of x and indices of the given shapes, along `axis`.
    ///
    /// # Errors
    /// Too many axes; ranks that differ, or an axis that they do not have; more indices than x has positions along
    /// another axis.
    pub fn new(x_shape: &[usize], indices_shape: &[usize], axis: usize) -> Result<Self, ProblemError> {
        let mut strides = contiguous(x_shape)?;
        if x_shape.len() != indices_shape.len() || axis >= x_shape.len() {
            return Err(ProblemError::Axes);
        }
        let others = || (0..x_shape.len()).filter(|&other| other != axis);
        if others().any(|other| indices_shape[other] > x_shape[other]) {
            return Err(ProblemError::Range("indices have more positions than the data along another axis"));
        }
        strides[axis] = 0;
        let axes = indices_shape.iter().zip(strides).map(|(&size, stride)| (size, [stride]));
        Ok(Self {
            nest: Nest::new(axes)?,
            batch: indices_shape[0],
            block: indices_shape[axis..].iter().product(),
            size: x_shape[axis],
            stride: x_shape[axis + 1..].iter().product(),
        })
    }

    /// Writes one value for every index. As many rows of the outermost axis are present as there are indices for; if
    /// values are taken along that axis, x must be all of it.
    ///
    /// # Errors
    /// The first index that the axis does not have; y stays as it was.
    ///
    /// # Panics
    /// If x or y is shorter than the indices need.
    pub fn take_into(&self, machine: &Machine, x: &[f32], indices: &[f32], y: &mut [f32]) -> Result<(), i64> {
        check(indices, self.size)?;
        let nest = self.present(indices.len());
        machine.threads.run_chunks(&mut y[..nest.len()], CHUNK, |task, y| {
            let first = task * CHUNK;
            self.visit(&nest, first..first + y.len(), indices, |at, place| y[at - first] = x[place]);
        });
        Ok(())
    }

    /// The gradient of [`take_into`](Self::take_into) with respect to x: every `dy` is added to where its value came
    /// from, in order. Overwrites `dx`.
    ///
    /// # Errors
    /// The first index that the axis does not have; dx stays as it was.
    ///
    /// # Panics
    /// If dy or dx is shorter than the indices need.
    pub fn gradient_into(
        &self,
        machine: &Machine,
        indices: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) -> Result<(), i64> {
        check(indices, self.size)?;
        machine.threads.run_chunks(dx, CHUNK, |_, dx| dx.fill(0.0));
        let nest = self.present(indices.len());
        let block = self.block.max(1);
        let group = block * (CHUNK / block).max(1);
        let shared = SharedMut::new(dx);
        machine.threads.run(nest.len().div_ceil(group), |_, task| {
            self.visit(&nest, part(task, group, nest.len()), indices, |at, place| {
                // SAFETY: tasks differ in their positions before the axis, and so in the values of dx.
                let value = unsafe { shared.slice(place, 1) };
                value[0] += dy[at];
            });
        });
        Ok(())
    }

    /// The loops over the rows that `indices` values fill.
    fn present(&self, indices: usize) -> Nest<1> {
        let row = (self.nest.len() / self.batch.max(1)).max(1);
        self.nest.with_rows(self.batch, self.batch.min(indices / row))
    }

    /// Calls `visit(at, place)` for every index in `steps`: which it is, and the value of x that it names.
    fn visit(
        &self,
        nest: &Nest<1>,
        steps: std::ops::Range<usize>,
        indices: &[f32],
        mut visit: impl FnMut(usize, usize),
    ) {
        let [stride] = nest.inner_strides();
        for (start, len) in nest.runs(steps) {
            let mut from = nest.offsets(start)[0];
            for at in start..start + len {
                visit(at, from as usize + place(indices[at], self.size) * self.stride);
                from += stride;
            }
        }
    }
}
