use super::patch::{Patch, Values};
use crate::Machine;
use crate::SharedMut;
use crate::problem::{ProblemError, positive};
use crate::simd::{Kernel, Lanes};
use crate::vector::{load, store};

/// Pooling over whole planes. Shape: x `[batch, pixels, C]` -> y `[batch, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalPool {
    batch: usize,
    pixels: usize,
    channels: usize,
}

impl GlobalPool {
    /// Pooling of at most `batch` pictures of `pixels = H W`.
    ///
    /// # Errors
    /// Sizes of 0, and 2^30 pixels or more.
    pub fn new(batch: usize, pixels: usize, channels: usize) -> Result<Self, ProblemError> {
        positive(channels, "channels")?;
        if positive(pixels, "pixels")? >= 1 << 30 {
            return Err(ProblemError::Range("a pooled plane must have fewer than 2^30 positions"));
        }
        Ok(Self { batch, pixels, channels })
    }

    /// The largest number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Positions of a plane.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The mean of every plane.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn average_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32]) {
        let picture = self.pixels * self.channels;
        machine.threads.run_chunks(&mut y[..rows * self.channels], self.channels, |row, y| {
            let x = &x[row * picture..(row + 1) * picture];
            machine.isa.run(Mean { pixels: self.pixels, x, y });
        });
    }

    /// The gradient of [`average_into`](Self::average_into) with respect to x; overwrites `dx`.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn average_gradient_into(&self, machine: &Machine, rows: usize, dy: &[f32], dx: &mut [f32]) {
        let (picture, factor) = (self.pixels * self.channels, 1.0 / self.pixels as f32);
        machine.threads.run_chunks(&mut dx[..rows * picture], picture, |row, dx| {
            let dy = &dy[row * self.channels..(row + 1) * self.channels];
            for dx in dx.chunks_mut(self.channels) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * factor);
            }
        });
    }

    /// The maximum of every plane; `places` (`[batch, C]`) receives the pixel where it lies, the first of
    /// equals.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn max_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32], places: &mut [u32]) {
        let (picture, channels) = (self.pixels * self.channels, self.channels);
        let places = SharedMut::new(&mut places[..rows * channels]);
        machine.threads.run_chunks(&mut y[..rows * channels], channels, |row, y| {
            // SAFETY: each task has a row of its own.
            let places = unsafe { places.slice(row * channels, channels) };
            let x = &x[row * picture..(row + 1) * picture];
            machine.isa.run(Max { pixels: self.pixels, x, y, places });
        });
    }

    /// The gradient of [`max_into`](Self::max_into) with respect to x; overwrites `dx`.
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
        let picture = self.pixels * self.channels;
        machine.threads.run_chunks(&mut dx[..rows * picture], picture, |row, dx| {
            dx.fill(0.0);
            for channel in 0..self.channels {
                let at = row * self.channels + channel;
                dx[places[at] as usize * self.channels + channel] = dy[at];
            }
        });
    }
}

/// So many pixels are added before they join the sum: rounding then grows with the pixels' square root at
/// most.
const BLOCK_PIXELS: usize = 32;

struct Mean<'a> {
    pixels: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.y.len();
        assert_eq!(self.x.len(), self.pixels * channels);
        let factor = lanes.splat(1.0 / self.pixels as f32);
        for channel in (0..channels).step_by(L::COUNT) {
            let count = L::COUNT.min(channels - channel);
            let mut sum = lanes.splat(0.0);
            for start in (0..self.pixels).step_by(BLOCK_PIXELS) {
                let mut block = lanes.splat(0.0);
                for pixel in start..self.pixels.min(start + BLOCK_PIXELS) {
                    // SAFETY: `x` is `[pixels, C]`, and `channel + count <= C`.
                    let x = unsafe { load(lanes, self.x.as_ptr().add(pixel * channels + channel), count) };
                    block = lanes.add(block, x);
                }
                sum = lanes.add(sum, block);
            }
            // SAFETY: `channel + count <= C`.
            unsafe { store(lanes, self.y.as_mut_ptr().add(channel), lanes.mul(sum, factor), count) };
        }
    }
}

struct Max<'a> {
    pixels: usize,
    x: &'a [f32],
    y: &'a mut [f32],
    places: &'a mut [u32],
}

impl Kernel for Max<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.y.len();
        assert!(self.x.len() == self.pixels * channels && self.places.len() == channels);
        let plane = Patch { first: 0, rows: 1, row_step: 0, columns: self.pixels, column_step: 1 };
        for channel in (0..channels).step_by(L::COUNT) {
            let count = L::COUNT.min(channels - channel);
            let values = Values { x: self.x, channels, channel, count };
            let (best, place) = values.first_maximum(lanes, plane);
            // SAFETY: both have C places; an f32 is as large and as aligned as a u32.
            unsafe {
                store(lanes, self.y.as_mut_ptr().add(channel), best, count);
                store(lanes, self.places.as_mut_ptr().add(channel).cast(), place, count);
            }
        }
    }
}
