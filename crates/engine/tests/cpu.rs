//! The compiling engine on a small network, end to end.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::sync::Arc;
use svertka_engine::{
    Machine, Optimiser, Sgd, State,
    cpu::{Input, Purpose, RunKey, Workspace, lower},
};
use svertka_graph::{
    DataType, Dim, Graph, Initialiser, Op, Parameter, Parameters, Role, Shape, Sizes, Tensor, TensorType,
    ValueId,
    op::{Activation, Conv, Flatten, Gemm, MaxPool, SoftmaxCrossEntropyLoss, Window},
};

fn weight(graph: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    let parameter = Parameter {
        role: Role::Weight,
        initialiser: Initialiser::KaimingUniform { slope: 5f32.sqrt() },
        frozen: false,
    };
    graph.add_parameter(name, TensorType::f32(Shape::fixed(shape)), parameter).unwrap()
}

fn lenet() -> Graph {
    let mut g = Graph::new();
    let x = g
        .add_input("image", DataType::F32, Shape::new(["N".into(), 1.into(), 28.into(), 28.into()]))
        .unwrap();
    let target = g.add_input("target", DataType::I64, Shape::new([Dim::symbol("N")])).unwrap();
    let layer = |g: &mut Graph, name: &str, x, shape: &[usize], pad| {
        let w = weight(g, &format!("{name}.weight"), shape);
        let b = weight(g, &format!("{name}.bias"), &shape[..1]);
        let conv = Op::Conv(Conv { window: Window::new(&[5, 5]).pad(pad), group: 1 });
        let x = g.add_node(name, conv, &[x, w, b]).unwrap()[0];
        let x = g.add_node(&format!("{name}.relu"), Op::Activation(Activation::Relu), &[x]).unwrap()[0];
        let pool = Op::MaxPool(MaxPool { window: Window::new(&[2, 2]).stride(2), ceil_mode: false });
        g.add_node(&format!("{name}.pool"), pool, &[x]).unwrap()[0]
    };
    let x = layer(&mut g, "conv1", x, &[6, 1, 5, 5], 2);
    let x = layer(&mut g, "conv2", x, &[16, 6, 5, 5], 0);
    let x = g.add_node("flatten", Op::Flatten(Flatten { axis: 1 }), &[x]).unwrap()[0];
    let dense = |g: &mut Graph, name: &str, x, shape: &[usize]| {
        let w = weight(g, &format!("{name}.weight"), shape);
        let b = weight(g, &format!("{name}.bias"), &shape[..1]);
        g.add_node(name, Op::Gemm(Gemm { trans_b: true, ..Gemm::default() }), &[x, w, b]).unwrap()[0]
    };
    let x = dense(&mut g, "fc1", x, &[120, 400]);
    let x = g.add_node("fc1.relu", Op::Activation(Activation::Relu), &[x]).unwrap()[0];
    let x = dense(&mut g, "fc2", x, &[84, 120]);
    let x = g.add_node("fc2.relu", Op::Activation(Activation::Relu), &[x]).unwrap()[0];
    let x = dense(&mut g, "logits", x, &[10, 84]);
    let loss = Op::SoftmaxCrossEntropyLoss(SoftmaxCrossEntropyLoss::default());
    let loss = g.add_node("loss", loss, &[x, target]).unwrap()[0];
    g.set_outputs(&[x, loss]);
    g
}

fn values(len: usize, seed: u32, scale: f32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| scale * next()).collect()
}

fn parameters(graph: &Graph) -> Parameters {
    let tensor = |(place, value): (usize, &svertka_graph::Value)| {
        let shape = value.ty.shape.sizes().unwrap();
        let len = shape.iter().product();
        (value.name.clone(), Tensor::f32(&shape, values(len, place as u32 + 1, 0.2)).unwrap())
    };
    graph.parameters().enumerate().map(|(place, (_, value, _))| tensor((place, value))).collect()
}

#[test]
fn a_network_learns_its_batch_by_heart() {
    let graph = lenet();
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let mut state = State::new(&graph, &parameters(&graph)).unwrap();
    let mut workspace = Workspace::new(Machine::new(2));
    let program = plan.bind(&Sizes::batch(32), &state, &mut workspace).unwrap();
    let images = values(32 * 784, 7, 2.0);
    let labels: Vec<i64> = (0..32).map(|i| i % 10).collect();
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    let mut gradients = program.gradients();
    let rule = Optimiser::Sgd(Sgd { momentum: 0.9, ..Sgd::new(0.02) });
    let mut losses = Vec::new();
    for step in 0..80 {
        program.forward(&mut workspace, &mut state, &inputs, RunKey { seed: 1, step }).unwrap();
        losses.push(program.output(&workspace, "loss").unwrap()[0]);
        program.backward(&mut workspace, &state, &inputs, &mut gradients).unwrap();
        rule.update(workspace.machine(), &mut state, &mut gradients, 1.0);
    }
    assert!((losses[0] - 10f32.ln()).abs() < 0.3, "{losses:?}");
    assert!(losses[79] < 0.5, "{losses:?}");
}
