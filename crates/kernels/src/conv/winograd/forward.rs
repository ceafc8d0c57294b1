//! What a task does with a block of tiles; see the module's head.

use super::{
    MATRICES,
    ahead::{Ahead, Area},
    layer::{PANELS, Winograd},
    transform::{Input, OUTPUTS, Output, POINTS, Places, Transform, along_rows, transform_into},
};
use crate::{
    SharedMut,
    conv::Pictures,
    gemm::{Finish, MOST_ROWS, Panel, Runs, Sums, Walk, sum_tile, tiles},
    simd::{Kernel, Lanes},
    vector::store,
};
use std::{array::from_fn, ops::Range};

/// Products of a chunk at most: with them, the weights of a panel take half of a first-level cache.
const CHUNK: usize = 256;

/// The panels of a group for a block of tiles.
pub(super) struct Task<'a> {
    pub(super) layer: &'a Winograd,
    pub(super) x: Pictures<'a>,
    /// The transformed weights of the group.
    pub(super) weights: &'a [f32],
    pub(super) finish: &'a Finish<'a>,
    pub(super) y: SharedMut<'a, f32>,
    pub(super) group: Range<usize>,
    pub(super) tiles: Range<usize>,
    /// The block that is likely to be this worker's next.
    pub(super) next: Range<usize>,
    pub(super) scratch: &'a mut [f32],
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
        let block = Block { layer, count: self.tiles.len(), transformed };
        let mut next = layer.tiles.ahead(self.x, self.next.clone());
        let input_lines = next.lines().div_ceil(self.group.len().div_ceil(PANELS) * block.steps(PANELS));
        for first in self.group.clone().step_by(PANELS) {
            let panels = first..self.group.end.min(first + PANELS);
            let weights = &self.weights[(first - self.group.start) * layer.weights.panel_len()..];
            let mut output = layer.output_ahead(self.y, self.tiles.clone(), panels.clone());
            let lines = [input_lines, output.lines().div_ceil(block.steps(panels.len()))];
            let mut ahead = [&mut next, &mut output];
            block.multiply(lanes, panels.clone(), weights, products, (&mut ahead, lines));
            for (slot, tile) in self.tiles.clone().enumerate() {
                for (index, panel) in panels.clone().enumerate() {
                    let panel = layer.panels.panel(panel);
                    let start = index * MATRICES * layer.products_step + slot * panel.stride;
                    // SAFETY: no other task has these tiles and panels; the plan checked bias and addend.
                    unsafe {
                        layer.store(lanes, tile, panel, &products[start..], self.finish, self.y.as_mut_ptr());
                    }
                }
            }
        }
    }
}

/// The transformed tiles of a block.
struct Block<'a> {
    layer: &'a Winograd,
    count: usize,
    transformed: &'a [f32],
}

impl Block<'_> {
    /// How many tiles of registers the products of `panels` panels take.
    fn steps(&self, panels: usize) -> usize {
        MATRICES * panels * self.layer.channels.div_ceil(CHUNK) * tiles(self.count, 2).count()
    }

    /// The products of some panels, whose weights start at `weights`.
    #[inline(always)]
    fn multiply<L: Lanes>(
        &self,
        lanes: L,
        panels: Range<usize>,
        weights: &[f32],
        products: &mut [f32],
        (ahead, lines): (&mut [&mut Ahead; 2], [usize; 2]),
    ) {
        let layer = self.layer;
        assert!(self.count <= layer.tiles_at_once && self.transformed.len() >= MATRICES * layer.tiles_step);
        assert!(weights.len() >= panels.len() * layer.weights.panel_len());
        assert!(products.len() >= panels.len() * MATRICES * layer.products_step);
        for matrix in 0..MATRICES {
            let a = self.transformed[matrix * layer.tiles_step..].as_ptr();
            for (index, panel) in panels.clone().enumerate() {
                let panel = layer.panels.panel(panel);
                let b = weights[index * layer.weights.panel_len() + matrix * layer.weights.step..].as_ptr();
                let sums = products[(index * MATRICES + matrix) * layer.products_step..].as_mut_ptr();
                for chunk in (0..layer.channels).step_by(CHUNK) {
                    let depth = CHUNK.min(layer.channels - chunk);
                    let runs = Runs::one(Walk { a_step: 1, b_step: panel.stride, depth });
                    for tile in tiles(self.count, panel.vectors) {
                        let row = a.wrapping_add(tile.start * layer.tile_step + chunk);
                        let rows: [_; MOST_ROWS] = from_fn(|index| row.wrapping_add(index * layer.tile_step));
                        let start = sums.wrapping_add(tile.start * panel.stride);
                        let sums = Sums { start, begun: chunk > 0 };
                        let b = b.wrapping_add(chunk * panel.stride);
                        // SAFETY: a matrix has `count` tiles of all channels, its weights all channels, its products
                        // a row of the panel for each tile, as asserted.
                        unsafe { sum_tile(lanes, panel.vectors, &rows[..tile.len()], b, runs, sums) };
                        ahead[0].ask(lines[0]);
                        ahead[1].ask(lines[1]);
                    }
                }
            }
        }
    }
}

impl Winograd {
    /// The pixels of some tiles of y, to be asked for before they are written.
    fn output_ahead(&self, y: SharedMut<'_, f32>, tiles: Range<usize>, panels: Range<usize>) -> Ahead {
        let Self { output, grid, panels: all, .. } = self;
        let column = all.panel(panels.start).column;
        let first = y.as_mut_ptr().wrapping_add(column).cast_const();
        let area = Area { first, size: *output, channels: all.columns, grid: *grid };
        Ahead::new(area, tiles, (panels.len() * all.whole()).min(all.columns - column))
    }

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
        assert!(products.len() >= (MATRICES - 1) * self.products_step + panel.stride);
        let from: Places<POINTS> =
            from_fn(|i| from_fn(|j| products.as_ptr().wrapping_add((POINTS * i + j) * self.products_step)));
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
