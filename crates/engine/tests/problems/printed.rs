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
let n0 = graph.add_node("n0", Op::Pad(Pad { mode: Wrap, pads: vec![0, 0, -1, 1, 0, 0, 0, 2] }), &[image]).unwrap()[0];
let n1 = graph.add_node("n1", Op::Concat(Concat { axis: -1 }), &[image, image]).unwrap()[0];
let n2_scale = parameter(&mut graph, "n2.scale", Role::Weight, &[3]);
let n2_bias = parameter(&mut graph, "n2.bias", Role::Weight, &[3]);
let n2_mean = parameter(&mut graph, "n2.mean", Role::Statistic, &[3]);
let n2_var = parameter(&mut graph, "n2.var", Role::Statistic, &[3]);
let n2 = graph.add_node("n2", Op::BatchNormalization(BatchNormalization { epsilon: 0.001, momentum: 0.9, frozen: false }), &[n1, n2_scale, n2_bias, n2_mean, n2_var]).unwrap()[0];
let n3 = graph.add_node("n3", Op::LogSoftmax { axis: 2 }, &[n2]).unwrap()[0];
let n4_factor = parameter(&mut graph, "n4.factor", Role::Weight, &[8]);
let n4 = graph.add_node("n4", Op::Binary(Max), &[n3, n4_factor]).unwrap()[0];
let n5 = graph.add_node("n5", Op::Dropout(Dropout { ratio: 0.0 }), &[n4]).unwrap()[0];
let n6 = graph.add_node("n6", Op::Flatten(Flatten { axis: 1 }), &[n5]).unwrap()[0];
let n7 = graph.add_node("n7", Op::Binary(Add), &[n6, n6]).unwrap()[0];
let n8 = graph.add_node("n8", Op::Binary(Add), &[n7, n7]).unwrap()[0];
let n9 = graph.add_node("n9", Op::Unsqueeze(Unsqueeze { axes: vec![2] }), &[n8]).unwrap()[0];
let n10_scale = parameter(&mut graph, "n10.scale", Role::Weight, &[48]);
let n10_bias = parameter(&mut graph, "n10.bias", Role::Weight, &[48]);
let n10_mean = parameter(&mut graph, "n10.mean", Role::Statistic, &[48]);
let n10_var = parameter(&mut graph, "n10.var", Role::Statistic, &[48]);
let n10 = graph.add_node("n10", Op::BatchNormalization(BatchNormalization { epsilon: 0.001, momentum: 0.9, frozen: true }), &[n7, n10_scale, n10_bias, n10_mean, n10_var]).unwrap()[0];
let n11 = graph.add_node("n11", Op::Unsqueeze(Unsqueeze { axes: vec![2] }), &[n10]).unwrap()[0];
let n12 = graph.add_node("n12", Op::Resize(Resize { mode: Nearest(Floor), coordinates: Asymmetric, target: Scales(vec![1.5]) }), &[n11]).unwrap()[0];
let n13_weight = parameter(&mut graph, "n13.weight", Role::Weight, &[2, 48, 1]);
let n13 = graph.add_node("n13", Op::Conv(Conv { window: Window { kernel_shape: vec![1], strides: vec![3], dilations: vec![2], pads: vec![0, 0] }, group: 1 }), &[n12, n13_weight]).unwrap()[0];
let n14 = graph.add_node("n14", Op::Flatten(Flatten { axis: 1 }), &[n1]).unwrap()[0];
let n15 = graph.add_node("n15", Op::Unsqueeze(Unsqueeze { axes: vec![2] }), &[n14]).unwrap()[0];
let target = graph.add_input("target", DataType::I64, Shape::new(["N".into(), 1.into()])).unwrap();
let n16_weights = graph.add_node("n16.weights", Op::Constant(Tensor::f32(&[48], vec![0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5, 18.5, 19.5, 20.5, 21.5, 22.5, 23.5, 24.5, 25.5, 26.5, 27.5, 28.5, 29.5, 30.5, 31.5, 32.5, 33.5, 34.5, 35.5, 36.5, 37.5, 38.5, 39.5, 40.5, 41.5, 42.5, 43.5, 44.5, 45.5, 46.5, 47.5]).unwrap()), &[]).unwrap()[0];
let n16 = graph.add_node("n16", Op::SoftmaxCrossEntropyLoss(SoftmaxCrossEntropyLoss { reduction: Reduction::Sum, ignore_index: None, label_smoothing: 0.1, target: Classes }), &[n15, target, n16_weights]).unwrap()[0];
graph.set_outputs(&[n16]);
graph
}
