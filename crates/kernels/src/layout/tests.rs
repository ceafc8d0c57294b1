use super::*;
use crate::Machine;
use crate::problem::ProblemError;
use crate::testing::{Cases, Draw, narrow};

/// Padding's gradient adds a few values.
const TOLERANCE: f64 = 1e-6;

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn shape(draw: &mut Draw, most_rank: usize) -> Vec<usize> {
    (0..draw.size(1, most_rank)).map(|_| draw.pick(&[1, 2, 3, 5, 7, 19])).collect()
}

#[test]
fn transposing_is_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..120 {
        let mut draw = Draw::new(seed);
        let (shape, permutation) = match seed {
            // Graph order to channels-last and back.
            0 => (vec![2, 37, 20, 21], vec![0, 2, 3, 1]),
            1 => (vec![2, 20, 21, 37], vec![0, 3, 1, 2]),
            2 => (vec![300, 130], vec![1, 0]),
            _ => {
                let shape = shape(&mut draw, 5);
                let mut axes: Vec<usize> = (0..shape.len()).collect();
                (0..axes.len()).rev().for_each(|last| axes.swap(last, draw.size(0, last)));
                (shape, axes)
            }
        };
        let x = draw.normal(len(&shape));
        let gather = Gather::transpose(&shape, &permutation).unwrap();
        let rows = shape[permutation[0]];
        let expected = reference::transpose(&shape, &permutation, &x);
        cases.check((&shape, &permutation), &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; x.len()];
            gather.copy_into(machine, rows, &narrow(&x), &mut y);
            y
        });
        cases.check((&shape, &permutation, "back"), &x, 0.0, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            gather.scatter_into(machine, rows, &narrow(&expected), &mut dx);
            dx
        });
        if permutation[0] == 0 {
            let present = x.len() / shape[0];
            cases.check((&shape, &permutation, "one row"), &expected[..present], 0.0, |machine| {
                let mut y = vec![f32::NAN; present];
                gather.copy_into(machine, 1, &narrow(&x[..present]), &mut y);
                y
            });
        }
    }
}

#[test]
fn slicing_is_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..100 {
        let mut draw = Draw::new(seed);
        let shape = shape(&mut draw, 4);
        let (mut starts, mut steps, mut sizes) = (vec![], vec![], vec![]);
        for &size in &shape {
            let (start, step) = (draw.size(0, size - 1), draw.pick(&[1isize, 1, 2, -1, -3]));
            let room = if step > 0 { size - 1 - start } else { start };
            starts.push(start);
            steps.push(step);
            sizes.push(draw.size(1, room / step.unsigned_abs() + 1));
        }
        let x = draw.normal(len(&shape));
        let gather = Gather::slice(&shape, &starts, &steps, &sizes).unwrap();
        let expected = reference::slice(&shape, &starts, &steps, &sizes, &x);
        let problem = (&shape, &starts, &steps, &sizes);
        cases.check(problem, &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; len(&sizes)];
            gather.copy_into(machine, sizes[0], &narrow(&x), &mut y);
            y
        });
        let dy = draw.normal(len(&sizes));
        let gradient = reference::slice_gradient(&shape, &starts, &steps, &sizes, &dy);
        cases.check((problem, "gradient"), &gradient, 0.0, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            gather.scatter_into(machine, sizes[0], &narrow(&dy), &mut dx);
            dx
        });
        if x.len() < 300 {
            let twin = |x: &[f64]| reference::slice(&shape, &starts, &steps, &sizes, x);
            cases.differentiate(problem, &x, &dy, &gradient, twin);
        }
    }
}

#[test]
fn expanding_is_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..40 {
        let mut draw = Draw::new(seed);
        let to = shape(&mut draw, 4);
        let missing = draw.size(0, to.len());
        let from: Vec<usize> = to[missing..].iter().map(|&size| if draw.coin() { 1 } else { size }).collect();
        let x = draw.normal(len(&from));
        let expected = crate::elementwise::reference::expand(&from, &to, &x);
        let gather = Gather::expand(&from, &to).unwrap();
        cases.check((&from, &to), &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; len(&to)];
            gather.copy_into(machine, to[0], &narrow(&x), &mut y);
            y
        });
    }
}

#[test]
fn padding_and_its_gradient_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..200 {
        let mut draw = Draw::new(seed);
        let mode = draw.pick(&[PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap]);
        let shape = if seed < 10 { vec![3, 50, 40, 16] } else { shape(&mut draw, 4) };
        let pads: Vec<(isize, isize)> = (0..shape.len())
            .map(|_| {
                if draw.coin() {
                    (0, 0)
                } else {
                    (draw.size(0, 5) as isize - 2, draw.size(0, 5) as isize - 2)
                }
            })
            .collect();
        let Ok(pad) = Pad::new(&shape, &pads, mode) else { continue };
        let x = draw.normal(len(&shape));
        let expected = reference::pad(&shape, &pads, mode, 0.5, &x);
        assert_eq!(len(pad.padded()), expected.len(), "{pad:?}");
        cases.check((pad, &pads), &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; expected.len()];
            pad.pad_into(machine, shape[0], 0.5, &narrow(&x), &mut y);
            y
        });
        let dy = draw.normal(expected.len());
        let gradient = reference::pad_gradient(&shape, &pads, mode, &dy);
        cases.check((pad, &pads, "gradient"), &gradient, TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            pad.gradient_into(machine, shape[0], &narrow(&dy), &mut dx);
            dx
        });
        if x.len() < 200 && gradient.iter().any(|&x| x != 0.0) {
            let twin = |x: &[f64]| reference::pad(&shape, &pads, mode, 0.5, x);
            cases.differentiate((pad, &pads), &x, &dy, &gradient, twin);
        }
        if pads[0] == (0, 0) {
            let (one, padded) = (x.len() / shape[0], expected.len() / shape[0]);
            cases.check((pad, "one row"), &expected[..padded], 0.0, |machine| {
                let mut y = vec![f32::NAN; padded];
                pad.pad_into(machine, 1, 0.5, &narrow(&x[..one]), &mut y);
                y
            });
        }
    }
}

/// The lecture's example: (1, 2, 3) padded by 2.
#[test]
fn the_lectures_paddings() {
    let machine = Machine::single();
    let padded = |mode| {
        let mut y = [f32::NAN; 7];
        let x = [1.0, 2.0, 3.0];
        Pad::new(&[3], &[(2, 2)], mode).unwrap().pad_into(&machine, 3, 0.0, &x, &mut y);
        let twin = reference::pad(&[3], &[(2, 2)], mode, 0.0, &[1.0, 2.0, 3.0]);
        assert_eq!(narrow(&twin), y);
        y
    };
    assert_eq!(padded(PadMode::Constant), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
    assert_eq!(padded(PadMode::Reflect), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    assert_eq!(padded(PadMode::Edge), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(padded(PadMode::Wrap), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]);
}

#[test]
fn concatenating_and_splitting_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..40 {
        let mut draw = Draw::new(seed);
        let (outer, inner) = (draw.size(1, 300), draw.size(1, 70));
        let sizes: Vec<usize> = (0..draw.size(1, 4)).map(|_| draw.size(1, 9)).collect();
        let total: usize = sizes.iter().sum();
        let parts: Vec<Vec<f64>> = sizes.iter().map(|size| draw.normal(outer * size * inner)).collect();
        let pairs: Vec<(usize, &[f64])> =
            sizes.iter().copied().zip(parts.iter().map(Vec::as_slice)).collect();
        let whole = reference::concat(outer, inner, &pairs);
        assert_eq!(reference::split(outer, inner, &sizes, &whole), parts);
        let starts: Vec<usize> = (0..sizes.len()).map(|i| sizes[..i].iter().sum()).collect();
        cases.check((outer, inner, &sizes), &whole, 0.0, |machine| {
            let mut y = vec![f32::NAN; whole.len()];
            for ((part, &size), &at) in parts.iter().zip(&sizes).zip(&starts) {
                BlockCopy::concat(size, at, total, inner).copy(machine, outer, &narrow(part), &mut y);
            }
            y
        });
        for ((part, &size), &at) in parts.iter().zip(&sizes).zip(&starts) {
            let twice: Vec<f64> = part.iter().map(|x| x * 2.0).collect();
            cases.check((outer, inner, &sizes, at), &twice, 0.0, |machine| {
                let mut y = vec![f32::NAN; part.len()];
                let split = BlockCopy::split(size, at, total, inner);
                split.copy(machine, outer, &narrow(&whole), &mut y);
                split.accumulate(machine, outer, &narrow(&whole), &mut y);
                y
            });
        }
    }
}

#[test]
fn impossible_moves_are_refused() {
    let reflected = Pad::new(&[3], &[(0, 3)], PadMode::Reflect);
    assert_eq!(reflected, Err(ProblemError::Pad { axis: 0, pad: 3, size: 3 }));
    assert_eq!(
        Pad::new(&[3], &[(-4, 0)], PadMode::Edge),
        Err(ProblemError::Pad { axis: 0, pad: -4, size: 3 })
    );
    assert_eq!(Gather::transpose(&[2, 3], &[0, 0]), Err(ProblemError::Axes));
    assert_eq!(Gather::slice(&[2], &[1], &[1], &[2]), Err(ProblemError::Slice { axis: 0 }));
    assert_eq!(Gather::slice(&[2], &[0], &[0], &[1]), Err(ProblemError::Slice { axis: 0 }));
    let expanded = Gather::expand(&[2], &[3]);
    assert_eq!(expanded, Err(ProblemError::Broadcast { axis_from_end: 0, left: 2, right: 3 }));
}
