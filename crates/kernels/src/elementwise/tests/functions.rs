//! Functions of one, two and three numbers, folds, and places along an axis.

use super::{broadcastable, len};
use crate::elementwise::{ArgExtreme, Binary, BinaryOp, Fold, FoldKind, Select, TopK, Unary, reference};
use crate::problem::ProblemError;
use crate::testing::{Cases, Draw, narrow, widen};

/// A few f32 roundings, relative to the largest value.
const TOLERANCE: f64 = 1e-6;

const UNARIES: [Unary; 20] = [
    Unary::Elu { alpha: 0.75 },
    Unary::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
    Unary::Softplus,
    Unary::Softsign,
    Unary::Gelu { tanh: false },
    Unary::Gelu { tanh: true },
    Unary::Mish,
    Unary::Erf,
    Unary::Sqrt,
    Unary::Exp,
    Unary::Log,
    Unary::Neg,
    Unary::Abs,
    Unary::Reciprocal,
    Unary::Sign,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Not,
    Unary::Elu { alpha: 0.0 },
];

fn needs_positive(op: Unary) -> bool {
    matches!(op, Unary::Sqrt | Unary::Log | Unary::Reciprocal)
}

#[test]
fn functions_and_slopes_are_the_twins() {
    let mut cases = Cases::default();
    for (seed, op) in UNARIES.into_iter().enumerate() {
        let mut draw = Draw::new(seed as u64);
        let mut x = draw.normal(37_001);
        if needs_positive(op) {
            x.iter_mut().for_each(|x| *x = f64::from((x.abs() + 0.05) as f32));
        }
        let dy = draw.normal(x.len());
        let y: Vec<f64> = x.iter().map(|&x| reference::unary(op, x)).collect();
        cases.check(op, &y, TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; x.len()];
            op.apply_into(machine, &narrow(&x), &mut y);
            y
        });
        cases.check((op, "in place"), &y, TOLERANCE, |machine| {
            let mut y = narrow(&x);
            op.apply_in_place(machine, &mut y);
            y
        });
        let slopes = x.iter().map(|&x| reference::unary_derivative(op, x));
        let dx: Vec<f64> = slopes.zip(&dy).map(|(slope, dy)| slope * dy).collect();
        cases.check((op, "gradient"), &dx, TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            op.gradient_into(machine, &narrow(&x), &narrow(&dy), &mut dx);
            dx
        });
    }
}

#[test]
fn slopes_of_twins_are_central_differences() {
    for op in UNARIES {
        for x in [-2.3, -0.7, 0.4, 1.9] {
            let x: f64 = if needs_positive(op) { f64::abs(x) } else { x };
            let difference = (reference::unary(op, x + 1e-5) - reference::unary(op, x - 1e-5)) / 2e-5;
            let slope = reference::unary_derivative(op, x);
            assert!((difference - slope).abs() < 1e-8, "{op:?} at {x}: {slope}, measured {difference}");
        }
    }
}

#[test]
fn nothing_overflows_far_out_and_nan_stays() {
    for op in UNARIES {
        for x in [-1e4f32, -100.0, -20.0, 20.0, 100.0, 1e4] {
            let (y, slope) = (op.apply(x), op.slope(x));
            let outside = needs_positive(op) && x < 0.0 && !matches!(op, Unary::Reciprocal);
            let grows = matches!(op, Unary::Exp);
            assert!(
                outside || grows || (y.is_finite() && slope.is_finite()),
                "{op:?}({x}) = {y}, slope {slope}"
            );
            if !outside && !grows {
                let twin = reference::unary_derivative(op, f64::from(x));
                assert!(
                    (f64::from(slope) - twin).abs() <= 1e-6 * twin.abs().max(1.0),
                    "{op:?} at {x}: {slope}"
                );
            }
        }
        assert!(op.apply(f32::NAN).is_nan() || op == Unary::Not, "{op:?}");
    }
}

#[test]
fn comparisons_logic_and_powers_are_the_twins() {
    let mut cases = Cases::default();
    let ops = [
        BinaryOp::Quotient,
        BinaryOp::Pow,
        BinaryOp::Min,
        BinaryOp::Max,
        BinaryOp::Rectify,
        BinaryOp::Equal,
        BinaryOp::Greater,
        BinaryOp::Less,
        BinaryOp::GreaterOrEqual,
        BinaryOp::LessOrEqual,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
    ];
    for (seed, op) in (0..8).flat_map(|seed| ops.map(|op| (seed, op))) {
        let mut draw = Draw::new(seed);
        let [a_shape, b_shape] = if seed == 0 { [vec![9001, 3], vec![3]] } else { broadcastable(&mut draw) };
        let a = draw.coarse(len(&a_shape));
        let b = draw.coarse(len(&b_shape));
        let a: Vec<f64> = if op == BinaryOp::Pow { a.iter().map(|a| a.abs() + 0.5).collect() } else { a };
        let expected = reference::binary(op, &a_shape, &a, &b_shape, &b);
        let problem = Binary::new(op, &a_shape, &b_shape).unwrap();
        let batch = reference::broadcast_shape(&a_shape, &b_shape).first().copied().unwrap_or(1);
        for rows in [batch, 1] {
            let present = &expected[..expected.len() / batch * rows];
            cases.check((problem, rows), present, TOLERANCE, |machine| {
                let mut y = vec![f32::NAN; problem.output_len(rows)];
                problem.apply_into(machine, rows, &narrow(&a), &narrow(&b), &mut y);
                y
            });
        }
        if a_shape == b_shape {
            cases.check((problem, "in place"), &expected, TOLERANCE, |machine| {
                let mut y = narrow(&a);
                op.apply_in_place(machine, &mut y, &narrow(&b));
                y
            });
        }
    }
    assert!(BinaryOp::Max.apply(f32::NAN, 1.0).is_nan() && BinaryOp::Min.apply(1.0, f32::NAN).is_nan());
    assert!(BinaryOp::Rectify.apply(f32::NAN, 1.0).is_nan());
}

#[test]
fn selections_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let [a_shape, b_shape] = if seed == 0 { [vec![700, 64], vec![64]] } else { broadcastable(&mut draw) };
        let whole = reference::broadcast_shape(&a_shape, &b_shape);
        let shape: Vec<usize> = whole.iter().map(|&size| if draw.coin() { 1 } else { size }).collect();
        let condition: Vec<f64> = (0..len(&shape)).map(|_| draw.size(0, 1) as f64).collect();
        let (a, b) = (draw.normal(len(&a_shape)), draw.normal(len(&b_shape)));
        let shapes = [&shape[..], &a_shape, &b_shape];
        let expected = reference::select(shapes, [&condition, &a, &b]);
        let problem = Select::new(shapes).unwrap();
        let batch = whole.first().copied().unwrap_or(1);
        for rows in [batch, 1] {
            let present = &expected[..expected.len() / batch * rows];
            cases.check((problem, rows), present, 0.0, |machine| {
                let operands = [&narrow(&condition)[..], &narrow(&a), &narrow(&b)];
                let mut y = vec![f32::NAN; problem.output_len(rows)];
                problem.apply_into(machine, rows, operands, &mut y);
                y
            });
        }
    }
    let error = Select::new([&[2], &[3], &[1]]);
    assert_eq!(error, Err(ProblemError::Broadcast { axis_from_end: 0, left: 2, right: 3 }));
}

#[test]
fn folds_and_their_gradients_are_the_twins() {
    let mut cases = Cases::default();
    let kinds = [FoldKind::Max, FoldKind::Min, FoldKind::Product];
    for (seed, kind) in (0..40).flat_map(|seed| kinds.map(|kind| (seed, kind))) {
        let mut draw = Draw::new(seed);
        let rank = draw.size(1, 4);
        let shape: Vec<usize> = (0..rank).map(|_| draw.pick(&[1, 2, 3, 7])).collect();
        let axes: Vec<usize> = (0..rank).filter(|_| draw.coin()).collect();
        // Few values, so that extremes are tied and factors are 0.
        let x = draw.coarse(len(&shape));
        let expected = reference::fold(kind, &shape, &axes, &x);
        let problem = Fold::new(kind, &shape, &axes).unwrap();
        cases.check(problem, &expected, TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; expected.len()];
            problem.apply_into(machine, shape[0], &narrow(&x), &mut y);
            y
        });
        let dy = draw.normal(expected.len());
        let dx = reference::fold_gradient(kind, &shape, &axes, &x, &dy);
        cases.check((problem, "gradient"), &dx, TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            problem.gradient_into(machine, shape[0], &narrow(&x), &narrow(&dy), &mut dx);
            dx
        });
        if !axes.contains(&0) {
            let present = &expected[..expected.len() / shape[0]];
            cases.check((problem, "one row"), present, TOLERANCE, |machine| {
                let mut y = vec![f32::NAN; present.len()];
                problem.apply_into(machine, 1, &narrow(&x), &mut y);
                y
            });
        }
    }
    assert_eq!(Fold::new(FoldKind::Max, &[2], &[1]), Err(ProblemError::Axes));
}

#[test]
fn a_product_differentiates_as_its_twin_does() {
    let mut cases = Cases::default();
    let x = Draw::new(3).normal(12);
    let dy = Draw::new(4).normal(4);
    let dx = reference::fold_gradient(FoldKind::Product, &[4, 3], &[1], &x, &dy);
    cases.differentiate("product", &x, &dy, &dx, |x| reference::fold(FoldKind::Product, &[4, 3], &[1], x));
}

#[test]
fn places_along_an_axis_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let (outer, size, inner) = (draw.size(1, 5), draw.size(1, 9), draw.size(1, 4));
        let mut x = draw.coarse(outer * size * inner);
        if seed % 5 == 0 {
            let place = draw.size(0, x.len() - 1);
            x[place] = f64::NAN;
        }
        let arg = ArgExtreme::new(size, inner, draw.coin(), draw.coin()).unwrap();
        cases.check(arg, &reference::arg_extreme(&arg, &x), 0.0, |machine| {
            let mut y = vec![f32::NAN; outer * inner];
            arg.index_into(machine, &narrow(&x), &mut y);
            y
        });
        let top = TopK::new(size, inner, draw.size(1, size), draw.coin()).unwrap();
        let (values, places) = reference::top_k(&top, &x);
        let places: Vec<f64> = places.into_iter().map(|place| place as f64).collect();
        let run = |machine: &crate::Machine| {
            let (mut found, mut at) = (vec![0.0; values.len()], vec![f32::NAN; values.len()]);
            let mut order = vec![0.0; top.scratch_len(outer)];
            top.top_into(machine, &narrow(&x), &mut found, &mut at, &mut order);
            (widen(&found), at)
        };
        cases.check((top, "places"), &places, 0.0, |machine| run(machine).1);
        if !x.iter().any(|x| x.is_nan()) {
            cases.check((top, "values"), &values, 0.0, |machine| narrow(&run(machine).0));
        }
    }
    assert!(TopK::new(3, 1, 4, true).is_err() && ArgExtreme::new(0, 1, true, false).is_err());
}
