//! Transformed tiles, and their products with transformed weights.

use super::{
    MATRICES,
    ahead::Ahead,
    odd_lines,
    transform::{Input, POINTS, Places, transform_into},
};
use crate::{
    cut::{part, whole_lines},
    gemm::{MOST_ROWS, Panel, Runs, Sums, Walk, sum_tile, tiles},
    simd::Lanes,
};
use std::{array::from_fn, ops::Range};

/// Where the transformed tiles of a block lie: by chunks of channels, in these by matrices, in these tile after tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transformed {
    pub(super) channels: usize,
    /// Channels of a chunk at most.
    pub(super) chunk: usize,
    /// Tiles at most.
    pub(super) tiles: usize,
}

impl Transformed {
    /// How many f32 there are.
    pub(super) fn len(&self) -> usize {
        self.chunks() * self.chunk_step()
    }

    pub(super) fn chunks(&self) -> usize {
        self.channels.div_ceil(self.chunk)
    }

    pub(super) fn channels_of(&self, chunk: usize) -> Range<usize> {
        part(chunk, self.chunk, self.channels)
    }

    fn chunk_step(&self) -> usize {
        MATRICES * self.matrix_step()
    }

    fn matrix_step(&self) -> usize {
        odd_lines(self.tiles * self.tile_step())
    }

    fn tile_step(&self) -> usize {
        whole_lines(self.chunk.min(self.channels))
    }

    /// Transforms the tile of x at `from` into the place of tile `slot`.
    ///
    /// # Safety
    /// - `from` is readable for all channels, rounded up to vectors.
    /// - `out` is writable for `len` values, and nobody else writes this slot.
    #[inline(always)]
    pub(super) unsafe fn write<L: Lanes>(&self, lanes: L, from: &Places<POINTS>, slot: usize, out: *mut f32) {
        assert!(slot < self.tiles);
        for chunk in 0..self.chunks() {
            let channels = self.channels_of(chunk);
            let out = out.wrapping_add(chunk * self.chunk_step() + slot * self.tile_step());
            for channel in channels.clone().step_by(L::COUNT) {
                let to = out.wrapping_add(channel - channels.start);
                // SAFETY: the caller's contract; a tile has room for whole vectors in each matrix.
                unsafe { transform_into(lanes, Input, from, channel, to, self.matrix_step()) };
            }
        }
    }

    /// The products of the first `count` tiles in one matrix of one chunk:
    /// `sums [count, panel] (+)= tiles [count, chunk] · weights [chunk, panel]`.
    /// The first chunk overwrites sums, the others add to them.
    ///
    /// # Safety
    /// - `tiles` is readable for `len` values, `weights` for a row of the panel for each channel of the chunk.
    /// - `sums` is writable for `count` rows of the panel.
    #[inline(always)]
    pub(super) unsafe fn multiply<L: Lanes>(
        &self,
        lanes: L,
        [chunk, matrix, count]: [usize; 3],
        panel: Panel,
        [tiles_of_x, weights]: [*const f32; 2],
        sums: *mut f32,
        ahead: &mut [Ahead; 2],
    ) {
        assert!(chunk < self.chunks() && matrix < MATRICES && count <= self.tiles);
        let first = tiles_of_x.wrapping_add(chunk * self.chunk_step() + matrix * self.matrix_step());
        let runs = Runs::one(Walk { a_step: 1, b_step: panel.stride, depth: self.channels_of(chunk).len() });
        for tile in tiles(count, panel.vectors) {
            let row = first.wrapping_add(tile.start * self.tile_step());
            let rows: [_; MOST_ROWS] = from_fn(|index| row.wrapping_add(index * self.tile_step()));
            let start = sums.wrapping_add(tile.start * panel.stride);
            let sums = Sums { start, begun: chunk > 0 };
            // SAFETY: the caller's contract.
            unsafe { sum_tile(lanes, panel.vectors, &rows[..tile.len()], weights, runs, sums) };
            ahead[0].ask_portion();
            ahead[1].ask_portion();
        }
    }

    /// How many tiles of registers the products of `count` tiles and one panel take.
    pub(super) fn steps(&self, count: usize) -> usize {
        self.chunks() * MATRICES * tiles(count, 2).count()
    }
}
