//! What parameters are for, from where they are used.

use crate::{
    Initialiser, Parameter, Role,
    onnx::proto::{GraphProto, NodeProto},
};
use std::collections::{HashMap, HashSet};

/// The structure of every initialiser that is more than a constant. Where one is used twice, a weight stays a weight.
pub(super) fn derive(graph: &GraphProto) -> HashMap<String, Parameter> {
    let layers = ["Conv", "ConvTranspose", "MatMul"];
    let is_layer = |node: &&NodeProto| layers.contains(&node.op_type.as_str());
    let layers: HashSet<&String> = graph.node.iter().filter(is_layer).flat_map(|node| &node.output).collect();
    let mut found: HashMap<String, Parameter> = HashMap::new();
    for node in &graph.node {
        for (index, name) in node.input.iter().enumerate() {
            let bias = || is_bias(node, index, &layers).then_some((Role::Weight, Initialiser::Constant(0.0)));
            let Some((role, initialiser)) = role(node, index).or_else(bias) else { continue };
            let entry = found.entry(name.clone()).or_insert(Parameter { role, initialiser, frozen: false });
            if entry.role == Role::Statistic && role == Role::Weight {
                *entry = Parameter { role, initialiser, frozen: false };
            }
        }
    }
    found
}

/// Whether an input is added to what a layer puts out: a bias that stands beside its layer.
fn is_bias(node: &NodeProto, index: usize, layers: &HashSet<&String>) -> bool {
    let other = node.input.get(1 - index.min(1));
    node.op_type == "Add" && other.is_some_and(|other| layers.contains(other))
}

pub(super) fn constant() -> Parameter {
    Parameter { role: Role::Constant, initialiser: Initialiser::Constant(0.0), frozen: false }
}

/// The role of input `index`, and PyTorch's initialiser for a weight there.
fn role(node: &NodeProto, index: usize) -> Option<(Role, Initialiser)> {
    let kernel = Initialiser::KaimingUniform { slope: 5f32.sqrt() };
    let (zero, one) = (Initialiser::Constant(0.0), Initialiser::Constant(1.0));
    Some(match (node.op_type.as_str(), index) {
        ("Conv" | "ConvTranspose", 1) | ("Gemm" | "MatMul", 0 | 1) => (Role::Weight, kernel),
        ("Conv" | "ConvTranspose" | "Gemm" | "BatchNormalization", 2) => (Role::Weight, zero),
        ("BatchNormalization" | "InstanceNormalization" | "LayerNormalization" | "GroupNormalization", 1) => {
            (Role::Weight, one)
        }
        ("InstanceNormalization" | "LayerNormalization" | "GroupNormalization", 2) => (Role::Weight, zero),
        // PyTorch's first slope.
        ("PRelu", 1) => (Role::Weight, Initialiser::Constant(0.25)),
        ("BatchNormalization", 3) => (Role::Statistic, zero),
        ("BatchNormalization", 4) => (Role::Statistic, one),
        _ => return None,
    })
}
