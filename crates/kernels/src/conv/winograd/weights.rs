//! The transformed weights of a group of panels.

use super::{
    MATRICES, odd_lines,
    transform::{Places, TAPS, Weights, transform_into},
};
use crate::{
    Isa, Machine, SharedMut,
    gemm::{Panel, Panels},
    simd::{Kernel, Lanes},
};
use std::{array::from_fn, ops::Range};

/// Channels that a task transforms at most.
const ROWS: usize = 64;

/// Where the transformed weights of a panel lie: for each pair of points a matrix `[channels, panel]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformedWeights {
    /// As the weights are packed: the taps row by row, in each the channels.
    panels: Panels,
    channels: usize,
    /// From one matrix of a panel to the next.
    pub(super) step: usize,
    isa: Isa,
}

impl TransformedWeights {
    pub(super) fn new(panels: Panels, isa: Isa) -> Self {
        let channels = panels.depth / (TAPS * TAPS);
        Self { panels, channels, step: odd_lines(channels * panels.whole()), isa }
    }

    /// How many f32 a panel takes.
    pub(super) fn panel_len(&self) -> usize {
        MATRICES * self.step
    }

    /// Transforms the packed weights of the panels of `group`.
    pub(super) fn transform(&self, machine: &Machine, packed: &[f32], group: Range<usize>, out: &mut [f32]) {
        let parts = self.channels.div_ceil(ROWS);
        let out = SharedMut::new(&mut out[..group.len() * self.panel_len()]);
        machine.threads.run(group.len() * parts, |_, index| {
            let (slot, part) = (index / parts, index % parts);
            let panel = self.panels.panel(group.start + slot);
            let weights = &packed[self.panels.at(panel, 0)..][..self.panels.depth * panel.stride];
            let rows = part * self.channels / parts..(part + 1) * self.channels / parts;
            let out = out.as_mut_ptr().wrapping_add(slot * self.panel_len());
            self.isa.run(Task { weights, panel, rows, channels: self.channels, out, step: self.step });
        });
    }
}

/// Some channels of one panel.
struct Task<'a> {
    weights: &'a [f32],
    panel: Panel,
    rows: Range<usize>,
    channels: usize,
    /// The panel's transformed weights, of which no other task writes these rows.
    out: *mut f32,
    step: usize,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let stride = self.panel.stride;
        let tap = |i: usize, j: usize| self.weights[(TAPS * i + j) * self.channels * stride..].as_ptr();
        let from: Places<TAPS> = from_fn(|i| from_fn(|j| tap(i, j)));
        for at in (self.rows.start * stride..self.rows.end * stride).step_by(L::COUNT) {
            // SAFETY: `at` lies in a row of whole vectors, which every tap and every matrix has.
            unsafe { transform_into(lanes, Weights, &from, at, self.out.wrapping_add(at), self.step) };
        }
    }
}
