//! A correlation of 3 x 3 taps as a layer of tiles: when, and in which order and blocks.

use super::{
    MATRICES, by_panels, by_tiles,
    outputs::Outputs,
    tiles::Tiles,
    transform::{OUTPUTS, POINTS},
    transformed::Transformed,
    weights::TransformedWeights,
};
use crate::{
    Isa, Machine, SharedMut,
    conv::{
        Algorithms, Choice, Pictures,
        correlation::{Axis, Correlation},
        pack::Packing,
        rows::RowReader,
    },
    cut::{part, whole_lines},
    gemm::Finish,
};

/// Tiles of a block at most, where blocks are tasks.
const TILES: usize = 32;
/// Up to so many blocks, their number is a power of two, which threads can share out evenly.
const FEW_BLOCKS: usize = 16;
/// Tiles at most where panels are tasks: the products of a panel take a third of a second-level cache.
const ALL_TILES: usize = 72;
/// Channels of a chunk: where blocks are tasks, the weights of a panel take half of a first-level cache; where panels are,
/// those of all matrices a third of a second-level one.
const CHUNK_BY_TILES: usize = 256;
const CHUNK_BY_PANELS: usize = 64;
/// f32 of transformed weights that are made at once, at most: a part of a third-level cache.
const WEIGHTS: usize = 5 * 512 * 1024;
/// Tiles of a task that only transforms.
const TILES_TO_TRANSFORM: usize = 4;

/// A correlation of 3 x 3 taps with stride 1, by tiles.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Winograd {
    pub(super) tiles: Tiles,
    pub(super) weights: TransformedWeights,
    pub(super) transformed: Transformed,
    pub(super) outputs: Outputs,
    order: Order,
    isa: Isa,
}

/// What tasks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Blocks of tiles, for as many panels as have their weights transformed at once.
    Tiles { group: usize },
    /// Panels of output channels, for all tiles.
    Panels,
}

impl Winograd {
    /// The layer, where the choice allows it and it is faster than the direct one. `packing` is that of the direct one:
    /// the layer itself reads weights as they lie.
    pub(in crate::conv) fn choose(
        batch: usize,
        correlation: &Correlation,
        reader: RowReader,
        packing: &Packing,
        choice: Choice,
    ) -> Option<Self> {
        let wanted = match choice.algorithms {
            Algorithms::Direct => false,
            Algorithms::Winograd => true,
            Algorithms::Fastest => is_faster(batch, correlation),
        };
        (wanted && computes(correlation)).then(|| Self::new(batch, correlation, reader, packing, choice.isa))
    }

    fn new(batch: usize, correlation: &Correlation, reader: RowReader, packing: &Packing, isa: Isa) -> Self {
        let (axes, channels) = (correlation.axes, correlation.in_channels());
        let grid = axes.map(|axis| axis.output.div_ceil(OUTPUTS));
        let pads = axes.map(|axis| axis.offset.unsigned_abs());
        let weights = TransformedWeights::new(packing, isa);
        let (panels, all) = (weights.panels, batch * grid[0] * grid[1]);
        let groups = panels.count().div_ceil((WEIGHTS / weights.panel_step()).max(1));
        let (order, tiles, chunk) = match groups > 1 && all <= ALL_TILES {
            true => (Order::Panels, all, CHUNK_BY_PANELS),
            false => {
                let group = panels.count().div_ceil(groups);
                (Order::Tiles { group }, tiles_at_once(batch, grid), CHUNK_BY_TILES)
            }
        };
        Self {
            tiles: Tiles::new(reader, axes.map(|axis| axis.input), channels, pads, grid),
            weights,
            transformed: Transformed { channels, chunk, tiles },
            outputs: Outputs { size: axes.map(|axis| axis.output), grid, panels, tiles },
            order,
            isa,
        }
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(in crate::conv) fn scratch_len(&self, threads: usize) -> usize {
        self.shared_len() + threads * self.worker_lens().iter().sum::<usize>()
    }

    /// How many f32 are made ahead: transformed weights or tiles.
    fn shared_len(&self) -> usize {
        match self.order {
            Order::Tiles { group } => group * self.weights.panel_step(),
            Order::Panels => self.transformed.len(),
        }
    }

    /// How many f32 a worker needs to read tiles or weights, for transformed ones, and for products.
    fn worker_lens(&self) -> [usize; 3] {
        let reading = self.tiles.scratch_len::<POINTS>().max(self.weights.scratch_len());
        let products = self.outputs.products_len();
        match self.order {
            Order::Tiles { .. } => [reading, self.transformed.len(), by_tiles::PANELS * products],
            Order::Panels => [reading, MATRICES * self.weights.step(self.transformed.chunk), products],
        }
        .map(whole_lines)
    }

    /// Writes y for the pictures present.
    pub(in crate::conv) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        weights: &[f32],
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (shared, workers) =
            scratch[..self.scratch_len(machine.threads.count())].split_at_mut(self.shared_len());
        let call = Call { machine, x, weights, finish, y: SharedMut::new(y) };
        match self.order {
            Order::Tiles { group } => self.run_by_tiles(&call, group, shared, workers),
            Order::Panels => self.run_by_panels(&call, shared, workers),
        }
    }

    fn run_by_tiles(&self, call: &Call<'_>, at_once: usize, transformed: &mut [f32], workers: &mut [f32]) {
        let Call { machine, x, weights, finish, y } = *call;
        let (all, count) = (x.rows * self.tiles.per_picture(), self.weights.panels.count());
        let block = |index: usize| part(index, self.transformed.tiles, all);
        for first in (0..count).step_by(at_once) {
            let group = first..count.min(first + at_once);
            self.weights.transform_panels(machine, weights, group.clone(), transformed, workers);
            let tasks = all.div_ceil(self.transformed.tiles);
            machine.threads.run_with_scratch(tasks, workers, |index, scratch| {
                let next = block(index + 1);
                self.isa.run(by_tiles::Task {
                    layer: self,
                    x,
                    weights: transformed,
                    finish,
                    y,
                    group: group.clone(),
                    tiles: block(index),
                    next: next.start.min(all)..next.end,
                    scratch: self.split(scratch),
                });
            });
        }
    }

    fn run_by_panels(&self, call: &Call<'_>, transformed: &mut [f32], workers: &mut [f32]) {
        let Call { machine, x, weights, finish, y } = *call;
        let count = x.rows * self.tiles.per_picture();
        let out = SharedMut::new(transformed);
        let tasks = count.div_ceil(TILES_TO_TRANSFORM);
        machine.threads.run_with_scratch(tasks, workers, |index, reading| {
            let tiles = part(index, TILES_TO_TRANSFORM, count);
            self.isa.run(by_panels::TransformTiles { layer: self, x, tiles, out, reading });
        });
        machine.threads.run_with_scratch(self.weights.panels.count(), workers, |panel, scratch| {
            self.isa.run(by_panels::Task {
                layer: self,
                tiles_of_x: transformed,
                count,
                weights,
                finish,
                y,
                panel,
                scratch: self.split(scratch),
            });
        });
    }

    /// A worker's scratch in its three parts.
    fn split<'s>(&self, scratch: &'s mut [f32]) -> [&'s mut [f32]; 3] {
        let [reading, transformed, products] = self.worker_lens();
        let (reading, rest) = scratch.split_at_mut(reading);
        let (transformed, rest) = rest.split_at_mut(transformed);
        [reading, transformed, &mut rest[..products]]
    }
}

/// What a call brings.
#[derive(Clone, Copy)]
struct Call<'a> {
    machine: &'a Machine,
    x: Pictures<'a>,
    weights: &'a [f32],
    finish: &'a Finish<'a>,
    y: SharedMut<'a, f32>,
}

/// Whole rows of tiles where a block can have them, so that neighbouring tiles share what they read.
fn tiles_at_once(batch: usize, grid: [usize; 2]) -> usize {
    let all = batch * grid[0] * grid[1];
    let blocks = all.div_ceil(TILES);
    if blocks <= FEW_BLOCKS {
        return all.div_ceil(blocks.next_power_of_two());
    }
    match grid[1] {
        columns if columns <= TILES => TILES / columns * columns,
        columns => columns.div_ceil(columns.div_ceil(TILES)),
    }
}

/// Whether tiles can compute `correlation`, whatever the gain.
fn computes(correlation: &Correlation) -> bool {
    let fits = |axis: &Axis| {
        let Axis { taps, stride, dilation, step, offset, .. } = *axis;
        [taps.count, stride, dilation, step] == [3, 1, 1, 1] && offset <= 0
    };
    correlation.groups == 1 && correlation.axes.iter().all(fits)
}

/// Whether tiles take less time than the direct convolution: a function of the sizes alone.
fn is_faster(batch: usize, correlation: &Correlation) -> bool {
    let [inputs, outputs] = [correlation.inputs, correlation.outputs].map(|channels| channels as f64);
    let along = |axis: &Axis| [axis.output, axis.output.div_ceil(OUTPUTS)];
    let [rows, columns] = [0, 1].map(|axis| along(&correlation.axes[axis]));
    let [pixels, tiles] = [0, 1].map(|index| (batch * rows[index] * columns[index]) as f64);
    let direct = pixels * 9.0 * inputs * outputs;
    let products = tiles * 36.0 * inputs * outputs;
    let transforms = tiles * (220.0 * inputs + 220.0 * outputs) + 120.0 * inputs * outputs;
    inputs >= 16.0 && outputs >= 16.0 && 1.2 * products + transforms < direct
}
