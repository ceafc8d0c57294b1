use super::{
    Elements,
    call::{Call, Results},
};
use crate::EngineError;
use svertka_graph::op;
use svertka_kernels::norm::{
    BatchNorm, Lrn,
    reference::{self as norms, Affine, BatchNormGradients, Statistics},
};

fn batch_norm(call: &Call<'_>, epsilon: f32) -> Result<BatchNorm, EngineError> {
    let [batch, channels, pixels] = call.planes(0);
    BatchNorm::new(batch, pixels, channels, epsilon).map_err(|error| call.refuse(error))
}

/// The mean and variance handed in as inputs `first` and the one behind it.
fn statistics(call: &Call<'_>, first: usize) -> Statistics {
    Statistics { mean: call.real(first).to_vec(), variance: call.real(first + 1).to_vec() }
}

/// Inputs: x, scale, bias, mean, var.
pub(super) fn batch_normalization(call: &Call<'_>, epsilon: f32) -> Results {
    let affine = Affine { scale: call.real(1), bias: call.real(2) };
    call.one(norms::normalise(&batch_norm(call, epsilon)?, call.real(0), affine, &statistics(call, 3)))
}

/// Inputs: x, scale, bias, running mean, running var.
pub(super) fn batch_norm_training(call: &Call<'_>, epsilon: f32, momentum: f32) -> Results {
    let (norm, x) = (batch_norm(call, epsilon)?, call.real(0));
    let batch = norms::statistics(&norm, x);
    let y = norms::normalise(&norm, x, Affine { scale: call.real(1), bias: call.real(2) }, &batch);
    let inverse = batch.variance.iter().map(|var| 1.0 / (var + f64::from(epsilon)).sqrt()).collect();
    let weight = 1.0 - f64::from(momentum);
    let unbiased = norms::unbiased(&batch.variance, x.len() / norm.channels());
    let running_mean = norms::update_running(weight, call.real(3), &batch.mean);
    let running_var = norms::update_running(weight, call.real(4), &unbiased);
    call.all([y, batch.mean, inverse, running_mean, running_var].map(Elements::F64))
}

/// Inputs: x, dy, scale, batch mean, inverse deviation.
pub(super) fn batch_norm_gradient(call: &Call<'_>) -> Results {
    let (x, scale, mean, inverse) = (call.real(0), call.real(2), call.real(3), call.real(4));
    let variance = inverse.iter().map(|inverse| 1.0 / (inverse * inverse)).collect();
    let statistics = Statistics { mean: mean.to_vec(), variance };
    let norm = batch_norm(call, 0.0)?;
    let mut gradients = norms::frozen_gradient(&norm, x, scale, &statistics, call.real(1));
    // Mean and variance depend on x too.
    let count = (x.len() / norm.channels()) as f64;
    for (index, dx) in gradients.dx.iter_mut().enumerate() {
        let channel = index / norm.pixels() % norm.channels();
        let normalised = (x[index] - mean[channel]) * inverse[channel];
        let shift = gradients.dbias[channel] + normalised * gradients.dscale[channel];
        *dx -= scale[channel] * inverse[channel] * shift / count;
    }
    outputs(call, gradients)
}

/// Inputs: x, dy, scale, mean, var.
pub(super) fn frozen_batch_norm_gradient(call: &Call<'_>, epsilon: f32) -> Results {
    let norm = batch_norm(call, epsilon)?;
    let gradients =
        norms::frozen_gradient(&norm, call.real(0), call.real(2), &statistics(call, 3), call.real(1));
    outputs(call, gradients)
}

fn outputs(call: &Call<'_>, gradients: BatchNormGradients) -> Results {
    call.all([gradients.dx, gradients.dscale, gradients.dbias].map(Elements::F64))
}

fn lrn_problem(call: &Call<'_>, lrn: op::Lrn) -> Result<Lrn, EngineError> {
    let [_, channels, pixels] = call.planes(0);
    Lrn::new(pixels, channels, lrn.size, [lrn.alpha, lrn.beta, lrn.bias]).map_err(|error| call.refuse(error))
}

pub(super) fn lrn(call: &Call<'_>, lrn: op::Lrn) -> Results {
    call.one(norms::lrn(&lrn_problem(call, lrn)?, call.real(0)))
}

/// Inputs: x, dy.
pub(super) fn lrn_gradient(call: &Call<'_>, lrn: op::Lrn) -> Results {
    call.one(norms::lrn_gradient(&lrn_problem(call, lrn)?, call.real(0), call.real(1)))
}
