use svertka_graph::GraphError;
use thiserror::Error;

/// Why a program cannot be made or run.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum EngineError {
    /// The graph itself does not allow it.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A node's operator or attributes are valid, but this engine has no kernel for them.
    #[error("node `{node}` ({op}): {reason}")]
    Unsupported {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: String,
        /// What is missing.
        reason: String,
    },
    /// What was handed in for an input does not fit.
    #[error("input `{name}`: {reason}")]
    Input {
        /// The input's name.
        name: String,
        /// What does not fit, and what would.
        reason: String,
    },
    /// A class index outside the classes.
    #[error("sample {sample} has class {label}, the scores have {classes} classes")]
    Label {
        /// The place within the batch.
        sample: usize,
        /// What was handed in.
        label: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// An index that an axis does not have.
    #[error("node `{node}`: index {index} is none of an axis of {size}")]
    Index {
        /// The node's name.
        node: String,
        /// What was read.
        index: i64,
        /// The extent of the axis.
        size: usize,
    },
    /// The program does not fit into memory.
    #[error(
        "the program needs {bytes} bytes of scratch, which cannot be had; use a smaller batch or picture"
    )]
    Memory {
        /// What would be needed.
        bytes: u128,
    },
    /// The program does not fit into the memory that [its workspace](crate::cpu::Workspace::with_memory_limit) may take.
    #[error("{bytes} bytes of memory are needed, {available} are available; use a smaller batch or picture")]
    MemoryLimit {
        /// What would be needed: state, gradients, packed weights, inputs and scratch.
        bytes: u128,
        /// What there is.
        available: u64,
    },
    /// Calls in an order that makes no sense, such as `backward` without its `forward`.
    #[error("{0}")]
    Order(&'static str),
}
