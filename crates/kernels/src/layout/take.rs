use crate::cut::part;
use crate::vector::CHUNK;
use crate::{Machine, SharedMut};

/// ONNX's Gather: positions of an axis by their numbers, such as rows of a table of embeddings.
///
/// Shape: x `[outer, size, inner]`, indices `[count]` -> y `[outer, count, inner]`. Indices are whole numbers from
/// `-size` to `size - 1`; negative ones count from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    size: usize,
    inner: usize,
}

/// Neighbouring columns that one task of a gradient adds up: two cache lines.
const COLUMNS: usize = 32;

impl Take {
    /// From an axis of `size` positions of `inner` values each.
    pub fn new(size: usize, inner: usize) -> Self {
        Self { size, inner }
    }

    /// Copies what the indices name; how many there are, and how many `outer` rows, is said by the slices.
    ///
    /// # Errors
    /// The first index that the axis does not have; y stays as it was.
    ///
    /// # Panics
    /// If x is shorter than y's rows need.
    pub fn take_into(&self, machine: &Machine, x: &[f32], indices: &[f32], y: &mut [f32]) -> Result<(), i64> {
        check(indices, self.size)?;
        if indices.is_empty() || self.inner == 0 {
            return Ok(());
        }
        let blocks = (CHUNK / self.inner).max(1);
        machine.threads.run_chunks(y, blocks * self.inner, |task, y| {
            for (block, y) in (task * blocks..).zip(y.chunks_mut(self.inner)) {
                let (outer, at) = (block / indices.len(), block % indices.len());
                let from = (outer * self.size + place(indices[at], self.size)) * self.inner;
                y.copy_from_slice(&x[from..from + self.inner]);
            }
        });
        Ok(())
    }

    /// The gradient of [`take_into`](Self::take_into) with respect to x: every `dy` is added to where its value came
    /// from, in the order of the indices. Overwrites `dx`.
    ///
    /// # Errors
    /// The first index that the axis does not have; dx stays as it was.
    ///
    /// # Panics
    /// If dx is shorter than dy's rows need.
    pub fn gradient_into(
        &self,
        machine: &Machine,
        indices: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) -> Result<(), i64> {
        check(indices, self.size)?;
        machine.threads.run_chunks(dx, CHUNK, |_, dx| dx.fill(0.0));
        let row = indices.len() * self.inner;
        if row == 0 {
            return Ok(());
        }
        let (rows, parts) = (dy.len() / row, self.inner.div_ceil(COLUMNS));
        let group = (CHUNK / (indices.len() * self.inner.min(COLUMNS))).max(1);
        let shared = SharedMut::new(dx);
        machine.threads.run(rows.div_ceil(group) * parts, |_, task| {
            let columns = part(task % parts, COLUMNS, self.inner);
            for outer in part(task / parts, group, rows) {
                for (&index, dy) in indices.iter().zip(dy[outer * row..].chunks(self.inner)) {
                    let to = (outer * self.size + place(index, self.size)) * self.inner + columns.start;
                    // SAFETY: no other task has these rows and these columns.
                    let dx = unsafe { shared.slice(to, columns.len()) };
                    dx.iter_mut().zip(&dy[columns.clone()]).for_each(|(dx, dy)| *dx += dy);
                }
            }
        });
        Ok(())
    }
}

/// The first index that an axis of `size` positions does not have is an error.
pub(super) fn check(indices: &[f32], size: usize) -> Result<(), i64> {
    let size = size as i64;
    let outside = |index: &i64| !(-size..size).contains(index);
    indices.iter().map(|&index| index as i64).find(outside).map_or(Ok(()), Err)
}

/// The position that an index which passed [`check`] names.
pub(super) fn place(index: f32, size: usize) -> usize {
    let index = index as i64;
    (if index < 0 { index + size as i64 } else { index }) as usize
}
