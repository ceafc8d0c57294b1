//! Operators that pick, repeat and rearrange elements.

use super::{Assembly, Fill, Problem, batch, input, one, weight};
use svertka_graph::{
    DataType, Op,
    op::{
        ArgExtreme, Binary, CoordinateMode, DepthOrder, DepthSpace, Expand, Reduce, ReduceKind, Resize,
        ResizeMode, ResizeTarget, Slice, Tile, TopK,
    },
};

pub fn problems() -> Vec<Problem> {
    [slices(), gathers(), repetitions(), blocks(), folds(), orders(), resizes()]
        .into_iter()
        .flatten()
        .collect()
}

fn slices() -> Vec<Problem> {
    let slice = |x: &[usize], starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        let [starts, ends, axes, steps] = [starts, ends, axes, steps].map(<[i64]>::to_vec);
        one(Op::Slice(Slice { starts, ends, axes, steps }), &[batch(x)])
    };
    vec![
        slice(&[2, 5, 6, 4], &[1, 2], &[4, 6], &[1, 2], &[1, 2]),
        slice(&[2, 5, 3], &[-1], &[-6], &[1], &[-2]),
        slice(&[2, 7], &[-3], &[i64::MAX], &[-1], &[1]),
        slice(&[4, 3], &[1], &[3], &[0], &[1]),
        slice(&[4, 3], &[0], &[i64::MAX], &[0], &[1]),
        slice(&[2, 4, 4], &[3, 0], &[i64::MIN, 100], &[2, 1], &[-1, 3]),
    ]
}

fn gathers() -> Vec<Problem> {
    let gather = |axis, x: &[usize], indices: &[usize]| {
        let size = x[if axis < 0 { (axis + x.len() as i64) as usize } else { axis as usize }];
        one(Op::Gather { axis }, &[batch(x), input(indices).filled(Fill::Labels(size))])
    };
    let elements = |axis, x: &[usize], indices: &[usize]| {
        let size = x[if axis < 0 { (axis + x.len() as i64) as usize } else { axis as usize }];
        one(Op::GatherElements { axis }, &[batch(x), batch(indices).filled(Fill::Labels(size))])
    };
    vec![
        gather(1, &[2, 5, 3], &[4]),
        gather(-1, &[2, 3, 4], &[2, 3]),
        gather(1, &[3, 4], &[]),
        one(Op::Gather { axis: 0 }, &[input(&[4, 3]), input(&[6]).filled(Fill::Labels(4))]),
        one(Op::Gather { axis: 0 }, &[weight(&[9, 5]), batch(&[3, 4]).filled(Fill::Labels(9))]),
        elements(1, &[2, 5, 3], &[2, 4, 3]),
        elements(-1, &[2, 3, 4], &[2, 2, 7]),
        one(Op::GatherElements { axis: 0 }, &[input(&[4, 3]), input(&[5, 3]).filled(Fill::Labels(4))]),
    ]
}

fn repetitions() -> Vec<Problem> {
    let expand = |x: &[usize], shape: &[i64]| one(Op::Expand(Expand { shape: shape.to_vec() }), &[input(x)]);
    let tile =
        |x: &[usize], repeats: &[usize]| one(Op::Tile(Tile { repeats: repeats.to_vec() }), &[batch(x)]);
    vec![
        expand(&[2, 1, 3], &[2, 4, 3]),
        expand(&[3, 1], &[2, 1, 4]),
        expand(&[4], &[3, 1]),
        expand(&[], &[2, 2]),
        one(Op::Expand(Expand { shape: vec![1, 3, 4] }), &[batch(&[2, 3, 1])]),
        tile(&[2, 3, 4], &[1, 2, 3]),
        tile(&[2, 3], &[2, 2]),
        tile(&[2, 2, 3, 2], &[1, 1, 2, 2]),
        tile(&[3, 2], &[1, 1]),
    ]
}

fn blocks() -> Vec<Problem> {
    let orders = [DepthOrder::DepthLast, DepthOrder::DepthFirst];
    let each = |order| {
        [
            one(Op::DepthToSpace(DepthSpace { block: 2, order }), &[batch(&[2, 12, 2, 3])]),
            one(Op::SpaceToDepth(DepthSpace { block: 2, order }), &[batch(&[2, 3, 4, 6])]),
            one(Op::DepthToSpace(DepthSpace { block: 3, order }), &[batch(&[1, 9, 1, 2])]),
            one(Op::SpaceToDepth(DepthSpace { block: 1, order }), &[batch(&[2, 2, 2, 1])]),
        ]
    };
    orders.into_iter().flat_map(each).collect()
}

fn folds() -> Vec<Problem> {
    let axes: [(&[usize], &[i64], bool); 7] = [
        (&[2, 3, 4, 5], &[2, 3], true),
        (&[2, 3, 4, 5], &[1], false),
        (&[2, 3, 4], &[-1, 0], false),
        (&[2, 3], &[], true),
        (&[6], &[0], false),
        (&[2, 2, 2, 2], &[3, 1], true),
        (&[2, 3, 4, 5], &[0, 2, 3], false),
    ];
    let kinds = [ReduceKind::Max, ReduceKind::Min, ReduceKind::Prod];
    let each = |kind| {
        axes.map(|(x, axes, keepdims)| {
            one(Op::Reduce(Reduce { kind, axes: axes.to_vec(), keepdims }), &[batch(x)])
        })
    };
    kinds.into_iter().flat_map(each).collect()
}

/// The values of the largest, and their places as numbers.
fn orders() -> Vec<Problem> {
    let top = |x: &[usize], k, axis, largest| one(Op::TopK(TopK { k, axis, largest }), &[batch(x)]);
    let mut problems = vec![
        top(&[2, 7], 3, -1, true),
        top(&[2, 4, 3], 2, 1, false),
        top(&[5, 2], 5, 0, true),
        top(&[2, 3, 2, 2], 1, 1, true),
    ];
    for (axis, keepdims, select_last, largest) in
        [(1, true, false, true), (-1, false, true, false), (0, false, false, false), (2, true, true, true)]
    {
        let mut assembly = Assembly::new(&format!("{axis} {keepdims} {select_last} {largest}"));
        let x = assembly.operand("x", &batch(&[2, 3, 4]));
        let arg = ArgExtreme { largest, axis, keepdims, select_last };
        let place = assembly.node("place", Op::ArgExtreme(arg), &[x]);
        let number = assembly.node("number", Op::Cast(DataType::F32), &[place]);
        let sum = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: vec![], keepdims: false });
        let all = assembly.node("all", sum, &[x]);
        let product = assembly.node("product", Op::Binary(Binary::Mul), &[number, all]);
        problems.push(assembly.finish(&[product]));
    }
    problems
}

/// Modes beyond nearest and linear ones.
fn resizes() -> Vec<Problem> {
    let modes = [
        ResizeMode::Linear { antialias: true },
        ResizeMode::Cubic { coefficient: -0.75, antialias: false, exclude_outside: false },
        ResizeMode::Cubic { coefficient: -0.5, antialias: false, exclude_outside: true },
        ResizeMode::Cubic { coefficient: -0.75, antialias: true, exclude_outside: false },
    ];
    let crop = |axes| CoordinateMode::TfCropAndResize {
        roi: [vec![-0.2; axes], vec![0.9; axes]].concat(),
        extrapolation: 1.5,
    };
    let mut problems = Vec::new();
    for mode in modes {
        for (x, target) in [
            (vec![2, 2, 5, 4], ResizeTarget::Sizes(vec![3, 7])),
            (vec![1, 3, 4, 6], ResizeTarget::Scales(vec![0.6, 2.0])),
            (vec![2, 2, 6], ResizeTarget::Sizes(vec![4])),
        ] {
            for coordinates in
                [CoordinateMode::HalfPixel, CoordinateMode::HalfPixelSymmetric, CoordinateMode::AlignCorners]
            {
                let target = target.clone();
                problems.push(one(Op::Resize(Resize { mode, coordinates, target }), &[batch(&x)]));
            }
        }
    }
    for mode in [ResizeMode::Linear { antialias: false }, modes[1]] {
        for (x, sizes) in [(vec![1, 2, 4, 4], vec![3, 5]), (vec![2, 1, 5], vec![6])] {
            let coordinates = crop(x.len() - 2);
            let target = ResizeTarget::Sizes(sizes);
            problems.push(one(Op::Resize(Resize { mode, coordinates, target }), &[batch(&x)]));
        }
    }
    problems
}
