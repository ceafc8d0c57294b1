//! Builds graphs in words that read like a paper's text.
//!
//! A [`Builder`] holds the graph in the making; a [`Flow`] is a value on its way through it, and its methods
//! are layers. Chains carry no `?`: what goes wrong is collected and returned by [`Builder::finish`].
//! Parameters are named by the path of construction, as torchvision names them: inside a [`Flow::sequence`]
//! every layer takes the next index, elsewhere [`Flow::name`] says the name of the layer that follows.
//!
//! The lecture's LeNet: 6 convolutions 5×5, max-pooling 2×2, 16 convolutions 5×5, max-pooling 2×2, the 16
//! matrices of 5×5 as one vector, fully connected layers, softmax.
//!
//! ```
//! use svertka_graph::builder::{Builder, kernel};
//!
//! let network = Builder::new();
//! network
//!     .image(1, [28, 28])
//!     .normalise(&[0.1307], &[0.3081])
//!     .sequence("features", |x| {
//!         x.conv(6, kernel(5).padding(2)).relu().max_pool(2).conv(16, 5).relu().max_pool(2)
//!     })
//!     .flatten()
//!     .sequence("classifier", |x| x.linear(120).relu().linear(84).relu().linear(10))
//!     .classify();
//! let lenet = network.finish()?;
//!
//! assert_eq!(lenet.shape(lenet.expect("logits")?).to_string(), "N×10");
//! assert_eq!(lenet.shape(lenet.expect("features.3.weight")?).to_string(), "16×6×5×5");
//! # Ok::<(), svertka_graph::GraphError>(())
//! ```

mod flow;
mod joins;
mod kernel;
mod layers;
mod pooling;

pub use flow::Flow;
pub use kernel::{Extents, Kernel, Padding, kernel};

use crate::{
    DataType, Dim, Graph, GraphError, Initialiser, Op, Parameter, Role, Shape, Tensor, TensorType, ValueId,
};
use std::{cell::RefCell, collections::HashSet};

/// A graph in the making.
#[derive(Debug, Default)]
pub struct Builder {
    state: RefCell<State>,
}

impl Builder {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Other first values for the layers that follow.
    #[must_use]
    pub fn with_initialisers(self, initialisers: Initialisers) -> Self {
        self.state.borrow_mut().initialisers = initialisers;
        self
    }

    /// The input of a network for pictures: `image`, f32 `[N, channels, height, width]`, elements 0 to 255.
    pub fn image(&self, channels: usize, size: [usize; 2]) -> Flow<'_> {
        self.input(
            "image",
            DataType::F32,
            Shape::new(["N".into(), channels.into(), size[0].into(), size[1].into()]),
        )
    }

    /// Any input. Extents that are known only when a program is bound are symbols.
    pub fn input(&self, name: &str, dtype: DataType, shape: Shape) -> Flow<'_> {
        let mut state = self.state.borrow_mut();
        let input = state.graph.add_input(name, dtype, shape);
        Flow::new(self, state.keep(input))
    }

    /// Something that travels with the network in a file, such as its name.
    pub fn metadata(&self, key: &str, value: &str) {
        self.state.borrow_mut().graph.metadata.push((key.to_owned(), value.to_owned()));
    }

    /// The network.
    ///
    /// # Errors
    /// What went wrong on the way, [`GraphError::Several`] if it was more than one thing;
    /// [`GraphError::Surgery`] if nothing was declared an output.
    pub fn finish(self) -> Result<Graph, GraphError> {
        let State { mut graph, mut errors, outputs, .. } = self.state.into_inner();
        match errors.len() {
            0 if outputs.is_empty() => {
                let reason = "the network puts nothing out: end a chain with `classify()` or `output(name)`";
                Err(GraphError::Surgery(reason.to_owned()))
            }
            0 => {
                graph.set_outputs(&outputs);
                Ok(graph)
            }
            1 => Err(errors.remove(0)),
            _ => Err(GraphError::Several(errors)),
        }
    }
}

/// How layers get their first values where they do not say it themselves. The default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Initialisers {
    /// Weights of convolutions, transposed ones too. Default uniform on ±1/√fan_in.
    pub conv: Initialiser,
    /// Weights of fully connected layers. Default uniform on ±1/√fan_in.
    pub linear: Initialiser,
    /// Biases of both. Default, `None`: uniform on ±1/√fan_in of the layer's weight.
    pub bias: Option<Initialiser>,
}

impl Default for Initialisers {
    fn default() -> Self {
        let weight = Initialiser::KaimingUniform { slope: 5f32.sqrt() };
        Self { conv: weight, linear: weight, bias: None }
    }
}

/// Where names are made.
#[derive(Debug)]
struct Scope {
    /// What stands before every name, with its dot.
    prefix: String,
    /// The index that the next layer of a sequence takes.
    next: Option<usize>,
}

#[derive(Debug, Default)]
struct State {
    graph: Graph,
    errors: Vec<GraphError>,
    scopes: Vec<Scope>,
    outputs: Vec<ValueId>,
    initialisers: Initialisers,
    /// Names of nodes; those of their values may have changed since.
    nodes: HashSet<String>,
}

impl State {
    /// Notes an error and goes on without a value.
    fn keep<T>(&mut self, result: Result<T, GraphError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    /// The full name of a layer: the one that was given, else the next index of a sequence, else the first
    /// free `word`, `word_1`, `word_2`, ….
    fn layer_name(&mut self, given: Option<&str>, word: &str) -> String {
        let (prefix, next) = match self.scopes.last_mut() {
            Some(scope) => (scope.prefix.as_str(), scope.next.as_mut()),
            None => ("", None),
        };
        match (given, next) {
            (Some(name), _) => return format!("{prefix}{name}"),
            (None, Some(index)) => {
                *index += 1;
                return format!("{prefix}{}", *index - 1);
            }
            (None, None) => {}
        }
        let mut name = format!("{prefix}{word}");
        let mut count = 0;
        while self.nodes.contains(&name) || self.graph.find(&name).is_some() {
            count += 1;
            name = format!("{prefix}{word}_{count}");
        }
        name
    }

    /// Adds a node that puts out one value.
    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        if !self.nodes.insert(name.to_owned()) {
            return Err(GraphError::DuplicateName(name.to_owned()));
        }
        self.graph.add_node(name, op, inputs).map(|outputs| outputs[0])
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> Result<ValueId, GraphError> {
        self.node(name, Op::Constant(tensor), &[])
    }

    fn weight(
        &mut self,
        name: &str,
        shape: &[usize],
        initialiser: Initialiser,
    ) -> Result<ValueId, GraphError> {
        self.parameter(name, shape, Role::Weight, initialiser)
    }

    fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
        role: Role,
        initialiser: Initialiser,
    ) -> Result<ValueId, GraphError> {
        let parameter = Parameter { role, initialiser, frozen: false };
        self.graph.add_parameter(name, TensorType::f32(Shape::fixed(shape)), parameter)
    }

    /// The extent of axis 1, which weights need to know.
    fn channels(&self, x: ValueId) -> Result<usize, String> {
        let shape = self.graph.shape(x);
        shape
            .get(1)
            .and_then(Dim::fixed)
            .ok_or_else(|| format!("needs to know the channels of its input {shape}"))
    }

    /// How many axes follow `[N, C]`.
    fn spatial_axes(&self, x: ValueId) -> usize {
        self.graph.shape(x).rank().saturating_sub(2)
    }
}

/// An operator's refusal as an error that names the layer.
fn refusal(node: &str, op: &str) -> impl Fn(String) -> GraphError {
    move |reason| GraphError::Node { node: node.to_owned(), op: op.to_owned(), reason }
}

#[cfg(test)]
mod tests;
