//! What a run reports while it runs.

use crate::Settings;
use serde::Serialize;
use std::{collections::BTreeMap, io, path::PathBuf};
use svertka_data::{Broken, Split};

/// Something that happened. Serialised, it is a line of the log.
///
/// `step` counts the steps made so far, this one included: the first step is 1, and an epoch's event has the number of
/// its last step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins, for the first time or again.
    Start(Box<Start>),
    /// A validation part was set aside. Reported by whoever does it, for the log.
    Split(Split),
    /// The run goes on where a checkpoint was written.
    Resume(Position),
    /// A step was made.
    Step(Step),
    /// A sample was skipped.
    Broken(BrokenSample),
    /// An epoch has ended and was evaluated.
    Epoch(EpochEnd),
    /// A checkpoint was written.
    Checkpoint(Written),
    /// The run was asked to stop, and can be resumed.
    Stop(Position),
    /// The run is done.
    Finish(Finish),
}

/// Facts about a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// Version of this crate.
    pub version: String,
    /// The instruction set; it decides the last bits.
    pub isa: String,
    /// Threads of the arithmetic.
    pub threads: usize,
    /// Samples to learn from.
    pub samples: usize,
    /// Samples to evaluate on.
    pub validation_samples: usize,
    /// Numbers that are learnt.
    pub trainable: usize,
    /// Steps in all.
    pub steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// The settings.
    pub settings: Settings,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Steps made.
    pub step: u64,
    /// The epoch under way, from 0.
    pub epoch: u64,
    /// Batches of it that are done.
    pub batch: usize,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Its number, from 1.
    pub step: u64,
    /// Its epoch, from 0.
    pub epoch: u64,
    /// Mean loss over its samples, before the step.
    pub loss: f32,
    /// The bits of the loss, for comparison.
    pub loss_bits: u32,
    /// Learning rate.
    pub rate: f64,
    /// Samples it learnt from.
    pub samples: usize,
}

/// A skipped sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrokenSample {
    /// The step it would have been part of.
    pub step: u64,
    /// `train` or `validation`.
    pub part: &'static str,
    /// Which, and why.
    #[serde(flatten)]
    pub broken: Broken,
}

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochEnd {
    /// Its number, from 0.
    pub epoch: u64,
    /// Steps made.
    pub step: u64,
    /// Mean loss over the epoch's samples, each as it was when its batch was learnt from.
    pub train_loss: f64,
    /// Mean loss over the validation samples, without label smoothing; NaN (in the log: null) without any.
    pub validation_loss: f64,
    /// Metrics of the validation samples by name, such as `validation_accuracy`.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, f64>,
    /// Seconds of training, by the clock that was handed in.
    pub seconds: f64,
    /// Seconds of evaluation.
    pub validation_seconds: f64,
    /// Whether this is the best epoch so far.
    pub best: bool,
}

impl EpochEnd {
    /// The accuracy on the validation samples, if it was measured.
    pub fn validation_accuracy(&self) -> Option<f64> {
        self.metrics.get("validation_accuracy").copied()
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Steps made.
    pub step: u64,
    /// The file.
    pub path: PathBuf,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Finish {
    /// Steps made.
    pub step: u64,
    /// The epoch whose weights are the result, from 0; none if there was no epoch.
    pub kept_epoch: Option<u64>,
}

/// Somebody who is told what happens: a log, a progress bar, a test.
pub trait Observer {
    /// Takes note of an event. An error, such as a full disk, stops the run.
    ///
    /// # Errors
    /// Whatever keeps the observer from doing its work.
    fn observe(&mut self, event: &Event) -> io::Result<()>;
}

impl<F: FnMut(&Event) -> io::Result<()>> Observer for F {
    fn observe(&mut self, event: &Event) -> io::Result<()> {
        self(event)
    }
}
