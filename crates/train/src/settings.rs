//! What a run can be told. Every default is explicit, and 0 stands for *off* where a setting may be.

use crate::{Schedule, TrainError, Warmup};
use serde::{Deserialize, Serialize};

/// Settings of a run, as a configuration file writes them. An unknown key is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often every sample is seen. Default 10.
    pub epochs: u64,
    /// Samples in a batch. Default 64.
    pub batch: usize,
    /// Step length before schedule and warm-up. Default 0.001.
    pub rate: f64,
    /// Batches whose gradients make one step: the mean over all their samples. Default 1.
    pub accumulate: usize,
    /// Gradients whose norm as one vector is larger are scaled down to it, as PyTorch's `clip_grad_norm_` does; 0: off,
    /// the default.
    pub clip_norm: f64,
    /// The average of weights and statistics that is evaluated and kept in their place:
    /// `average = decay · average + (1 − decay) · value` after every step; 0: off, the default.
    pub ema_decay: f64,
    /// Seed of the order of samples and of dropout. Default 0.
    pub seed: u64,
    /// Which epoch's weights are the result. Default best.
    pub keep: Keep,
    /// Leave out the last batch of an epoch if it is not full. Default false.
    pub drop_last: bool,
    /// Threads that prepare batches; 0 prepares them in the training thread. Changes no result. Default 2.
    pub workers: usize,
    /// Distinct broken samples that are skipped, by name, before the run gives up. Default 0.
    pub max_broken: usize,
    /// Steps between checkpoints within an epoch; one is written at the end of every epoch anyway. 0: none, the default.
    pub checkpoint_steps: u64,
    /// Seconds between checkpoints within an epoch; 0: none. Default 60.
    pub checkpoint_seconds: f64,
    /// The rule that moves the weights. Default AdamW.
    pub optimiser: Optimiser,
    /// How the rate changes. Default constant.
    pub schedule: Schedule,
    /// How the rate rises at the beginning. Default not at all.
    pub warmup: Warmup,
}

/// Settings that change no result, and may differ when a run is resumed.
pub(crate) const FREE: [&str; 4] = ["workers", "max_broken", "checkpoint_steps", "checkpoint_seconds"];

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 64,
            rate: 0.001,
            accumulate: 1,
            clip_norm: 0.0,
            ema_decay: 0.0,
            seed: 0,
            keep: Keep::Best,
            drop_last: false,
            workers: 2,
            max_broken: 0,
            checkpoint_steps: 0,
            checkpoint_seconds: 60.0,
            optimiser: Optimiser::AdamW(AdamW::default()),
            schedule: Schedule::default(),
            warmup: Warmup::default(),
        }
    }
}

/// Which weights a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those of the epoch with the best metric on the validation part, of equal ones that with the smaller loss, of equal
    /// ones the first; without a validation part the last.
    Best,
    /// Those of the last epoch.
    Last,
}

/// An update rule; formulas in [`svertka_engine::Sgd`] and [`svertka_engine::Adam`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimiser {
    /// PyTorch's `SGD`.
    Sgd(Sgd),
    /// PyTorch's `Adam`.
    Adam(Adam),
    /// PyTorch's `AdamW`.
    AdamW(AdamW),
}

/// Settings of stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// How much of the last direction stays. Default 0.9 (PyTorch: 0).
    pub momentum: f64,
    /// Whether to look ahead; wants momentum and no dampening. Default false.
    pub nesterov: bool,
    /// What the new direction lacks. Default 0.
    pub dampening: f64,
    /// Weight of the penalty on squares. Default 0.
    pub weight_decay: f64,
}

/// Settings of Adam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// How much of the two moments stays. Default 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Weight of the penalty on squares. Default 0.
    pub weight_decay: f64,
}

/// Settings of AdamW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// How much of the two moments stays. Default 0.9 and 0.999.
    pub betas: [f64; 2],
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Share of the weights that decays in a step of rate 1. Default 0.01.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: false, dampening: 0.0, weight_decay: 0.0 }
    }
}

impl Default for Adam {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl Optimiser {
    /// The rule as the engine runs it, at this rate.
    pub fn rule(&self, learning_rate: f64) -> svertka_engine::Optimiser {
        match *self {
            Self::Sgd(Sgd { momentum, nesterov, dampening, weight_decay }) => {
                let rule = svertka_engine::Sgd { learning_rate, momentum, dampening, weight_decay, nesterov };
                svertka_engine::Optimiser::Sgd(rule)
            }
            Self::Adam(Adam { betas, epsilon, weight_decay }) => {
                let decoupled = false;
                let rule = svertka_engine::Adam { learning_rate, betas, epsilon, weight_decay, decoupled };
                svertka_engine::Optimiser::Adam(rule)
            }
            Self::AdamW(AdamW { betas, epsilon, weight_decay }) => {
                let decoupled = true;
                let rule = svertka_engine::Adam { learning_rate, betas, epsilon, weight_decay, decoupled };
                svertka_engine::Optimiser::Adam(rule)
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Sgd(sgd) => {
                share("optimiser.momentum", sgd.momentum)?;
                share("optimiser.dampening", sgd.dampening)?;
                not_negative("optimiser.weight_decay", sgd.weight_decay)?;
                let blind = sgd.nesterov && (sgd.momentum == 0.0 || sgd.dampening != 0.0);
                require(!blind, || "optimiser.nesterov wants momentum above 0 and no dampening".into())
            }
            Self::Adam(Adam { betas, epsilon, weight_decay })
            | Self::AdamW(AdamW { betas, epsilon, weight_decay }) => {
                betas.iter().try_for_each(|beta| share("optimiser.betas", *beta))?;
                not_negative("optimiser.epsilon", *epsilon)?;
                not_negative("optimiser.weight_decay", *weight_decay)
            }
        }
    }
}

impl Settings {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`TrainError::Settings`], which names the first that is not.
    pub fn check(&self) -> Result<(), TrainError> {
        self.check_numbers().map_err(TrainError::Settings)
    }

    fn check_numbers(&self) -> Result<(), String> {
        require(self.batch > 0, || "batch has to be at least 1".into())?;
        require(self.accumulate > 0, || "accumulate has to be at least 1".into())?;
        not_negative("rate", self.rate)?;
        not_negative("clip_norm", self.clip_norm)?;
        not_negative("checkpoint_seconds", self.checkpoint_seconds)?;
        not_negative("warmup.epochs", self.warmup.epochs)?;
        share("ema_decay", self.ema_decay)?;
        self.optimiser.check()?;
        self.schedule.check()
    }
}

pub(crate) fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

pub(crate) fn not_negative(name: &str, value: f64) -> Result<(), String> {
    require(value.is_finite() && value >= 0.0, || {
        format!("{name} is {value}; it has to be a number of at least 0")
    })
}

/// From 0 to 1, 1 excluded.
fn share(name: &str, value: f64) -> Result<(), String> {
    require((0.0..1.0).contains(&value), || {
        format!("{name} is {value}; it has to be at least 0 and less than 1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(parse("{}").unwrap(), Settings::default());
        let sgd = parse(r#"{"optimiser": {"name": "sgd", "nesterov": true}}"#).unwrap();
        assert_eq!(sgd.optimiser, Optimiser::Sgd(Sgd { nesterov: true, ..Sgd::default() }));
        let text = serde_json::to_string(&sgd).unwrap();
        assert_eq!(parse(&text).unwrap(), sgd);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(parse(r#"{"epoch": 3}"#).unwrap_err().to_string().contains("unknown field `epoch`"));
        let nested = parse(r#"{"optimiser": {"name": "adam", "momentum": 0.9}}"#).unwrap_err();
        assert!(nested.to_string().contains("unknown field `momentum`"), "{nested}");
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let message = |text: &str| parse(text).unwrap().check().unwrap_err().to_string();
        assert!(message(r#"{"batch": 0}"#).contains("batch"));
        assert!(message(r#"{"rate": -1}"#).contains("rate is -1"));
        assert!(message(r#"{"ema_decay": 1}"#).contains("ema_decay is 1"));
        let blind = r#"{"optimiser": {"name": "sgd", "momentum": 0, "nesterov": true}}"#;
        assert!(message(blind).contains("nesterov"));
        assert!(
            message(r#"{"schedule": {"name": "one_cycle", "pct_start": 2}}"#).contains("schedule.pct_start")
        );
        Settings::default().check().unwrap();
    }
}
