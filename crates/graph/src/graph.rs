use crate::{DataType, GraphError, Op, Shape, Sizes, TensorType, infer};
use std::collections::HashMap;

/// A value of one graph: an input, a parameter, or what a node puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl ValueId {
    /// The place of this value in [`Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// The place of this node in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Learnt by gradient descent.
    Weight,
    /// Gathered while training, such as the running mean of a batch normalisation.
    Statistic,
    /// Never changes.
    Constant,
}

/// How a parameter gets its first values. Fans are those of the parameter's own shape `[O, I/groups, k…]`, as PyTorch counts them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// Every element has this value.
    Constant(f32),
    /// Uniform on `[-bound, bound)`.
    Uniform {
        /// Half the width.
        bound: f32,
    },
    /// Normal with mean 0.
    Normal {
        /// The standard deviation.
        std: f32,
    },
    /// Uniform with bound `gain · √(3 / fan_in)`, `gain = √(2 / (1 + slope²))` (He et al. 2015). PyTorch's default for
    /// convolutions and fully connected layers has slope √5, that is, bound `1/√fan_in`.
    KaimingUniform {
        /// The negative slope of the rectifier that follows.
        slope: f32,
    },
    /// Normal with std `√(2 / fan_out)` (He et al. 2015, mode fan_out, for Relu): torchvision's ResNets.
    KaimingNormalFanOut,
    /// Uniform with bound `√(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    XavierUniform,
    /// Normal with std `√(2 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    XavierNormal,
    /// The convolution that copies its input, per group: one at the centre tap where output and input channel agree.
    Dirac,
}

/// Structure of a parameter; its values live in [`Parameters`](crate::Parameters).
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// What it is for.
    pub role: Role,
    /// How it gets its first values.
    pub initialiser: Initialiser,
    /// A frozen weight gets no gradient and never changes.
    pub frozen: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Handed in at every run.
    Input,
    /// Looked up by name.
    Parameter(Parameter),
    /// Put out by a node.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        output: usize,
    },
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Unique within the graph.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Type and shape.
    pub ty: TensorType,
}

impl Value {
    /// The parameter's structure, if the value is one.
    pub fn parameter(&self) -> Option<&Parameter> {
        match &self.origin {
            Origin::Parameter(parameter) => Some(parameter),
            _ => None,
        }
    }
}

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique within the graph.
    pub name: String,
    /// What is done.
    pub op: Op,
    /// In the operator's order; optional inputs are left out at the end only.
    pub inputs: Vec<ValueId>,
    /// In the operator's order.
    pub outputs: Vec<ValueId>,
}

/// A network's structure: named values and the nodes that connect them.
///
/// Nodes stand in an order in which they can be run, and shapes have been inferred: a graph that exists is sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    values: Vec<Value>,
    nodes: Vec<Node>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    by_name: HashMap<String, ValueId>,
    /// What travels with the network in a file: class names, preprocessing, recipe (ONNX `metadata_props`).
    pub metadata: Vec<(String, String)>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value that is handed in at every run.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`].
    pub fn add_input(&mut self, name: &str, dtype: DataType, shape: Shape) -> Result<ValueId, GraphError> {
        let id = self.add_value(name, Origin::Input, TensorType { dtype, shape })?;
        self.inputs.push(id);
        Ok(id)
    }

    /// Adds a parameter. Its shape has to be known.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`]; [`GraphError::Parameter`] for a shape that does not fit into memory.
    pub fn add_parameter(
        &mut self,
        name: &str,
        ty: TensorType,
        parameter: Parameter,
    ) -> Result<ValueId, GraphError> {
        if ty.shape.elements().and_then(|count| count.checked_mul(8)).is_none() {
            let reason = format!("shape {} has no size that fits into memory", ty.shape);
            return Err(GraphError::Parameter { name: name.to_owned(), reason });
        }
        self.add_value(name, Origin::Parameter(parameter), ty)
    }

    /// Adds a node whose outputs are named `name`, `name:1`, `name:2`, …; returns them.
    ///
    /// # Errors
    /// [`GraphError::Node`] if the operator refuses the inputs; [`GraphError::DuplicateName`].
    ///
    /// # Panics
    /// If an input is not a value of this graph.
    pub fn add_node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        self.add_node_with_outputs(name, op, inputs, &[name])
    }

    /// Adds a node whose first outputs have names of their own; those that follow are named as by [`Graph::add_node`].
    ///
    /// # Errors
    /// [`GraphError::Node`] if the operator refuses the inputs; [`GraphError::DuplicateName`].
    ///
    /// # Panics
    /// If an input is not a value of this graph.
    pub fn add_node_with_outputs(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        output_names: &[&str],
    ) -> Result<Vec<ValueId>, GraphError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&id| &self.value(id).ty).collect();
        let outputs = infer::infer(&op, &types).map_err(|reason| GraphError::Node {
            node: name.to_owned(),
            op: op.name().to_owned(),
            reason,
        })?;
        let node = NodeId(self.nodes.len() as u32);
        let mut ids = Vec::with_capacity(outputs.len());
        for (output, ty) in outputs.into_iter().enumerate() {
            let value_name =
                output_names.get(output).map_or_else(|| format!("{name}:{output}"), ToString::to_string);
            ids.push(self.add_value(&value_name, Origin::Node { node, output }, ty)?);
        }
        self.nodes.push(Node { name: name.to_owned(), op, inputs: inputs.to_vec(), outputs: ids.clone() });
        Ok(ids)
    }

    /// Declares which values the graph puts out, in order.
    ///
    /// # Panics
    /// If one is not a value of this graph.
    pub fn set_outputs(&mut self, outputs: &[ValueId]) {
        assert!(outputs.iter().all(|id| id.index() < self.values.len()), "output of another graph");
        self.outputs = outputs.to_vec();
    }

    /// Gives a value another name.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`].
    pub fn rename(&mut self, id: ValueId, name: &str) -> Result<(), GraphError> {
        match self.by_name.get(name) {
            Some(&same) if same == id => return Ok(()),
            Some(_) => return Err(GraphError::DuplicateName(name.to_owned())),
            None => {}
        }
        let old = std::mem::replace(&mut self.values[id.index()].name, name.to_owned());
        self.by_name.remove(&old);
        self.by_name.insert(name.to_owned(), id);
        Ok(())
    }

    /// The structure of a parameter, to change its role, initialiser or freezing; `None` for any other value.
    pub fn parameter_mut(&mut self, id: ValueId) -> Option<&mut Parameter> {
        match &mut self.values[id.index()].origin {
            Origin::Parameter(parameter) => Some(parameter),
            _ => None,
        }
    }

    /// Nodes in an order in which they can be run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All values, in the order in which they were added.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Every value's id, in order.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// What is handed in at every run.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// What the graph puts out.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The value behind an id.
    ///
    /// # Panics
    /// If the id belongs to another, larger graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The node behind an id.
    ///
    /// # Panics
    /// If the id belongs to another, larger graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        &self.value(id).ty.shape
    }

    /// The node that puts a value out, if one does.
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        match self.value(id).origin {
            Origin::Node { node, .. } => Some(self.node(node)),
            _ => None,
        }
    }

    /// Parameters with their ids, in the order in which they were added.
    pub fn parameters(&self) -> impl Iterator<Item = (ValueId, &Value, &Parameter)> {
        self.value_ids().zip(&self.values).filter_map(|(id, value)| Some((id, value, value.parameter()?)))
    }

    /// The value named `name`.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.by_name.get(name).copied()
    }

    /// The value named `name`, or an error that names the nearest one.
    ///
    /// # Errors
    /// [`GraphError::Unknown`].
    pub fn expect(&self, name: &str) -> Result<ValueId, GraphError> {
        let names = self.values.iter().map(|value| value.name.as_str());
        self.find(name).ok_or_else(|| GraphError::unknown("value", name, names))
    }

    /// The shape of every value, by [`ValueId::index`], once `sizes` gives the symbols of the inputs their numbers.
    ///
    /// # Errors
    /// [`GraphError::Node`] where sizes do not fit, or where one stays a symbol.
    pub fn concrete_shapes(&self, sizes: &Sizes) -> Result<Vec<Vec<usize>>, GraphError> {
        let mut types: Vec<TensorType> = self.values.iter().map(|value| value.ty.clone()).collect();
        for &input in &self.inputs {
            let shape = self.shape(input).resolve(sizes);
            if shape.elements().is_none() {
                let reason =
                    format!("the shape {shape} has symbols without a size, or does not fit into memory");
                return Err(self.sizes_error(&self.value(input).name, "input", reason));
            }
            types[input.index()].shape = shape;
        }
        for node in &self.nodes {
            let inputs: Vec<&TensorType> = node.inputs.iter().map(|id| &types[id.index()]).collect();
            let outputs = infer::infer(&node.op, &inputs)
                .map_err(|reason| self.sizes_error(&node.name, node.op.name(), reason))?;
            for (id, ty) in node.outputs.iter().zip(outputs) {
                types[id.index()] = ty;
            }
        }
        types.iter().zip(&self.values).map(|(ty, value)| self.known(ty, &value.name)).collect()
    }

    fn known(&self, ty: &TensorType, name: &str) -> Result<Vec<usize>, GraphError> {
        let fits = ty.shape.elements().and_then(|count| count.checked_mul(8)).is_some();
        ty.shape.sizes().filter(|_| fits).ok_or_else(|| {
            self.sizes_error(
                name,
                "value",
                format!("the shape {} is unknown or does not fit into memory", ty.shape),
            )
        })
    }

    fn sizes_error(&self, node: &str, op: &str, reason: String) -> GraphError {
        GraphError::Node { node: node.to_owned(), op: op.to_owned(), reason }
    }

    fn add_value(&mut self, name: &str, origin: Origin, ty: TensorType) -> Result<ValueId, GraphError> {
        let id = ValueId(self.values.len() as u32);
        if self.by_name.contains_key(name) {
            return Err(GraphError::DuplicateName(name.to_owned()));
        }
        self.by_name.insert(name.to_owned(), id);
        self.values.push(Value { name: name.to_owned(), origin, ty });
        Ok(id)
    }
}

/// The candidate nearest to `name` by edit distance, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let limit = name.chars().count() / 3 + 1;
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate.to_owned())
}
