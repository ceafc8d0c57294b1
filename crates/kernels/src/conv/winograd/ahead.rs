//! Cache lines that are asked for while products are computed, so that they are there when tiles are read or written.

use super::transform::OUTPUTS;
use crate::cut::LINE;
use crate::simd::prefetch;
use std::ops::Range;

/// Pictures that are cut into tiles of 4 x 4 pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) first: *const f32,
    /// Height and width.
    pub(super) size: [usize; 2],
    /// Of a pixel.
    pub(super) channels: usize,
    /// Rows and columns of tiles.
    pub(super) grid: [usize; 2],
}

impl Area {
    /// The first pixel of a tile.
    fn tile(&self, tile: usize) -> *const f32 {
        let Self { first, size, channels, grid } = *self;
        let (row, column) = (tile / grid[1], tile % grid[1]);
        let row = row / grid[0] * size[0] + OUTPUTS * (row % grid[0]);
        first.wrapping_add((row * size[1] + OUTPUTS * column) * channels)
    }
}

/// Some channels of the pixels of neighbouring tiles, line by line.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    area: Area,
    tiles: Range<usize>,
    lines_per_pixel: usize,
    /// Lines of a portion.
    portion: usize,
    /// The first pixel of the tile before `tiles`, and which of its pixels is the next.
    tile: *const f32,
    pixel: usize,
    line: *const f32,
    lines_left: usize,
}

impl Ahead {
    /// Of each pixel, the first `width` channels from `area.first` on.
    pub(super) fn new(area: Area, tiles: Range<usize>, width: usize) -> Self {
        let lines_per_pixel = width.div_ceil(LINE);
        let (tile, pixel) = (area.first, OUTPUTS * OUTPUTS);
        Self { area, tiles, lines_per_pixel, portion: 0, tile, pixel, line: tile, lines_left: 0 }
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.tiles.len() * OUTPUTS * OUTPUTS * self.lines_per_pixel
    }

    /// The same in so many equal portions; without them, a portion is empty.
    pub(super) fn in_portions(self, count: usize) -> Self {
        Self { portion: self.lines().div_ceil(count.max(1)), ..self }
    }

    /// Asks for the next portion.
    #[inline(always)]
    pub(super) fn ask_portion(&mut self) {
        self.ask(self.portion);
    }

    /// Asks for the next `count` lines.
    #[inline(always)]
    pub(super) fn ask(&mut self, count: usize) {
        for _ in 0..count {
            if self.lines_left == 0 && !self.find_pixel() {
                return;
            }
            prefetch(self.line);
            self.line = self.line.wrapping_add(LINE);
            self.lines_left -= 1;
        }
    }

    /// Moves on to the next pixel, if there is one.
    #[inline(always)]
    fn find_pixel(&mut self) -> bool {
        if self.pixel == OUTPUTS * OUTPUTS {
            let Some(tile) = self.tiles.next() else { return false };
            (self.tile, self.pixel) = (self.area.tile(tile), 0);
        }
        // Behind the edge of a picture this is another pixel, or none: asking is harmless.
        let Area { size, channels, .. } = self.area;
        let offset = self.pixel / OUTPUTS * size[1] + self.pixel % OUTPUTS;
        (self.line, self.lines_left) = (self.tile.wrapping_add(offset * channels), self.lines_per_pixel);
        self.pixel += 1;
        true
    }
}
