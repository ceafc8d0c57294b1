//! The twins of arithmetic, broadcasting and reductions in f64, on row-major arrays of any rank.

use super::BinaryOp;

/// The size of a shape.
fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The places along every axis of the row-major index `index`.
fn unravel(shape: &[usize], mut index: usize) -> Vec<usize> {
    let mut places = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        places[axis] = index % shape[axis];
        index /= shape[axis];
    }
    places
}

/// The index into an array of `shape`, broadcast to the shape in which `places` are.
fn broadcast_index(shape: &[usize], places: &[usize]) -> usize {
    let places = &places[places.len() - shape.len()..];
    shape
        .iter()
        .zip(places)
        .fold(0, |index, (&size, &place)| index * size + if size == 1 { 0 } else { place })
}

/// The shape that `a` and `b` are broadcast to, which must exist.
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let size =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let joined = |axis| match (size(a, axis), size(b, axis)) {
        (1, right) => right,
        (left, _) => left,
    };
    (0..rank).map(joined).collect()
}

/// `a op b` of two numbers.
fn apply(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
    }
}

/// `a op b` with NumPy's broadcasting.
pub fn binary(op: BinaryOp, a_shape: &[usize], a: &[f64], b_shape: &[usize], b: &[f64]) -> Vec<f64> {
    let shape = broadcast_shape(a_shape, b_shape);
    let value = |index| {
        let places = unravel(&shape, index);
        apply(op, a[broadcast_index(a_shape, &places)], b[broadcast_index(b_shape, &places)])
    };
    (0..len(&shape)).map(value).collect()
}

/// The gradients of [`binary`] with respect to `a` and `b`, given that of its result.
pub fn binary_gradient(
    op: BinaryOp,
    (a_shape, a): (&[usize], &[f64]),
    (b_shape, b): (&[usize], &[f64]),
    dy: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let shape = broadcast_shape(a_shape, b_shape);
    let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
    for (index, dy) in dy.iter().enumerate() {
        let places = unravel(&shape, index);
        let (i, j) = (broadcast_index(a_shape, &places), broadcast_index(b_shape, &places));
        let (by_a, by_b) = match op {
            BinaryOp::Add => (1.0, 1.0),
            BinaryOp::Sub => (1.0, -1.0),
            BinaryOp::Mul => (b[j], a[i]),
            BinaryOp::Div => (1.0 / b[j], -a[i] / (b[j] * b[j])),
        };
        da[i] += dy * by_a;
        db[j] += dy * by_b;
    }
    (da, db)
}

/// x of `from` summed over the axes along which `to` was broadcast to `from`: the gradient of [`expand`].
pub fn sum_to_shape(from: &[usize], to: &[usize], x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; len(to)];
    x.iter().enumerate().for_each(|(index, x)| y[broadcast_index(to, &unravel(from, index))] += x);
    y
}

/// x of shape `from`, repeated along the axes of size 1 to the shape `to`.
pub fn expand(from: &[usize], to: &[usize], x: &[f64]) -> Vec<f64> {
    (0..len(to)).map(|index| x[broadcast_index(from, &unravel(to, index))]).collect()
}

/// The sum over `axes`, which stay with size 1 (the values do not depend on whether they are kept).
pub fn reduce_sum(shape: &[usize], axes: &[usize], x: &[f64]) -> Vec<f64> {
    let kept: Vec<usize> =
        shape.iter().enumerate().map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size }).collect();
    sum_to_shape(shape, &kept, x)
}

/// The mean over `axes`.
pub fn reduce_mean(shape: &[usize], axes: &[usize], x: &[f64]) -> Vec<f64> {
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    reduce_sum(shape, axes, x).into_iter().map(|sum| sum / count as f64).collect()
}
