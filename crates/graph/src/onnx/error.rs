use std::path::PathBuf;
use thiserror::Error;

/// Why a file cannot be written or read. *Invalid* breaks the rules of ONNX or of a graph; *unsupported* is sound, but
/// more than this crate can honour.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// Something is wrong with this file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<OnnxError>,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The bytes are not an ONNX model: truncated, damaged, or something else altogether.
    #[error("not an ONNX file, or a damaged one: {0}")]
    Decode(String),
    /// Something breaks the rules.
    #[error("{place}: {reason}")]
    Invalid {
        /// Node with operator and opset, initialiser, input, output, or the model.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Something is sound but cannot be honoured.
    #[error("{place}: {reason}")]
    Unsupported {
        /// Node with operator and opset, initialiser, input, output, or the model.
        place: String,
        /// What it is, and what would be supported.
        reason: String,
    },
}

/// A refusal that does not know yet where it happened.
#[derive(Debug)]
pub(super) enum Refusal {
    Invalid(String),
    Unsupported(String),
}

impl Refusal {
    pub(super) fn at(self, place: impl Into<String>) -> OnnxError {
        let place = place.into();
        match self {
            Refusal::Invalid(reason) => OnnxError::Invalid { place, reason },
            Refusal::Unsupported(reason) => OnnxError::Unsupported { place, reason },
        }
    }
}

pub(super) fn invalid<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Invalid(reason.into()))
}

pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unsupported(reason.into()))
}
