mod functions;

use super::*;
use crate::Machine;
use crate::problem::ProblemError;
use crate::testing::{Cases, Draw, narrow};

/// One f32 rounding, and the sum of two gradients' parts.
const TOLERANCE: f64 = 3e-7;
/// Sums of up to some thousands of values, in f32 within blocks only; relative to the largest sum.
const SUM_TOLERANCE: f64 = 2e-6;

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// A shape, and one that broadcasts with it: some sizes are 1, some leading axes are missing.
fn broadcastable(draw: &mut Draw) -> [Vec<usize>; 2] {
    let rank = draw.size(0, 6);
    let full: Vec<usize> = (0..rank).map(|_| draw.pick(&[1, 2, 3, 5, 9])).collect();
    let missing = draw.size(0, rank);
    let mut thin = |shape: &[usize]| -> Vec<usize> {
        shape.iter().map(|&size| if draw.size(0, 2) == 0 { 1 } else { size }).collect()
    };
    let [left, right] = [thin(&full), thin(&full[missing..])];
    if draw.coin() { [left, right] } else { [right, left] }
}

#[test]
fn arithmetic_is_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..150 {
        let mut draw = Draw::new(seed);
        let op = draw.pick(&[BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div]);
        let [a_shape, b_shape] = match seed {
            0 => [vec![700, 64], vec![64]],
            1 => [vec![64], vec![700, 64]],
            2 => [vec![40_001], vec![40_001]],
            3 => [vec![40_001], vec![]],
            _ => broadcastable(&mut draw),
        };
        let a = draw.normal(len(&a_shape));
        // Far from 0, for it may be a divisor.
        let b: Vec<f64> =
            draw.normal(len(&b_shape)).iter().map(|x| f64::from((x + 2.5 * x.signum()) as f32)).collect();
        let expected = reference::binary(op, &a_shape, &a, &b_shape, &b);
        let problem = Binary::new(op, &a_shape, &b_shape).unwrap();
        let batch = reference::broadcast_shape(&a_shape, &b_shape).first().copied().unwrap_or(1);
        for rows in [batch, 1] {
            let present = expected.len() / batch * rows;
            cases.check((problem, rows), &expected[..present], TOLERANCE, |machine| {
                let mut y = vec![f32::NAN; problem.output_len(rows)];
                problem.apply_into(machine, rows, &narrow(&a), &narrow(&b), &mut y);
                y
            });
        }
        if expected.len() < 300 {
            let dy = draw.normal(expected.len());
            let (da, db) = reference::binary_gradient(op, (&a_shape, &a), (&b_shape, &b), &dy);
            cases.differentiate((problem, "a"), &a, &dy, &da, |a| {
                reference::binary(op, &a_shape, a, &b_shape, &b)
            });
            cases.differentiate((problem, "b"), &b, &dy, &db, |b| {
                reference::binary(op, &a_shape, &a, &b_shape, b)
            });
        }
    }
}

#[test]
fn arithmetic_in_place_is_the_twins() {
    let mut cases = Cases::default();
    for op in [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div] {
        let mut draw = Draw::new(1);
        let (a, b) = (draw.normal(20_000), draw.normal(20_000));
        let b: Vec<f64> = b.iter().map(|x| f64::from((x + 2.5 * x.signum()) as f32)).collect();
        cases.check(op, &reference::binary(op, &[20_000], &a, &[20_000], &b), TOLERANCE, |machine| {
            let mut a = narrow(&a);
            op.apply_in_place(machine, &mut a, &narrow(&b));
            a
        });
    }
}

#[test]
fn sums_and_means_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..150 {
        let mut draw = Draw::new(seed);
        let (shape, axes): (Vec<usize>, Vec<usize>) = match seed {
            0 => (vec![5000, 6], vec![0]),
            1 => (vec![3, 9000], vec![1]),
            2 => (vec![50_000], vec![0]),
            3 => (vec![3, 1000, 200], vec![0, 1]),
            4 => (vec![6, 5, 700], vec![0, 2]),
            _ => {
                let shape: Vec<usize> = (0..draw.size(0, 6)).map(|_| draw.pick(&[1, 2, 3, 5, 9])).collect();
                let axes = (0..shape.len()).filter(|_| draw.coin()).collect();
                (shape, axes)
            }
        };
        let batch = shape.first().copied().unwrap_or(1);
        for (mean, rows) in [(false, batch), (true, batch), (true, 1)] {
            let mut present = shape.clone();
            present.iter_mut().take(1).for_each(|size| *size = rows);
            let x: Vec<f64> =
                draw.normal(len(&present)).iter().map(|x| f64::from((x + 1.0) as f32)).collect();
            let twin = if mean { reference::reduce_mean } else { reference::reduce_sum };
            let problem = if mean { Reduce::mean } else { Reduce::sum }(&shape, &axes).unwrap();
            cases.check((&shape, &axes, mean, rows), &twin(&present, &axes, &x), SUM_TOLERANCE, |machine| {
                let mut y = vec![f32::NAN; problem.output_len(rows)];
                let mut scratch = vec![f32::NAN; problem.scratch_len()];
                problem.apply_into(machine, rows, &narrow(&x), &mut y, &mut scratch);
                y
            });
        }
    }
}

#[test]
fn a_sum_to_a_shape_is_the_gradient_of_expanding() {
    let mut cases = Cases::default();
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let [to, from] = {
            let [a, b] = broadcastable(&mut draw);
            let from = reference::broadcast_shape(&a, &b);
            [a, from]
        };
        let x = draw.normal(len(&from));
        let expected = reference::sum_to_shape(&from, &to, &x);
        let problem = Reduce::to_shape(&from, &to).unwrap();
        let rows = from.first().copied().unwrap_or(1);
        cases.check((&from, &to), &expected, SUM_TOLERANCE, |machine| {
            let (mut y, mut scratch) = (vec![f32::NAN; len(&to)], vec![f32::NAN; problem.scratch_len()]);
            problem.apply_into(machine, rows, &narrow(&x), &mut y, &mut scratch);
            y
        });
        if x.len() < 300 {
            let small = draw.normal(len(&to));
            cases.differentiate((&from, &to), &small, &x, &expected, |small| {
                reference::expand(&to, &from, small)
            });
        }
    }
}

#[test]
fn scaling_copying_and_accumulating() {
    let mut cases = Cases::default();
    let mut draw = Draw::new(3);
    let (x, y) = (draw.normal(33_333), draw.normal(33_333));
    let scaled: Vec<f64> = x.iter().map(|x| x * -0.5).collect();
    cases.check("scale", &scaled, 0.0, |machine| {
        let (x, mut y) = (narrow(&x), vec![f32::NAN; x.len()]);
        scale_into(machine, -0.5, &x, &mut y);
        let mut in_place = vec![f32::NAN; x.len()];
        copy_into(machine, &x, &mut in_place);
        assert_eq!(in_place, x);
        scale_in_place(machine, -0.5, &mut in_place);
        assert_eq!(in_place, y);
        y
    });
    let sum: Vec<f64> = x.iter().zip(&y).map(|(x, y)| y + 0.25 * x).collect();
    cases.check("accumulate", &sum, TOLERANCE, |machine| {
        let mut y = narrow(&y);
        accumulate(machine, 0.25, &narrow(&x), &mut y);
        y
    });
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let error = Binary::new(BinaryOp::Add, &[2, 3], &[2, 4]).unwrap_err();
    assert_eq!(error, ProblemError::Broadcast { axis_from_end: 0, left: 3, right: 4 });
    assert_eq!(error.to_string(), "sizes 3 and 4 of axis -1 cannot be broadcast");
    assert_eq!(Reduce::sum(&[2], &[1]), Err(ProblemError::Axes));
    assert_eq!(Binary::new(BinaryOp::Add, &[1; 9], &[]), Err(ProblemError::Rank(9)));
    let machine = Machine::single();
    let empty = Binary::new(BinaryOp::Add, &[0, 3], &[3]).unwrap();
    empty.apply_into(&machine, 0, &[], &[1.0; 3], &mut []);
}
