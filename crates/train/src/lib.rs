//! The training loop: schedules, metrics, checkpoints, the log. It names no network and no data set.
//!
//! A [`Job`] says what is trained on what; a [`Trainer`] makes it programs and runs them, telling an [`Observer`] what
//! happens. With a folder it writes [`checkpoint`]s, from which a run that was killed goes on and ends with the same bits
//! as one that was not. Evaluation runs on the very weights that are trained; there is no second copy.
//!
//! The crate reads no clock: seconds in events are those of the clock handed to [`Trainer::with_clock`].

pub mod checkpoint;
mod error;
mod evaluate;
mod event;
mod facts;
pub mod log;
pub mod metric;
mod program;
mod schedule;
mod settings;
mod trainer;

pub use checkpoint::{Best, Facts, Progress};
pub use error::{CheckpointError, TrainError};
pub use evaluate::{EvaluationJob, EvaluationOptions, evaluate};
pub use event::{BrokenSample, EpochEnd, Event, Finish, Observer, Position, Start, Step, Written};
pub use log::Log;
pub use metric::{Accuracy, Metric};
pub use program::{Measured, Network, Programs};
pub use schedule::{Constant, Cosine, OneCycle, Schedule, StepDecay, Timeline, Warmup};
pub use settings::{Adam, AdamW, Keep, Optimiser, Settings, Sgd};
pub use trainer::{BEST, CHECKPOINT, Job, Outcome, Trained, Trainer};
