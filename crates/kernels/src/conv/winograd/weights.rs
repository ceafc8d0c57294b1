//! The transformed weights of panels of output channels.

use super::{
    MATRICES, odd_lines,
    transform::{Places, TAPS, Weights, transform_into},
};
use crate::{
    Isa, Machine, SharedMut,
    conv::pack::{Order, Packing},
    cut::share,
    gemm::{Panel, Panels},
    simd::{Kernel, Lanes},
};
use std::{array::from_fn, ops::Range};

/// Channels whose weights are gathered at once: those of a panel take half of a first-level cache.
const ROWS: usize = 32;

/// How the weights of a layer are transformed: for each panel and pair of points a matrix `[channels, panel]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformedWeights {
    pub(super) panels: Panels,
    order: Order,
    isa: Isa,
}

impl TransformedWeights {
    /// For the correlation that `packing` is for.
    pub(super) fn new(packing: &Packing, isa: Isa) -> Self {
        Self { panels: packing.panels(0), order: packing.order(0), isa }
    }

    fn channels(&self) -> usize {
        self.panels.depth / (TAPS * TAPS)
    }

    /// From one matrix of a panel to the next, where each has `channels` channels.
    pub(super) fn step(&self, channels: usize) -> usize {
        odd_lines(channels * self.panels.whole())
    }

    /// From one panel to the next, where matrices have all channels.
    pub(super) fn panel_step(&self) -> usize {
        MATRICES * self.step(self.channels())
    }

    /// Where a matrix of a panel of a group lies, where matrices have all channels.
    pub(super) fn at(&self, panel: usize, matrix: usize) -> usize {
        panel * self.panel_step() + matrix * self.step(self.channels())
    }

    /// How many f32 of scratch a worker needs while it transforms.
    pub(super) fn scratch_len(&self) -> usize {
        TAPS * TAPS * ROWS * self.panels.whole()
    }

    /// Transforms all weights of the panels of `group` into `out`.
    pub(super) fn transform_panels(
        &self,
        machine: &Machine,
        weights: &[f32],
        group: Range<usize>,
        out: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (parts, step) = (self.channels().div_ceil(ROWS), self.step(self.channels()));
        let out = SharedMut::new(&mut out[..group.len() * self.panel_step()]);
        machine.threads.run_with_scratch(group.len() * parts, scratch, |index, scratch| {
            let (slot, part) = (index / parts, index % parts);
            let rows = share(part, parts, self.channels());
            let panel = self.panels.panel(group.start + slot);
            let first = slot * self.panel_step() + rows.start * panel.stride;
            let out = out.as_mut_ptr().wrapping_add(first);
            self.isa.run(Task { all: self, weights, panel, rows, out, step, scratch });
        });
    }

    /// Transforms the weights of the channels `rows` of a panel: the first row of the first matrix at `out`.
    ///
    /// # Safety
    /// - `out` is writable, and nobody else's, for as many rows of the panel at each of 36 multiples of `step`.
    #[inline(always)]
    pub(super) unsafe fn transform<L: Lanes>(
        &self,
        lanes: L,
        weights: &[f32],
        panel: Panel,
        rows: Range<usize>,
        (out, step): (*mut f32, usize),
        scratch: &mut [f32],
    ) {
        for first in rows.clone().step_by(ROWS) {
            let inputs = first..rows.end.min(first + ROWS);
            let len = inputs.len() * panel.stride;
            self.order.gather(weights, panel, inputs, scratch, len);
            let from: Places<TAPS> =
                from_fn(|i| from_fn(|j| scratch[(TAPS * i + j) * len..][..len].as_ptr()));
            let out = out.wrapping_add((first - rows.start) * panel.stride);
            for at in (0..len).step_by(L::COUNT) {
                // SAFETY: `at` lies in a row of whole vectors, which every tap has, and by the caller's contract every matrix.
                unsafe { transform_into(lanes, Weights, &from, at, out.wrapping_add(at), step) };
            }
        }
    }
}

/// Some channels of one panel.
struct Task<'a> {
    all: &'a TransformedWeights,
    weights: &'a [f32],
    panel: Panel,
    rows: Range<usize>,
    out: *mut f32,
    step: usize,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { all, weights, panel, rows, out, step, scratch } = self;
        // SAFETY: a panel's matrices have room for all channels, and no other task has these rows.
        unsafe { all.transform(lanes, weights, panel, rows, (out, step), scratch) };
    }
}
