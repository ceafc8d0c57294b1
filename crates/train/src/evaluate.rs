use crate::{
    Measured, Metric, TrainError,
    program::{Evaluator, Network, check_inputs, rows},
};
use std::sync::Arc;
use svertka_data::{Broken, Examples, Loader, LoaderOptions};
use svertka_engine::cpu::Workspace;
use svertka_graph::{Dim, Graph, Parameters};

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

/// What is measured on what.
pub struct EvaluationJob<'a> {
    /// The network, as that of a [`Job`](crate::Job). Where its batch is fixed, it gets batches of that many rows.
    pub graph: &'a Graph,
    /// Its values.
    pub parameters: &'a Parameters,
    /// The samples.
    pub examples: Arc<dyn Examples>,
    /// How they are fed to it.
    pub options: EvaluationOptions,
    /// What it runs on.
    pub workspace: Workspace,
}

/// Measures a network on samples; returns what it found, and the broken samples that it left out.
///
/// # Errors
/// [`TrainError::Mismatch`], [`TrainError::NoSamples`], [`TrainError::Label`], [`TrainError::Loader`]; those of the engine.
pub fn evaluate(
    job: EvaluationJob<'_>,
    metric: &mut dyn Metric,
) -> Result<(Measured, Vec<Broken>), TrainError> {
    let EvaluationJob { graph, parameters, examples, options, workspace } = job;
    check_inputs(graph, &*examples)?;
    let batch_size = rows(graph).and_then(Dim::fixed).unwrap_or(options.batch);
    let EvaluationOptions { workers, max_broken, .. } = options;
    let options = LoaderOptions { batch_size, shuffle: false, workers, max_broken, ..Default::default() };
    let loader = Loader::new(examples, options)?;
    let mut network = Network::new(graph, parameters, workspace)?;
    let mut evaluator = Evaluator::new(graph, metric.output(), batch_size)?;
    let measured = evaluator.run(&loader, &mut network, metric)?;
    Ok((measured, loader.broken()))
}
