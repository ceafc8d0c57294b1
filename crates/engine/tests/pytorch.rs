//! Training beside PyTorch, from the same weights on the same batches. The fixture is made by `reference/training.py`.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use serde_json::Value;
use std::sync::Arc;
use svertka_engine::{
    Machine, Optimiser, Sgd, State,
    cpu::{Input, Purpose, RunKey, Workspace, lower},
};
use svertka_graph::{
    Builder, Graph, GraphError, Initialiser, Parameters, Role, Sizes, Tensor,
    builder::kernel,
    op::{BatchNormalization, SoftmaxCrossEntropyLoss},
    with_loss,
};

/// f32 sums in another order: what 50 steps make of it stays below this (the bound).
const LOSS_TOLERANCE: f64 = 1e-4;
const STATISTIC_TOLERANCE: f64 = 1e-5;

/// The generator of the script: linear congruential, exact in f32.
fn values(count: usize, seed: u32, scale: f32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        scale * ((state >> 8) as f32 / (1 << 24) as f32 - 0.5)
    };
    (0..count).map(|_| next()).collect()
}

/// Weights within 1/√fan_in, numbered in the order of the network's weights; those of norms as they are initialised.
fn parameters(graph: &Graph) -> Parameters {
    let mut parameters = Parameters::new();
    let mut index = 0;
    for (_, value, parameter) in graph.parameters() {
        let shape = value.ty.shape.sizes().unwrap();
        let len: usize = shape.iter().product();
        index += u32::from(parameter.role == Role::Weight);
        let data = match parameter.initialiser {
            Initialiser::Constant(constant) => vec![constant; len],
            _ => {
                let fan_in = if shape.len() > 1 { len / shape[0] } else { 16 };
                values(len, index, 2.0 / (fan_in as f32).sqrt())
            }
        };
        parameters.insert(&value.name, Tensor::f32(&shape, data).unwrap());
    }
    parameters
}

fn batch(step: usize, rows: usize, pixels: usize) -> (Vec<f32>, Vec<i64>) {
    let images = values(rows * pixels, 1000 + step as u32, 255.0).into_iter().map(|x| x + 127.5).collect();
    (images, (0..rows).map(|row| ((row * 7 + step) % 10) as i64).collect())
}

fn lenet() -> Result<Graph, GraphError> {
    let network = Builder::new();
    let image = network.image(1, [28, 28]).normalise(&[0.1307], &[0.3081]);
    let maps = image.name("conv1").conv(6, kernel(5).padding(2)).relu().max_pool(2);
    let maps = maps.name("conv2").conv(16, 5).relu().max_pool(2).flatten();
    let hidden = maps.name("fc1").linear(120).relu().name("fc2").linear(84).relu();
    hidden.name("fc3").linear(10).classify();
    network.finish()
}

fn residual(frozen: bool) -> Result<Graph, GraphError> {
    let norm = BatchNormalization { frozen, ..BatchNormalization::default() };
    let network = Builder::new();
    let image = network.image(3, [16, 16]).normalise(&[0.5], &[0.25]);
    let plain = |stride| kernel(3).padding(1).stride(stride).without_bias();
    let x = image.name("conv1").conv(8, plain(1)).name("bn1").batch_norm_with(norm).relu();
    let y = x.name("conv2").conv(16, plain(2)).name("bn2").batch_norm_with(norm).relu();
    let y = y.name("conv3").conv(16, plain(1)).name("bn3").batch_norm_with(norm);
    let skip =
        x.sequence("downsample", |x| x.conv(16, kernel(1).stride(2).without_bias()).batch_norm_with(norm));
    y.add(&skip).relu().global_average_pool().flatten().name("fc").linear(10).classify();
    network.finish()
}

struct Run {
    graph: Graph,
    rule: Sgd,
    steps: usize,
    rows: usize,
    pixels: usize,
}

impl Run {
    fn train(&self, threads: usize) -> (Vec<f64>, State) {
        let loss = SoftmaxCrossEntropyLoss::default();
        let graph = with_loss(&self.graph, "logits", loss, None).unwrap();
        let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
        let mut state = State::new(&graph, &parameters(&graph)).unwrap();
        let mut workspace = Workspace::new(Machine::new(threads));
        let program = plan.bind(&Sizes::batch(self.rows), &state, &mut workspace).unwrap();
        let mut gradients = program.gradients();
        let mut losses = Vec::new();
        for step in 0..self.steps {
            let (images, labels) = batch(step % 4, self.rows, self.pixels);
            let inputs = [Input::F32(&images), Input::I64(&labels)];
            program.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
            losses.push(f64::from(program.output(&workspace, "loss").unwrap()[0]));
            program.backward(&mut workspace, &state, &inputs, &mut gradients).unwrap();
            Optimiser::Sgd(self.rule).update(workspace.machine(), &mut state, &mut gradients, 1.0);
        }
        (losses, state)
    }
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/training.json")).unwrap()
}

fn assert_losses(found: &[f64], expected: &Value) {
    let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < LOSS_TOLERANCE, "off by {worst:.1e}\n{found:?}\n{expected:?}");
}

#[test]
fn lenet_follows_pytorch_for_fifty_steps() {
    let rule = Sgd { momentum: 0.9, ..Sgd::new(0.05) };
    let run = Run { graph: lenet().unwrap(), rule, steps: 50, rows: 32, pixels: 784 };
    assert_losses(&run.train(2).0, &fixture()["lenet"]["losses"]);
}

#[test]
fn a_residual_network_follows_pytorch_with_its_statistics() {
    let rule = Sgd { momentum: 0.9, weight_decay: 1e-4, ..Sgd::new(0.02) };
    let run = Run { graph: residual(false).unwrap(), rule, steps: 20, rows: 8, pixels: 768 };
    let (losses, state) = run.train(2);
    let expected = &fixture()["residual"];
    assert_losses(&losses, &expected["losses"]);
    for (name, values) in expected["statistics"].as_object().unwrap() {
        let found = state.values(name).unwrap();
        for (a, b) in found.iter().zip(values.as_array().unwrap()) {
            let off = (f64::from(*a) - b.as_f64().unwrap()).abs();
            assert!(off < STATISTIC_TOLERANCE, "{name} is off by {off:.1e}: {found:?}");
        }
    }
}

#[test]
fn frozen_normalisation_follows_pytorch_and_leaves_its_statistics_bit_equal() {
    let run = Run { graph: residual(true).unwrap(), rule: Sgd::new(0.001), steps: 20, rows: 8, pixels: 768 };
    let (losses, state) = run.train(2);
    assert_losses(&losses, &fixture()["frozen"]["losses"]);
    for (name, before) in parameters(&run.graph).iter().filter(|(name, _)| name.contains("running")) {
        assert_eq!(state.values(name), before.as_f32(), "{name}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let rule = Sgd { momentum: 0.9, ..Sgd::new(0.02) };
    let run = Run { graph: residual(false).unwrap(), rule, steps: 3, rows: 8, pixels: 768 };
    let bits = |threads| -> Vec<(String, Vec<u32>)> {
        let state = run.train(threads).1;
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
        state
            .parameters()
            .iter()
            .map(|(name, tensor)| (name.to_owned(), bits(tensor.as_f32().unwrap())))
            .collect()
    };
    let one = bits(1);
    assert_eq!(one, bits(2));
    assert_eq!(one, bits(4));
}
