//! The convolution by tiles; see the module's head.

use super::{
    MATRICES, odd_lines,
    tiles::Tiles,
    transform::{Input, OUTPUTS, Output, POINTS, Places, Transform, along_rows, transform_into},
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
    gemm::{Finish, MOST_ROWS, Panel, Panels, Runs, Sums, Walk, sum_tile, tiles},
    simd::{Kernel, Lanes},
    vector::store,
};
use std::{array::from_fn, ops::Range};

/// Tiles of a block at most.
const TILES: usize = 32;
/// Tasks that there are at least, where the blocks keep [`FEWEST_TILES`].
const TASKS: usize = 8;
const FEWEST_TILES: usize = 18;
/// Products of a chunk at most: with them, the weights of a panel take half of a first-level cache.
const CHUNK: usize = 256;
/// Panels whose products are transformed back at once.
const PANELS: usize = 2;
/// f32 of transformed weights that are made at once, at most: a part of a third-level cache.
const WEIGHTS: usize = 5 * 512 * 1024;

/// A correlation of 3 x 3 taps with stride 1, by tiles.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Winograd {
    tiles: Tiles,
    channels: usize,
    /// Height and width of y.
    output: [usize; 2],
    /// Rows and columns of tiles in a picture.
    grid: [usize; 2],
    panels: Panels,
    weights: TransformedWeights,
    /// Panels whose weights are transformed at once.
    group: usize,
    tiles_at_once: usize,
    /// From one transformed tile to the next, and from one matrix of them to the next.
    tile_step: usize,
    tiles_step: usize,
    /// From one matrix of a panel's products to the next.
    products_step: usize,
    isa: Isa,
}

impl Winograd {
    /// Whether tiles can compute `correlation`, whatever the gain.
    fn computes(correlation: &Correlation) -> bool {
        let fits = |axis: &Axis| {
            (axis.taps.count, axis.stride, axis.dilation, axis.step) == (3, 1, 1, 1) && axis.offset <= 0
        };
        correlation.groups == 1 && correlation.axes.iter().all(fits)
    }

    /// The layer, where the choice allows it and it is faster than the direct one.
    pub(in crate::conv) fn choose(
        batch: usize,
        correlation: &Correlation,
        reader: RowReader,
        packing: &Packing,
        choice: Choice,
    ) -> Option<Self> {
        let wanted = choice.algorithms == Algorithms::Fastest && Self::computes(correlation);
        (wanted && is_faster(batch, correlation))
            .then(|| Self::new(batch, correlation, reader, packing, choice.isa))
    }

    fn new(batch: usize, correlation: &Correlation, reader: RowReader, packing: &Packing, isa: Isa) -> Self {
        let (axes, channels) = (correlation.axes, correlation.in_channels());
        let grid = axes.map(|axis| axis.output.div_ceil(OUTPUTS));
        let pads = axes.map(|axis| axis.offset.unsigned_abs());
        let tiles = Tiles::new(reader, axes.map(|axis| axis.input), channels, pads, grid);
        let all = batch * tiles.per_picture();
        let blocks = all.div_ceil(TILES).max(TASKS.min(all / FEWEST_TILES)).max(1);
        let tiles_at_once = all.div_ceil(blocks);
        let panels = packing.panels(0);
        let weights = TransformedWeights::new(panels, isa);
        let groups = panels.count().div_ceil((WEIGHTS / weights.panel_len()).max(1));
        let tile_step = odd_lines(channels);
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

    pub(in crate::conv) fn scratch_len(&self, threads: usize) -> usize {
        self.group * self.weights.panel_len() + threads * self.worker_lens().iter().sum::<usize>()
    }

    /// How many f32 a worker needs to read tiles, for transformed tiles, and for products.
    fn worker_lens(&self) -> [usize; 3] {
        let products = PANELS * MATRICES * self.products_step;
        [whole_lines(self.tiles.scratch_len::<POINTS>()), MATRICES * self.tiles_step, products]
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
        let workers = &mut workers[..machine.threads.count() * self.worker_lens().iter().sum::<usize>()];
        let all = x.rows * self.tiles.per_picture();
        let y = SharedMut::new(y);
        for group in (0..self.panels.count()).step_by(self.group) {
            let group = group..self.panels.count().min(group + self.group);
            self.weights.transform(machine, packed, group.clone(), weights);
            let tasks = all.div_ceil(self.tiles_at_once);
            machine.threads.run_with_scratch(tasks, workers, |index, scratch| {
                let (group, tiles) = (group.clone(), part(index, self.tiles_at_once, all));
                self.isa.run(Task { layer: self, x, weights, finish, y, group, tiles, scratch });
            });
        }
    }
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

/// The panels of a group for a block of tiles.
struct Task<'a> {
    layer: &'a Winograd,
    x: Pictures<'a>,
    /// The transformed weights of the group.
    weights: &'a [f32],
    finish: &'a Finish<'a>,
    y: SharedMut<'a, f32>,
    group: Range<usize>,
    tiles: Range<usize>,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let layer = self.layer;
        let [reading, transformed, products] = layer.worker_lens();
        let (reading, rest) = self.scratch.split_at_mut(reading);
        let (transformed, rest) = rest.split_at_mut(transformed);
        let products = &mut rest[..products];
        layer.transform_tiles(lanes, self.x, self.tiles.clone(), reading, transformed);
        for first in self.group.clone().step_by(PANELS) {
            let panels = first..self.group.end.min(first + PANELS);
            let weights = &self.weights[(first - self.group.start) * layer.weights.panel_len()..];
            layer.multiply(lanes, self.tiles.len(), transformed, panels.clone(), weights, products);
            for (slot, tile) in self.tiles.clone().enumerate() {
                for (index, panel) in panels.clone().enumerate() {
                    let panel = layer.panels.panel(panel);
                    let start = index * MATRICES * layer.products_step + slot * panel.stride;
                    let products = &products[start..];
                    // SAFETY: no other task has these tiles and panels; the plan checked bias and addend.
                    unsafe { layer.store(lanes, tile, panel, products, self.finish, self.y.as_mut_ptr()) };
                }
            }
        }
    }
}

impl Winograd {
    #[inline(always)]
    fn transform_tiles<L: Lanes>(
        &self,
        lanes: L,
        x: Pictures<'_>,
        tiles: Range<usize>,
        reading: &mut [f32],
        transformed: &mut [f32],
    ) {
        assert!(tiles.len() <= self.tiles_at_once && transformed.len() >= MATRICES * self.tiles_step);
        for (slot, tile) in tiles.enumerate() {
            let from = self.tiles.places(x, tile, reading);
            for channel in (0..self.channels).step_by(L::COUNT) {
                let to = transformed.as_mut_ptr().wrapping_add(slot * self.tile_step + channel);
                // SAFETY: `places` are readable for whole vectors, for which a transformed tile has room in each matrix.
                unsafe { transform_into(lanes, Input, &from, channel, to, self.tiles_step) };
            }
        }
    }

    /// The products of some panels, whose weights start at `weights`.
    #[inline(always)]
    fn multiply<L: Lanes>(
        &self,
        lanes: L,
        count: usize,
        transformed: &[f32],
        panels: Range<usize>,
        weights: &[f32],
        products: &mut [f32],
    ) {
        assert!(count <= self.tiles_at_once && transformed.len() >= MATRICES * self.tiles_step);
        assert!(weights.len() >= panels.len() * self.weights.panel_len());
        assert!(products.len() >= panels.len() * MATRICES * self.products_step);
        for matrix in 0..MATRICES {
            let a = transformed[matrix * self.tiles_step..].as_ptr();
            for (index, panel) in panels.clone().enumerate() {
                let panel = self.panels.panel(panel);
                let b = weights[index * self.weights.panel_len() + matrix * self.weights.step..].as_ptr();
                let sums = products[(index * MATRICES + matrix) * self.products_step..].as_mut_ptr();
                // SAFETY: a matrix has `count` tiles of all channels, its weights all channels, its products a row of
                // the panel for each tile, as asserted.
                unsafe { self.multiply_panel(lanes, count, a, panel, b, sums) };
            }
        }
    }

    /// `sums [count, panel] = a [count, channels] · b [channels, panel]`
    ///
    /// # Safety
    /// - `a` is readable for `count` rows of all channels, `tile_step` apart, `b` for a row of the panel per channel.
    /// - `sums` is writable for `count` rows of the panel.
    #[inline(always)]
    unsafe fn multiply_panel<L: Lanes>(
        &self,
        lanes: L,
        count: usize,
        a: *const f32,
        panel: Panel,
        b: *const f32,
        sums: *mut f32,
    ) {
        for chunk in (0..self.channels).step_by(CHUNK) {
            let depth = CHUNK.min(self.channels - chunk);
            let runs = Runs::one(Walk { a_step: 1, b_step: panel.stride, depth });
            for tile in tiles(count, panel.vectors) {
                let row = a.wrapping_add(tile.start * self.tile_step + chunk);
                let rows: [_; MOST_ROWS] = from_fn(|index| row.wrapping_add(index * self.tile_step));
                let sums = Sums { start: sums.wrapping_add(tile.start * panel.stride), begun: chunk > 0 };
                let b = b.wrapping_add(chunk * panel.stride);
                // SAFETY: the caller's contract.
                unsafe { sum_tile(lanes, panel.vectors, &rows[..tile.len()], b, runs, sums) };
            }
        }
    }

    /// Transforms the products of a tile back, and stores the pixels that y has.
    ///
    /// # Safety
    /// - Nobody else writes these channels of these pixels, and y has them.
    /// - Bias and addend of `finish` are as long as y wants them.
    #[inline(always)]
    unsafe fn store<L: Lanes>(
        &self,
        lanes: L,
        tile: usize,
        panel: Panel,
        products: &[f32],
        finish: &Finish<'_>,
        y: *mut f32,
    ) {
        let (picture, tile) = (tile / self.tiles.per_picture(), tile % self.tiles.per_picture());
        let first = [tile / self.grid[1] * OUTPUTS, tile % self.grid[1] * OUTPUTS];
        let [rows, columns] = [0, 1].map(|axis| OUTPUTS.min(self.output[axis] - first[axis]));
        let pixel = (picture * self.output[0] + first[0]) * self.output[1] + first[1];
        let from: Places<POINTS> =
            from_fn(|i| from_fn(|j| products[(POINTS * i + j) * self.products_step..].as_ptr()));
        let plain = finish.is_plain();
        for skipped in (0..panel.width).step_by(L::COUNT) {
            let (column, count) = (panel.column + skipped, L::COUNT.min(panel.width - skipped));
            // SAFETY: the products of a tile are whole vectors.
            let half = unsafe { along_rows(lanes, Output, &from, skipped) };
            for j in 0..columns {
                let values = Output.apply(lanes, half[j]);
                for i in 0..rows {
                    let at = (pixel + i * self.output[1] + j) * self.panels.columns + column;
                    // SAFETY: the caller's contract.
                    unsafe {
                        let value = match plain {
                            true => values[i],
                            false => finish.apply(lanes, values[i], y, [at, column, count]),
                        };
                        store(lanes, y.wrapping_add(at), value, count);
                    }
                }
            }
        }
    }
}
