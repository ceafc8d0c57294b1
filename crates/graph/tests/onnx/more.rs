//! Functions, picks, repetitions, folds and modes of resizing.

use super::{Case, Maker, unary};
use svertka_graph::{DataType, Op, Tensor, op::*};

pub(crate) fn all() -> Vec<Case> {
    let mut cases = functions();
    cases.extend(moves());
    cases.extend(resizes());
    cases.extend([binaries(), comparisons(), gathers(), top(), integers()].into_iter().flatten());
    cases
}

fn functions() -> Vec<Case> {
    let functions = [
        ("elu", Unary::Elu { alpha: 0.5 }),
        ("selu", Unary::Selu { alpha: 1.5, gamma: 1.25 }),
        ("softplus", Unary::Softplus),
        ("softsign", Unary::Softsign),
        ("gelu", Unary::Gelu { tanh: false }),
        ("gelu_tanh", Unary::Gelu { tanh: true }),
        ("mish", Unary::Mish),
        ("erf", Unary::Erf),
        ("exp", Unary::Exp),
        ("neg", Unary::Neg),
        ("abs", Unary::Abs),
        ("reciprocal", Unary::Reciprocal),
        ("sign", Unary::Sign),
        ("floor", Unary::Floor),
        ("ceil", Unary::Ceil),
        ("round", Unary::Round),
    ];
    let mut cases: Vec<Case> =
        functions.into_iter().map(|(name, op)| unary(name, Op::Unary(op), &[3, 5, 4])).collect();
    for (name, op) in [("sqrt", Unary::Sqrt), ("log", Unary::Log)] {
        let mut maker = Maker::new();
        let x = maker.batch("x", &[3, 5]);
        let positive = maker.node("positive", Op::Unary(Unary::Exp), &[x]);
        let y = maker.node("y", Op::Unary(op), &[positive]);
        cases.push(maker.finish(name, &[y]));
    }
    cases
}

fn moves() -> Vec<Case> {
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        let [starts, ends, axes, steps] = [starts, ends, axes, steps].map(<[i64]>::to_vec);
        Op::Slice(Slice { starts, ends, axes, steps })
    };
    let block = |order| DepthSpace { block: 2, order };
    let fold = |kind, axes: &[i64], keepdims| Op::Reduce(Reduce { kind, axes: axes.to_vec(), keepdims });
    let ops = [
        ("slice", slice(&[1, 0], &[3, 4], &[1, -1], &[1, 2])),
        ("slice_back", slice(&[-1], &[i64::MIN], &[2], &[-1])),
        ("expand", Op::Expand(Expand { shape: vec![2, 1, 1, 1, 1] })),
        ("tile", Op::Tile(Tile { repeats: vec![1, 2, 1, 3] })),
        ("depth_to_space", Op::DepthToSpace(block(DepthOrder::DepthLast))),
        ("depth_to_space_crd", Op::DepthToSpace(block(DepthOrder::DepthFirst))),
        ("space_to_depth", Op::SpaceToDepth(block(DepthOrder::DepthLast))),
        ("reduce_max", fold(ReduceKind::Max, &[2, 3], true)),
        ("reduce_min", fold(ReduceKind::Min, &[1], false)),
        ("reduce_prod", fold(ReduceKind::Prod, &[-1], true)),
    ];
    ops.into_iter().map(|(name, op)| unary(name, op, &[4, 6, 4])).collect()
}

fn resizes() -> Vec<Case> {
    use {CoordinateMode::*, ResizeMode::*};
    let cubic = |antialias, exclude_outside| Cubic { coefficient: -0.5, antialias, exclude_outside };
    let crop = || TfCropAndResize { roi: vec![0.1, 0.25, 0.9, 0.75], extrapolation: 2.0 };
    let sizes = |sizes: [usize; 2]| ResizeTarget::Sizes(sizes.to_vec());
    let scales = |scales: [f32; 2]| ResizeTarget::Scales(scales.to_vec());
    let ops = [
        ("resize_cubic", cubic(false, false), HalfPixel, scales([2.0, 0.5])),
        ("resize_cubic_inside", cubic(false, true), HalfPixel, sizes([9, 7])),
        ("resize_cubic_smooth", cubic(true, false), HalfPixel, sizes([3, 2])),
        ("resize_linear_smooth", Linear { antialias: true }, HalfPixel, scales([0.5, 0.5])),
        ("resize_symmetric", Linear { antialias: false }, HalfPixelSymmetric, scales([0.6, 1.5])),
        ("resize_crop", Linear { antialias: false }, crop(), sizes([4, 7])),
    ];
    let case = |(name, mode, coordinates, target)| {
        unary(name, Op::Resize(Resize { mode, coordinates, target }), &[3, 5, 4])
    };
    ops.into_iter().map(case).collect()
}

fn binaries() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, op) in [("min", Binary::Min), ("max", Binary::Max), ("prelu", Binary::PRelu)] {
        let mut maker = Maker::new();
        let (x, other) = (maker.batch("x", &[3, 5, 4]), maker.weight("other", &[3, 1, 1]));
        let y = maker.node("y", Op::Binary(op), &[x, other]);
        cases.push(maker.finish(name, &[y]));
    }
    let mut maker = Maker::new();
    let (x, power) = (maker.batch("x", &[3, 5]), maker.weight("power", &[5]));
    let positive = maker.node("positive", Op::Unary(Unary::Exp), &[x]);
    let y = maker.node("y", Op::Binary(Binary::Pow), &[positive, power]);
    cases.push(maker.finish("pow", &[y]));
    cases
}

/// Each comparison as a condition, with logic.
fn comparisons() -> Vec<Case> {
    let comparisons = [
        ("equal", Binary::Equal, Binary::Or),
        ("greater", Binary::Greater, Binary::And),
        ("less", Binary::Less, Binary::Xor),
        ("greater_or_equal", Binary::GreaterOrEqual, Binary::And),
        ("less_or_equal", Binary::LessOrEqual, Binary::Or),
    ];
    let case = |(name, comparison, logic)| {
        let mut maker = Maker::new();
        let (x, other) = (maker.batch("x", &[3, 5]), maker.weight("other", &[3, 1]));
        let zero = maker.node("zero", Op::Constant(Tensor::scalar(0.0)), &[]);
        let condition = maker.node("condition", Op::Binary(comparison), &[x, other]);
        let positive = maker.node("positive", Op::Binary(Binary::Greater), &[x, zero]);
        let negative = maker.node("negative", Op::Unary(Unary::Not), &[positive]);
        let both = maker.node("both", Op::Binary(logic), &[condition, negative]);
        let y = maker.node("y", Op::Where, &[both, x, other]);
        maker.finish(name, &[y])
    };
    comparisons.into_iter().map(case).collect()
}

fn gathers() -> Vec<Case> {
    let mut maker = Maker::new();
    let (x, places) = (maker.batch("x", &[4, 5]), maker.labels("places", &[2, 3]));
    let y = maker.node("y", Op::Gather { axis: -1 }, &[x, places]);
    let gather = maker.finish("gather", &[y]);
    let mut maker = Maker::new();
    let (x, places) = (maker.input("x", &[2, 4, 5]), maker.labels("places", &[2, 6, 5]));
    let y = maker.node("y", Op::GatherElements { axis: 1 }, &[x, places]);
    vec![gather, maker.finish("gather_elements", &[y])]
}

/// The largest with their places, which are computed with.
fn top() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, k, largest) in [("top_k", 3, true), ("top_k_smallest", 2, false)] {
        let mut maker = Maker::new();
        let x = maker.batch("x", &[4, 5]);
        let top = maker.graph.add_node("top", Op::TopK(TopK { k, axis: 1, largest }), &[x]).unwrap();
        let places = maker.node("places", Op::Cast(DataType::F32), &[top[1]]);
        let y = maker.node("y", Op::Binary(Binary::Add), &[top[0], places]);
        cases.push(maker.finish(name, &[y]));
    }
    for (name, largest, select_last) in [("arg_max", true, false), ("arg_min", false, true)] {
        let mut maker = Maker::new();
        let x = maker.batch("x", &[4, 5]);
        let arg = ArgExtreme { largest, axis: -1, keepdims: false, select_last };
        let place = maker.node("place", Op::ArgExtreme(arg), &[x]);
        let y = maker.node("y", Op::Cast(DataType::F32), &[place]);
        cases.push(maker.finish(name, &[y]));
    }
    cases
}

fn integers() -> Vec<Case> {
    let mut maker = Maker::new();
    let (x, places) = (maker.batch("x", &[4]), maker.labels("places", &[4]));
    let two = maker.node("two", Op::Constant(Tensor::i64(&[], vec![2]).unwrap()), &[]);
    let halves = maker.node("halves", Op::Binary(Binary::Div), &[places, two]);
    let truth = maker.node("truth", Op::Cast(DataType::Bool), &[halves]);
    let factor = maker.node("factor", Op::Cast(DataType::F32), &[truth]);
    let y = maker.node("y", Op::Binary(Binary::Mul), &[x, factor]);
    vec![maker.finish("integers", &[y])]
}
