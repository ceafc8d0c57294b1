//! Which nodes of a file compute what has to be known before anything runs: shapes, and constants that are attributes here.

use crate::{
    Tensor,
    onnx::{
        operators,
        proto::{AttributeProto, GraphProto, NodeProto, TensorProto, data_type},
    },
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A real constant of so many elements may be an attribute, such as scales or bounds.
const MAX_REALS: usize = 64;

/// An integer constant of so many elements may be an attribute, or what a tail computes with.
const MAX_INTEGERS: usize = 1 << 16;

/// Operators that are computed while a file is read, where all their inputs are known.
const COMPUTED: [&str; 32] = [
    "Constant",
    "Shape",
    "Size",
    "ConstantOfShape",
    "Range",
    "Concat",
    "Gather",
    "Slice",
    "Cast",
    "Where",
    "Identity",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "ReduceProd",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "Floor",
    "Ceil",
    "Sqrt",
    "Neg",
    "Abs",
    "Not",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Min",
    "Max",
    "Equal",
    "Greater",
];

/// Operators that read nothing but the shape of their input, or make a value of nothing but attributes.
pub(super) fn only_computed(op_type: &str) -> bool {
    matches!(op_type, "Shape" | "Size" | "ConstantOfShape" | "Range")
}

/// What can be said of a known value without computing it.
#[derive(Clone, Copy)]
struct Kind {
    integer: bool,
    /// It was made of shapes, or is the value of a `Constant`: no parameter that could be trained.
    computable: bool,
    of_shape: bool,
}

/// The part of a file that is computed while it is read.
pub(super) struct Tails {
    /// By node.
    pub(super) computed: Vec<bool>,
    /// What the nodes of the graph and its outputs read.
    pub(super) operands: HashSet<String>,
    /// What nodes read as attributes or compute with.
    pub(super) attributes: HashSet<String>,
    /// What anything reads.
    pub(super) read: HashSet<String>,
}

impl Tails {
    /// Of a file that was written here, which has no tails, nothing is computed but what attributes and shapes ask for: what
    /// it says is what it was made of.
    pub(super) fn of(graph: &GraphProto, opset: i64, own: bool) -> Self {
        let (known, mut kinds) = kinds(graph);
        if own {
            keep_needed(graph, opset, &mut kinds);
        }
        let [operands, attributes, read] = Default::default();
        let computed = kinds.iter().map(Option::is_some).collect();
        let mut tails = Self { computed, operands, attributes, read };
        for (node, kind) in graph.node.iter().zip(&kinds) {
            tails.read.extend(node.input.iter().cloned());
            tails.attributes.extend(attributes_of(node, opset).cloned());
            match kind {
                Some(_) => tails.attributes.extend(node.input.iter().cloned()),
                None => tails.operands.extend(super::operands(node, opset).iter().cloned()),
            }
        }
        let known = |name: &String| known.contains_key(name.as_str());
        tails.attributes.retain(known);
        let outputs = || graph.output.iter().map(|output| output.name.clone());
        tails.operands.extend(outputs());
        tails.read.extend(outputs());
        tails
    }
}

/// What is known of values by name, and of each node's output.
fn kinds(graph: &GraphProto) -> (HashMap<&str, Kind>, Vec<Option<Kind>>) {
    let mut known: HashMap<&str, Kind> = HashMap::new();
    for proto in &graph.initializer {
        if let Some(integer) = known_initialiser(proto) {
            known.insert(&proto.name, Kind { integer, computable: integer, of_shape: false });
        }
    }
    let mut kinds = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        let kind = kind(node, &known);
        known.extend(node.output.first().map(String::as_str).zip(kind));
        kinds.push(kind);
    }
    (known, kinds)
}

/// Leaves what attributes read, directly or through others, and what reads shapes.
fn keep_needed(graph: &GraphProto, opset: i64, kinds: &mut [Option<Kind>]) {
    let mut needed: HashSet<&str> =
        graph.node.iter().flat_map(|node| attributes_of(node, opset)).map(String::as_str).collect();
    for (node, kind) in graph.node.iter().zip(kinds).rev() {
        let asked = node.output.first().is_some_and(|output| needed.contains(output.as_str()));
        let kept = |kind: &Kind| asked || kind.of_shape || only_computed(&node.op_type);
        *kind = kind.filter(kept);
        if kind.is_some() {
            needed.extend(node.input.iter().map(String::as_str));
        }
    }
}

/// Whether an initialiser that may be an attribute holds integers.
fn known_initialiser(proto: &TensorProto) -> Option<bool> {
    let integer = is_integer(proto.data_type.unwrap_or_default());
    let elements = proto.dims.iter().fold(1, |product: i64, &dim| product.saturating_mul(dim));
    let most = if integer { MAX_INTEGERS } else { MAX_REALS };
    usize::try_from(elements).is_ok_and(|count| count <= most).then_some(integer)
}

fn is_integer(code: i32) -> bool {
    !matches!(code, data_type::FLOAT | data_type::FLOAT16 | data_type::DOUBLE | data_type::BFLOAT16)
}

/// What a node's output is, if it is computed while reading.
fn kind(node: &NodeProto, kinds: &HashMap<&str, Kind>) -> Option<Kind> {
    let op_type = node.op_type.as_str();
    let [output] = &node.output[..] else { return None };
    if !super::is_onnx(&node.domain) || output.is_empty() || !COMPUTED.contains(&op_type) {
        return None;
    }
    match op_type {
        "Shape" | "Size" => return Some(Kind { integer: true, computable: true, of_shape: true }),
        "Constant" => return constant(node),
        _ => {}
    }
    let inputs: Vec<Kind> = node
        .input
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| kinds.get(name.as_str()).copied())
        .collect::<Option<_>>()?;
    let (first, of_shape) = (*inputs.first()?, inputs.iter().any(|kind| kind.of_shape));
    let integer = match op_type {
        "Cast" => attribute(node, "to").and_then(|to| to.i).is_none_or(|code| is_integer(code as i32)),
        "ConstantOfShape" => {
            let value = attribute(node, "value").and_then(|value| value.t.as_ref());
            value.is_some_and(|value| is_integer(value.data_type.unwrap_or_default()))
        }
        "Equal" | "Greater" => true,
        "Where" => inputs.get(1)?.integer,
        _ => first.integer,
    };
    let truths =
        op_type == "Cast" && attribute(node, "to").and_then(|to| to.i) == Some(data_type::BOOL.into());
    let moved = matches!(op_type, "Concat" | "Cast" | "Squeeze" | "Unsqueeze" | "ConstantOfShape" | "Range");
    let computable = inputs.iter().all(|kind| kind.computable) || only_computed(op_type);
    (computable && !truths && (integer || of_shape || moved)).then_some(Kind {
        integer,
        computable: true,
        of_shape,
    })
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// The value of a `Constant` node, if it may be an attribute.
fn constant(node: &NodeProto) -> Option<Kind> {
    let integer = match attribute(node, "value").and_then(|value| value.t.as_deref()) {
        Some(proto) => known_initialiser(proto)?,
        None => !node.attribute.iter().any(|attribute| attribute.name.starts_with("value_float")),
    };
    Some(Kind { integer, computable: true, of_shape: false })
}

/// The inputs of a node that are attributes here.
fn attributes_of(node: &NodeProto, opset: i64) -> impl Iterator<Item = &String> {
    let range = operators::attribute_inputs(&node.op_type, opset);
    node.input.iter().take(range.end).skip(range.start)
}

/// The inputs of a node that are packed before anything runs.
fn packed_of(node: &NodeProto) -> Option<&String> {
    node.input.get(1).filter(|_| matches!(node.op_type.as_str(), "Conv" | "ConvTranspose"))
}

/// Turns the inputs that nodes need as constants into initialisers, where their values are given.
pub(super) fn give(graph: &mut GraphProto, opset: i64, given: &BTreeMap<String, Tensor>) {
    let needed: HashSet<&String> =
        graph.node.iter().flat_map(|node| attributes_of(node, opset).chain(packed_of(node))).collect();
    let constants: Vec<TensorProto> = given
        .iter()
        .filter(|(name, _)| needed.contains(name) && graph.input.iter().any(|input| input.name == **name))
        .map(|(name, tensor)| crate::onnx::tensor::write(name, tensor))
        .collect();
    graph.input.retain(|input| !constants.iter().any(|constant| constant.name == input.name));
    graph.initializer.extend(constants);
}
