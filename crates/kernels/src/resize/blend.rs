use super::taps::{Tap, Taps};
use crate::Machine;
use crate::simd::{Kernel, Lanes};
use crate::vector::{load, store};

/// Pixels `[to]` as weighted sums of pixels `[from]`: the weights are products of those of height and width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blend {
    pub(super) from: [usize; 2],
    pub(super) to: [usize; 2],
    /// Of height and width.
    pub(super) taps: [Taps; 2],
    /// The value of pixels that are made of none.
    pub(super) outside: f32,
}

impl Blend {
    /// Blends `rows` pictures.
    pub(super) fn apply_into(
        &self,
        machine: &Machine,
        channels: usize,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
    ) {
        let line = self.to[1] * channels;
        let picture = self.from[0] * self.from[1] * channels;
        machine.threads.run_chunks(&mut y[..rows * self.to[0] * line], line, |index, y| {
            let (row, place) = (index / self.to[0], index % self.to[0]);
            let x = &x[row * picture..(row + 1) * picture];
            let (vertical, horizontal) = (self.taps[0].of(place), &self.taps[1]);
            machine.isa.run(Line { vertical, horizontal, channels, outside: self.outside, x, y });
        });
    }
}

/// One line of pixels from a picture.
struct Line<'a> {
    vertical: &'a [Tap],
    horizontal: &'a Taps,
    channels: usize,
    outside: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { vertical, horizontal, channels, .. } = self;
        let line = horizontal.from() * channels;
        assert!(vertical.iter().all(|&(place, _)| (place + 1) * line <= self.x.len()));
        for (column, y) in self.y.chunks_exact_mut(channels).enumerate() {
            let horizontal = horizontal.of(column);
            if vertical.is_empty() || horizontal.is_empty() {
                y.fill(self.outside);
                continue;
            }
            for at in (0..channels).step_by(L::COUNT) {
                let count = L::COUNT.min(channels - at);
                let mut sum = lanes.splat(0.0);
                for &(i, down) in vertical {
                    for &(j, across) in horizontal {
                        let from = i * line + j * channels + at;
                        // SAFETY: line i lies within x as asserted, and pixel j within a line, as all taps do;
                        // `at + count <= channels`.
                        let x = unsafe { load(lanes, self.x.as_ptr().add(from), count) };
                        sum = lanes.mul_add(x, lanes.splat(down * across), sum);
                    }
                }
                // SAFETY: `at + count <= channels`, the length of `y`.
                unsafe { store(lanes, y.as_mut_ptr().add(at), sum, count) };
            }
        }
    }
}
