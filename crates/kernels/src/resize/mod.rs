//! Resizing pictures along height and width: ONNX's Resize, nearest and linear.

pub mod reference;

use crate::Machine;
use crate::problem::{ProblemError, positive};
use crate::simd::{Kernel, Lanes};
use crate::vector::{load, store};

/// Which real input coordinate an output position `i` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// `(i + 0.5) / scale - 0.5`: ONNX's default.
    HalfPixel,
    /// The same, but 0 where the output has one position.
    PytorchHalfPixel,
    /// `i (input - 1) / (output - 1)`.
    AlignCorners,
    /// `i / scale`.
    Asymmetric,
}

/// Which input position a real coordinate belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// The nearest; halves go down: ONNX's default.
    RoundPreferFloor,
    /// The nearest; halves go up.
    RoundPreferCeil,
    /// The one below.
    Floor,
    /// The one above.
    Ceil,
}

/// How values are made of their neighbours. Coordinates beyond the picture take its edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One neighbour.
    Nearest(Nearest),
    /// Two neighbours along each axis, weighted by distance.
    Linear,
}

/// Resizing. Shape: x `[batch, H, W, C]` -> y `[batch, H', W', C]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    scales: [f64; 2],
    mode: Mode,
    coordinates: Coordinates,
}

impl Resize {
    /// To a given size `[H', W']`; the scales are `output / input`.
    ///
    /// # Errors
    /// Sizes of 0.
    pub fn to_size(
        channels: usize,
        input: [usize; 2],
        output: [usize; 2],
        mode: Mode,
        coordinates: Coordinates,
    ) -> Result<Self, ProblemError> {
        positive(channels, "channels")?;
        for size in input.into_iter().chain(output) {
            positive(size, "a resized picture's height and width")?;
        }
        let scales = [0, 1].map(|axis| output[axis] as f64 / input[axis] as f64);
        Ok(Self { channels, input, output, scales, mode, coordinates })
    }

    /// By given scales; the size is `⌊input scale⌋`.
    ///
    /// # Errors
    /// Sizes of 0; scales that are not positive and finite.
    pub fn by_scales(
        channels: usize,
        input: [usize; 2],
        scales: [f32; 2],
        mode: Mode,
        coordinates: Coordinates,
    ) -> Result<Self, ProblemError> {
        if !scales.iter().all(|scale| *scale > 0.0 && scale.is_finite()) {
            return Err(ProblemError::Range("the scales of a resized picture must be positive"));
        }
        let scales = scales.map(f64::from);
        let output = [0, 1].map(|axis| (input[axis] as f64 * scales[axis]).floor() as usize);
        Ok(Self { scales, ..Self::to_size(channels, input, output, mode, coordinates)? })
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Input size `[H, W]`.
    pub fn input(&self) -> [usize; 2] {
        self.input
    }

    /// Output size `[H', W']`.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Output positions per input position, of height and width.
    pub fn scales(&self) -> [f64; 2] {
        self.scales
    }

    /// How values are made of their neighbours.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where output positions lie.
    pub fn coordinates(&self) -> Coordinates {
        self.coordinates
    }

    /// Resizes `rows` pictures.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn resize_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32]) {
        let line = self.output[1] * self.channels;
        let picture = self.input[0] * self.input[1] * self.channels;
        machine.threads.run_chunks(&mut y[..rows * self.output[0] * line], line, |index, y| {
            let (row, place) = (index / self.output[0], index % self.output[0]);
            let x = &x[row * picture..(row + 1) * picture];
            let vertical = self.taps(0, place);
            for (column, y) in y.chunks_mut(self.channels).enumerate() {
                let taps = self.products(vertical, column);
                machine.isa.run(Blend { taps, x, y });
            }
        });
    }

    /// The gradient of [`resize_into`](Self::resize_into) with respect to x; overwrites `dx`.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn gradient_into(&self, machine: &Machine, rows: usize, dy: &[f32], dx: &mut [f32]) {
        let line = self.output[1] * self.channels;
        let picture = self.input[0] * self.input[1] * self.channels;
        machine.threads.run_chunks(&mut dx[..rows * picture], picture, |row, dx| {
            dx.fill(0.0);
            for place in 0..self.output[0] {
                let start = (row * self.output[0] + place) * line;
                let vertical = self.taps(0, place);
                for (column, dy) in dy[start..start + line].chunks(self.channels).enumerate() {
                    let taps = self.products(vertical, column);
                    machine.isa.run(Spread { taps, dy, dx });
                }
            }
        });
    }

    /// The pixels that an output pixel is made of, as indices of their first value, with their weights.
    fn products(&self, vertical: [(usize, f32); 2], column: usize) -> [(usize, f32); 4] {
        let horizontal = self.taps(1, column);
        let product = |i: usize, j: usize| {
            let pixel = vertical[i].0 * self.input[1] + horizontal[j].0;
            (pixel * self.channels, vertical[i].1 * horizontal[j].1)
        };
        [product(0, 0), product(0, 1), product(1, 0), product(1, 1)]
    }

    /// The two input positions that output position `place` is made of, with their weights (perhaps 0).
    fn taps(&self, axis: usize, place: usize) -> [(usize, f32); 2] {
        let last = self.input[axis] as f64 - 1.0;
        let coordinate = self.coordinate(axis, place);
        let nearest = |position: f64| [(position.clamp(0.0, last) as usize, 1.0), (0, 0.0)];
        match self.mode {
            Mode::Nearest(Nearest::RoundPreferFloor) => nearest((coordinate - 0.5).ceil()),
            Mode::Nearest(Nearest::RoundPreferCeil) => nearest((coordinate + 0.5).floor()),
            Mode::Nearest(Nearest::Floor) => nearest(coordinate.floor()),
            Mode::Nearest(Nearest::Ceil) => nearest(coordinate.ceil()),
            Mode::Linear => {
                let coordinate = coordinate.clamp(0.0, last);
                let below = coordinate as usize;
                let above = (below + 1).min(self.input[axis] - 1);
                let weight = (coordinate - below as f64) as f32;
                [(below, 1.0 - weight), (above, weight)]
            }
        }
    }

    fn coordinate(&self, axis: usize, place: usize) -> f64 {
        let (i, scale) = (place as f64, self.scales[axis]);
        let (input, output) = (self.input[axis] as f64, self.output[axis] as f64);
        match self.coordinates {
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners if output == 1.0 => 0.0,
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (i + 0.5) / scale - 0.5,
            Coordinates::AlignCorners => i * (input - 1.0) / (output - 1.0),
            Coordinates::Asymmetric => i / scale,
        }
    }
}

/// One output pixel from its taps.
struct Blend<'a> {
    taps: [(usize, f32); 4],
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Blend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.y.len();
        let taps = self.taps.map(|(at, weight)| (&self.x[at..at + channels], weight));
        for at in (0..channels).step_by(L::COUNT) {
            let count = L::COUNT.min(channels - at);
            let mut sum = lanes.splat(0.0);
            for (x, weight) in taps.iter().filter(|tap| tap.1 != 0.0) {
                // SAFETY: `at + count <= channels`, the length of `x`.
                let x = unsafe { load(lanes, x.as_ptr().add(at), count) };
                sum = lanes.mul_add(x, lanes.splat(*weight), sum);
            }
            // SAFETY: `at + count <= channels`, the length of `y`.
            unsafe { store(lanes, self.y.as_mut_ptr().add(at), sum, count) };
        }
    }
}

/// One output pixel's gradient to its taps.
struct Spread<'a> {
    taps: [(usize, f32); 4],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.dy.len();
        for (start, weight) in self.taps.into_iter().filter(|tap| tap.1 != 0.0) {
            let dx = &mut self.dx[start..start + channels];
            for at in (0..channels).step_by(L::COUNT) {
                let count = L::COUNT.min(channels - at);
                // SAFETY: `at + count <= channels`, the length of both.
                unsafe {
                    let dy = load(lanes, self.dy.as_ptr().add(at), count);
                    let to = dx.as_mut_ptr().add(at);
                    store(lanes, to, lanes.mul_add(dy, lanes.splat(weight), load(lanes, to, count)), count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
