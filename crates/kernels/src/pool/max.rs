use super::Pool;
use super::patch::Values;
use crate::simd::{Kernel, Lanes};
use crate::vector::store;
use crate::{Machine, SharedMut};

impl Pool {
    /// The maximum of every window; padding never wins.
    ///
    /// `places` (as long as `y`) receives where each maximum lies: its index in the picture's `H W` plane. Of
    /// equal values the first in row-major order wins; a NaN wins only where
    /// it is the window's first value (without places: its last).
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn max_into(
        &self,
        machine: &Machine,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        places: Option<&mut [u32]>,
    ) {
        let (picture, line) = (self.input_len(1), self.output[1] * self.channels);
        let x = &x[..self.input_len(rows)];
        let y = &mut y[..self.output_len(rows)];
        let places = places.map(|places| SharedMut::new(&mut places[..y.len()]));
        machine.threads.run_chunks(y, line, |index, y| {
            let (row, output) = (index / self.output[0], index % self.output[0]);
            let x = &x[row * picture..(row + 1) * picture];
            // SAFETY: each task has a line of its own.
            let places = places.map(|places| unsafe { places.slice(index * line, line) });
            match places {
                Some(places) => machine.isa.run(MaxLine { pool: self, output, x, y, places }),
                None => machine.isa.run(MaxLine { pool: self, output, x, y, places: &mut [] }),
            }
        });
    }

    /// The gradient of [`max_into`](Self::max_into): every `dy` is added at its place, the rest of `dx` is 0.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures, or a place lies outside the plane.
    pub fn max_gradient_into(
        &self,
        machine: &Machine,
        rows: usize,
        places: &[u32],
        dy: &[f32],
        dx: &mut [f32],
    ) {
        let (picture, pooled) = (self.input_len(1), self.output_len(1));
        let dx = &mut dx[..self.input_len(rows)];
        machine.threads.run_chunks(dx, picture, |row, dx| {
            dx.fill(0.0);
            let range = row * pooled..(row + 1) * pooled;
            let lines = dy[range.clone()].chunks(self.channels).zip(places[range].chunks(self.channels));
            for (dy, places) in lines {
                for (channel, (&dy, &place)) in dy.iter().zip(places).enumerate() {
                    dx[place as usize * self.channels + channel] += dy;
                }
            }
        });
    }
}

/// One line of output; `places` may be empty.
struct MaxLine<'a> {
    pool: &'a Pool,
    /// Output position along the height.
    output: usize,
    x: &'a [f32],
    y: &'a mut [f32],
    places: &'a mut [u32],
}

impl Kernel for MaxLine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.pool.channels;
        for column in 0..self.pool.output[1] {
            let patch = self.pool.patch(self.output, column);
            for channel in (0..channels).step_by(L::COUNT) {
                let count = L::COUNT.min(channels - channel);
                let at = column * channels + channel;
                let values = Values { x: self.x, channels, channel, count };
                let y = &mut self.y[at..at + count];
                if self.places.is_empty() {
                    // SAFETY: `y` has `count` places.
                    unsafe { store(lanes, y.as_mut_ptr(), values.maximum(lanes, patch), count) };
                    continue;
                }
                let places = &mut self.places[at..at + count];
                let (best, place) = values.first_maximum(lanes, patch);
                // SAFETY: both have `count` places, and an f32 is as large and as aligned as a u32.
                unsafe {
                    store(lanes, y.as_mut_ptr(), best, count);
                    store(lanes, places.as_mut_ptr().cast(), place, count);
                }
            }
        }
    }
}
