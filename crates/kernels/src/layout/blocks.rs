use crate::{Machine, SharedMut};

/// Copies equal blocks from places at one distance to places at another: concatenation and splitting along an
/// axis.
///
/// To put `[outer, k, inner]` behind `at` other positions of `[outer, n, inner]`: `len = k inner`,
/// `from_stride = len`, `from_start = 0`, `to_stride = n inner`, `to_start = at inner`. Splitting exchanges
/// `from` and `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCopy {
    /// Values of a block.
    pub len: usize,
    /// First value of the first block to read.
    pub from_start: usize,
    /// From one block to read to the next.
    pub from_stride: usize,
    /// First value of the first block to write.
    pub to_start: usize,
    /// From one block to write to the next; at least `len`.
    pub to_stride: usize,
}

impl BlockCopy {
    /// Part `at .. at + size` of an axis of `total` positions, `inner` values each, from a whole of its own:
    /// concatenation.
    pub fn concat(size: usize, at: usize, total: usize, inner: usize) -> Self {
        let len = size * inner;
        Self { len, from_start: 0, from_stride: len, to_start: at * inner, to_stride: total * inner }
    }

    /// The inverse of [`concat`](Self::concat): splitting, and the gradient of concatenation.
    pub fn split(size: usize, at: usize, total: usize, inner: usize) -> Self {
        let len = size * inner;
        Self { len, from_start: at * inner, from_stride: total * inner, to_start: 0, to_stride: len }
    }

    /// Copies `count` blocks; what lies between them in `to` stays.
    ///
    /// # Panics
    /// If a block leaves its slice, or `to_stride < len`.
    pub fn copy(&self, machine: &Machine, count: usize, from: &[f32], to: &mut [f32]) {
        self.run(machine, count, from, to, <[f32]>::copy_from_slice);
    }

    /// Adds `count` blocks to what is in `to`.
    ///
    /// # Panics
    /// If a block leaves its slice, or `to_stride < len`.
    pub fn accumulate(&self, machine: &Machine, count: usize, from: &[f32], to: &mut [f32]) {
        self.run(machine, count, from, to, |to, from| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        });
    }

    fn run(
        &self,
        machine: &Machine,
        count: usize,
        from: &[f32],
        to: &mut [f32],
        write: impl Fn(&mut [f32], &[f32]) + Sync,
    ) {
        assert!(count <= 1 || self.to_stride >= self.len, "blocks to write overlap");
        let shared = SharedMut::new(to);
        let blocks = (crate::vector::CHUNK / self.len.max(1)).max(1);
        machine.threads.run(count.div_ceil(blocks), |_, task| {
            for block in task * blocks..count.min((task + 1) * blocks) {
                let start = self.from_start + block * self.from_stride;
                // SAFETY: blocks do not overlap, as asserted, and each is one task's.
                let to = unsafe { shared.slice(self.to_start + block * self.to_stride, self.len) };
                write(to, &from[start..start + self.len]);
            }
        });
    }
}
