use crate::simd::Lanes;
use crate::vector::load;

/// The pixels of a picture under one window: a grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Index of the first pixel in the plane.
    pub(super) first: usize,
    pub(super) rows: usize,
    /// From a row to the next.
    pub(super) row_step: usize,
    pub(super) columns: usize,
    /// From a column to the next.
    pub(super) column_step: usize,
}

/// `count` channels from `channel` of the pixels x `[pixels, C]`.
pub(super) struct Values<'a> {
    pub(super) x: &'a [f32],
    pub(super) channels: usize,
    pub(super) channel: usize,
    pub(super) count: usize,
}

impl Values<'_> {
    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, pixel: usize) -> L::Vector {
        let at = pixel * self.channels + self.channel;
        let x = &self.x[at..at + self.count];
        // SAFETY: `x` has `count` values, at most a register.
        unsafe { load(lanes, x.as_ptr(), self.count) }
    }

    #[inline(always)]
    pub(super) fn maximum<L: Lanes>(&self, lanes: L, patch: Patch) -> L::Vector {
        let mut best = lanes.splat(f32::NEG_INFINITY);
        for row in 0..patch.rows {
            let first = patch.first + row * patch.row_step;
            for column in 0..patch.columns {
                best = lanes.max(best, self.read(lanes, first + column * patch.column_step));
            }
        }
        best
    }

    #[inline(always)]
    pub(super) fn sum<L: Lanes>(&self, lanes: L, patch: Patch) -> L::Vector {
        let mut sum = lanes.splat(0.0);
        for row in 0..patch.rows {
            let first = patch.first + row * patch.row_step;
            for column in 0..patch.columns {
                sum = lanes.add(sum, self.read(lanes, first + column * patch.column_step));
            }
        }
        sum
    }

    /// The maximum, and the first pixel that has it, as the bits of a u32. The patch is not empty.
    #[inline(always)]
    pub(super) fn first_maximum<L: Lanes>(&self, lanes: L, patch: Patch) -> (L::Vector, L::Vector) {
        let mut best = self.read(lanes, patch.first);
        let mut place = lanes.splat(f32::from_bits(patch.first as u32));
        for row in 0..patch.rows {
            let first = patch.first + row * patch.row_step;
            for column in 0..patch.columns {
                let pixel = first + column * patch.column_step;
                let x = self.read(lanes, pixel);
                place = lanes.select_greater(x, best, lanes.splat(f32::from_bits(pixel as u32)), place);
                best = lanes.select_greater(x, best, x, best);
            }
        }
        (best, place)
    }
}
