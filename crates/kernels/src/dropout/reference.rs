//! The twin of dropout in f64 in the graph's order `[N, C, pixels]`.

use super::{Dropout, Mask};
use crate::random::Key;

/// x `[N, C, pixels]` with dropped positions set to 0 and the others divided by `1 - ratio`.
///
/// Positions of the mask are counted in channels-last order, so that a planner may choose the layout.
/// The gradient with respect to x is the same function of dy.
pub fn dropout(dropout: &Dropout, key: Key, channels: usize, pixels: usize, x: &[f64]) -> Vec<f64> {
    let value = |(index, x): (usize, &f64)| {
        let (n, c, pixel) = (index / (channels * pixels), index / pixels % channels, index % pixels);
        let position = match dropout.mask() {
            Mask::Elements => (n * pixels + pixel) * channels + c,
            Mask::Channels { .. } => n * channels + c,
            Mask::Rows { .. } => n,
        };
        let keep = f64::from(key.bits(position as u64)) >= f64::from(dropout.ratio()) * 2f64.powi(32);
        if keep { x / (1.0 - f64::from(dropout.ratio())) } else { 0.0 }
    };
    x.iter().enumerate().map(value).collect()
}
