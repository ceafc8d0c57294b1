//! The twins of softmax in f64 over `[outer, axis, inner]`, written from the definition.

use super::Softmax;

/// Calls `visit` with the indices of every vector along the axis.
fn for_each_vector(softmax: &Softmax, len: usize, mut visit: impl FnMut(&[usize])) {
    let (axis, inner) = (softmax.axis(), softmax.inner());
    for outer in 0..len / (axis * inner) {
        for i in 0..inner {
            let indices: Vec<usize> = (0..axis).map(|k| (outer * axis + k) * inner + i).collect();
            visit(&indices);
        }
    }
}

/// `exp(x - max) / sum exp(x - max)`.
pub fn softmax(softmax: &Softmax, x: &[f64]) -> Vec<f64> {
    log_softmax(softmax, x).into_iter().map(f64::exp).collect()
}

/// `x - max - ln sum exp(x - max)`.
pub fn log_softmax(softmax: &Softmax, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for_each_vector(softmax, x.len(), |indices| {
        let max = indices.iter().map(|&i| x[i]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = indices.iter().map(|&i| (x[i] - max).exp()).sum();
        indices.iter().for_each(|&i| y[i] = x[i] - max - sum.ln());
    });
    y
}

/// The gradient of [`softmax`] with respect to x from its output y: `y (dy - sum dy y)`.
pub fn softmax_gradient(softmax: &Softmax, y: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; y.len()];
    for_each_vector(softmax, y.len(), |indices| {
        let dot: f64 = indices.iter().map(|&i| dy[i] * y[i]).sum();
        indices.iter().for_each(|&i| dx[i] = y[i] * (dy[i] - dot));
    });
    dx
}

/// The gradient of [`log_softmax`] with respect to x from its output y: `dy - exp(y) sum dy`.
pub fn log_softmax_gradient(softmax: &Softmax, y: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; y.len()];
    for_each_vector(softmax, y.len(), |indices| {
        let sum: f64 = indices.iter().map(|&i| dy[i]).sum();
        indices.iter().for_each(|&i| dx[i] = dy[i] - y[i].exp() * sum);
    });
    dx
}
