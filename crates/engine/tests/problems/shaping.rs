use super::{Assembly, Problem, batch, input, one, weight};
use svertka_graph::{
    Op,
    op::{
        Concat, CoordinateMode, Flatten, NearestMode, Pad, PadMode, Reduce, ReduceKind, Reshape, Resize,
        ResizeMode, ResizeTarget, Squeeze, Transpose, Unsqueeze,
    },
};

pub fn problems() -> Vec<Problem> {
    [pads(), concats(), reshapes(), reduces(), resizes()].into_iter().flatten().collect()
}

fn pads() -> Vec<Problem> {
    let pads: [(&[usize], &[i64]); 7] = [
        (&[2, 3, 4, 5], &[0, 0, 1, 2, 0, 0, 3, 0]),
        (&[2, 2, 3, 3], &[0, 0, 2, 2, 0, 0, 2, 2]),
        (&[2, 2, 5, 4], &[0, 0, -1, 1, 0, 0, 2, -2]),
        (&[3, 2, 4], &[0, 1, 0, 0, 1, 3]),
        (&[2, 3], &[1, 0, 0, 2]),
        (&[5], &[3, 4]),
        (&[1, 2, 3, 3], &[0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let modes =
        [PadMode::Constant(0.0), PadMode::Constant(-1.5), PadMode::Reflect, PadMode::Edge, PadMode::Wrap];
    let problem = |(mode, (x, pads)): (PadMode, (&[usize], &[i64]))| {
        one(Op::Pad(Pad { mode, pads: pads.to_vec() }), &[input(x)])
    };
    let fits =
        |(mode, (x, _)): &(PadMode, (&[usize], &[i64]))| *mode != PadMode::Reflect || x.len() > 1 && x[1] < 3;
    let all = modes.into_iter().flat_map(|mode| pads.map(|case| (mode, case)));
    let single =
        [(PadMode::Edge, (&[1usize] as &[usize], &[2i64, 3] as &[i64])), (PadMode::Wrap, (&[1], &[2, 3]))];
    all.filter(fits).chain(single).map(problem).collect()
}

fn concats() -> Vec<Problem> {
    let parts = |axis, shapes: &[&[usize]]| {
        let operands: Vec<_> = shapes.iter().map(|shape| input(shape)).collect();
        one(Op::Concat(Concat { axis }), &operands)
    };
    let mut twice = Assembly::new("concat of one value twice");
    let x = twice.operand("x", &batch(&[2, 3]));
    let y = twice.node("y", Op::Concat(Concat { axis: 1 }), &[x, x]);
    vec![
        parts(1, &[&[2, 3, 4, 5], &[2, 1, 4, 5], &[2, 2, 4, 5]]),
        parts(0, &[&[2, 3], &[1, 3]]),
        parts(-1, &[&[2, 2, 3], &[2, 2, 1]]),
        parts(2, &[&[1, 2, 3, 2], &[1, 2, 4, 2]]),
        parts(0, &[&[4]]),
        twice.finish(&[y]),
    ]
}

fn reshapes() -> Vec<Problem> {
    let reshape = |x: &[usize], shape: &[i64]| {
        one(Op::Reshape(Reshape { shape: shape.to_vec(), allow_zero: false }), &[batch(x)])
    };
    let transpose =
        |x: &[usize], perm: &[usize]| one(Op::Transpose(Transpose { perm: perm.to_vec() }), &[batch(x)]);
    let squeeze = |x: &[usize], axes: &[i64]| one(Op::Squeeze(Squeeze { axes: axes.to_vec() }), &[batch(x)]);
    let unsqueeze =
        |x: &[usize], axes: &[i64]| one(Op::Unsqueeze(Unsqueeze { axes: axes.to_vec() }), &[batch(x)]);
    let flatten = |x: &[usize], axis| one(Op::Flatten(Flatten { axis }), &[batch(x)]);
    vec![
        reshape(&[2, 3, 4], &[0, -1]),
        reshape(&[2, 12], &[0, 3, 2, 2]),
        reshape(&[4, 3], &[-1, 2]),
        transpose(&[2, 3, 4, 5], &[0, 2, 3, 1]),
        transpose(&[2, 3, 4, 5], &[3, 1, 0, 2]),
        transpose(&[3, 4], &[1, 0]),
        transpose(&[5], &[0]),
        squeeze(&[2, 1, 3, 1], &[1, 3]),
        squeeze(&[2, 1, 3], &[-2]),
        unsqueeze(&[2, 3], &[0, 3]),
        unsqueeze(&[4], &[-1, 1]),
        flatten(&[2, 3, 4, 5], 1),
        flatten(&[2, 3, 4], 2),
        flatten(&[2, 3], 0),
        one(Op::Identity, &[weight(&[3, 2])]),
    ]
}

fn reduces() -> Vec<Problem> {
    let axes: [(&[usize], &[i64]); 11] = [
        (&[2, 3, 4, 5], &[2, 3]),
        (&[2, 3, 4, 5], &[1]),
        (&[2, 3, 4], &[-1, 0]),
        (&[2, 3], &[]),
        (&[6], &[0]),
        (&[2, 1, 3], &[1]),
        (&[2, 2, 2, 2], &[3, 1]),
        // Sums that are almost those of a bias' gradient.
        (&[2, 3, 4, 5], &[0]),
        (&[2, 3, 4, 5], &[0, 2]),
        (&[2, 3, 4, 5], &[0, 2, 3]),
        (&[2, 3, 4], &[0]),
    ];
    let mut problems = Vec::new();
    for (kind, keepdims) in [
        (ReduceKind::Mean, true),
        (ReduceKind::Mean, false),
        (ReduceKind::Sum, true),
        (ReduceKind::Sum, false),
    ] {
        problems.extend(
            axes.map(|(x, axes)| {
                one(Op::Reduce(Reduce { kind, axes: axes.to_vec(), keepdims }), &[batch(x)])
            }),
        );
    }
    problems
}

fn resizes() -> Vec<Problem> {
    let sizes: [(&[usize], ResizeTarget); 8] = [
        (&[2, 2, 3, 4], ResizeTarget::Scales(vec![2.0, 2.0])),
        (&[1, 2, 5, 3], ResizeTarget::Scales(vec![1.5, 0.7])),
        (&[1, 3, 4, 5], ResizeTarget::Sizes(vec![7, 3])),
        (&[2, 1, 1, 1], ResizeTarget::Sizes(vec![3, 2])),
        (&[1, 2, 6, 5], ResizeTarget::Sizes(vec![1, 1])),
        (&[2, 3, 5], ResizeTarget::Scales(vec![2.5])),
        (&[2, 2, 4], ResizeTarget::Sizes(vec![9])),
        (&[2, 2, 3, 3], ResizeTarget::Sizes(vec![3, 3])),
    ];
    let modes = [
        ResizeMode::Linear { antialias: false },
        ResizeMode::Nearest(NearestMode::RoundPreferFloor),
        ResizeMode::Nearest(NearestMode::RoundPreferCeil),
        ResizeMode::Nearest(NearestMode::Floor),
        ResizeMode::Nearest(NearestMode::Ceil),
    ];
    let coordinates = [
        CoordinateMode::HalfPixel,
        CoordinateMode::PytorchHalfPixel,
        CoordinateMode::AlignCorners,
        CoordinateMode::Asymmetric,
    ];
    let mut problems = Vec::new();
    for (x, target) in sizes {
        for (mode, coordinates) in modes.into_iter().flat_map(|mode| coordinates.clone().map(|c| (mode, c))) {
            let target = target.clone();
            problems.push(one(Op::Resize(Resize { mode, coordinates, target }), &[batch(x)]));
        }
    }
    problems
}
