//! The loop: what it is made of here, what it does in [`steps`] and [`epochs`].

mod epochs;
mod steps;

use crate::{
    Best, CheckpointError, Facts, Metric, Position, Progress, Settings, Timeline, TrainError,
    checkpoint::Checkpoint,
    facts::{differences, facts},
    program::{Evaluator, Learner, Network, check_inputs},
};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use svertka_data::{Examples, Loader, LoaderOptions};
use svertka_engine::cpu::Workspace;
use svertka_graph::{Graph, Parameters};

/// Name of the checkpoint in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the best weights so far in a run's folder.
pub const BEST: &str = "best.safetensors";

/// What is trained, on what, and how.
pub struct Job {
    /// The network: two inputs, the samples and `target`; values named `loss`, a scalar, and what the metric looks at.
    pub graph: Graph,
    /// Its first values.
    pub parameters: Parameters,
    /// Samples to learn from.
    pub train: Arc<dyn Examples>,
    /// Samples to evaluate on after every epoch.
    pub validation: Option<Arc<dyn Examples>>,
    /// What is measured on them beside the loss.
    pub metric: Box<dyn Metric>,
    /// How.
    pub settings: Settings,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs are done.
    Finished(Trained),
    /// It was asked to stop, and goes on here when it is resumed.
    Stopped(Position),
}

/// What a run has made.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The values that are kept: the average, where one was asked for.
    pub parameters: Parameters,
    /// The epoch they are of, from 0; none if there was no epoch.
    pub epoch: Option<u64>,
    /// The best epoch on the validation part.
    pub best: Option<Best>,
}

/// Runs a job.
pub struct Trainer {
    settings: Settings,
    timeline: Timeline,
    train: Loader,
    validation: Option<Loader>,
    network: Network,
    learner: Learner,
    evaluator: Evaluator,
    metric: Box<dyn Metric>,
    progress: Progress,
    best: Option<Parameters>,
    facts: Facts,
    folder: Option<PathBuf>,
    stop: Arc<AtomicBool>,
    clock: Box<dyn Fn() -> Duration + Send>,
    /// When training seconds were last counted.
    counted: Duration,
    /// When and after which step the last checkpoint was written.
    saved: (Duration, u64),
}

impl Trainer {
    /// Lowers the network for training and for inference on one state. Writes no files, knows no time and is never asked to
    /// stop, unless told otherwise. A [`Machine`](svertka_engine::Machine) is an empty workspace.
    ///
    /// # Errors
    /// [`TrainError::Settings`], [`TrainError::Mismatch`], [`TrainError::NoSamples`]; those of graph and engine.
    pub fn new(job: Job, workspace: impl Into<Workspace>) -> Result<Self, TrainError> {
        let Job { graph, parameters, train, validation, metric, settings } = job;
        settings.check()?;
        let parts = [("train", Some(&*train)), ("validation", validation.as_deref())];
        parts.iter().filter_map(|(_, part)| *part).try_for_each(|part| check_inputs(&graph, part))?;
        let facts = facts(&settings, &graph, parts);
        let mut network = Network::new(&graph, &parameters, workspace)?;
        if settings.ema_decay > 0.0 {
            network.state.start_average(None)?;
        }
        // Neither the norm of a gradient nor those of other batches are waited for.
        let at_once = settings.clip_norm == 0.0 && settings.accumulate == 1;
        let learner = Learner::new(&graph, settings.batch, at_once, &mut network)?;
        let evaluator = Evaluator::new(&graph, metric.output(), settings.batch)?;
        let train = Loader::new(train, loader_options(&settings, true))?;
        let validation =
            validation.map(|part| Loader::new(part, loader_options(&settings, false))).transpose()?;
        Ok(Self {
            timeline: timeline(&settings, train.batches())?,
            settings,
            train,
            validation,
            network,
            learner,
            evaluator,
            metric,
            progress: Progress::default(),
            best: None,
            facts,
            folder: None,
            stop: Arc::default(),
            clock: Box::new(|| Duration::ZERO),
            counted: Duration::ZERO,
            saved: (Duration::ZERO, 0),
        })
    }

    /// Writes [`CHECKPOINT`] and [`BEST`] into this folder.
    #[must_use]
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// Takes the time since some fixed moment from here.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Duration + Send + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Stops after the step during which this becomes true.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// One more fact that a run which resumes this one has to share, such as the preprocessing.
    #[must_use]
    pub fn with_fact(mut self, name: &str, value: impl Into<String>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// How long the run is.
    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// Where the run stands.
    pub fn position(&self) -> Position {
        let Progress { epoch, batch, .. } = self.progress;
        let steps = batch.div_ceil(self.settings.accumulate) as u64;
        Position { step: epoch * self.timeline.steps_per_epoch + steps, epoch, batch }
    }

    /// The values as they are, without the average.
    pub fn parameters(&self) -> Parameters {
        self.network.state.parameters()
    }

    /// Goes on where the checkpoint in the folder was written; `None` if there is none.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if it cannot be read, or was written by a run with other settings or data.
    pub fn resume(&mut self) -> Result<Option<Position>, TrainError> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(CHECKPOINT)) else { return Ok(None) };
        if !path.exists() {
            return Ok(None);
        }
        let checkpoint = Checkpoint::load(&path)?;
        let differences = differences(checkpoint.facts(), &self.facts);
        if !differences.is_empty() {
            return Err(CheckpointError::Differs { path, differences }.into());
        }
        checkpoint.restore(&mut self.network.state, &path)?;
        self.progress = checkpoint.progress().clone();
        self.train.remember(self.progress.broken.iter().cloned());
        if let Some(validation) = &self.validation {
            validation.remember(self.progress.validation_broken.iter().cloned());
        }
        Ok(Some(self.position()))
    }
}

fn timeline(settings: &Settings, batches: usize) -> Result<Timeline, TrainError> {
    if batches == 0 {
        return Err(TrainError::NoSamples("learn from"));
    }
    let steps_per_epoch = batches.div_ceil(settings.accumulate) as u64;
    Ok(Timeline { steps: settings.epochs.saturating_mul(steps_per_epoch), steps_per_epoch })
}

fn loader_options(settings: &Settings, training: bool) -> LoaderOptions {
    LoaderOptions {
        batch_size: settings.batch,
        shuffle: training,
        drop_last: training && settings.drop_last,
        seed: settings.seed,
        workers: settings.workers,
        max_broken: settings.max_broken,
        ..LoaderOptions::default()
    }
}
