//! The square tiles that a picture is cut into, one every four pixels, and where their pixels are read.

use super::{
    ahead::{Ahead, Area},
    transform::{OUTPUTS, Places},
};
use crate::conv::{
    Pictures,
    rows::{RowReader, Window},
};
use crate::cut::whole_lines;
use std::{array::from_fn, ops::Range};

/// Room behind a copied tile: its last channels are read as whole vectors.
const VECTOR: usize = 16;

/// The tiles of x, or of dy, in all pictures: pictures in order, in each, rows of tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    reader: RowReader,
    /// Height and width of a picture.
    size: [usize; 2],
    channels: usize,
    /// How far before a picture's first pixel its first tile starts.
    pads: [usize; 2],
    /// Rows and columns of tiles in a picture.
    grid: [usize; 2],
    /// Whole vectors of channels are read where they lie.
    in_place: bool,
}

impl Tiles {
    pub(super) fn new(
        reader: RowReader,
        size: [usize; 2],
        channels: usize,
        pads: [usize; 2],
        grid: [usize; 2],
    ) -> Self {
        let in_place = reader.is_plain() && channels.is_multiple_of(VECTOR);
        Self { reader, size, channels, pads, grid, in_place }
    }

    /// Tiles of one picture.
    pub(super) fn per_picture(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// How many f32 of scratch are needed to read tiles of `N` by `N` pixels.
    pub(super) fn scratch_len<const N: usize>(&self) -> usize {
        whole_lines(if self.in_place { self.channels } else { N * N * self.channels + VECTOR })
    }

    /// The pixels of some tiles, to be asked for ahead; none where they are copied.
    pub(super) fn ahead(&self, x: Pictures<'_>, tiles: Range<usize>) -> Ahead {
        let Self { size, channels, grid, .. } = *self;
        let tiles = if self.in_place { tiles } else { 0..0 };
        Ahead::new(Area { first: x.values.as_ptr(), size, channels, grid }, tiles, channels)
    }

    /// Where the pixels of a tile lie: in the picture, or in `scratch`, which takes copies and zeros around the picture.
    /// Each is readable for the channels, rounded up to a vector.
    #[inline(always)]
    pub(super) fn places<const N: usize>(
        &self,
        x: Pictures<'_>,
        tile: usize,
        scratch: &mut [f32],
    ) -> Places<N> {
        let (picture, tile) = (tile / self.per_picture(), tile % self.per_picture());
        let tile = [tile / self.grid[1], tile % self.grid[1]];
        let start = [0, 1].map(|axis| (OUTPUTS * tile[axis]) as isize - self.pads[axis] as isize);
        if !self.in_place {
            assert!(scratch.len() >= N * N * self.channels + VECTOR);
            self.reader.read(x, picture, Window { start, size: [N, N] }, scratch);
            return from_fn(|i| from_fn(|j| scratch[(N * i + j) * self.channels..].as_ptr()));
        }
        let pixels = &x.values[picture * self.reader.picture_len()..][..self.reader.picture_len()];
        let (row_step, step) = (self.size[1] * self.channels, self.channels);
        let row = |i: usize| {
            let row = (start[0] + i as isize) * row_step as isize + start[1] * step as isize;
            pixels.as_ptr().wrapping_offset(row)
        };
        let inside = |axis: usize, k: usize| ((start[axis] + k as isize) as usize) < self.size[axis];
        if inside(0, 0) && inside(0, N - 1) && inside(1, 0) && inside(1, N - 1) {
            return from_fn(|i| from_fn(|j| row(i).wrapping_add(j * step)));
        }
        let zeros = &mut scratch[..self.channels];
        zeros.fill(0.0);
        let columns: [bool; N] = from_fn(|j| inside(1, j));
        from_fn(|i| match inside(0, i) {
            true => from_fn(|j| if columns[j] { row(i).wrapping_add(j * step) } else { zeros.as_ptr() }),
            false => [zeros.as_ptr(); N],
        })
    }
}
