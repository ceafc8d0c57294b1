use super::Pool;
use super::patch::{Patch, Values};
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
                machine.isa.run(Mean { patch: self.patch(output, column), x, y, factor });
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
                machine.isa.run(Spread { patch: self.patch(i, j), dy, dx, factor });
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

/// `y = factor * sum of the patch`.
struct Mean<'a> {
    patch: Patch,
    x: &'a [f32],
    y: &'a mut [f32],
    factor: f32,
}

impl Kernel for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (channels, factor) = (self.y.len(), lanes.splat(self.factor));
        for channel in (0..channels).step_by(L::COUNT) {
            let count = L::COUNT.min(channels - channel);
            let values = Values { x: self.x, channels, channel, count };
            // SAFETY: `channel + count <= channels`.
            let y = unsafe { self.y.as_mut_ptr().add(channel) };
            let sum = values.sum(lanes, self.patch);
            // SAFETY: as above.
            unsafe { store(lanes, y, lanes.mul(sum, factor), count) };
        }
    }
}

/// `dx += factor * dy` at every pixel of the patch.
struct Spread<'a> {
    patch: Patch,
    dy: &'a [f32],
    dx: &'a mut [f32],
    factor: f32,
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (channels, factor, patch) = (self.dy.len(), lanes.splat(self.factor), self.patch);
        for row in 0..patch.rows {
            for column in 0..patch.columns {
                let pixel = patch.first + row * patch.row_step + column * patch.column_step;
                let dx = &mut self.dx[pixel * channels..(pixel + 1) * channels];
                for at in (0..channels).step_by(L::COUNT) {
                    let count = L::COUNT.min(channels - at);
                    // SAFETY: `at + count <= channels`, the length of both.
                    unsafe {
                        let (dy, to) = (self.dy.as_ptr().add(at), dx.as_mut_ptr().add(at));
                        let sum = lanes.mul_add(load(lanes, dy, count), factor, load(lanes, to, count));
                        store(lanes, to, sum, count);
                    }
                }
            }
        }
    }
}
