//! The convolutions by way of their f64 twins, until their kernels stand.

use super::{ConvProblem, Layout, Pictures, Source, reference};
use crate::epilogue::{Epilogue, Store};

/// `[N, P, C]` to `[N, C, P]` in f64.
fn planar(values: &[f32], rows: usize, pixels: usize, channels: usize) -> Vec<f64> {
    let mut out = vec![0.0; rows * pixels * channels];
    for (at, &value) in values[..rows * pixels * channels].iter().enumerate() {
        let (n, pixel, c) = (at / (pixels * channels), at / channels % pixels, at % channels);
        out[(n * channels + c) * pixels + pixel] = f64::from(value);
    }
    out
}

fn seen(problem: &ConvProblem, source: &Source, x: Pictures<'_>) -> Option<(ConvProblem, Vec<f64>)> {
    let problem = problem.with_batch(x.rows).ok()?;
    let picture = source.picture(&problem).ok()?;
    let (pixels, channels) = (picture[0] * picture[1], problem.in_channels);
    let values = match source.layout {
        Layout::ChannelsLast => planar(x.values, x.rows, pixels, channels),
        Layout::Planar => x.values[..x.rows * pixels * channels].iter().map(|&x| f64::from(x)).collect(),
    };
    let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let affine = x.affine.map(|affine| (wide(affine.scale), wide(affine.shift)));
    let affine = affine.as_ref().map(|(scale, shift)| (&scale[..], &shift[..]));
    let seen = reference::read_source(&problem, source, picture, &values, affine);
    Some((problem, seen))
}

fn finish(product: &[f64], [rows, pixels, channels]: [usize; 3], epilogue: &Epilogue<'_>, y: &mut [f32]) {
    for (at, y) in y[..rows * pixels * channels].iter_mut().enumerate() {
        let (n, pixel, c) = (at / (pixels * channels), at / channels % pixels, at % channels);
        let mut value = product[(n * channels + c) * pixels + pixel] as f32;
        value += epilogue.bias.map_or(0.0, |bias| bias[c]) + epilogue.add.map_or(0.0, |add| add[at]);
        value += if epilogue.store == Store::Accumulate { *y } else { 0.0 };
        *y = epilogue.activation.map_or(value, |activation| activation.apply(value));
    }
}

pub(super) fn forward(
    problem: &ConvProblem,
    source: &Source,
    x: Pictures<'_>,
    weights: &[f32],
    epilogue: &Epilogue<'_>,
    y: &mut [f32],
) {
    let Some((problem, x)) = seen(problem, source, x) else { return };
    let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
    let pixels = problem.output()[0] * problem.output()[1];
    let product = reference::forward(&problem, &x, &weights);
    finish(&product, [problem.batch, pixels, problem.out_channels], epilogue, y);
}

pub(super) fn input_gradient(
    problem: &ConvProblem,
    dy: Pictures<'_>,
    weights: &[f32],
    epilogue: &Epilogue<'_>,
    dx: &mut [f32],
) {
    let Ok(problem) = problem.with_batch(dy.rows) else { return };
    let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
    let dy = planar(dy.values, dy.rows, problem.output()[0] * problem.output()[1], problem.out_channels);
    let product = reference::input_gradient(&problem, &weights, &dy);
    finish(&product, [problem.batch, problem.input[0] * problem.input[1], problem.in_channels], epilogue, dx);
}

pub(super) fn weight_gradient(
    problem: &ConvProblem,
    source: &Source,
    x: Pictures<'_>,
    dy: &[f32],
    dw: &mut [f32],
    store: Store,
) {
    let Some((problem, x)) = seen(problem, source, x) else { return };
    let dy = planar(dy, problem.batch, problem.output()[0] * problem.output()[1], problem.out_channels);
    for (dw, gradient) in dw.iter_mut().zip(reference::weight_gradient(&problem, &x, &dy)) {
        *dw = gradient as f32 + if store == Store::Accumulate { *dw } else { 0.0 };
    }
}
