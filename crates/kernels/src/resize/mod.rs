//! Resizing pictures along height and width: ONNX's Resize in all its modes.
//!
//! Along each axis an output position is a weighted sum of input positions, its taps: they are found once, in f64. A
//! picture is blended from the products of the taps of both axes, and a gradient from those of the transposed taps.

mod blend;
pub mod reference;
mod taps;

use crate::Machine;
use crate::problem::{ProblemError, positive};
use blend::Blend;
use taps::Axis;

/// Which real input coordinate an output position `i` has.
///
/// Input stands for the number of positions along the axis, and output for `input scale`, of which the number of positions
/// is the whole part: so ONNX's tests have it. ONNX Runtime takes the whole part for
/// [`AlignCorners`](Self::AlignCorners) and [`CropAndResize`](Self::CropAndResize).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coordinates {
    /// `(i + 0.5) / scale - 0.5`: ONNX's default.
    HalfPixel,
    /// The same, moved by `input / 2 (1 - output / (input scale))`: the centres of both pictures meet even where
    /// `input scale` is not whole.
    HalfPixelSymmetric,
    /// [`HalfPixel`](Self::HalfPixel), but 0 where the output has one position.
    PytorchHalfPixel,
    /// `i (input - 1) / (output - 1)`.
    AlignCorners,
    /// `i / scale`.
    Asymmetric,
    /// `(i + 0.5) / scale`: `tf_half_pixel_for_nn` of operator sets 11 and 12.
    TfHalfPixelForNearest,
    /// [`AlignCorners`](Self::AlignCorners) between the edges of a part of the picture: `tf_crop_and_resize`.
    CropAndResize(Crop),
}

/// The part of a picture that is resized: ONNX's `roi` and `extrapolation_value`.
///
/// Edges are start and end, 0 for the centre of the axis' first position and 1 for that of its last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// Edges along the height.
    pub height: [f32; 2],
    /// Edges along the width.
    pub width: [f32; 2],
    /// The value where a coordinate lies before the first position or behind the last.
    pub outside: f32,
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

/// The weight of a neighbour by its distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// Two neighbours on a triangle.
    Linear,
    /// Four neighbours on the cubic convolution of Keys, "Cubic Convolution Interpolation for Digital Image Processing"
    /// (1981), equation (4), with its coefficient `a`: ONNX's default is -0.75, as PyTorch's; Keys takes -0.5.
    Cubic(f32),
}

/// A weighted sum of neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// The weights.
    pub curve: Curve,
    /// Whether the curve is stretched by `1 / scale` along an axis that shrinks, so that no input position is missed.
    pub antialias: bool,
    /// Whether neighbours beyond the picture have no weight, and the others share it; else they take its edge.
    pub exclude_outside: bool,
}

impl Filter {
    /// Without antialiasing, with edges repeated: ONNX's defaults.
    pub fn new(curve: Curve) -> Self {
        Self { curve, antialias: false, exclude_outside: false }
    }
}

/// How values are made of their neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// One neighbour. Coordinates beyond the picture take its edge.
    Nearest(Nearest),
    /// Several neighbours.
    Filter(Filter),
}

/// How values and places of a resized picture are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    /// How values are made of their neighbours.
    pub mode: Mode,
    /// Where output positions lie.
    pub coordinates: Coordinates,
}

/// Resizing. Shape: x `[batch, H, W, C]` -> y `[batch, H', W', C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    scales: [f64; 2],
    method: Method,
    forward: Blend,
    backward: Blend,
}

/// Most positions of an axis: what its taps take stays small beside pictures.
const LARGEST: usize = 1 << 24;

impl Resize {
    /// To a given size `[H', W']`; the scales are `output / input`.
    ///
    /// # Errors
    /// Sizes of 0 or above 2²⁴.
    pub fn to_size(
        channels: usize,
        input: [usize; 2],
        output: [usize; 2],
        method: Method,
    ) -> Result<Self, ProblemError> {
        let scales = [0, 1].map(|axis| output[axis].max(1) as f64 / input[axis].max(1) as f64);
        Self::new(channels, input, output, scales, method)
    }

    /// By given scales; the size is `⌊input scale⌋`.
    ///
    /// # Errors
    /// Sizes of 0 or above 2²⁴; scales that are not positive and finite.
    pub fn by_scales(
        channels: usize,
        input: [usize; 2],
        scales: [f32; 2],
        method: Method,
    ) -> Result<Self, ProblemError> {
        let scales = scales.map(f64::from);
        let output = [0, 1].map(|axis| (input[axis] as f64 * scales[axis]).floor() as usize);
        Self::new(channels, input, output, scales, method)
    }

    /// To a given size `[H', W']` by given scales, as for ONNX's `keep_aspect_ratio_policy`: one scale for all axes, and
    /// `⌊input scale + 0.5⌋` positions.
    ///
    /// # Errors
    /// Sizes of 0 or above 2²⁴; scales that are not positive and finite; a size that is neither `input scale` rounded
    /// down nor the nearest to it.
    pub fn new(
        channels: usize,
        input: [usize; 2],
        output: [usize; 2],
        scales: [f64; 2],
        method: Method,
    ) -> Result<Self, ProblemError> {
        check(channels, input, output, scales)?;
        let taps = [0, 1].map(|axis| {
            let (input, output, scale) = (input[axis], output[axis], scales[axis]);
            Axis { axis, input, output, scale, method }.taps()
        });
        let transposed = [taps[0].transposed(), taps[1].transposed()];
        let outside =
            if let Coordinates::CropAndResize(crop) = method.coordinates { crop.outside } else { 0.0 };
        let forward = Blend { from: input, to: output, taps, outside };
        let backward = Blend { from: output, to: input, taps: transposed, outside: 0.0 };
        Ok(Self { channels, input, output, scales, method, forward, backward })
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

    /// How values and places are found.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Resizes `rows` pictures.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn resize_into(&self, machine: &Machine, rows: usize, x: &[f32], y: &mut [f32]) {
        self.forward.apply_into(machine, self.channels, rows, x, y);
    }

    /// The gradient of [`resize_into`](Self::resize_into) with respect to x; overwrites `dx`.
    ///
    /// # Panics
    /// If a slice is shorter than `rows` pictures.
    pub fn gradient_into(&self, machine: &Machine, rows: usize, dy: &[f32], dx: &mut [f32]) {
        self.backward.apply_into(machine, self.channels, rows, dy, dx);
    }
}

fn check(
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    scales: [f64; 2],
) -> Result<(), ProblemError> {
    if !scales.iter().all(|scale| *scale > 0.0 && scale.is_finite()) {
        return Err(ProblemError::Range("the scales of a resized picture must be positive"));
    }
    positive(channels, "channels")?;
    for size in input.into_iter().chain(output) {
        positive(size, "a resized picture's height and width")?;
        if size > LARGEST {
            return Err(ProblemError::Range("a resized picture's height and width must be at most 2^24"));
        }
    }
    let fits = |axis: usize| {
        let exact = input[axis] as f64 * scales[axis];
        [exact.floor(), (exact + 0.5).floor()].contains(&(output[axis] as f64))
    };
    if !(fits(0) && fits(1)) {
        return Err(ProblemError::Range("the scales of a resized picture must lead to its size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
