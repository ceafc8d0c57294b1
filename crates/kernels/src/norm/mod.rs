//! Normalisation: over the batch per channel, and across neighbouring channels.
//!
//! Pictures are `[rows, pixels, C]`, so that batch normalisation sees `[M, C]` with `M = rows * pixels`.

mod backward;
mod forward;
mod lrn;
mod pass;
pub mod reference;

use crate::activation::Activation;
use crate::problem::{ProblemError, positive};
pub use backward::{Gradients, OutputGradient};
pub use forward::ScaleShift;
pub use lrn::Lrn;

/// Batch normalisation, fused with an addition and an activation behind it:
/// `y = act(scale (x - mean) / sqrt(variance + epsilon) + bias [+ residual])`.
///
/// Shape: x, y, residual `[batch, pixels, C]`; everything else `[C]`.
///
/// Source: Ioffe and Szegedy 2015, <https://arxiv.org/abs/1502.03167>; ONNX BatchNormalization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    batch: usize,
    pixels: usize,
    channels: usize,
    epsilon: f32,
    activation: Option<Activation>,
    frozen: bool,
}

/// What [`BatchNorm::normalise_into`] and its gradient read.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `[rows, pixels, C]`; for the gradient it may be empty, see [`Gradients::dx`].
    pub x: &'a [f32],
    /// What is added before the activation, `[rows, pixels, C]`.
    pub residual: Option<&'a [f32]>,
    /// The learned factor of each channel `[C]`.
    pub scale: &'a [f32],
    /// The learned summand of each channel `[C]`.
    pub bias: &'a [f32],
    /// The mean of each channel `[C]`.
    pub mean: &'a [f32],
    /// `1 / sqrt(variance + epsilon)` of each channel `[C]`.
    pub inv_std: &'a [f32],
}

/// The statistics of a batch, which [`BatchNorm::statistics_into`] writes and the gradient reads.
#[derive(Debug)]
pub struct BatchStatistics<'a> {
    /// Mean of each channel `[C]`.
    pub mean: &'a mut [f32],
    /// `1 / sqrt(variance + epsilon)` of each channel `[C]`, of the biased variance.
    pub inv_std: &'a mut [f32],
}

/// Running statistics and how much a batch weighs in them.
#[derive(Debug)]
pub struct Running<'a> {
    /// Becomes `(1 - weight) mean + weight batch mean`.
    pub mean: &'a mut [f32],
    /// Becomes `(1 - weight) variance + weight batch variance`, where the batch's is unbiased: over `M - 1`.
    pub variance: &'a mut [f32],
    /// PyTorch's `momentum` (0.1 by default), which is one less ONNX's (0.9).
    pub weight: f32,
}

impl BatchNorm {
    /// Normalisation of at most `batch` pictures of `pixels = H W`; ONNX's `epsilon` is 1e-5 by default.
    ///
    /// # Errors
    /// Sizes of 0, an `epsilon` that is negative or not finite.
    pub fn new(batch: usize, pixels: usize, channels: usize, epsilon: f32) -> Result<Self, ProblemError> {
        positive(pixels, "pixels")?;
        positive(channels, "channels")?;
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(ProblemError::Range("epsilon must be finite and not negative"));
        }
        Ok(Self { batch, pixels, channels, epsilon, activation: None, frozen: false })
    }

    /// The same with an activation behind it.
    pub fn with_activation(self, activation: Option<Activation>) -> Self {
        Self { activation, ..self }
    }

    /// The same where mean and variance are constants that the gradient does not flow through (`false` by
    /// default).
    pub fn with_frozen_statistics(self, frozen: bool) -> Self {
        Self { frozen, ..self }
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

    /// What is added to the variance.
    pub fn epsilon(&self) -> f32 {
        self.epsilon
    }

    /// The activation behind the addition.
    pub fn activation(&self) -> Option<Activation> {
        self.activation
    }

    /// Values of `rows` pictures.
    pub fn len(&self, rows: usize) -> usize {
        rows * self.pixels * self.channels
    }

    /// Scratch, in f32, of every call of this problem.
    pub fn scratch_len(&self) -> usize {
        pass::scratch_len(self.batch * self.pixels, self.channels, 2) + 2 * self.channels
    }
}

#[cfg(test)]
mod tests;
