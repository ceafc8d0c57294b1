//! A correlation of 3 x 3 taps as a layer of tiles: when, and in which blocks.

use super::{
    MATRICES,
    forward::Task,
    odd_lines,
    tiles::Tiles,
    transform::{OUTPUTS, POINTS},
    weights::TransformedWeights,
};
use crate::{
    Isa, Machine, SharedMut,
    conv::{
        Algorithms, Choice, Pictures,
        blocks::{part, whole_lines},
        correlation::{Axis, Correlation},
        pack::Packing,
        rows::RowReader,
    },
    gemm::{Finish, Panels},
};

/// Tiles of a block at most.
const TILES: usize = 32;
/// Up to so many blocks, their number is a power of two, which threads can share out evenly.
const FEW_BLOCKS: usize = 16;
/// Panels whose products are transformed back at once.
pub(super) const PANELS: usize = 2;
/// f32 of transformed weights that are made at once, at most: a part of a third-level cache.
const WEIGHTS: usize = 5 * 512 * 1024;

/// A correlation of 3 x 3 taps with stride 1, by tiles.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Winograd {
    pub(super) tiles: Tiles,
    pub(super) channels: usize,
    /// Height and width of y.
    pub(super) output: [usize; 2],
    /// Rows and columns of tiles in a picture.
    pub(super) grid: [usize; 2],
    pub(super) panels: Panels,
    pub(super) weights: TransformedWeights,
    /// Panels whose weights are transformed at once.
    group: usize,
    pub(super) tiles_at_once: usize,
    /// From one transformed tile to the next, and from one matrix of them to the next.
    pub(super) tile_step: usize,
    pub(super) tiles_step: usize,
    /// From one matrix of a panel's products to the next.
    pub(super) products_step: usize,
    isa: Isa,
}

impl Winograd {
    /// The layer, where the choice allows it and it is faster than the direct one.
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
        let tiles = Tiles::new(reader, axes.map(|axis| axis.input), channels, pads, grid);
        let tiles_at_once = tiles_at_once(batch, grid);
        let panels = packing.panels(0);
        let weights = TransformedWeights::new(panels, isa);
        let groups = panels.count().div_ceil((WEIGHTS / weights.panel_len()).max(1));
        let tile_step = tile_step(channels);
        Self {
            tiles,
            channels,
            output: axes.map(|axis| axis.output),
            grid,
            panels,
            weights,
            group: panels.count().div_ceil(groups),
            tiles_at_once,
            tile_step,
            tiles_step: odd_lines(tiles_at_once * tile_step),
            products_step: odd_lines(tiles_at_once * panels.whole()),
            isa,
        }
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(in crate::conv) fn scratch_len(&self, threads: usize) -> usize {
        self.group * self.weights.panel_len() + threads * self.worker_len()
    }

    /// How many f32 a worker needs to read tiles, for transformed tiles, and for products.
    pub(super) fn worker_lens(&self) -> [usize; 3] {
        let products = PANELS * MATRICES * self.products_step;
        [whole_lines(self.tiles.scratch_len::<POINTS>()), MATRICES * self.tiles_step, products]
    }

    fn worker_len(&self) -> usize {
        self.worker_lens().iter().sum()
    }

    /// Writes y for the pictures present.
    pub(in crate::conv) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        packed: &[f32],
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (weights, workers) = scratch.split_at_mut(self.group * self.weights.panel_len());
        let workers = &mut workers[..machine.threads.count() * self.worker_len()];
        let all = x.rows * self.tiles.per_picture();
        let block = |index: usize| part(index, self.tiles_at_once, all);
        let y = SharedMut::new(y);
        for group in (0..self.panels.count()).step_by(self.group) {
            let group = group..self.panels.count().min(group + self.group);
            self.weights.transform(machine, packed, group.clone(), weights);
            let tasks = all.div_ceil(self.tiles_at_once);
            machine.threads.run_with_scratch(tasks, workers, |index, scratch| {
                let (group, tiles, next) = (group.clone(), block(index), block(index + 1));
                let next = next.start.min(all)..next.end;
                self.isa.run(Task { layer: self, x, weights, finish, y, group, tiles, next, scratch });
            });
        }
    }
}

/// From one transformed tile to the next: whole lines, and not a multiple of half of a first-level cache's set stride.
fn tile_step(channels: usize) -> usize {
    let step = whole_lines(channels);
    if step.is_multiple_of(512) { step + 16 } else { step }
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
