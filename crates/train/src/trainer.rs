//! The loop.

use crate::{
    Best, BrokenSample, CheckpointError, EpochEnd, Event, Facts, Finish, Keep, Measured, Metric, Observer,
    Position, Progress, Settings, Start, Step, Timeline, TrainError, Written,
    checkpoint::{self, Checkpoint},
    facts::{differences, facts},
    program::{Evaluator, Learner, Network, check_inputs},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use svertka_data::{Broken, Epoch, Examples, Loader, LoaderOptions};
use svertka_engine::{Machine, RunKey};
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
    /// stop, unless told otherwise.
    ///
    /// # Errors
    /// [`TrainError::Settings`], [`TrainError::Mismatch`], [`TrainError::NoSamples`]; those of graph and engine.
    pub fn new(job: Job, machine: Machine) -> Result<Self, TrainError> {
        let Job { graph, parameters, train, validation, metric, settings } = job;
        settings.check()?;
        let parts = [("train", Some(&*train)), ("validation", validation.as_deref())];
        parts.iter().filter_map(|(_, part)| *part).try_for_each(|part| check_inputs(&graph, part))?;
        let facts = facts(&settings, &graph, parts);
        let mut network = Network::new(&graph, &parameters, machine)?;
        drop(parameters);
        if settings.ema_decay > 0.0 {
            network.state.start_average(None)?;
        }
        let learner = Learner::new(&graph, settings.batch, &mut network)?;
        let evaluator = Evaluator::new(&graph, metric.output(), settings.batch)?;
        let train = Loader::new(train, loader_options(&settings, true))?;
        let validation =
            validation.map(|part| Loader::new(part, loader_options(&settings, false))).transpose()?;
        if train.batches() == 0 {
            return Err(TrainError::NoSamples("learn from"));
        }
        let steps_per_epoch = train.batches().div_ceil(settings.accumulate) as u64;
        let timeline = Timeline { steps: settings.epochs.saturating_mul(steps_per_epoch), steps_per_epoch };
        Ok(Self {
            settings,
            timeline,
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

    /// Trains until all epochs are done or the run is asked to stop.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] where training diverges, [`TrainError::Loader`] for too many broken samples,
    /// [`TrainError::Label`]; [`TrainError::Checkpoint`], [`TrainError::Observer`] where files cannot be written.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        observer.observe(&Event::Start(Box::new(self.start())))?;
        let position = self.position();
        if position.step > 0 {
            observer.observe(&Event::Resume(position))?;
        }
        self.counted = (self.clock)();
        self.saved = (self.counted, position.step);
        while self.progress.epoch < self.settings.epochs {
            if !self.train_epoch(observer)? {
                self.save(observer)?;
                observer.observe(&Event::Stop(self.position()))?;
                return Ok(Outcome::Stopped(self.position()));
            }
            self.end_epoch(observer)?;
            self.save(observer)?;
        }
        self.finish(observer)
    }

    /// Makes the first `steps` steps, or as many as there are, and returns their numbers and the bits of their losses. For a
    /// trainer that has not run yet. Evaluates and writes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn replay(&mut self, steps: u64) -> Result<Vec<(u64, u32)>, TrainError> {
        let mut losses = Vec::new();
        let mut note = |event: &Event| {
            if let Event::Step(step) = event {
                losses.push((step.step, step.loss_bits));
            }
            Ok(())
        };
        let steps = steps.min(self.timeline.steps);
        while self.position().step < steps {
            let mut batches = self.train.epoch(self.progress.epoch, self.progress.batch);
            while self.progress.batch < self.train.batches() && self.position().step < steps {
                self.step(&mut batches, &mut note)?;
            }
            if self.progress.batch == self.train.batches() {
                self.progress.epoch += 1;
                self.progress.batch = 0;
            }
        }
        Ok(losses)
    }

    fn start(&self) -> Start {
        let machine = self.network.workspace.machine();
        Start {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isa: format!("{:?}", machine.isa).to_lowercase(),
            threads: machine.threads.count(),
            samples: self.train.examples().len(),
            validation_samples: self.validation.as_ref().map_or(0, |loader| loader.examples().len()),
            trainable: self.learner.trainable(),
            steps: self.timeline.steps,
            steps_per_epoch: self.timeline.steps_per_epoch,
            settings: self.settings.clone(),
        }
    }

    /// Makes the steps of an epoch that are left; returns whether it was not asked to stop before.
    fn train_epoch(&mut self, observer: &mut dyn Observer) -> Result<bool, TrainError> {
        let mut batches = self.train.epoch(self.progress.epoch, self.progress.batch);
        while self.progress.batch < self.train.batches() {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.step(&mut batches, observer)?;
            if self.checkpoint_is_due() {
                self.save(observer)?;
            }
        }
        Ok(true)
    }

    /// Learns from as many batches as are accumulated, and makes a step.
    fn step(&mut self, batches: &mut Epoch, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let mut step = Attempt { number: self.position().step + 1, rate: self.rate(), samples: Vec::new() };
        for _ in 0..self.settings.accumulate {
            let Some(batch) = batches.next().transpose()? else {
                self.progress.batch = self.train.batches();
                break;
            };
            self.progress.batch = batch.number + 1;
            report_broken(&batch.broken, &mut self.progress.broken, ("train", step.number), observer)?;
            if batch.rows == 0 {
                continue;
            }
            step.samples.extend_from_slice(&batch.indices);
            let number = self.progress.epoch * self.train.batches() as u64 + batch.number as u64;
            let key = RunKey { seed: self.settings.seed, step: number };
            let loss = self.learner.learn(&batch, &**self.train.examples(), &mut self.network, key)?;
            self.check_finite("loss", loss, &step)?;
        }
        if step.samples.is_empty() { Ok(()) } else { self.update(&step, observer) }
    }

    fn update(&mut self, step: &Attempt, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let share = self.clip(step)?;
        let rule = self.settings.optimiser.rule(step.rate);
        let gathered = self.learner.update(&rule, share, &mut self.network);
        if self.settings.ema_decay > 0.0 {
            let Network { state, workspace } = &mut self.network;
            state.update_average(workspace.machine(), self.settings.ema_decay);
        }
        self.progress.loss += gathered.loss;
        self.progress.samples += gathered.samples;
        let loss = gathered.mean_loss();
        observer.observe(&Event::Step(Step {
            step: step.number,
            epoch: self.progress.epoch,
            loss,
            loss_bits: loss.to_bits(),
            rate: step.rate,
            samples: gathered.samples,
        }))?;
        Ok(())
    }

    /// The rate of the next step.
    fn rate(&self) -> f64 {
        let Settings { warmup, schedule, rate, .. } = &self.settings;
        warmup.rate(schedule, *rate, self.position().step, self.timeline)
    }

    /// What the gradient is multiplied by so that its norm is at most the limit: PyTorch's `limit / (norm + 1e-6)`.
    fn clip(&self, step: &Attempt) -> Result<f32, TrainError> {
        let limit = self.settings.clip_norm as f32;
        if limit == 0.0 {
            return Ok(1.0);
        }
        let norm = self.learner.norm(self.network.workspace.machine());
        self.check_finite("norm of the gradient", norm, step)?;
        Ok((limit / (norm + 1e-6)).min(1.0))
    }

    fn check_finite(&self, what: &'static str, value: f32, step: &Attempt) -> Result<(), TrainError> {
        if value.is_finite() {
            return Ok(());
        }
        let examples = self.train.examples();
        Err(TrainError::NotFinite {
            what,
            value: value.into(),
            step: step.number,
            rate: step.rate,
            samples: step.samples.iter().map(|&index| examples.name(index)).collect(),
        })
    }

    /// Evaluates, keeps the best and goes on to the next epoch.
    fn end_epoch(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.count_seconds();
        let measured = self.evaluate(observer)?;
        let best = measured.map_or(Ok(false), |measured| self.keep_best(measured))?;
        let after = (self.clock)();
        let name = format!("validation_{}", self.metric.name());
        let event = EpochEnd {
            epoch: self.progress.epoch,
            step: self.position().step,
            train_loss: self.progress.loss / self.progress.samples as f64,
            validation_loss: measured.map_or(f64::NAN, |measured| measured.loss),
            metrics: measured.map(|measured| (name, measured.metric)).into_iter().collect::<BTreeMap<_, _>>(),
            seconds: self.progress.seconds,
            validation_seconds: after.saturating_sub(self.counted).as_secs_f64(),
            best,
        };
        self.counted = after;
        self.progress = Progress {
            epoch: self.progress.epoch + 1,
            batch: 0,
            loss: 0.0,
            samples: 0,
            seconds: 0.0,
            ..std::mem::take(&mut self.progress)
        };
        observer.observe(&Event::Epoch(event))?;
        Ok(())
    }

    /// Measures the values that would be kept: the average, where there is one, in the place of the weights for so long.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<Option<Measured>, TrainError> {
        let Some(loader) = &self.validation else { return Ok(None) };
        self.network.state.exchange_average();
        let measured = self.evaluator.run(loader, &mut self.network, &mut *self.metric);
        self.network.state.exchange_average();
        let (broken, step) = (loader.broken(), self.position().step);
        report_broken(&broken, &mut self.progress.validation_broken, ("validation", step), observer)?;
        measured.map(Some)
    }

    /// Whether this epoch is the best so far; if so, and if it may be asked for, its values are put aside.
    fn keep_best(&mut self, measured: Measured) -> Result<bool, TrainError> {
        let Measured { metric, loss, .. } = measured;
        let better = |best: Best| metric > best.metric || metric == best.metric && loss < best.loss;
        if !loss.is_finite() || !metric.is_finite() || !self.progress.best.is_none_or(better) {
            return Ok(false);
        }
        self.progress.best = Some(Best { epoch: self.progress.epoch, metric, loss });
        if self.settings.keep == Keep::Best {
            let parameters = self.present();
            if let Some(folder) = &self.folder {
                checkpoint::save_parameters(&folder.join(BEST), &parameters)?;
            }
            self.best = Some(parameters);
        }
        Ok(true)
    }

    /// The values that stand for the network now.
    fn present(&self) -> Parameters {
        self.network.state.average().unwrap_or_else(|| self.network.state.parameters())
    }

    fn finish(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let best = self.progress.best;
        let (parameters, epoch) = match (self.settings.keep, best) {
            (Keep::Best, Some(best)) => (self.best_parameters()?, Some(best.epoch)),
            _ => (self.present(), self.progress.epoch.checked_sub(1)),
        };
        observer.observe(&Event::Finish(Finish { step: self.position().step, kept_epoch: epoch }))?;
        Ok(Outcome::Finished(Trained { parameters, epoch, best }))
    }

    /// The values of the best epoch: at hand, or in the file of the run that was resumed.
    fn best_parameters(&mut self) -> Result<Parameters, TrainError> {
        match (self.best.take(), &self.folder) {
            (None, Some(folder)) => Ok(checkpoint::load_parameters(&folder.join(BEST))?),
            (best, _) => Ok(best.unwrap_or_else(|| self.present())),
        }
    }

    /// Adds the time since it was last called to the epoch's.
    fn count_seconds(&mut self) {
        let now = (self.clock)();
        self.progress.seconds += now.saturating_sub(self.counted).as_secs_f64();
        self.counted = now;
    }

    /// Not at an epoch's last step: its end writes one, after the evaluation.
    fn checkpoint_is_due(&self) -> bool {
        let Settings { checkpoint_steps, checkpoint_seconds, .. } = self.settings;
        let steps = self.position().step - self.saved.1;
        let seconds = || (self.clock)().saturating_sub(self.saved.0).as_secs_f64();
        self.folder.is_some()
            && self.progress.batch < self.train.batches()
            && (checkpoint_steps > 0 && steps >= checkpoint_steps
                || checkpoint_seconds > 0.0 && seconds() >= checkpoint_seconds)
    }

    fn save(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(CHECKPOINT)) else { return Ok(()) };
        self.count_seconds();
        checkpoint::save(&path, &self.network.state, &self.progress, &self.facts)?;
        let step = self.position().step;
        self.saved = ((self.clock)(), step);
        observer.observe(&Event::Checkpoint(Written { step, path }))?;
        Ok(())
    }
}

/// A step in the making.
struct Attempt {
    /// Its number, from 1.
    number: u64,
    rate: f64,
    /// Indices of the samples it learns from.
    samples: Vec<usize>,
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

/// Reports the broken samples that are not known yet, and knows them from then on.
fn report_broken(
    found: &[Broken],
    known: &mut Vec<Broken>,
    (part, step): (&'static str, u64),
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    for broken in found {
        if known.iter().all(|other| other.index != broken.index) {
            known.push(broken.clone());
            observer.observe(&Event::Broken(BrokenSample { step, part, broken: broken.clone() }))?;
        }
    }
    Ok(())
}

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
/// [`Job`].
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
