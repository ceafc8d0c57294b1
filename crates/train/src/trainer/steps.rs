//! Steps, and runs of them.

use super::{Outcome, Trainer, epochs::report_broken};
use crate::{Event, Observer, Settings, Start, Step, TrainError, program::Network};
use std::sync::atomic::Ordering;
use svertka_data::Epoch;
use svertka_engine::{Optimiser, RunKey};

/// A step in the making.
struct Attempt {
    /// Its number, from 1.
    number: u64,
    rate: f64,
    rule: Optimiser,
    /// Indices of the samples it learns from.
    samples: Vec<usize>,
}

impl Trainer {
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
        let (number, rate) = (self.position().step + 1, self.rate());
        let rule = self.settings.optimiser.rule(rate);
        let mut step = Attempt { number, rate, rule, samples: Vec::new() };
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
            let with = (key, &step.rule);
            let loss = self.learner.learn(&batch, &**self.train.examples(), &mut self.network, with)?;
            self.check_finite("loss", loss, &step)?;
        }
        if step.samples.is_empty() { Ok(()) } else { self.update(&step, observer) }
    }

    fn update(&mut self, step: &Attempt, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let share = self.clip(step)?;
        let gathered = self.learner.update(&step.rule, share, &mut self.network);
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
}
