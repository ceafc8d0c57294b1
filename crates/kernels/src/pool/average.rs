use super::Pool;
use crate::Machine;
use crate::simd::{Kernel, Lanes};
use crate::vector::{load, store};

impl Pool {
    /// The mean of every window: over the taps on the picture, or with `count_include_pad` over those on the
    /// declared padding as well (never over positions beyond it, which `ceil_mode` brings).
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn average_into(
        &self,
        machine: &Machine,
        count_include_pad: bool,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
    ) {
        let (picture, line) = (self.input_len(1), self.output[1] * self.channels);
        let x = &x[..self.input_len(rows)];
        machine.threads.run_chunks(&mut y[..self.output_len(rows)], line, |index, y| {
            let (row, output) = (index / self.output[0], index % self.output[0]);
            let x = &x[row * picture..(row + 1) * picture];
            for (column, y) in y.chunks_mut(self.channels).enumerate() {
                let factor = self.factor(count_include_pad, output, column);
                y.fill(0.0);
                for pixel in self.pixels(output, column) {
                    let x = &x[pixel * self.channels..(pixel + 1) * self.channels];
                    machine.isa.run(AddScaled { y, x, factor });
                }
            }
        });
    }

    /// The gradient of [`average_into`](Self::average_into) with respect to x; overwrites `dx`.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn average_gradient_into(
        &self,
        machine: &Machine,
        count_include_pad: bool,
        rows: usize,
        dy: &[f32],
        dx: &mut [f32],
    ) {
        let (picture, pooled) = (self.input_len(1), self.output_len(1));
        let dy = &dy[..self.output_len(rows)];
        machine.threads.run_chunks(&mut dx[..self.input_len(rows)], picture, |row, dx| {
            dx.fill(0.0);
            let pixels = dy[row * pooled..(row + 1) * pooled].chunks(self.channels);
            for (output, dy) in pixels.enumerate() {
                let (i, j) = (output / self.output[1], output % self.output[1]);
                let factor = self.factor(count_include_pad, i, j);
                for pixel in self.pixels(i, j) {
                    let y = &mut dx[pixel * self.channels..(pixel + 1) * self.channels];
                    machine.isa.run(AddScaled { y, x: dy, factor });
                }
            }
        });
    }

    /// One over the number of positions that count under the window at output `(y, x)`.
    fn factor(&self, count_include_pad: bool, y: usize, x: usize) -> f32 {
        let count = |axis: usize, output: usize| {
            let (window, input) = (self.windows[axis], self.input[axis]);
            if !count_include_pad {
                return window.taps(output, input).len();
            }
            let padded = window.pad_begin + input + window.pad_end;
            (padded - output * window.stride).div_ceil(window.dilation).min(window.kernel)
        };
        1.0 / (count(0, y) * count(1, x)) as f32
    }
}

/// `y += factor * x`.
struct AddScaled<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    factor: f32,
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        assert_eq!(self.y.len(), self.x.len());
        let factor = lanes.splat(self.factor);
        for at in (0..self.y.len()).step_by(L::COUNT) {
            let count = L::COUNT.min(self.y.len() - at);
            // SAFETY: `at + count` is at most the length of both.
            unsafe {
                let (x, y) = (load(lanes, self.x.as_ptr().add(at), count), self.y.as_mut_ptr().add(at));
                store(lanes, y, lanes.mul_add(x, factor, load(lanes, y, count)), count);
            }
        }
    }
}
