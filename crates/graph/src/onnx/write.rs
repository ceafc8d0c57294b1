//! From a graph to a model.

use super::{
    OPSET, OnnxError, check_name,
    error::{Refusal, invalid},
    metadata, operators,
    operators::Written,
    proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto},
    shortened, tensor,
};
use crate::{
    DataType, Dim, Graph, Node, Op, Origin, Parameters, ValueId, infer,
    op::{AveragePool, MaxPool, Unary},
};
use std::collections::HashSet;

pub(super) fn model(graph: &Graph, parameters: &Parameters) -> Result<ModelProto, OnnxError> {
    check_names(graph)?;
    let (opset, ir_version) = versions(graph);
    let mut initializer = values_of_parameters(graph, parameters)?;
    let mut names = Names { graph, taken: HashSet::new() };
    let mut node = Vec::with_capacity(graph.nodes().len());
    for found in graph.nodes() {
        let written = operators::write(&found.op).map_err(|refusal| refusal.at(place(found, opset)))?;
        node.push(write_node(graph, found, written, &mut names, &mut initializer));
    }
    let value_infos = |ids: &[ValueId]| ids.iter().map(|&id| value_info(graph, id)).collect();
    let graph_proto = GraphProto {
        node,
        name: "network".into(),
        initializer,
        input: value_infos(graph.inputs()),
        output: value_infos(graph.outputs()),
        value_info: value_infos(&inner_values(graph)),
        sparse_initializer: None,
    };
    Ok(ModelProto {
        ir_version: Some(ir_version),
        producer_name: "svertka".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(Box::new(graph_proto)),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: opset }],
        metadata_props: metadata::write(graph).map_err(|refusal| refusal.at("the model"))?,
    })
}

fn place(node: &Node, opset: i64) -> String {
    format!("node `{}` ({}, opset {opset})", node.name, node.op.name())
}

/// The opset and the IR version that belongs to it.
fn versions(graph: &Graph) -> (i64, i64) {
    let needed = |node: &Node| match &node.op {
        Op::Unary(Unary::Gelu { .. }) => 20,
        // Truth values have a largest one since then.
        Op::Reduce(_) if graph.value(node.inputs[0]).ty.dtype == DataType::Bool => 20,
        _ if leaves_out_a_window(graph, node) => 22,
        _ => OPSET,
    };
    let opset = graph.nodes().iter().map(needed).max().unwrap_or(OPSET).max(OPSET);
    (opset, if opset > 20 { 10 } else { 9 })
}

/// Whether the node pools with `ceil_mode` and a last window, which would start in the padding, is left out. Runtimes have
/// always done so, but ONNX's own shape inference counts that window up to opset 21.
fn leaves_out_a_window(graph: &Graph, node: &Node) -> bool {
    let window = match &node.op {
        Op::MaxPool(MaxPool { window, ceil_mode: true }) => window,
        Op::AveragePool(AveragePool { window, ceil_mode: true, .. }) => window,
        _ => return false,
    };
    let (input, output) = (graph.shape(node.inputs[0]), graph.shape(node.outputs[0]));
    (0..window.axes()).any(|axis| {
        let (Some(size), Some(windows)) = (input[axis + 2].fixed(), output[axis + 2].fixed()) else {
            return false;
        };
        let span = window.dilations[axis] * (window.kernel_shape[axis] - 1) + 1;
        let padded = size + window.pads[axis] + window.pads[axis + window.axes()];
        (padded - span).div_ceil(window.strides[axis]) >= windows
    })
}

fn check_names(graph: &Graph) -> Result<(), OnnxError> {
    for value in graph.values() {
        let symbols = value.ty.shape.iter().filter_map(|dim| match dim {
            Dim::Symbol(name) if value.origin == Origin::Input => Some(name.as_ref()),
            _ => None,
        });
        let mut names = std::iter::once(value.name.as_str()).chain(symbols);
        names.try_for_each(check_name).map_err(|refusal| refusal.at(format!("value `{}`", value.name)))?;
    }
    unique(graph.nodes().iter().map(|node| node.name.as_str()), "node")?;
    unique(graph.outputs().iter().map(|&id| graph.value(id).name.as_str()), "output")
}

/// Checks that names are sound and differ.
pub(super) fn unique<'a>(names: impl Iterator<Item = &'a str>, what: &str) -> Result<(), OnnxError> {
    let mut seen = HashSet::new();
    for name in names {
        let checked = match seen.insert(name) {
            true => check_name(name),
            false => invalid(format!("another {what} has this name")),
        };
        checked.map_err(|refusal| refusal.at(format!("{what} `{name}`")))?;
    }
    Ok(())
}

fn values_of_parameters(graph: &Graph, parameters: &Parameters) -> Result<Vec<TensorProto>, OnnxError> {
    let values = graph.parameters().map(|(_, value, _)| {
        let tensor = match parameters.get(&value.name) {
            None => invalid("it has no values"),
            Some(tensor) if infer::tensor_type(tensor) == value.ty => Ok(tensor::write(&value.name, tensor)),
            Some(tensor) => {
                let found = infer::tensor_type(tensor);
                invalid(format!("its values are {found}, the graph says {}", value.ty))
            }
        };
        tensor.map_err(|refusal: Refusal| refusal.at(format!("parameter `{}`", value.name)))
    });
    values.collect()
}

fn value_info(graph: &Graph, id: ValueId) -> ValueInfoProto {
    let value = graph.value(id);
    tensor::write_value(&value.name, &value.ty)
}

/// What nodes put out and the graph does not: listed with shapes, so that other tools need not infer them.
fn inner_values(graph: &Graph) -> Vec<ValueId> {
    let outputs: HashSet<ValueId> = graph.outputs().iter().copied().collect();
    graph.nodes().iter().flat_map(|node| &node.outputs).copied().filter(|id| !outputs.contains(id)).collect()
}

/// Names for initialisers that are no parameters.
struct Names<'a> {
    graph: &'a Graph,
    taken: HashSet<String>,
}

impl Names<'_> {
    fn unique(&mut self, node: &str, input: &str) -> String {
        let mut name = shortened(&format!("{node}.{input}"));
        while self.graph.find(&name).is_some() || !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

fn write_node(
    graph: &Graph,
    node: &Node,
    written: Written,
    names: &mut Names,
    initializer: &mut Vec<TensorProto>,
) -> NodeProto {
    let names_of = |ids: &[ValueId]| ids.iter().map(|&id| graph.value(id).name.clone()).collect::<Vec<_>>();
    let mut input = names_of(&node.inputs);
    for constant in written.constants {
        input.push(constant.map_or_else(String::new, |(what, value)| {
            let name = names.unique(&node.name, what);
            initializer.push(tensor::write(&name, &value));
            name
        }));
    }
    NodeProto {
        input,
        output: names_of(&node.outputs),
        name: node.name.clone(),
        op_type: node.op.name().into(),
        attribute: written.attributes,
        domain: String::new(),
    }
}
