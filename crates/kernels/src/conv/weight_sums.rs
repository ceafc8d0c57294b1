//! The sums that make up the gradient of the weights: how they lie, how they are cut into tasks, and how they are joined.

use super::{
    ConvProblem, Pictures,
    blocks::{Blocks, Limits},
    correlation::Correlation,
    rows::RowReader,
    weight_gradient::Task,
};
use crate::{
    Isa, Machine, SharedMut,
    cut::{share, whole_lines},
    epilogue::Store,
    gemm::{Panel, Panels, tiles},
};
use std::ops::Range;

/// A packed strip of x takes half of the first-level cache, the input under a block the second-level one: it is read once.
const LIMITS: Limits = Limits { input: 128 * 1024, pixels: 256, enough_pixels: 128 };
/// How many tasks there are at least, where the problem allows it.
const TASKS: usize = 16;
/// Output channels of a task at most, in tiles, so that packing x pays.
const TILES: usize = 24;
/// Parts of the batch are made first, as long as their sums together take no more f32 than this: the other cuts make tasks
/// pack the same operands again.
const SUMS: usize = 1024 * 1024;
/// Vectors of a strip of operands.
pub(super) const VECTORS: usize = 2;

/// The sums of one problem, cut into tasks.
#[derive(Clone, Debug)]
pub(super) struct WeightSums {
    pub(super) correlation: Correlation,
    pub(super) blocks: Blocks,
    /// The operands of an output channel (kernel row, tap, channel) in strips.
    pub(super) strips: Panels,
    /// Where each operand lies from a pixel's first.
    pub(super) operands: Vec<usize>,
    /// Where the output rows of a block start.
    pub(super) rows: Vec<usize>,
    pub(super) cut: Cut,
    isa: Isa,
}

/// Into how many pieces the work is cut along each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Tiles of output channels of a group.
    pub(super) tile_blocks: usize,
    pub(super) strip_blocks: usize,
    pub(super) parts: usize,
}

impl Cut {
    fn new(outputs: usize, strips: usize, sums_len: usize, [groups, blocks]: [usize; 2]) -> Self {
        let tile_blocks = tiles(outputs, VECTORS).count().div_ceil(TILES);
        let parts = (SUMS / sums_len).clamp(1, TASKS.div_ceil(groups * tile_blocks)).min(blocks);
        let strip_blocks = TASKS.div_ceil(groups * tile_blocks * parts).min(strips.div_ceil(8));
        Self { tile_blocks, strip_blocks, parts }
    }
}

impl WeightSums {
    pub(super) fn new(problem: &ConvProblem, reader: RowReader, isa: Isa) -> Self {
        let correlation = Correlation::forward(problem);
        let blocks = Blocks::new(problem.batch, &correlation, reader, LIMITS);
        let (offsets, run) = correlation.runs(blocks.row_len);
        let operands: Vec<usize> = offsets.into_iter().flat_map(|start| start..start + run).collect();
        let strips = Panels::new(operands.len(), 1, isa);
        let rows = blocks.row_offsets();
        let cut = Cut { tile_blocks: 0, strip_blocks: 0, parts: 0 };
        let mut sums = Self { correlation, blocks, strips, operands, rows, cut, isa };
        let repeats = [correlation.groups, blocks.count(problem.batch)];
        sums.cut = Cut::new(correlation.outputs, strips.count(), sums.sums_len(), repeats);
        sums
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(super) fn scratch_len(&self, threads: usize) -> usize {
        self.cut.parts * self.sums_len() + threads * self.worker_len()
    }

    /// Rows of the sums of a group: its output channels.
    pub(super) fn sum_rows(&self) -> usize {
        self.correlation.outputs
    }

    /// The sums of a part: for each group and strip, its rows of whole vectors.
    pub(super) fn sums_len(&self) -> usize {
        whole_lines(self.correlation.groups * self.group_len())
    }

    pub(super) fn group_len(&self) -> usize {
        self.strips.len() * self.sum_rows()
    }

    /// How much one worker packs: rows of x, a strip of x, and dy.
    pub(super) fn worker_lens(&self) -> [usize; 3] {
        let pixels = self.blocks.most_pixels();
        let lens = [
            self.blocks.scratch_len(),
            pixels * self.strips.whole(),
            pixels * self.correlation.outputs + self.strips.whole(),
        ];
        lens.map(whole_lines)
    }

    fn worker_len(&self) -> usize {
        self.worker_lens().iter().sum()
    }

    /// The blocks of one part, when `pictures` are present.
    pub(super) fn blocks_of(&self, part: usize, pictures: usize) -> Range<usize> {
        let blocks = self.blocks.count(pictures);
        share(part, self.cut.parts, blocks)
    }

    /// Adds up everything and writes dw.
    pub(super) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        dy: &[f32],
        dw: &mut [f32],
        store: Store,
        scratch: &mut [f32],
    ) {
        let (sums, workers) = scratch.split_at_mut(self.cut.parts * self.sums_len());
        let shared = SharedMut::new(sums);
        let tasks = self.correlation.groups * self.cut.parts * self.cut.tile_blocks * self.cut.strip_blocks;
        let workers = &mut workers[..machine.threads.count() * self.worker_len()];
        machine.threads.run_with_scratch(tasks, workers, |index, scratch| {
            self.isa.run(Task { all: self, x, dy, out: shared, index, scratch });
        });
        self.join(machine, x.rows, sums, dw, store);
    }

    /// Adds the parts in order.
    fn join(&self, machine: &Machine, pictures: usize, sums: &[f32], dw: &mut [f32], store: Store) {
        let len = dw.len() / self.correlation.out_channels();
        machine.threads.run_chunks(dw, len, |output, dw| {
            if store == Store::Overwrite {
                dw.fill(0.0);
            }
            for part in (0..self.cut.parts).filter(|&part| !self.blocks_of(part, pictures).is_empty()) {
                let sums = &sums[part * self.sums_len()..][..self.sums_len()];
                self.add_output(output, sums, dw);
            }
        });
    }

    /// Adds the sums of an output channel, which lie by taps, to its weights, which lie by channels.
    fn add_output(&self, output: usize, sums: &[f32], dw: &mut [f32]) {
        let Correlation { inputs, outputs, .. } = self.correlation;
        let (group, row) = (output / outputs, output % outputs);
        let (taps, mut tap, mut channel) = (dw.len() / inputs, 0, 0);
        for strip in (0..self.strips.count()).map(|index| self.strips.panel(index)) {
            let start = group * self.group_len() + self.strip_start(strip) + row * strip.stride;
            for sum in &sums[start..start + strip.width] {
                dw[channel * taps + tap] += sum;
                channel += 1;
                if channel == inputs {
                    (tap, channel) = (tap + 1, 0);
                }
            }
        }
    }

    pub(super) fn strip_start(&self, strip: Panel) -> usize {
        strip.column * self.sum_rows()
    }
}
