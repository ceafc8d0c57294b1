//! The twins of normalisation in f64, written from the definition in the graph's order `[N, C, pixels]`.

use super::{BatchNorm, Lrn};

/// Per channel: scale and bias that are learned.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// The factor of each channel.
    pub scale: &'a [f64],
    /// The summand of each channel.
    pub bias: &'a [f64],
}

/// Per channel: the mean and the biased variance that values are normalised with.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Mean squared distance from it.
    pub variance: Vec<f64>,
}

/// What backward yields.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormGradients {
    /// With respect to x `[N, C, pixels]`.
    pub dx: Vec<f64>,
    /// With respect to scale `[C]`.
    pub dscale: Vec<f64>,
    /// With respect to bias `[C]`.
    pub dbias: Vec<f64>,
}

/// The channel of the index `index` of `[N, C, pixels]`.
fn channel(norm: &BatchNorm, index: usize) -> usize {
    index / norm.pixels() % norm.channels()
}

/// The sum of `value(index)` over each channel.
fn sums(norm: &BatchNorm, len: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; norm.channels()];
    (0..len).for_each(|index| sums[channel(norm, index)] += value(index));
    sums
}

/// The statistics of the batch x `[rows, C, pixels]`.
pub fn statistics(norm: &BatchNorm, x: &[f64]) -> Statistics {
    let count = (x.len() / norm.channels()) as f64;
    let mean: Vec<f64> = sums(norm, x.len(), |i| x[i]).iter().map(|sum| sum / count).collect();
    let square = |i: usize| (x[i] - mean[channel(norm, i)]).powi(2);
    let variance = sums(norm, x.len(), square).iter().map(|sum| sum / count).collect();
    Statistics { mean, variance }
}

/// A running statistic after one more batch: `(1 - weight) running + weight batch`. The batch's variance
/// enters unbiased, `n / (n - 1)` times the one it was normalised with, as PyTorch does; ONNX's momentum is
/// `1 - weight`.
pub fn update_running(weight: f64, running: &[f64], batch: &[f64]) -> Vec<f64> {
    running.iter().zip(batch).map(|(running, batch)| (1.0 - weight) * running + weight * batch).collect()
}

/// The unbiased variance from the biased one over `count` values (one value has none: it is left as it is).
pub fn unbiased(variance: &[f64], count: usize) -> Vec<f64> {
    let factor = if count > 1 { count as f64 / (count - 1) as f64 } else { 1.0 };
    variance.iter().map(|variance| variance * factor).collect()
}

/// `scale (x - mean) / sqrt(variance + epsilon) + bias`.
pub fn normalise(norm: &BatchNorm, x: &[f64], affine: Affine<'_>, statistics: &Statistics) -> Vec<f64> {
    let value = |(i, x): (usize, &f64)| {
        let c = channel(norm, i);
        let std = (statistics.variance[c] + f64::from(norm.epsilon())).sqrt();
        affine.scale[c] * (x - statistics.mean[c]) / std + affine.bias[c]
    };
    x.iter().enumerate().map(value).collect()
}

/// The gradient of [`normalise`] where the statistics are constants.
pub fn frozen_gradient(
    norm: &BatchNorm,
    x: &[f64],
    scale: &[f64],
    statistics: &Statistics,
    dy: &[f64],
) -> BatchNormGradients {
    let std = |i: usize| (statistics.variance[channel(norm, i)] + f64::from(norm.epsilon())).sqrt();
    let normalised = |i: usize| (x[i] - statistics.mean[channel(norm, i)]) / std(i);
    BatchNormGradients {
        dx: (0..x.len()).map(|i| dy[i] * scale[channel(norm, i)] / std(i)).collect(),
        dscale: sums(norm, x.len(), |i| dy[i] * normalised(i)),
        dbias: sums(norm, x.len(), |i| dy[i]),
    }
}

/// The gradient of [`normalise`] with the batch's own [`statistics`], which depend on x as well.
pub fn training_gradient(norm: &BatchNorm, x: &[f64], scale: &[f64], dy: &[f64]) -> BatchNormGradients {
    let statistics = statistics(norm, x);
    let mut gradients = frozen_gradient(norm, x, scale, &statistics, dy);
    let count = (x.len() / norm.channels()) as f64;
    for (i, dx) in gradients.dx.iter_mut().enumerate() {
        let c = channel(norm, i);
        let std = (statistics.variance[c] + f64::from(norm.epsilon())).sqrt();
        let normalised = (x[i] - statistics.mean[c]) / std;
        *dx -= scale[c] / std * (gradients.dbias[c] + normalised * gradients.dscale[c]) / count;
    }
    gradients
}

/// `bias + alpha / size * sum of squares` over the window of channel `c` of one pixel.
fn lrn_base(lrn: &Lrn, x: impl Fn(usize) -> f64, c: usize) -> f64 {
    let (before, after) = ((lrn.size() - 1) / 2, lrn.size() / 2);
    let window = c.saturating_sub(before)..=(c + after).min(lrn.channels() - 1);
    let squares: f64 = window.map(|c| x(c) * x(c)).sum();
    f64::from(lrn.bias()) + f64::from(lrn.alpha()) / lrn.size() as f64 * squares
}

/// Local response normalisation of x `[rows, C, pixels]`.
pub fn lrn(lrn: &Lrn, x: &[f64]) -> Vec<f64> {
    let plane = lrn.channels() * lrn.pixels();
    let value = |i: usize| {
        let (row, c, pixel) = (i / plane, i % plane / lrn.pixels(), i % lrn.pixels());
        let base = lrn_base(lrn, |c| x[row * plane + c * lrn.pixels() + pixel], c);
        x[i] * base.powf(-f64::from(lrn.beta()))
    };
    (0..x.len()).map(value).collect()
}

/// The gradient of [`lrn`] with respect to x.
pub fn lrn_gradient(lrn: &Lrn, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let (before, after) = ((lrn.size() - 1) / 2, lrn.size() / 2);
    let (plane, beta) = (lrn.channels() * lrn.pixels(), f64::from(lrn.beta()));
    let mut dx = vec![0.0; x.len()];
    for i in 0..x.len() {
        let (start, c) = (i / plane * plane + i % lrn.pixels(), i % plane / lrn.pixels());
        let at = |c: usize| start + c * lrn.pixels();
        let base = lrn_base(lrn, |c| x[at(c)], c);
        dx[i] += dy[i] * base.powf(-beta);
        for k in c.saturating_sub(before)..=(c + after).min(lrn.channels() - 1) {
            let dbase = -beta * dy[i] * x[i] * base.powf(-beta - 1.0);
            dx[at(k)] += dbase * 2.0 * f64::from(lrn.alpha()) / lrn.size() as f64 * x[at(k)];
        }
    }
    dx
}
