use crate::graph::nearest;
use thiserror::Error;

/// Why a graph cannot be built, changed or resolved.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum GraphError {
    /// The operator does not accept these inputs.
    #[error("node `{node}` ({op}): {reason}")]
    Node {
        /// The node's name.
        node: String,
        /// The operator's ONNX name.
        op: String,
        /// What does not fit, and what would.
        reason: String,
    },
    /// A name stands for two things.
    #[error("the name `{0}` is already taken; names of values and of nodes are unique within a graph")]
    DuplicateName(String),
    /// Nothing has this name.
    #[error("there is no {kind} named `{name}`{}", hint.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// What was looked for: value, node, parameter.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// The nearest name there is.
        hint: Option<String>,
    },
    /// A gradient was asked for where none exists.
    #[error("node `{node}` ({op}) has no gradient: {reason}")]
    NoGradient {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: String,
        /// Why not.
        reason: String,
    },
    /// The change asked for does not fit this graph.
    #[error("{0}")]
    Surgery(String),
    /// A value set does not fit the graph.
    #[error("parameter `{name}`: {reason}")]
    Parameter {
        /// The parameter's name.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// More than one thing went wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<GraphError>),
}

impl GraphError {
    /// [`GraphError::Unknown`] with the candidate nearest to `name`, if one is near enough to be a slip.
    pub fn unknown<'a>(kind: &'static str, name: &str, candidates: impl Iterator<Item = &'a str>) -> Self {
        GraphError::Unknown { kind, name: name.to_owned(), hint: nearest(name, candidates) }
    }
}
