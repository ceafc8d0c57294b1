use super::free_name;
use crate::{DataType, Graph, GraphError, Node, Op, Shape, Tensor, ValueId, op::Internal};

/// One node's way back: what a [`Rule`](super::Rule) reads and where it puts the gradients.
pub struct Backward<'a> {
    graph: &'a mut Graph,
    node: &'a Node,
    output_gradients: Vec<Option<ValueId>>,
    wanted: Vec<bool>,
    gradients: Vec<Option<ValueId>>,
}

impl<'a> Backward<'a> {
    pub(super) fn new(
        graph: &'a mut Graph,
        node: &'a Node,
        output_gradients: Vec<Option<ValueId>>,
        wanted: Vec<bool>,
    ) -> Self {
        let gradients = vec![None; node.inputs.len()];
        Self { graph, node, output_gradients, wanted, gradients }
    }

    pub(super) fn into_gradients(self) -> Vec<Option<ValueId>> {
        self.gradients
    }

    /// The node whose gradient is derived.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The node's input `index`.
    pub fn input(&self, index: usize) -> ValueId {
        self.node.inputs[index]
    }

    /// The node's output `index`.
    pub fn output(&self, index: usize) -> ValueId {
        self.node.outputs[index]
    }

    /// The gradient of output `index`; `None` where nothing depends on it.
    pub fn output_gradient(&self, index: usize) -> Option<ValueId> {
        self.output_gradients[index]
    }

    /// The gradient of the first output, for operators of which no other output can have one.
    ///
    /// # Errors
    /// [`GraphError::NoGradient`] if it is another output that has a gradient.
    pub fn dy(&self) -> Result<ValueId, GraphError> {
        match self.output_gradients[..] {
            [Some(dy), ref others @ ..] if others.iter().all(Option::is_none) => Ok(dy),
            _ => Err(self.refuse("only its first output has a gradient")),
        }
    }

    /// Whether the gradient of input `index` is needed.
    pub fn wants(&self, index: usize) -> bool {
        self.wanted.get(index).is_some_and(|&wanted| wanted)
    }

    /// The shape of any value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        self.graph.shape(id)
    }

    /// Appends a node and returns its outputs.
    ///
    /// # Errors
    /// [`GraphError::Node`] if the operator refuses the inputs.
    pub fn emit_all(&mut self, op: Op, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        let name = free_name(self.graph, &format!("backward {}", self.node.name));
        self.graph.add_node(&name, op, inputs)
    }

    /// Appends a node and returns its first output.
    ///
    /// # Errors
    /// [`GraphError::Node`] if the operator refuses the inputs.
    pub fn emit(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.emit_all(op, inputs)?[0])
    }

    /// Appends a node of an internal operator and returns its first output.
    ///
    /// # Errors
    /// [`GraphError::Node`] if the operator refuses the inputs.
    pub fn internal(&mut self, op: Internal, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        self.emit(Op::Internal(op), inputs)
    }

    /// Appends a number.
    ///
    /// # Errors
    /// [`GraphError::DuplicateName`].
    pub fn number(&mut self, value: f32) -> Result<ValueId, GraphError> {
        self.emit(Op::Constant(Tensor::scalar(value)), &[])
    }

    /// `gradient`, summed over the axes along which the value `like` was broadcast.
    ///
    /// # Errors
    /// [`GraphError::Node`] if the shapes do not fit.
    pub fn sum_to(&mut self, gradient: ValueId, like: ValueId) -> Result<ValueId, GraphError> {
        if self.shape(gradient) == self.shape(like) {
            return Ok(gradient);
        }
        self.internal(Internal::SumTo, &[gradient, like])
    }

    /// Says that the gradient of input `index` is `gradient`.
    ///
    /// # Errors
    /// [`GraphError::NoGradient`] if it cannot have the input's shape, or is of integers.
    pub fn give(&mut self, index: usize, gradient: ValueId) -> Result<(), GraphError> {
        let (found, wanted) = (&self.graph.value(gradient).ty, self.shape(self.input(index)));
        let fits = found.shape.rank() == wanted.rank()
            && found.shape.iter().zip(wanted.iter()).all(|(a, b)| a.may_equal(b));
        if !fits || found.dtype != DataType::F32 {
            return Err(
                self.refuse(&format!("its rule gave input {index} of {wanted} a gradient of {found}"))
            );
        }
        self.gradients[index] = Some(gradient);
        Ok(())
    }

    /// The error of an operator without a gradient, or without this one.
    pub fn refuse(&self, reason: &str) -> GraphError {
        let (node, op) = (self.node.name.clone(), self.node.op.name().to_owned());
        GraphError::NoGradient { node, op, reason: reason.to_owned() }
    }
}
