//! What [`builder_code`](super::shrink::builder_code) prints of one network, compiled: a shrunk failure can be pasted into
//! a test.

#![allow(unused_imports, unused_variables, reason = "what any printed network needs is in scope")]

use svertka_graph::{
    DataType, Graph, Initialiser, Op, Parameter, Role, Shape, Tensor, TensorType, ValueId,
    op::{
        Activation::*, Binary::*, CoordinateMode::*, NearestMode::*, PadMode::*, ResizeMode::*,
        ResizeTarget::*, Target::*, *,
    },
};

pub const SEED: u64 = 447;

fn parameter(graph: &mut Graph, name: &str, role: Role, shape: &[usize]) -> ValueId {
    let parameter = Parameter { role, initialiser: Initialiser::Constant(0.0), frozen: false };
    graph.add_parameter(name, TensorType::f32(Shape::fixed(shape)), parameter).unwrap()
}

#[rustfmt::skip]
pub fn network() -> Graph {
let mut graph = Graph::new();
let image = graph.add_input("image", DataType::F32, Shape::new(["N".into(), 3.into(), 2.into(), 4.into()])).unwrap();
let n0 = graph.add_node("n0", Op::Pad(Pad { mode: Constant(0.5), pads: vec![0, 0, 2, -1, 0, 0, 1, 0] }), &[image]).unwrap()[0];
let n1 = graph.add_node("n1", Op::Dropout(Dropout { ratio: 0.25 }), &[n0]).unwrap()[0];
let n2 = graph.add_node("n2", Op::Concat(Concat { axis: -1 }), &[n1, n0]).unwrap()[0];
let n3_weight = parameter(&mut graph, "n3.weight", Role::Weight, &[2, 3, 1, 1]);
let n3_bias = parameter(&mut graph, "n3.bias", Role::Weight, &[2]);
let n3 = graph.add_node("n3", Op::Conv(Conv { window: Window { kernel_shape: vec![1, 1], strides: vec![3, 1], dilations: vec![2, 2], pads: vec![0, 0, 0, 0] }, group: 1 }), &[n2, n3_weight, n3_bias]).unwrap()[0];
let n4_weight = parameter(&mut graph, "n4.weight", Role::Weight, &[2, 2, 3, 3]);
let n4_bias = parameter(&mut graph, "n4.bias", Role::Weight, &[2]);
let n4 = graph.add_node("n4", Op::Conv(Conv { window: Window { kernel_shape: vec![3, 3], strides: vec![1, 1], dilations: vec![1, 1], pads: vec![1, 2, 0, 1] }, group: 1 }), &[n3, n4_weight, n4_bias]).unwrap()[0];
let n5 = graph.add_node("n5", Op::Activation(Sigmoid), &[n4]).unwrap()[0];
let n6 = graph.add_node("n6", Op::Pad(Pad { mode: Edge, pads: vec![0, 0, 1, 0, 0, 0, -1, 2] }), &[n5]).unwrap()[0];
let n7 = graph.add_node("n7", Op::Resize(Resize { mode: Nearest(RoundPreferFloor), coordinates: AlignCorners, target: Sizes(vec![3, 4]) }), &[n6]).unwrap()[0];
let n8_weight = parameter(&mut graph, "n8.weight", Role::Weight, &[2, 3, 2, 1]);
let n8_bias = parameter(&mut graph, "n8.bias", Role::Weight, &[3]);
let n8 = graph.add_node("n8", Op::ConvTranspose(ConvTranspose { window: Window { kernel_shape: vec![2, 1], strides: vec![1, 3], dilations: vec![1, 1], pads: vec![1, 0, 0, 0] }, group: 1, output_padding: vec![0, 0] }), &[n7, n8_weight, n8_bias]).unwrap()[0];
let n9_scale = parameter(&mut graph, "n9.scale", Role::Weight, &[3]);
let n9_bias = parameter(&mut graph, "n9.bias", Role::Weight, &[3]);
let n9_mean = parameter(&mut graph, "n9.mean", Role::Statistic, &[3]);
let n9_var = parameter(&mut graph, "n9.var", Role::Statistic, &[3]);
let n9 = graph.add_node("n9", Op::BatchNormalization(BatchNormalization { epsilon: 0.001, momentum: 0.9, frozen: false }), &[n8, n9_scale, n9_bias, n9_mean, n9_var]).unwrap()[0];
let n10 = graph.add_node("n10", Op::MaxPool(MaxPool { window: Window { kernel_shape: vec![2, 1], strides: vec![1, 1], dilations: vec![1, 1], pads: vec![0, 0, 1, 0] }, ceil_mode: true }), &[n9]).unwrap()[0];
let n11 = graph.add_node("n11", Op::Activation(Tanh), &[n10]).unwrap()[0];
let n12_weight = parameter(&mut graph, "n12.weight", Role::Weight, &[10, 4]);
let n12 = graph.add_node("n12", Op::MatMul, &[n11, n12_weight]).unwrap()[0];
let n13 = graph.add_node("n13", Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![1], keepdims: false }), &[n12]).unwrap()[0];
let n14 = graph.add_node("n14", Op::Activation(Clip { min: -0.5, max: 0.7 }), &[n3]).unwrap()[0];
let n15 = graph.add_node("n15", Op::Identity, &[n14]).unwrap()[0];
let n16_scale = parameter(&mut graph, "n16.scale", Role::Weight, &[2]);
let n16_bias = parameter(&mut graph, "n16.bias", Role::Weight, &[2]);
let n16_mean = parameter(&mut graph, "n16.mean", Role::Statistic, &[2]);
let n16_var = parameter(&mut graph, "n16.var", Role::Statistic, &[2]);
let n16 = graph.add_node("n16", Op::BatchNormalization(BatchNormalization { epsilon: 0.001, momentum: 0.9, frozen: false }), &[n15, n16_scale, n16_bias, n16_mean, n16_var]).unwrap()[0];
let target = graph.add_input("target", DataType::I64, Shape::new(["N".into(), 2.into(), 6.into()])).unwrap();
let n17_weights = graph.add_node("n17.weights", Op::Constant(Tensor::f32(&[2], vec![0.5, 1.5]).unwrap()), &[]).unwrap()[0];
let n17 = graph.add_node("n17", Op::SoftmaxCrossEntropyLoss(SoftmaxCrossEntropyLoss { reduction: Reduction::Mean, ignore_index: None, label_smoothing: 0.0, target: Classes }), &[n16, target, n17_weights]).unwrap()[0];
graph.set_outputs(&[n17]);
graph
}
