//! The twins of arithmetic, broadcasting and reductions in f64, on row-major arrays of any rank.

use super::{ArgExtreme, BinaryOp, FoldKind, TopK, Unary};

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
        BinaryOp::Quotient if b == 0.0 => 0.0,
        BinaryOp::Quotient => (a / b).trunc(),
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Min | BinaryOp::Max if a.is_nan() || b.is_nan() => f64::NAN,
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::Rectify if a < 0.0 => a * b,
        BinaryOp::Rectify => a,
        BinaryOp::Equal => f64::from(a == b),
        BinaryOp::Greater => f64::from(a > b),
        BinaryOp::Less => f64::from(a < b),
        BinaryOp::GreaterOrEqual => f64::from(a >= b),
        BinaryOp::LessOrEqual => f64::from(a <= b),
        BinaryOp::And => f64::from(a != 0.0 && b != 0.0),
        BinaryOp::Or => f64::from(a != 0.0 || b != 0.0),
        BinaryOp::Xor => f64::from((a != 0.0) != (b != 0.0)),
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
            other => unreachable!("the gradient of {other:?} is made of other operations"),
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

/// `a` where the condition is other than 0, else `b`, with NumPy's broadcasting; operands are condition, `a` and `b`.
pub fn select(shapes: [&[usize]; 3], [condition, a, b]: [&[f64]; 3]) -> Vec<f64> {
    let shape = broadcast_shape(shapes[0], &broadcast_shape(shapes[1], shapes[2]));
    let value = |index| {
        let places = unravel(&shape, index);
        let [at, i, j] = shapes.map(|shape| broadcast_index(shape, &places));
        if condition[at] != 0.0 { a[i] } else { b[j] }
    };
    (0..len(&shape)).map(value).collect()
}

/// The values that each result of a fold over `axes` is made of, as indices of x in row-major order.
fn folded(shape: &[usize], axes: &[usize]) -> Vec<Vec<usize>> {
    let kept: Vec<usize> =
        shape.iter().enumerate().map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size }).collect();
    let mut sources = vec![Vec::new(); len(&kept)];
    (0..len(shape)).for_each(|index| sources[broadcast_index(&kept, &unravel(shape, index))].push(index));
    sources
}

fn wins(kind: FoldKind, value: f64, best: f64) -> bool {
    !best.is_nan() && (value.is_nan() || if kind == FoldKind::Max { value > best } else { value < best })
}

/// Which of some values of x is the extreme, the first if there are several.
fn extreme(kind: FoldKind, sources: &[usize], x: &[f64]) -> usize {
    sources.iter().copied().reduce(|best, i| if wins(kind, x[i], x[best]) { i } else { best }).unwrap_or(0)
}

/// The maximum, minimum or product over `axes`, which stay with size 1.
pub fn fold(kind: FoldKind, shape: &[usize], axes: &[usize], x: &[f64]) -> Vec<f64> {
    let result = |sources: Vec<usize>| match kind {
        FoldKind::Product => sources.iter().map(|&i| x[i]).product(),
        _ => x[extreme(kind, &sources, x)],
    };
    folded(shape, axes).into_iter().map(result).collect()
}

/// The gradient of [`fold`] with respect to x.
pub fn fold_gradient(kind: FoldKind, shape: &[usize], axes: &[usize], x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; x.len()];
    for (sources, dy) in folded(shape, axes).into_iter().zip(dy) {
        match kind {
            FoldKind::Product => {
                for &i in &sources {
                    let others = sources.iter().filter(|&&j| j != i).map(|&j| x[j]);
                    dx[i] = dy * others.product::<f64>();
                }
            }
            _ => dx[extreme(kind, &sources, x)] = *dy,
        }
    }
    dx
}

/// The places of an axis, best first: NaN, then by value, then by place.
fn order(size: usize, largest: bool, value: impl Fn(usize) -> f64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..size).collect();
    let key = |place: usize| if largest { -value(place) } else { value(place) };
    places.sort_by(|&a, &b| {
        let (a, b) = (key(a), key(b));
        b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
    });
    places
}

/// The places of the extremes, as numbers.
pub fn arg_extreme(arg: &ArgExtreme, x: &[f64]) -> Vec<f64> {
    let ([size, inner], [largest, select_last]) = (arg.sizes(), arg.choices());
    let place = |line: usize| {
        let value = |place: usize| x[(line / inner * size + place) * inner + line % inner];
        let places = order(size, largest, value);
        let best = value(places[0]);
        let ties = |place: &usize| value(*place) == best || value(*place).is_nan() && best.is_nan();
        let tied: Vec<usize> = places.into_iter().filter(ties).collect();
        (if select_last { tied[tied.len() - 1] } else { tied[0] }) as f64
    };
    (0..x.len() / size).map(place).collect()
}

/// The values that stand first, and their places.
pub fn top_k(top: &TopK, x: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let [size, inner, k] = top.sizes();
    let outer = x.len() / (size * inner);
    let (mut values, mut indices) = (vec![0.0; outer * k * inner], vec![0; outer * k * inner]);
    for (row, column) in (0..outer).flat_map(|row| (0..inner).map(move |column| (row, column))) {
        let value = |place: usize| x[(row * size + place) * inner + column];
        for (rank, place) in order(size, top.largest(), value).into_iter().take(k).enumerate() {
            values[(row * k + rank) * inner + column] = value(place);
            indices[(row * k + rank) * inner + column] = place;
        }
    }
    (values, indices)
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / 2f64.sqrt())
}

/// The argument of the hyperbolic tangent that stands for the normal distribution, and its slope.
fn gelu_argument(x: f64) -> (f64, f64) {
    let factor = (2.0 / std::f64::consts::PI).sqrt();
    (factor * (x + 0.044715 * x.powi(3)), factor * (1.0 + 3.0 * 0.044715 * x * x))
}

/// The function of one number.
pub fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Unary::Selu { alpha, gamma } => f64::from(gamma) * unary(Unary::Elu { alpha }, x),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Gelu { tanh: false } => x * normal(x),
        Unary::Gelu { tanh: true } => 0.5 * x * (1.0 + gelu_argument(x).0.tanh()),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::Erf => libm::erf(x),
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Sign if x == 0.0 || x.is_nan() => x,
        Unary::Sign => x.signum(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Not => f64::from(x == 0.0),
    }
}

/// Its derivative; at a kink as [`Unary`] says.
pub fn unary_derivative(op: Unary, x: f64) -> f64 {
    let square = |y: f64| y * y;
    match op {
        Unary::Elu { .. } if x > 0.0 => 1.0,
        Unary::Elu { alpha } => f64::from(alpha) * x.exp(),
        Unary::Selu { alpha, gamma } => f64::from(gamma) * unary_derivative(Unary::Elu { alpha }, x),
        Unary::Softplus => 1.0 / (1.0 + (-x).exp()),
        Unary::Softsign => 1.0 / square(1.0 + x.abs()),
        Unary::Gelu { tanh: false } => {
            normal(x) + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
        }
        Unary::Gelu { tanh: true } => {
            let (argument, slope) = gelu_argument(x);
            let t = argument.tanh();
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
        }
        Unary::Mish => {
            let t = softplus(x).tanh();
            t + x * (1.0 - t * t) / (1.0 + (-x).exp())
        }
        Unary::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
        Unary::Sqrt => 0.5 / x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Log => 1.0 / x,
        Unary::Neg => -1.0,
        Unary::Abs => unary(Unary::Sign, x),
        Unary::Reciprocal => -1.0 / (x * x),
        Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Not => 0.0,
    }
}
