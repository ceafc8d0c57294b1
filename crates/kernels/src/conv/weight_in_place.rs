//! The gradient of the weights where it is small: a block's sums are read and written once for so many pixels that
//! neither operand needs packing.
//!
//! The register block of the matrix product, with operands (tap and input channel) as its rows, output channels as its
//! columns and pixels as its inner dimension; both x and dy are read where they lie:
//!
//! ```text
//! for each block of output pixels of the part:
//!     reach or copy the input rows under it
//!     for each panel of output channels:
//!         for each tile of operands:  sums += Σ over the block's pixels
//! ```
//!
//! A task owns a part of the batch and some panels. The parts are added in order into dw; how many there are is a function
//! of the problem.

use super::{
    ConvProblem, Pictures,
    ahead::Ahead,
    blocks::{Block, Blocks, Limits},
    correlation::Correlation,
    rows::RowReader,
};
use crate::{
    Isa, Machine, SharedMut,
    cut::{part, share, whole_lines},
    epilogue::Store,
    gemm::{MOST_ROWS, Panel, Panels, Runs, Sums, VECTORS, Walk, sum_tile, tile_rows, tiles},
    simd::{Kernel, Lanes},
    vector::load,
};
use std::ops::Range;

/// The rows of x under a block take a quarter of a second-level cache.
const LIMITS: Limits = Limits { input: 32 * 1024, pixels: 128, enough_pixels: 128 };
/// Lines that are fetched ahead at a time, with which the machine's buffers for outstanding reads are full.
const FETCHED: usize = 32;
/// How many tasks there are at least, where the problem allows it.
const TASKS: usize = 16;
/// All parts' sums take at most so many f32.
const ALL_SUMS: usize = 1024 * 1024;
/// Sums of a part at most: a third of a second-level cache.
const MOST_SUMS: usize = 48 * 1024;

/// The sums of one problem, cut into tasks.
#[derive(Clone, Debug)]
pub(super) struct InPlaceSums {
    correlation: Correlation,
    blocks: Blocks,
    /// Panels of output channels, with a row for each operand.
    panels: Panels,
    /// Where each operand (kernel row, tap, channel) lies from a pixel's first.
    operands: Vec<usize>,
    /// Where the output rows of a block start.
    rows: Vec<usize>,
    parts: usize,
    /// Panels of a task.
    panels_at_once: usize,
    isa: Isa,
}

impl InPlaceSums {
    /// The sums of `problem`, if they are few enough.
    pub(super) fn new(problem: &ConvProblem, reader: RowReader, isa: Isa) -> Option<Self> {
        let correlation = Correlation::forward(problem);
        let limits = Limits { pixels: block_pixels(problem), ..LIMITS };
        let blocks = Blocks::new(problem.batch, &correlation, reader, limits);
        let (offsets, run) = correlation.runs(blocks.row_len);
        let operands: Vec<usize> = offsets.into_iter().flat_map(|start| start..start + run).collect();
        let panels = Panels::new(correlation.outputs, operands.len(), isa);
        if problem.groups > 1 || panels.len() > MOST_SUMS {
            return None;
        }
        let parts = (ALL_SUMS / panels.len().max(1)).clamp(1, TASKS).min(blocks.count(problem.batch));
        let panels_at_once = (panels.count() * parts / TASKS).clamp(1, panels.count());
        let rows = blocks.row_offsets();
        Some(Self { correlation, blocks, panels, operands, rows, parts, panels_at_once, isa })
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(super) fn scratch_len(&self, threads: usize) -> usize {
        self.parts * self.sums_len() + threads * self.worker_len()
    }

    fn sums_len(&self) -> usize {
        whole_lines(self.panels.len())
    }

    /// Copied rows of x, and a panel of dy.
    fn worker_len(&self) -> usize {
        self.blocks.scratch_len() + whole_lines(self.blocks.most_pixels() * self.panels.whole())
    }

    /// The blocks of one part, when `pictures` are present.
    fn blocks_of(&self, part: usize, pictures: usize) -> Range<usize> {
        let blocks = self.blocks.count(pictures);
        share(part, self.parts, blocks)
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
        let (sums, workers) = scratch.split_at_mut(self.parts * self.sums_len());
        let shared = SharedMut::new(sums);
        let workers = &mut workers[..machine.threads.count() * self.worker_len()];
        let panel_blocks = self.panels.count().div_ceil(self.panels_at_once);
        machine.threads.run_with_scratch(self.parts * panel_blocks, workers, |index, scratch| {
            let (part_index, panels) = (index / panel_blocks, index % panel_blocks);
            let panels = part(panels, self.panels_at_once, self.panels.count());
            let out = shared.as_mut_ptr().wrapping_add(part_index * self.sums_len());
            let blocks = self.blocks_of(part_index, x.rows);
            self.isa.run(Task { all: self, x, dy, out, blocks, panels, scratch });
        });
        self.join(machine, x.rows, sums, dw, store);
    }

    /// Adds the parts in order.
    fn join(&self, machine: &Machine, pictures: usize, sums: &[f32], dw: &mut [f32], store: Store) {
        machine.threads.run_chunks(dw, self.operands.len(), |output, dw| {
            if store == Store::Overwrite {
                dw.fill(0.0);
            }
            for part in (0..self.parts).filter(|&part| !self.blocks_of(part, pictures).is_empty()) {
                self.add_output(output, &sums[part * self.sums_len()..], dw);
            }
        });
    }

    /// Adds the sums of an output channel, which lie by taps, to its weights, which lie by channels.
    fn add_output(&self, output: usize, sums: &[f32], dw: &mut [f32]) {
        let panel = self.panels.panel(output / self.panels.whole());
        let (channels, taps) = (self.correlation.inputs, dw.len() / self.correlation.inputs);
        let mut sums = sums[self.panels.at(panel, 0) + output - panel.column..].iter().step_by(panel.stride);
        for tap in 0..taps {
            for (channel, sum) in (0..channels).zip(&mut sums) {
                dw[channel * taps + tap] += sum;
            }
        }
    }
}

/// Pixels of a block at most: what is fetched ahead during a tile grows with them.
fn block_pixels(problem: &ConvProblem) -> usize {
    let operands = problem.weights_len() / problem.out_channels;
    let tiles = operands.div_ceil(tile_rows(VECTORS)) * problem.out_channels.div_ceil(16);
    let line_pixels = 16 * FETCHED * tiles;
    (line_pixels / (problem.in_channels + problem.out_channels)).clamp(48, LIMITS.pixels)
}

/// One task.
struct Task<'a> {
    all: &'a InPlaceSums,
    x: Pictures<'a>,
    dy: &'a [f32],
    /// The sums of the part.
    out: *mut f32,
    blocks: Range<usize>,
    panels: Range<usize>,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let (all, scratch) = (self.all, std::mem::take(&mut self.scratch));
        let (copied, packed) = scratch.split_at_mut(all.blocks.scratch_len());
        for index in self.blocks.clone() {
            let mut ahead = self.ahead(index + 1);
            let block = all.blocks.block(index, self.x.rows);
            let x = all.blocks.read(self.x, &block, copied);
            let dy = self.gradient(&block);
            for panel in self.panels.clone() {
                let panel = all.panels.panel(panel);
                let channels = all.correlation.outputs;
                let dy = &dy[panel.column..];
                let (dy, step) = match panel.width == panel.stride {
                    true => (dy.as_ptr(), channels),
                    false => (pack(lanes, dy, channels, panel, packed), panel.stride),
                };
                let begun = index > self.blocks.start;
                let walk = Walk { a_step: all.blocks.pixel_step(), b_step: step, depth: block.columns.len() };
                let runs = Runs { offsets: &all.rows[..block.pictures.len() * block.rows.len()], walk };
                for tile in tiles(all.operands.len(), panel.vectors) {
                    let mut pointers = [x; MOST_ROWS];
                    for (pointer, operand) in pointers.iter_mut().zip(&all.operands[tile.clone()]) {
                        *pointer = x.wrapping_add(*operand);
                    }
                    let sums = Sums { start: self.out.wrapping_add(all.panels.at(panel, tile.start)), begun };
                    // SAFETY: `x` holds the operands of all pixels of the block, `dy` whole vectors of the panel; no other
                    // task has these panels of this part's sums.
                    unsafe { sum_tile(lanes, panel.vectors, &pointers[..tile.len()], dy, runs, sums) };
                    ahead.fetch();
                }
            }
        }
    }
}

impl<'a> Task<'a> {
    /// The rows of dy of a block.
    fn gradient(&self, block: &Block) -> &'a [f32] {
        let (blocks, channels) = (&self.all.blocks, self.all.correlation.outputs);
        &self.dy[blocks.first_pixel(block) * channels..][..blocks.pixels(block) * channels]
    }

    /// The operands of block `index`, if it is this task's.
    fn ahead(&self, index: usize) -> Ahead<'a> {
        let tiles = self.all.operands.len().div_ceil(tile_rows(VECTORS)) * self.panels.len();
        if !self.blocks.contains(&index) {
            return Ahead::new([&[]; 2], tiles);
        }
        let block = self.all.blocks.block(index, self.x.rows);
        Ahead::new([self.all.blocks.rows_in_memory(self.x, &block), self.gradient(&block)], tiles)
    }
}

/// The channels of a panel that are no whole vectors, filled up with zeros.
#[inline(always)]
fn pack<L: Lanes>(lanes: L, dy: &[f32], channels: usize, panel: Panel, packed: &mut [f32]) -> *const f32 {
    for (pixel, slot) in dy.chunks(channels).zip(packed.chunks_exact_mut(panel.stride)) {
        for (from, to) in pixel[..panel.width].chunks(L::COUNT).zip(slot.chunks_exact_mut(L::COUNT)) {
            // SAFETY: `from` is at most a vector, `to` is one.
            unsafe { lanes.store(to.as_mut_ptr(), load(lanes, from.as_ptr(), from.len())) };
        }
    }
    packed.as_ptr()
}
