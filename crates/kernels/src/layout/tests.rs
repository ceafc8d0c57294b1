use super::*;
use crate::Machine;
use crate::problem::ProblemError;
use crate::testing::{Cases, Draw, narrow};

/// Padding's gradient adds a few values.
const TOLERANCE: f64 = 1e-6;
/// Sums of up to thousands of values in f32, one after the other.
const LONG_SUMS: f64 = 2e-5;

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

/// Indices from both ends of an axis, as whole numbers and as the kernels read them.
fn indices(draw: &mut Draw, count: usize, size: usize) -> (Vec<i64>, Vec<f32>) {
    let whole: Vec<i64> = (0..count).map(|_| draw.size(0, 2 * size - 1) as i64 - size as i64).collect();
    let stored = whole.iter().map(|&index| index as f32).collect();
    (whole, stored)
}

#[test]
fn taking_and_its_gradient_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let [outer, size, inner, count] = match seed {
            // A table of embeddings; a long list of single values.
            0 => [1, 50, 100, 400],
            1 => [3, 7, 1, 20_000],
            _ => [draw.size(1, 5), draw.size(1, 9), draw.pick(&[1, 2, 19, 70]), draw.size(0, 30)],
        };
        let (whole, stored) = indices(&mut draw, count, size);
        let (take, problem) = (Take::new(size, inner), (outer, size, inner, &whole[..count.min(30)]));
        let x = draw.normal(outer * size * inner);
        let expected = reference::take(outer, size, inner, &whole, &x);
        cases.check(problem, &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; expected.len()];
            take.take_into(machine, &narrow(&x), &stored, &mut y).unwrap();
            y
        });
        let dy = draw.normal(expected.len());
        let gradient = reference::take_gradient(outer, size, inner, &whole, &dy);
        cases.check((problem, "gradient"), &gradient, LONG_SUMS, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            take.gradient_into(machine, &stored, &narrow(&dy), &mut dx).unwrap();
            dx
        });
        if x.len() < 200 && count > 0 {
            let twin = |x: &[f64]| reference::take(outer, size, inner, &whole, x);
            cases.differentiate(problem, &x, &dy, &gradient, twin);
        }
    }
}

#[test]
fn taking_elements_and_its_gradient_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..100 {
        let mut draw = Draw::new(seed);
        let shape = if seed == 0 { vec![40, 30, 40] } else { shape(&mut draw, 4) };
        let axis = draw.size(0, shape.len() - 1);
        let mut taken: Vec<usize> = shape.iter().map(|&size| draw.size(size.div_ceil(2), size)).collect();
        taken[axis] = draw.pick(&[0, 1, 4, 30]);
        let (whole, stored) = indices(&mut draw, len(&taken), shape[axis]);
        let kernel = TakeElements::new(&shape, &taken, axis).unwrap();
        let problem = (&shape, &taken, axis);
        let x = draw.normal(len(&shape));
        let expected = reference::take_elements(&shape, &taken, axis, &whole, &x);
        cases.check(problem, &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; expected.len()];
            kernel.take_into(machine, &narrow(&x), &stored, &mut y).unwrap();
            y
        });
        let dy = draw.normal(expected.len());
        let gradient = reference::take_elements_gradient(&shape, &taken, axis, &whole, &dy);
        cases.check((problem, "gradient"), &gradient, LONG_SUMS, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            kernel.gradient_into(machine, &stored, &narrow(&dy), &mut dx).unwrap();
            dx
        });
        if x.len() < 200 && !dy.is_empty() {
            let twin = |x: &[f64]| reference::take_elements(&shape, &taken, axis, &whole, x);
            cases.differentiate(problem, &x, &dy, &gradient, twin);
        }
        if axis > 0 {
            let (row, len) = (expected.len() / taken[0], x.len() / shape[0]);
            cases.check((problem, "one row"), &expected[..row], 0.0, |machine| {
                let mut y = vec![f32::NAN; row];
                kernel.take_into(machine, &narrow(&x[..len]), &stored[..row], &mut y).unwrap();
                y
            });
        }
    }
}

/// Examples of the pages of ONNX's Gather and GatherElements.
#[test]
fn examples_of_taking() {
    let machine = Machine::single();
    let mut y = [f32::NAN; 6];
    let x = [1.0, 1.2, 1.9, 2.3, 3.4, 3.9, 4.5, 5.7, 5.9];
    Take::new(3, 1).take_into(&machine, &x, &[0.0, 2.0], &mut y).unwrap();
    assert_eq!(y, [1.0, 1.9, 2.3, 3.9, 4.5, 5.9]);
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let kernel = TakeElements::new(&[3, 3], &[2, 3], 0).unwrap();
    kernel.take_into(&machine, &x, &[1.0, 2.0, 0.0, 2.0, 0.0, 0.0], &mut y).unwrap();
    assert_eq!(y, [4.0, 8.0, 3.0, 7.0, 2.0, 3.0]);
}

#[test]
fn an_index_outside_the_axis_is_named() {
    let machine = Machine::single();
    let (take, elements) = (Take::new(3, 1), TakeElements::new(&[3], &[3], 0).unwrap());
    for (wrong, indices) in [(3, [0.0, 3.0, 9.0]), (-4, [-3.0, -4.0, 2.0])] {
        let mut out = [7.0; 3];
        assert_eq!(take.take_into(&machine, &[1.0; 3], &indices, &mut out), Err(wrong));
        assert_eq!(take.gradient_into(&machine, &indices, &[1.0; 3], &mut out), Err(wrong));
        assert_eq!(elements.take_into(&machine, &[1.0; 3], &indices, &mut out), Err(wrong));
        assert_eq!(elements.gradient_into(&machine, &indices, &[1.0; 3], &mut out), Err(wrong));
        assert_eq!(out, [7.0; 3], "nothing is written");
    }
    assert_eq!(Take::new(0, 1).take_into(&machine, &[], &[0.0], &mut [7.0]), Err(0));
}

/// Blocks of `block²` channels become squares of pixels, by the formulas of ONNX's DepthToSpace on `[N, C, H, W]`;
/// SpaceToDepth is the inverse of the first.
#[test]
fn transpositions_of_six_axes_move_depth_to_space() {
    let [batch, channels, height, width, block] = [2, 3, 4, 5, 2];
    let shape = [batch, block * block * channels, height, width];
    let x: Vec<f64> = (0..len(&shape)).map(|i| i as f64).collect();
    let out = [batch, channels, height * block, width * block];
    let expected = |channel: fn(usize, usize, usize) -> usize| -> Vec<f64> {
        let source = |index: usize| {
            let (column, rest) = (index % out[3], index / out[3]);
            let (row, rest) = (rest % out[2], rest / out[2]);
            let channel = channel(rest % channels, row % block, column % block);
            x[((rest / channels * shape[1] + channel) * height + row / block) * width + column / block]
        };
        (0..x.len()).map(source).collect()
    };
    let depth_first = expected(|channel, i, j| (i * 2 + j) * 3 + channel);
    let column_first = expected(|channel, i, j| (channel * 2 + i) * 2 + j);
    let (last, pixels) = (crate::testing::channels_last(shape[1], &x, height * width), out[2] * out[3]);
    let [planes, blocks] = [[block, block, channels], [channels, block, block]];
    let planar = |[a, b, c]: [usize; 3]| [batch, a, b, c, height, width];
    let trailing = |[a, b, c]: [usize; 3]| [batch, height, width, a, b, c];
    let mut cases = Cases::default();
    for (expected, shape, order, trailing, trailing_order) in [
        (depth_first, planar(planes), [0, 3, 4, 1, 5, 2], trailing(planes), [0, 1, 3, 2, 4, 5]),
        (column_first, planar(blocks), [0, 1, 4, 2, 5, 3], trailing(blocks), [0, 1, 4, 2, 5, 3]),
    ] {
        let expected_last = crate::testing::channels_last(channels, &expected, pixels);
        for (shape, order, x, y) in
            [(shape, order, &x, &expected), (trailing, trailing_order, &last, &expected_last)]
        {
            let gather = Gather::transpose(&shape, &order).unwrap();
            cases.check((shape, order), y, 0.0, |machine| {
                let mut out = vec![f32::NAN; y.len()];
                gather.copy_into(machine, batch, &narrow(x), &mut out);
                out
            });
            cases.check((shape, order, "back"), x, 0.0, |machine| {
                let mut out = vec![f32::NAN; y.len()];
                gather.scatter_into(machine, batch, &narrow(y), &mut out);
                out
            });
        }
    }
}

#[test]
fn expanding_interleaved_axes_tiles() {
    let mut cases = Cases::default();
    for seed in 0..30 {
        let mut draw = Draw::new(seed);
        let shape: Vec<usize> = (0..4).map(|_| draw.size(1, 5)).collect();
        let repeats: Vec<usize> = (0..4).map(|_| draw.size(1, 3)).collect();
        let tiled: Vec<usize> = shape.iter().zip(&repeats).map(|(size, repeats)| size * repeats).collect();
        let x = draw.normal(len(&shape));
        let source = |mut index: usize| {
            let (mut source, mut stride) = (0, 1);
            for axis in (0..4).rev() {
                source += index % tiled[axis] % shape[axis] * stride;
                (stride, index) = (stride * shape[axis], index / tiled[axis]);
            }
            source
        };
        let expected: Vec<f64> = (0..len(&tiled)).map(|index| x[source(index)]).collect();
        let interleave = |with: &dyn Fn(usize) -> usize| -> Vec<usize> {
            (0..4).flat_map(|axis| [with(axis), shape[axis]]).collect()
        };
        let to = interleave(&|axis| repeats[axis]);
        let gather = Gather::expand(&interleave(&|_| 1), &to).unwrap();
        cases.check((&shape, &repeats), &expected, 0.0, |machine| {
            let mut y = vec![f32::NAN; expected.len()];
            gather.copy_into(machine, to[0], &narrow(&x), &mut y);
            y
        });
    }
}

#[test]
fn eight_axes_are_transposed() {
    let shape = [2, 3, 2, 2, 3, 2, 3, 2];
    let order = [7, 2, 5, 0, 6, 1, 4, 3];
    let x: Vec<f64> = (0..len(&shape)).map(|i| i as f64).collect();
    let gather = Gather::transpose(&shape, &order).unwrap();
    Cases::default().check((shape, order), &reference::transpose(&shape, &order, &x), 0.0, |machine| {
        let mut y = vec![f32::NAN; x.len()];
        gather.copy_into(machine, shape[7], &narrow(&x), &mut y);
        y
    });
    assert_eq!(Gather::transpose(&[1; 9], &[0; 9]), Err(ProblemError::Rank(9)));
}

/// Examples of ONNX's Slice: `[1:2, 0:3:2]` of the operator's page, `[20:0:-1, 10:0:-3, 4:1:-2]` of its tests, and
/// slices that are empty.
#[test]
fn examples_of_slicing() {
    let machine = Machine::single();
    let mut y = [f32::NAN; 2];
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    Gather::slice(&[2, 4], &[1, 0], &[1, 2], &[1, 2]).unwrap().copy_into(&machine, 1, &x, &mut y);
    assert_eq!(y, [5.0, 7.0]);
    let x: Vec<f32> = (0..20 * 10 * 5).map(|i| i as f32).collect();
    let gather = Gather::slice(&[20, 10, 5], &[19, 9, 4], &[-1, -3, -2], &[19, 3, 2]).unwrap();
    let mut y = vec![f32::NAN; 19 * 3 * 2];
    gather.copy_into(&machine, 19, &x, &mut y);
    let place = |i: usize| (19 - i / 6) * 50 + (9 - i / 2 % 3 * 3) * 5 + 4 - i % 2 * 2;
    assert!((0..y.len()).all(|i| y[i] == place(i) as f32), "{y:?}");
    let gather = Gather::slice(&[20, 10, 5], &[20, 10, 2], &[1, 2, 1], &[0, 0, 3]).unwrap();
    gather.copy_into(&machine, 0, &x, &mut []);
    let mut dx = vec![f32::NAN; x.len()];
    gather.scatter_into(&machine, 0, &[], &mut dx);
    assert!(dx.iter().all(|&dx| dx == 0.0));
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
    assert_eq!(TakeElements::new(&[2, 3], &[2], 0), Err(ProblemError::Axes));
    assert_eq!(TakeElements::new(&[2, 3], &[2, 3], 2), Err(ProblemError::Axes));
    let larger = TakeElements::new(&[2, 3], &[3, 3], 1);
    assert!(larger.unwrap_err().to_string().contains("another axis"));
    let expanded = Gather::expand(&[2], &[3]);
    assert_eq!(expanded, Err(ProblemError::Broadcast { axis_from_end: 0, left: 2, right: 3 }));
}
