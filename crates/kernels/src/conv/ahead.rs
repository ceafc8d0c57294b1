//! What the next block reads, fetched a few lines at a time while this one is worked on: the machine foresees reads within
//! a block only.

use crate::cut::LINE;
use crate::simd::prefetch;

/// Operands to be fetched.
pub(super) struct Ahead<'a> {
    rest: [&'a [f32]; 2],
    /// f32 of each at a time.
    steps: [usize; 2],
}

impl<'a> Ahead<'a> {
    /// Fetches `operands` in `calls` calls.
    pub(super) fn new(operands: [&'a [f32]; 2], calls: usize) -> Self {
        let steps = operands.map(|operand| operand.len().div_ceil(calls.max(1)).next_multiple_of(LINE));
        Self { rest: operands, steps }
    }

    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        for (rest, step) in self.rest.iter_mut().zip(self.steps) {
            let (now, later) = rest.split_at(step.min(rest.len()));
            for at in (0..now.len()).step_by(LINE) {
                prefetch(now.as_ptr().wrapping_add(at));
            }
            *rest = later;
        }
    }
}
