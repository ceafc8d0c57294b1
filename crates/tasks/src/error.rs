use svertka_engine::EngineError;
use svertka_graph::{GraphError, onnx::OnnxError};
use svertka_train::TrainError;

/// Why a task cannot be made or done.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] svertka_data::Error),
    /// The network cannot be used.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The network cannot be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Training or evaluation failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// What a file says about itself makes no sense.
    #[error("metadata `{key}`: {reason}")]
    Metadata {
        /// The key.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The network does not read what the task has to offer.
    #[error("{0}")]
    Mismatch(String),
    /// The data has a class that the model does not know.
    #[error("class `{class}` is not among the model's: {}", known.join(", "))]
    UnknownClass {
        /// The data's class.
        class: String,
        /// The model's classes.
        known: Vec<String>,
    },
}
