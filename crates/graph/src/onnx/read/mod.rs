//! From a model to a graph.

mod constants;
mod roles;

use super::{
    NEWEST_OPSET, OLDEST_OPSET, OnnxError,
    error::{Refusal, invalid, unsupported},
    metadata::{self, Notes},
    operators::{self, Source},
    order::{Parts, Step},
    proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto},
    tensor,
    write::unique,
};
use crate::{DataType, Graph, GraphError, Op, Parameter, Parameters, Shape, Tensor, ValueId, infer};
use std::collections::{HashMap, HashSet};

pub(super) fn graph(model: ModelProto) -> Result<(Graph, Parameters), OnnxError> {
    let at_model = |refusal: Refusal| refusal.at("the model");
    let opset = opset(&model.opset_import).map_err(at_model)?;
    let (notes, metadata) = metadata::read(model.metadata_props).map_err(at_model)?;
    let Some(mut proto) = model.graph else { return invalid("it has no graph").map_err(at_model) };
    prepare(&mut proto).map_err(at_model)?;
    check_names(&proto)?;
    let mut reader = Reader::new(&mut proto, opset, notes)?;
    reader.build(*proto)?;
    reader.graph.metadata = metadata;
    Ok((reader.graph, reader.parameters))
}

fn opset(imports: &[OperatorSetIdProto]) -> Result<i64, Refusal> {
    let onnx = imports.iter().find(|import| is_onnx(import.domain.as_deref().unwrap_or_default()));
    match onnx.map(|import| import.version) {
        None => invalid("it does not say which opset of ONNX it uses"),
        Some(version @ OLDEST_OPSET..=NEWEST_OPSET) => Ok(version),
        Some(version) => unsupported(format!(
            "it uses opset {version}; {OLDEST_OPSET} to {NEWEST_OPSET} are read (onnx.version_converter changes opsets)"
        )),
    }
}

fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Gives nameless nodes the name of their first output, and takes from the inputs those that have values (until IR
/// version 3, every initialiser was listed as an input).
fn prepare(graph: &mut GraphProto) -> Result<(), Refusal> {
    if graph.sparse_initializer.is_some() {
        return unsupported("it has sparse initialisers; only dense ones are read");
    }
    for node in graph.node.iter_mut().filter(|node| node.name.is_empty()) {
        node.name = node.output.first().cloned().unwrap_or_default();
    }
    let initialised: HashSet<&str> = graph.initializer.iter().map(|proto| proto.name.as_str()).collect();
    graph.input.retain(|input| !initialised.contains(input.name.as_str()));
    Ok(())
}

fn check_names(graph: &GraphProto) -> Result<(), OnnxError> {
    unique(values(graph), "value")?;
    unique(graph.node.iter().map(|node| node.name.as_str()), "node")?;
    unique(graph.output.iter().map(|output| output.name.as_str()), "output")
}

/// The names of all values.
fn values(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let initialisers = graph.initializer.iter().map(|proto| proto.name.as_str());
    let outputs = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
    inputs.chain(initialisers).chain(outputs.filter(|name| !name.is_empty()))
}

/// The inputs of a node that are values: without attributes, and without what is left out at the end.
fn operands(node: &NodeProto, opset: i64) -> &[String] {
    let attributes = operators::attribute_inputs(&node.op_type, opset);
    let inputs = &node.input[..attributes.start.min(node.input.len())];
    let given = inputs.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    &inputs[..given]
}

fn place(node: &NodeProto, opset: i64) -> String {
    format!("node `{}` ({}, opset {opset})", node.name, node.op_type)
}

/// A graph that grows out of a model.
struct Reader {
    opset: i64,
    notes: Notes,
    /// Constants that are attributes here.
    constants: HashMap<String, Tensor>,
    derived: HashMap<String, Parameter>,
    /// All values' names.
    names: HashSet<String>,
    /// Names of the values that something reads.
    used: HashSet<String>,
    graph: Graph,
    parameters: Parameters,
}

impl Reader {
    fn new(proto: &mut GraphProto, opset: i64, notes: Notes) -> Result<Self, OnnxError> {
        let names = values(proto).map(ToOwned::to_owned).collect();
        let read = proto.node.iter().flat_map(|node| operands(node, opset));
        let used = read.chain(proto.output.iter().map(|output| &output.name)).cloned().collect();
        let constants = constants::fold(proto, opset, &used)?;
        let derived = roles::derive(proto);
        let (graph, parameters) = (Graph::new(), Parameters::new());
        Ok(Self { opset, notes, constants, derived, names, used, graph, parameters })
    }

    fn build(&mut self, mut proto: GraphProto) -> Result<(), OnnxError> {
        for step in self.order(&proto) {
            match step {
                Step::Input(index) => self.add_input(&proto.input[index])?,
                Step::Parameter(index) => {
                    self.add_parameter(std::mem::take(&mut proto.initializer[index]))?;
                }
                Step::Node(index) => {
                    let node = std::mem::take(&mut proto.node[index]);
                    let place = place(&node, self.opset);
                    self.add_node(node).map_err(|refusal| refusal.at(place))?;
                }
            }
        }
        self.set_outputs(&proto.output)
    }

    fn order(&self, proto: &GraphProto) -> Vec<Step> {
        let operands = |node| operands(node, self.opset).iter().map(String::as_str).collect();
        let parts = Parts {
            inputs: proto.input.iter().map(|input| input.name.as_str()).collect(),
            parameters: proto.initializer.iter().map(|proto| proto.name.as_str()).collect(),
            operands: proto.node.iter().map(operands).collect(),
        };
        let noted = self.notes.order.as_ref().and_then(|places| parts.noted(places));
        noted.unwrap_or_else(|| parts.natural())
    }

    fn add_input(&mut self, input: &ValueInfoProto) -> Result<(), OnnxError> {
        let place = |refusal: Refusal| refusal.at(format!("input `{}`", input.name));
        let ty = tensor::read_value(input).map_err(place)?;
        let added = self.graph.add_input(&input.name, ty.dtype, ty.shape);
        added.map(drop).map_err(|error| place(refusal(error)))
    }

    fn add_parameter(&mut self, mut proto: TensorProto) -> Result<(), OnnxError> {
        let name = std::mem::take(&mut proto.name);
        let place = |refusal: Refusal| refusal.at(format!("initialiser `{name}`"));
        let values = tensor::read(proto).map_err(place)?;
        let ty = infer::tensor_type(&values);
        let derived = self.derived.remove(&name).filter(|_| ty.dtype == DataType::F32);
        let parameter = self.notes.parameter(&name, &derived.unwrap_or_else(roles::constant));
        self.graph.add_parameter(&name, ty, parameter).map_err(|error| place(refusal(error)))?;
        self.parameters.insert(&name, values);
        Ok(())
    }

    fn add_node(&mut self, mut node: NodeProto) -> Result<(), Refusal> {
        if !is_onnx(&node.domain) {
            return unsupported(format!(
                "an operator of the domain `{}`; only ONNX's own are handled",
                node.domain
            ));
        }
        let inputs = self.inputs(&node)?;
        let op = self.operator(&mut node, &inputs)?;
        let outputs = self.outputs(&node, &op)?;
        let output_names: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let added =
            self.graph.add_node_with_outputs(&node.name, op, &inputs, &output_names).map_err(refusal)?;
        added.iter().try_for_each(|&id| tensor::check_rank(self.graph.shape(id).rank()))
    }

    fn inputs(&self, node: &NodeProto) -> Result<Vec<ValueId>, Refusal> {
        let most = operators::attribute_inputs(&node.op_type, self.opset).end;
        if node.input.len() > most {
            return invalid(format!("it takes at most {most} inputs, got {}", node.input.len()));
        }
        let value = |(index, name): (usize, &String)| match self.graph.find(name) {
            Some(id) => Ok(id),
            None if name.is_empty() => invalid(format!("its input {index} is left out before another one")),
            None if self.names.contains(name) => invalid(format!(
                "it reads `{name}`, which is made only later: nodes have to stand in an order in which they can run"
            )),
            None => {
                invalid(format!("it reads `{name}`, which is no input, no initialiser and no node's output"))
            }
        };
        operands(node, self.opset).iter().enumerate().map(value).collect()
    }

    fn operator(&self, node: &mut NodeProto, inputs: &[ValueId]) -> Result<Op, Refusal> {
        let shape = |index: usize| inputs.get(index).map(|&id| self.graph.shape(id));
        let weight = shape(1).and_then(Shape::sizes);
        let mut source = Source {
            opset: self.opset,
            attributes: std::mem::take(&mut node.attribute),
            inputs: &node.input,
            constants: &self.constants,
            shape: shape(0),
        };
        let mut op = operators::read(&node.op_type, &mut source, weight.as_deref())?;
        if let Op::BatchNormalization(norm) = &mut op {
            norm.frozen = self.notes.frozen_nodes.contains(&node.name);
        }
        Ok(op)
    }

    /// Names for all outputs of the operator, once it is clear that nothing reads others.
    fn outputs(&mut self, node: &NodeProto, op: &Op) -> Result<Vec<String>, Refusal> {
        let count = if matches!(op, Op::SoftmaxCrossEntropyLoss(_)) { 2 } else { 1 };
        for (index, name) in node.output.iter().enumerate().skip(count).filter(|(_, name)| !name.is_empty()) {
            if matches!(op, Op::BatchNormalization(_)) || self.used.contains(name) {
                return unsupported(format!(
                    "its output {index}, `{name}`; only the first {count} are handled"
                ));
            }
        }
        let mut names: Vec<String> = node.output.iter().take(count).cloned().collect();
        names.resize(count, String::new());
        for (index, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
            *name = format!("{}:{index}", node.name);
            while !self.names.insert(name.clone()) {
                name.push('_');
            }
        }
        Ok(names)
    }

    fn set_outputs(&mut self, outputs: &[ValueInfoProto]) -> Result<(), OnnxError> {
        let id = |output: &ValueInfoProto| {
            let found = self.output(output);
            found.map_err(|refusal| refusal.at(format!("output `{}`", output.name)))
        };
        let ids = outputs.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        self.graph.set_outputs(&ids);
        Ok(())
    }

    fn output(&self, output: &ValueInfoProto) -> Result<ValueId, Refusal> {
        let Some(id) = self.graph.find(&output.name) else { return invalid("nothing makes it") };
        let found = &self.graph.value(id).ty;
        let declared = output.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref());
        if declared.is_none_or(|tensor| tensor.shape.is_none()) {
            return Ok(id);
        }
        let declared = tensor::read_value(output)?;
        let same_shape = declared.shape.rank() == found.shape.rank()
            && declared.shape.iter().zip(found.shape.iter()).all(|(a, b)| a.may_equal(b));
        if declared.dtype == found.dtype && same_shape {
            return Ok(id);
        }
        invalid(format!("the file says {declared}, but what is computed is {found}"))
    }
}

fn refusal(error: GraphError) -> Refusal {
    match error {
        GraphError::Node { reason, .. } | GraphError::Parameter { reason, .. } => Refusal::Invalid(reason),
        other => Refusal::Invalid(other.to_string()),
    }
}
