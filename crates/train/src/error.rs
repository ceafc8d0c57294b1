use std::{io, path::PathBuf};
use svertka_data::LoaderError;
use svertka_engine::EngineError;
use svertka_graph::GraphError;

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is out of its range.
    #[error("{0}")]
    Settings(String),
    /// The network and the samples do not fit each other.
    #[error("{0}")]
    Mismatch(String),
    /// The network cannot be trained.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The network cannot be made a program, or run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Samples cannot be had.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// No sample at all.
    #[error("there are no samples to {0}")]
    NoSamples(&'static str),
    /// A class that the network does not know.
    #[error("{sample}: class {label}, but the network tells {classes} classes apart, 0 to {}", classes - 1)]
    Label {
        /// Name of the sample.
        sample: String,
        /// Its class.
        label: i64,
        /// How many there are.
        classes: usize,
    },
    /// Training has diverged.
    #[error(
        "step {step}: the {what} is {value} at learning rate {rate}; lower the rate or set clip_norm. Samples of the batch: {}",
        listed(samples)
    )]
    NotFinite {
        /// `loss` or `norm of the gradient`.
        what: &'static str,
        /// Its value: NaN or an infinity.
        value: f64,
        /// The step, from 1.
        step: u64,
        /// Its learning rate.
        rate: f64,
        /// Names of the samples that the step was learning from.
        samples: Vec<String>,
    },
    /// A checkpoint cannot be written, read or used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An observer failed, such as the log on a full disk.
    #[error("the run cannot be reported: {0}")]
    Observer(#[from] io::Error),
}

/// Why a checkpoint cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file is damaged, or no checkpoint.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The run that wrote it was another one.
    #[error(
        "{}: written by a run with other settings or data, so it cannot be resumed:{}",
        path.display(),
        differences.iter().map(|line| format!("\n  {line}")).collect::<String>()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// What differs: name, then the value there and the value now.
        differences: Vec<String>,
    },
}

/// How many names of samples a message lists.
const LISTED: usize = 8;

fn listed(samples: &[String]) -> String {
    let first = samples[..samples.len().min(LISTED)].join(", ");
    match samples.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
