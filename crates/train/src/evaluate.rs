use crate::{
    Measured, Metric, TrainError,
    program::{Evaluator, Network, check_inputs},
};
use std::sync::Arc;
use svertka_data::{Broken, Examples, Loader, LoaderOptions};
use svertka_engine::Machine;
use svertka_graph::{Graph, Parameters};

/// How samples are fed to an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationOptions {
    /// Samples in a batch. Default 64.
    pub batch: usize,
    /// Threads that prepare batches. Default 2.
    pub workers: usize,
    /// Broken samples that are skipped before it is given up. Default 0.
    pub max_broken: usize,
}

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self { batch: 64, workers: 2, max_broken: 0 }
    }
}

/// Measures a network on samples; returns what it found, and the broken samples that it left out. `graph` is as that of a
/// [`Job`](crate::Job).
///
/// # Errors
/// [`TrainError::Mismatch`], [`TrainError::NoSamples`], [`TrainError::Label`], [`TrainError::Loader`]; those of the engine.
pub fn evaluate(
    graph: &Graph,
    parameters: &Parameters,
    examples: Arc<dyn Examples>,
    options: EvaluationOptions,
    machine: Machine,
    metric: &mut dyn Metric,
) -> Result<(Measured, Vec<Broken>), TrainError> {
    check_inputs(graph, &*examples)?;
    let EvaluationOptions { batch, workers, max_broken } = options;
    let options =
        LoaderOptions { batch_size: batch, shuffle: false, workers, max_broken, ..Default::default() };
    let loader = Loader::new(examples, options)?;
    let mut network = Network::new(graph, parameters, machine)?;
    let measured = Evaluator::new(graph, metric.output(), batch)?.run(&loader, &mut network, metric)?;
    Ok((measured, loader.broken()))
}
