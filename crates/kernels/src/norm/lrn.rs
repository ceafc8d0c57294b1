use crate::Machine;
use crate::problem::{ProblemError, positive};
use std::ops::RangeInclusive;

/// Local response normalisation across channels: `y = x / base ^ beta` with
/// `base = bias + alpha / size * sum of squares over the window of the channel`. The window of channel `c` is
/// `c - floor((size - 1) / 2) ..= c + ceil((size - 1) / 2)`, cut at the ends.
///
/// Shape: x, y `[batch, pixels, C]`. Source: Krizhevsky et al. 2012; ONNX LRN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    pixels: usize,
    channels: usize,
    size: usize,
    alpha: f32,
    beta: f32,
    bias: f32,
}

impl Lrn {
    /// Over windows of `size` channels; ONNX's defaults are `alpha` 1e-4, `beta` 0.75, `bias` 1.
    ///
    /// # Errors
    /// Sizes of 0; a `bias` that is not positive or an `alpha` that is negative (the base of the
    /// power could vanish).
    pub fn new(
        pixels: usize,
        channels: usize,
        size: usize,
        [alpha, beta, bias]: [f32; 3],
    ) -> Result<Self, ProblemError> {
        positive(pixels, "pixels")?;
        positive(channels, "channels")?;
        positive(size, "the size of LRN's window")?;
        if !(bias > 0.0 && alpha >= 0.0 && alpha.is_finite() && beta.is_finite()) {
            return Err(ProblemError::Range("LRN needs bias > 0, alpha >= 0 and finite numbers"));
        }
        Ok(Self { pixels, channels, size, alpha, beta, bias })
    }

    /// Positions of a plane.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Channels of a window.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Weight of the squares, divided by `size`.
    pub fn alpha(&self) -> f32 {
        self.alpha
    }

    /// The exponent.
    pub fn beta(&self) -> f32 {
        self.beta
    }

    /// What the squares are added to.
    pub fn bias(&self) -> f32 {
        self.bias
    }

    /// Normalises.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn apply_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32]) {
        let (chunk, len) = (self.chunk(), rows * self.pixels * self.channels);
        machine.threads.run_chunks(&mut y[..len], chunk, |index, y| {
            let x = &x[index * chunk..index * chunk + y.len()];
            for (x, y) in x.chunks(self.channels).zip(y.chunks_mut(self.channels)) {
                (0..self.channels).for_each(|c| y[c] = x[c] * self.power(self.base(x, c)));
            }
        });
    }

    /// Scratch, in f32, of the gradient on a machine.
    pub fn scratch_len(&self, machine: &Machine) -> usize {
        machine.threads.count() * self.channels
    }

    /// The gradient of [`apply_into`](Self::apply_into) with respect to x; overwrites `dx`.
    ///
    /// With `s` the base of the power: `dx_j = dy_j s_j^-beta - 2 alpha beta / size * x_j * sum of dy_i x_i
    /// s_i^(-beta - 1)` over the channels i in whose windows j lies.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures, or `scratch` than [`scratch_len`](Self::scratch_len).
    pub fn gradient_into(
        &self,
        machine: &Machine,
        rows: usize,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (chunk, len) = (self.chunk(), rows * self.pixels * self.channels);
        let dx = crate::SharedMut::new(&mut dx[..len]);
        machine.threads.run_with_scratch(len.div_ceil(chunk), scratch, |index, shares| {
            let range = index * chunk..len.min((index + 1) * chunk);
            // SAFETY: each task has a chunk of its own.
            let dx = unsafe { dx.slice(range.start, range.len()) };
            let pixels = x[range.clone()].chunks(self.channels).zip(dy[range].chunks(self.channels));
            for ((x, dy), dx) in pixels.zip(dx.chunks_mut(self.channels)) {
                self.pixel_gradient(x, dy, dx, &mut shares[..self.channels]);
            }
        });
    }

    /// The gradient at one pixel; `shares` are what channel i takes from the channels of its window.
    fn pixel_gradient(&self, x: &[f32], dy: &[f32], dx: &mut [f32], shares: &mut [f32]) {
        for c in 0..self.channels {
            let base = self.base(x, c);
            dx[c] = dy[c] * self.power(base);
            shares[c] = dx[c] * x[c] / base;
        }
        let factor = 2.0 * self.alpha * self.beta / self.size as f32;
        for c in 0..self.channels {
            let readers = c.saturating_sub(self.size / 2)..=(c + (self.size - 1) / 2).min(self.channels - 1);
            dx[c] -= factor * x[c] * shares[readers].iter().sum::<f32>();
        }
    }

    fn window(&self, c: usize) -> RangeInclusive<usize> {
        c.saturating_sub((self.size - 1) / 2)..=(c + self.size / 2).min(self.channels - 1)
    }

    fn base(&self, x: &[f32], c: usize) -> f32 {
        let squares: f32 = x[self.window(c)].iter().map(|x| x * x).sum();
        self.bias + self.alpha / self.size as f32 * squares
    }

    /// `base ^ -beta`; the usual exponent by square roots, which cost a tenth of a power.
    fn power(&self, base: f32) -> f32 {
        if self.beta == 0.75 { 1.0 / (base.sqrt() * base.sqrt().sqrt()) } else { base.powf(-self.beta) }
    }

    /// Values of one task: whole pixels.
    fn chunk(&self) -> usize {
        (crate::vector::CHUNK / self.channels).max(1) * self.channels
    }
}
