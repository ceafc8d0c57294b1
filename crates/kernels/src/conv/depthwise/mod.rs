//! Depthwise convolutions: every channel is a group of its own, so that vectors lie along the channels of input and output
//! and a tap is one product per vector. Memory sets the pace: each activation is to be read once and written once.
//!
//! ```text
//! for each row of results:  for each block of neighbouring pixels:  for each vector of channels:
//!     for each kernel row inside the picture:
//!         for each column of x under the block:  for each pixel whose tap it is:  sums[pixel] += x * w[tap]
//!     y = finish(sums)
//! ```
//!
//! A column of x is loaded once for all the taps it serves; the rows of x under a row of results stay in the second-level
//! cache until the next rows have used them. Nothing is copied: taps that fall into the padding are left out. The gradient
//! of the input is the same over dy, where at a stride the rows and columns of dx take turns in their phases (see
//! [`Axis::backward`](super::correlation::Axis::backward)). The gradient of the weights keeps the sums of a few channels in
//! the first-level cache, and there a block of pixels adds its products to them.

mod layer;
mod line;
mod plan;
mod view;
mod weight_line;
mod weight_sums;

pub(super) use layer::Layer;
pub(super) use weight_sums::WeightSums;

#[cfg(test)]
mod tests;
