//! Constants that ONNX hands an operator as inputs and that are attributes here.

use crate::{
    Tensor,
    onnx::{
        OnnxError,
        error::{Refusal, unsupported},
        operators,
        proto::{GraphProto, NodeProto, TensorProto},
        tensor,
    },
};
use std::collections::{HashMap, HashSet};

/// Room for two entries per axis. Many nodes may share one constant, and each keeps a copy.
const MAX_ELEMENTS: usize = 4 * tensor::MAX_RANK;

/// Reads initialisers and `Constant` nodes that attributes come from, and removes those that nothing else reads.
pub(super) fn fold(
    graph: &mut GraphProto,
    opset: i64,
    used: &HashSet<String>,
) -> Result<HashMap<String, Tensor>, OnnxError> {
    let wanted = wanted(&graph.node, opset);
    let mut constants = HashMap::new();
    for proto in graph.initializer.iter().filter(|proto| wanted.contains(&proto.name)) {
        let place = |refusal: Refusal| refusal.at(format!("initialiser `{}`", proto.name));
        constants.insert(proto.name.clone(), read(proto).map_err(place)?);
    }
    for node in &graph.node {
        let Some(name) = node.output.first().filter(|name| is_constant(node) && wanted.contains(*name))
        else {
            continue;
        };
        let place = |refusal: Refusal| refusal.at(super::place(node, opset));
        constants.insert(name.clone(), value(node, opset).map_err(place)?);
    }
    let folded = |name: &String| constants.contains_key(name) && !used.contains(name);
    graph.initializer.retain(|proto| !folded(&proto.name));
    graph.node.retain(|node| !(is_constant(node) && node.output.first().is_some_and(folded)));
    Ok(constants)
}

fn wanted(nodes: &[NodeProto], opset: i64) -> HashSet<String> {
    let inputs = nodes.iter().flat_map(|node| {
        let range = operators::attribute_inputs(&node.op_type, opset);
        node.input.iter().take(range.end).skip(range.start)
    });
    inputs.filter(|name| !name.is_empty()).cloned().collect()
}

fn is_constant(node: &NodeProto) -> bool {
    node.op_type == "Constant" && super::is_onnx(&node.domain)
}

fn read(proto: &TensorProto) -> Result<Tensor, Refusal> {
    let elements = proto.dims.iter().fold(1, |product: i64, &dim| product.saturating_mul(dim));
    check_elements(usize::try_from(elements).unwrap_or_default())?;
    tensor::read_attribute(proto)
}

fn check_elements(elements: usize) -> Result<(), Refusal> {
    if elements <= MAX_ELEMENTS {
        return Ok(());
    }
    unsupported(format!(
        "{elements} elements, used as an operator's attribute; at most {MAX_ELEMENTS} make sense"
    ))
}

/// The value of a `Constant` node.
fn value(node: &NodeProto, opset: i64) -> Result<Tensor, Refusal> {
    let value = node.attribute.iter().find(|attribute| attribute.name == "value");
    if let Some(proto) = value.and_then(|attribute| attribute.t.as_deref()) {
        return read(proto);
    }
    let elements = node.attribute.iter().map(|attribute| attribute.ints.len() + attribute.floats.len()).sum();
    check_elements(elements)?;
    let (attributes, none) = (node.attribute.clone(), HashMap::new());
    let mut source = operators::Source { opset, attributes, inputs: &[], constants: &none, shape: None };
    let value = operators::read_constant(&mut source)?;
    source.finish()?;
    Ok(value)
}
