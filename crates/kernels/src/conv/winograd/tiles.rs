//! The square tiles that a picture is cut into, one every four pixels, and where their pixels are read.

use super::transform::{OUTPUTS, Places};
use crate::conv::{
    Pictures,
    blocks::whole_lines,
    rows::{RowReader, Window},
};
use std::array::from_fn;

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
        let along = |axis: usize, k: usize| {
            let at = start[axis] + k as isize;
            (0..self.size[axis] as isize).contains(&at).then_some(at as usize)
        };
        let inside = (0..2).all(|axis| along(axis, 0).is_some() && along(axis, N - 1).is_some());
        let zeros = &mut scratch[..self.channels];
        if !inside {
            zeros.fill(0.0);
        }
        from_fn(|i| {
            from_fn(|j| match along(0, i).zip(along(1, j)) {
                Some((row, column)) => pixels[(row * self.size[1] + column) * self.channels..].as_ptr(),
                None => zeros.as_ptr(),
            })
        })
    }
}
