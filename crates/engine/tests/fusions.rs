//! What the compiling engine fuses, as its plans print it.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use svertka_engine::cpu::{Purpose, lower};
use svertka_graph::{
    Builder, Graph, GraphError,
    builder::{Padding, kernel},
    op::SoftmaxCrossEntropyLoss,
    with_loss,
};

fn inference(graph: &Graph) -> String {
    lower(graph, &Purpose::Inference).unwrap().to_string()
}

fn training(graph: &Graph) -> String {
    let graph = with_loss(graph, "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap();
    lower(&graph, &Purpose::training()).unwrap().to_string()
}

fn assert_contains(plan: &str, words: &[&str]) {
    for word in words {
        assert!(plan.contains(word), "no `{word}` in\n{plan}");
    }
}

fn assert_lacks(plan: &str, words: &[&str]) {
    for word in words {
        assert!(!plan.contains(word), "`{word}` should have been fused away in\n{plan}");
    }
}

/// Normalise, pad by reflection, convolve, activate.
fn padded() -> Result<Graph, GraphError> {
    let network = Builder::new();
    let image = network.image(3, [8, 8]).normalise(&[0.5], &[0.25]);
    let x = image.name("conv").conv(4, kernel(3).padding(1).padding_mode(Padding::Reflect)).relu();
    x.global_average_pool().flatten().name("fc").linear(2).classify();
    network.finish()
}

/// A residual block behind a stem.
fn residual() -> Result<Graph, GraphError> {
    let network = Builder::new();
    let plain = || kernel(3).padding(1).without_bias();
    let x = network.image(3, [8, 8]).name("stem").conv(4, plain()).batch_norm().relu();
    let y = x.name("conv1").conv(4, plain()).name("bn1").batch_norm().relu();
    let y = y.name("conv2").conv(4, plain()).name("bn2").batch_norm();
    y.add(&x).relu().global_average_pool().flatten().name("fc").linear(2).classify();
    network.finish()
}

#[test]
fn normalise_and_pad_are_done_while_a_convolution_reads() {
    let graph = padded().unwrap();
    assert_contains(&inference(&graph), &["normalise + pad + Conv + bias + Relu"]);
    assert_lacks(&inference(&graph), &[": Pad", ": Sub", ": Div"]);
    let plan = training(&graph);
    assert_contains(&plan, &["normalise + pad + Conv + bias + Relu", "normalise + pad + ConvWeightGradient"]);
    assert_lacks(&plan, &[": Pad", ": Sub", ": Div"]);
}

#[test]
fn inference_folds_batch_norm_adds_and_activates_in_the_convolution() {
    let plan = inference(&residual().unwrap());
    assert_contains(&plan, &["Conv + batch norm + Relu", "Conv + batch norm + add + Relu"]);
    assert_lacks(&plan, &[": batch norm", ": Add", ": Relu"]);
}

#[test]
fn training_fuses_batch_norm_add_and_activation_in_both_directions() {
    let plan = training(&residual().unwrap());
    let forward = ["batch norm (training) + Relu", "batch norm (training) + add + Relu"];
    assert_contains(&plan, &forward);
    assert_contains(&plan, &["batch norm gradient + Relu", "batch norm gradient + add + Relu"]);
    assert_lacks(&plan, &[": Relu", "ActivationGradient"]);
}

/// Reading x twice is all that the gradient of batch norm + activation does: the activation is computed again.
#[test]
fn the_gradient_of_an_activation_behind_batch_norm_does_not_read_its_output() {
    let plan = training(&residual().unwrap());
    let line =
        |end: &str| plan.lines().find(|line| line.contains("batch norm gradient") && line.contains(end));
    assert!(line(", bn1.bias").is_some(), "{plan}");
    assert!(line(", bn2.bias").is_none(), "behind an addition the output is read\n{plan}");
}

#[test]
fn softmax_cross_entropy_and_its_gradient_are_one_step() {
    let plan = training(&residual().unwrap());
    assert_contains(&plan, &["softmax + cross-entropy (loss and gradient)"]);
    assert_lacks(&plan, &["SoftmaxCrossEntropyGradient"]);
}

#[test]
fn gradients_of_weights_accumulate_where_they_are_computed() {
    let plan = training(&residual().unwrap());
    assert_lacks(&plan, &["accumulate"]);
}
