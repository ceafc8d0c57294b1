//! From a model to a graph.

mod known;
mod roles;
mod spell;
mod tails;

pub(super) use known::{Elements, Entry, Known};

use super::{
    NEWEST_OPSET, OLDEST_OPSET, OnnxError, ReadOptions,
    error::{Refusal, invalid, unsupported},
    external,
    metadata::{self, Notes},
    operators::{self, Source},
    order::{Parts, Step},
    proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, data_type},
    shortened, tensor,
    write::unique,
};
use crate::{DataType, Graph, GraphError, Op, Parameter, Parameters, Shape, ValueId, infer};
use std::collections::{HashMap, HashSet};
use tails::Tails;

pub(super) fn graph(model: ModelProto, options: &ReadOptions) -> Result<(Graph, Parameters), OnnxError> {
    let at_model = |refusal: Refusal| refusal.at("the model");
    let opset = opset(&model.opset_import).map_err(at_model)?;
    let (notes, metadata) = metadata::read(model.metadata_props).map_err(at_model)?;
    let Some(mut proto) = model.graph else { return invalid("it has no graph").map_err(at_model) };
    prepare(&mut proto).map_err(at_model)?;
    check_names(&proto)?;
    external::read(&mut proto, options.folder.as_deref())?;
    tails::give(&mut proto, opset, &options.inputs);
    let mut reader = Reader::new(&mut proto, opset, notes)?;
    reader.build(*proto)?;
    reader.graph.metadata = metadata;
    Ok((reader.graph, reader.parameters))
}

/// The version of ONNX's own operators, if a file names one.
pub(super) fn opset_of(imports: &[OperatorSetIdProto]) -> Option<i64> {
    let onnx = imports.iter().find(|import| is_onnx(import.domain.as_deref().unwrap_or_default()));
    onnx.map(|import| import.version)
}

fn opset(imports: &[OperatorSetIdProto]) -> Result<i64, Refusal> {
    match opset_of(imports) {
        None if !imports.is_empty() => {
            unsupported("it uses no operator of ONNX's own, only of other domains")
        }
        None => invalid("it does not say which opset of ONNX it uses"),
        Some(version @ OLDEST_OPSET..=NEWEST_OPSET) => Ok(version),
        Some(version) => unsupported(format!(
            "it uses opset {version}; {OLDEST_OPSET} to {NEWEST_OPSET} are read (onnx.version_converter changes opsets)"
        )),
    }
}

/// Refuses an operator that is not ONNX's own.
pub(super) fn check_domain(node: &NodeProto) -> Result<(), Refusal> {
    match is_onnx(&node.domain) {
        true => Ok(()),
        false => {
            unsupported(format!("an operator of the domain `{}`; only ONNX's own are handled", node.domain))
        }
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
        node.name = node.output.iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
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

/// More elements than all tails of a network have together; bounds what a hostile file can ask for.
const MAX_COMPUTED: usize = 1 << 21;

/// More truth values than the initialisers of a network have together. They take more memory here than in a file.
const MAX_TRUTHS: usize = 1 << 20;

/// More nodes than a file has parts for; a node of a file can stand for several.
const MAX_NODES: usize = 1 << 16;

/// More elements than the weights of the largest network that a file makes by `ConstantOfShape`, as ONNX's test networks do.
const MAX_MADE: usize = 1 << 28;

/// A graph that grows out of a model.
struct Reader {
    opset: i64,
    notes: Notes,
    tails: Tails,
    /// What is known already: small constants, and what was computed of them and of shapes.
    constants: HashMap<String, Known>,
    /// How many elements have been computed, and how many weights made.
    computed: usize,
    made: usize,
    /// How many values of the graph have been checked.
    checked: usize,
    derived: HashMap<String, Parameter>,
    /// All values' names, and those of nodes.
    names: HashSet<String>,
    graph: Graph,
    parameters: Parameters,
}

impl Reader {
    fn new(proto: &mut GraphProto, opset: i64, notes: Notes) -> Result<Self, OnnxError> {
        let mut names: HashSet<String> = values(proto).map(ToOwned::to_owned).collect();
        names.extend(proto.node.iter().map(|node| node.name.clone()));
        let tails = Tails::of(proto, opset, !notes.is_silent());
        let constants = constants(proto, &tails)?;
        let attribute_only = |name: &String| tails.read.contains(name) && !tails.operands.contains(name);
        // Truth values are no parameters: a node makes them where they are read.
        proto.initializer.retain(|proto| {
            let attribute = attribute_only(&proto.name) || proto.data_type == Some(data_type::BOOL);
            !(constants.contains_key(&proto.name) && attribute)
        });
        let derived = roles::derive(proto);
        let (graph, parameters) = (Graph::new(), Parameters::new());
        let (computed, made, checked) = (0, 0, 0);
        Ok(Self {
            opset,
            notes,
            tails,
            constants,
            computed,
            made,
            checked,
            derived,
            names,
            graph,
            parameters,
        })
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
                    let computed = self.tails.computed[index];
                    let done = self.make_parameter(&node).and_then(|made| match (made, computed) {
                        (true, _) => Ok(()),
                        (false, true) => self.compute(node),
                        (false, false) => self.add_node(node),
                    });
                    done.and_then(|()| self.check_new()).map_err(|refusal| refusal.at(place))?;
                }
            }
        }
        self.set_outputs(&proto.output)
    }

    /// Refuses new values of too many axes or elements, and too many nodes.
    fn check_new(&mut self) -> Result<(), Refusal> {
        if self.graph.nodes().len() > MAX_NODES {
            return unsupported(format!("more than {MAX_NODES} nodes; no network has so many"));
        }
        let new = &self.graph.values()[self.checked..];
        self.checked = self.graph.values().len();
        new.iter().try_for_each(|value| tensor::check_shape(&value.ty.shape))
    }

    fn order(&self, proto: &GraphProto) -> Vec<Step> {
        let operands = |(node, computed): (_, &bool)| match computed {
            true => Vec::new(),
            false => operands(node, self.opset).iter().map(String::as_str).collect(),
        };
        let parts = Parts {
            inputs: proto.input.iter().map(|input| input.name.as_str()).collect(),
            parameters: proto.initializer.iter().map(|proto| proto.name.as_str()).collect(),
            operands: proto.node.iter().zip(&self.tails.computed).map(operands).collect(),
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

    /// A `Constant` or `ConstantOfShape` that stands where weights stand is a parameter, in a file that does not say what its
    /// parameters are.
    fn make_parameter(&mut self, node: &NodeProto) -> Result<bool, Refusal> {
        let (true, [name]) = (self.notes.is_silent() && is_onnx(&node.domain), &node.output[..]) else {
            return Ok(false);
        };
        let (true, Some(parameter)) =
            (!name.is_empty() && node.op_type.starts_with("Constant"), self.derived.get(name).cloned())
        else {
            return Ok(false);
        };
        let mut source = Source {
            opset: self.opset,
            attributes: node.attribute.clone(),
            inputs: &node.input,
            constants: &self.constants,
            shape: None,
        };
        let values = match node.op_type.as_str() {
            "Constant" => operators::read_constant(&mut source)?,
            "ConstantOfShape" => match known::filled(&mut source, MAX_MADE.saturating_sub(self.made))? {
                Some(values) => values,
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        source.finish()?;
        if values.as_f32().is_none() || !node.input.is_empty() && node.op_type == "Constant" {
            return Ok(false);
        }
        self.made += values.shape().iter().product::<usize>();
        self.graph.add_parameter(name, infer::tensor_type(&values), parameter).map_err(refusal)?;
        self.parameters.insert(name, values);
        Ok(true)
    }

    /// Computes a node whose result has to be known, or could be. Where that fails, the graph computes it, if it can.
    fn compute(&mut self, node: NodeProto) -> Result<(), Refusal> {
        let output = node.output[0].clone();
        match self.evaluate(&node) {
            Ok(value) => {
                tensor::check_rank(value.shape.len())?;
                self.computed += value.len();
                if self.computed > MAX_COMPUTED {
                    return unsupported("constants of more elements than any network computes");
                }
                self.constants.insert(output.clone(), value);
                if self.tails.operands.contains(&output) || !self.tails.read.contains(&output) {
                    self.constant_node(&node.name, &output)?;
                }
                Ok(())
            }
            Err(Refusal::Unsupported(_)) if !tails::only_computed(&node.op_type) => self.add_node(node),
            Err(refusal) => Err(refusal),
        }
    }

    fn evaluate(&self, node: &NodeProto) -> Result<Known, Refusal> {
        let known = |name: &String| {
            let known = self.constants.get(name);
            known.ok_or_else(|| Refusal::Unsupported(format!("`{name}` is not known")))
        };
        let inputs: Vec<&Known> = match node.op_type.as_str() {
            "Shape" | "Size" => Vec::new(),
            _ => node.input.iter().filter(|name| !name.is_empty()).map(known).collect::<Result<_, _>>()?,
        };
        let of_constant = node.input.first().and_then(|name| self.constants.get(name));
        let of_constant = of_constant.map(|known| Shape::fixed(&known.shape));
        let shape = node.input.first().and_then(|name| self.graph.find(name)).map(|id| self.graph.shape(id));
        let mut source = Source {
            opset: self.opset,
            attributes: node.attribute.clone(),
            inputs: &node.input,
            constants: &self.constants,
            shape: shape.or(of_constant.as_ref()),
        };
        known::evaluate(&node.op_type, &mut source, &inputs)
    }

    /// Puts a known value into the graph, under its own name.
    fn constant_node(&mut self, node: &str, name: &str) -> Result<ValueId, Refusal> {
        let known = &self.constants[name];
        let (tensor, dtype) = (known.tensor()?, known.dtype);
        if dtype != DataType::Bool {
            let added = self.graph.add_node_with_outputs(node, Op::Constant(tensor), &[], &[name]);
            return Ok(added.map_err(refusal)?[0]);
        }
        let integers = self.free_name(&format!("{name}/integers"));
        let integers = self.graph.add_node(&integers, Op::Constant(tensor), &[]).map_err(refusal)?;
        let cast = self.graph.add_node_with_outputs(node, Op::Cast(dtype), &integers, &[name]);
        Ok(cast.map_err(refusal)?[0])
    }

    /// A name that nothing in the file and in the graph has.
    fn free_name(&mut self, name: &str) -> String {
        let mut name = shortened(name);
        while !self.names.insert(name.clone()) || self.graph.find(&name).is_some() {
            name.push('_');
        }
        name
    }

    fn add_node(&mut self, mut node: NodeProto) -> Result<(), Refusal> {
        check_domain(&node)?;
        operators::check_known(&node.op_type)?;
        let inputs = self.inputs(&node)?;
        if self.spell(&mut node, &inputs)? {
            return Ok(());
        }
        let op = self.operator(&mut node, &inputs)?;
        let outputs = self.outputs(&node, &op)?;
        let output_names: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let added = self.graph.add_node_with_outputs(&node.name, op, &inputs, &output_names);
        added.map(drop).map_err(refusal)
    }

    fn inputs(&mut self, node: &NodeProto) -> Result<Vec<ValueId>, Refusal> {
        let most = operators::attribute_inputs(&node.op_type, self.opset).end;
        if node.input.len() > most {
            return invalid(format!("it takes at most {most} inputs, got {}", node.input.len()));
        }
        let mut ids = Vec::with_capacity(node.input.len());
        for (index, name) in operands(node, self.opset).iter().enumerate() {
            ids.push(match self.graph.find(name) {
                Some(id) => id,
                None if self.constants.contains_key(name) => {
                    let node = self.free_name(&format!("{name}/constant"));
                    self.constant_node(&node, name)?
                }
                None => return self.no_input(index, name),
            });
        }
        Ok(ids)
    }

    fn no_input<T>(&self, index: usize, name: &str) -> Result<T, Refusal> {
        if name.is_empty() {
            return invalid(format!("its input {index} is left out before another one"));
        }
        invalid(match self.names.contains(name) {
            true => format!(
                "it reads `{name}`, which is made only later: nodes have to stand in an order in which they can run"
            ),
            false => format!("it reads `{name}`, which is no input, no initialiser and no node's output"),
        })
    }

    fn operator(&self, node: &mut NodeProto, inputs: &[ValueId]) -> Result<Op, Refusal> {
        let weight = inputs.get(1).and_then(|&id| self.graph.shape(id).sizes());
        let mut source = Source {
            opset: self.opset,
            attributes: std::mem::take(&mut node.attribute),
            inputs: &node.input,
            constants: &self.constants,
            shape: inputs.first().map(|&id| self.graph.shape(id)),
        };
        let mut op = operators::read(&node.op_type, &mut source, weight.as_deref())?;
        if let Op::BatchNormalization(norm) = &mut op {
            norm.frozen = self.notes.frozen_nodes.contains(&node.name);
        }
        Ok(op)
    }

    /// Names for all outputs of the operator, once it is clear that nothing reads others.
    fn outputs(&mut self, node: &NodeProto, op: &Op) -> Result<Vec<String>, Refusal> {
        let count = if matches!(op, Op::SoftmaxCrossEntropyLoss(_) | Op::TopK(_)) { 2 } else { 1 };
        self.check_outputs(node, count, matches!(op, Op::BatchNormalization(_)))?;
        let mut names: Vec<String> = node.output.iter().take(count).cloned().collect();
        names.resize(count, String::new());
        for (index, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
            *name = self.free_name(&format!("{}:{index}", node.name));
        }
        Ok(names)
    }

    /// Refuses outputs behind the first `count` that something reads, or that are named at all.
    fn check_outputs(&self, node: &NodeProto, count: usize, strict: bool) -> Result<(), Refusal> {
        let mut others = node.output.iter().enumerate().skip(count).filter(|(_, name)| !name.is_empty());
        match others.find(|(_, name)| strict || self.tails.read.contains(*name)) {
            Some((index, name)) => {
                unsupported(format!("its output {index}, `{name}`; only the first {count} are handled"))
            }
            None => Ok(()),
        }
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

    fn no_output<T>(&self, name: &str) -> Result<T, Refusal> {
        match self.constants.contains_key(name) {
            true => unsupported("it is a constant of the file itself: there is nothing to compute"),
            false => invalid("nothing makes it"),
        }
    }

    fn output(&self, output: &ValueInfoProto) -> Result<ValueId, Refusal> {
        let Some(id) = self.graph.find(&output.name) else { return self.no_output(&output.name) };
        let found = &self.graph.value(id).ty;
        let declared = output.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref());
        if declared.is_none_or(|tensor| tensor.shape.is_none()) {
            return Ok(id);
        }
        let declared = tensor::read_value(output)?;
        let same_shape = declared.shape.rank() == found.shape.rank()
            && declared.shape.iter().zip(found.shape.iter()).all(|(a, b)| a.may_equal(b));
        let lists = |ty: &crate::TensorType| ty.shape.rank() == 0 || ty.shape.elements() == Some(1);
        if declared.dtype == found.dtype && (same_shape || lists(&declared) && lists(found)) {
            return Ok(id);
        }
        invalid(format!("the file says {declared}, but what is computed is {found}"))
    }
}

/// The initialisers that may be attributes, or that tails of shapes start from.
fn constants(proto: &GraphProto, tails: &Tails) -> Result<HashMap<String, Known>, OnnxError> {
    let (mut constants, mut truths) = (HashMap::new(), 0);
    let known = |proto: &&TensorProto| {
        proto.data_type == Some(data_type::BOOL) || tails.attributes.contains(&proto.name)
    };
    for proto in proto.initializer.iter().filter(known) {
        let place = |refusal: Refusal| refusal.at(format!("initialiser `{}`", proto.name));
        let mut known = Known::of_tensor(&tensor::read(proto.clone()).map_err(place)?);
        if proto.data_type == Some(data_type::BOOL) {
            known.dtype = DataType::Bool;
            truths += known.len();
            if truths > MAX_TRUTHS {
                return unsupported(format!("with it there are more than {MAX_TRUTHS} truth values"))
                    .map_err(place);
            }
        }
        constants.insert(proto.name.clone(), known);
    }
    Ok(constants)
}

fn refusal(error: GraphError) -> Refusal {
    match error {
        GraphError::Node { reason: text, .. } => reason(text),
        GraphError::Parameter { reason, .. } => Refusal::Invalid(reason),
        other => Refusal::Invalid(other.to_string()),
    }
}

/// Why an operator refuses its inputs.
fn reason(text: String) -> Refusal {
    if text.starts_with(infer::EMPTY) { Refusal::Unsupported(text) } else { Refusal::Invalid(text) }
}
