use crate::{
    Recipe, TaskError,
    inputs::image,
    metadata,
    targets::class::{self, scores},
};
use std::path::Path;
use svertka_graph::{Graph, Parameters, onnx};

/// A network that knows what it reads and what its scores mean: all that prediction needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network: input `[N, C, H, W]`, outputs `logits` and `probabilities` `[N, classes]`.
    pub graph: Graph,
    /// Its values.
    pub parameters: Parameters,
    /// How a picture becomes its input.
    pub input: image::Input,
    /// What its scores mean.
    pub target: class::Target,
    /// How it was trained, if that is known.
    pub recipe: Option<Recipe>,
}

impl Model {
    /// Reads what the graph says about itself. Where it says nothing, pictures are resized to its input's size, and classes
    /// are numbered.
    ///
    /// # Errors
    /// [`TaskError::Metadata`] for what makes no sense; [`TaskError::Mismatch`] if it reads no pictures or has another
    /// number of scores than of classes; [`TaskError::Graph`] if values are missing or it has no `logits`.
    pub fn new(graph: Graph, parameters: Parameters) -> Result<Self, TaskError> {
        parameters.check(&graph)?;
        metadata::check_task(&graph)?;
        image::picture_shape(&graph)?;
        let input = image::Input::of(&graph)?;
        let numbered = || -> Result<Vec<String>, TaskError> {
            Ok((0..scores(&graph)?).map(|class| class.to_string()).collect())
        };
        let classes = metadata::classes(&graph)?.map_or_else(numbered, Ok)?;
        let (target, recipe) = (class::Target { classes }, metadata::recipe(&graph)?);
        target.check(&graph)?;
        Ok(Self { graph, parameters, input, target, recipe })
    }

    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`TaskError::Onnx`], which names the file; as [`new`](Self::new).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TaskError> {
        let (graph, parameters) = onnx::load(path)?;
        Self::new(graph, parameters)
    }

    /// Writes an ONNX file that carries all of this. It appears whole or not at all.
    ///
    /// # Errors
    /// [`TaskError::Onnx`], which names the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TaskError> {
        let mut graph = self.graph.clone();
        metadata::write(&mut graph, &self.input, &self.target, self.recipe.as_ref());
        Ok(onnx::save(path, &graph, &self.parameters)?)
    }
}
