//! Learning rates as pure functions of the step.

use crate::settings::{not_negative, require};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the rate changes over the steps that follow the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Schedule {
    /// Not at all.
    Constant(Constant),
    /// `rate · factor^⌊epoch / every⌋`: PyTorch's `StepLR`, stepped once per epoch.
    Step(StepDecay),
    /// `to + (rate − to) · (1 + cos(π · step / steps)) / 2`: PyTorch's `CosineAnnealingLR` with `T_max` the number of
    /// steps, stepped once per step. Loshchilov and Hutter 2016, <https://arxiv.org/abs/1608.03983>.
    Cosine(Cosine),
    /// Up to the rate and down again, both by a cosine: PyTorch's `OneCycleLR` with two phases and constant momentum.
    /// Smith and Topin 2017, <https://arxiv.org/abs/1708.07120>.
    OneCycle(OneCycle),
}

/// The constant schedule has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {}

/// Settings of [`Schedule::Step`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepDecay {
    /// Epochs between two changes. Default 10.
    pub every: u64,
    /// What the rate is multiplied by. Default 0.1.
    pub factor: f64,
}

/// Settings of [`Schedule::Cosine`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// The rate at the end. Default 0.
    pub to: f64,
}

/// Settings of [`Schedule::OneCycle`], named as PyTorch names them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// Share of the steps in which the rate rises. Default 0.3.
    pub pct_start: f64,
    /// The first rate is `rate / div_factor`. Default 25.
    pub div_factor: f64,
    /// The last rate is the first one divided by this. Default 10,000.
    pub final_div_factor: f64,
}

/// Linear rise of the rate: step `s` of `w` has the share `(s + 1) / w` of the first scheduled rate. The two lengths add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Warmup {
    /// Length in steps. Default 0.
    pub steps: u64,
    /// Length in epochs. Default 0.
    pub epochs: f64,
}

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Steps in all.
    pub steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant(Constant {})
    }
}

impl Default for StepDecay {
    fn default() -> Self {
        Self { every: 10, factor: 0.1 }
    }
}

impl Default for OneCycle {
    fn default() -> Self {
        Self { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }
}

impl Schedule {
    /// The rate of a step, counted from 0.
    pub fn rate(&self, base: f64, step: u64, timeline: Timeline) -> f64 {
        match self {
            Self::Constant(_) => base,
            Self::Step(decay) => {
                let epoch = step / timeline.steps_per_epoch.max(1);
                base * decay.factor.powf((epoch / decay.every.max(1)) as f64)
            }
            Self::Cosine(cosine) => anneal(base, cosine.to, step as f64 / timeline.steps.max(1) as f64),
            Self::OneCycle(cycle) => cycle.rate(base, step as f64, timeline.steps as f64),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Step(decay) => {
                require(decay.every > 0, || "schedule.every has to be at least 1".into())?;
                not_negative("schedule.factor", decay.factor)
            }
            Self::Cosine(cosine) => not_negative("schedule.to", cosine.to),
            Self::OneCycle(OneCycle { pct_start, div_factor, final_div_factor }) => {
                require((0.0..=1.0).contains(pct_start), || {
                    format!("schedule.pct_start is {pct_start}; it is a share from 0 to 1")
                })?;
                require(*div_factor > 0.0 && *final_div_factor > 0.0, || {
                    "schedule.div_factor and schedule.final_div_factor have to be above 0".into()
                })
            }
        }
    }
}

impl OneCycle {
    fn rate(&self, base: f64, step: f64, steps: f64) -> f64 {
        let first = base / self.div_factor;
        let (top, end) = (self.pct_start * steps - 1.0, steps - 1.0);
        if step <= top {
            return anneal(first, base, if top > 0.0 { step / top } else { 1.0 });
        }
        anneal(base, first / self.final_div_factor, if end > top { (step - top) / (end - top) } else { 1.0 })
    }
}

impl Warmup {
    /// Length in steps; what is longer than a number can say is as long as one can.
    pub fn length(&self, steps_per_epoch: u64) -> u64 {
        self.steps.saturating_add((self.epochs * steps_per_epoch as f64).round() as u64)
    }

    /// The rate of a step, counted from 0: the warm-up, and behind it the schedule on the steps that are left.
    pub fn rate(&self, schedule: &Schedule, base: f64, step: u64, timeline: Timeline) -> f64 {
        let length = self.length(timeline.steps_per_epoch);
        let rest = Timeline { steps: timeline.steps.saturating_sub(length), ..timeline };
        if step < length {
            schedule.rate(base, 0, rest) * (step + 1) as f64 / length as f64
        } else {
            schedule.rate(base, step - length, rest)
        }
    }
}

/// From `from` to `to` by half a cosine; `share` is how far.
fn anneal(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * share).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_up_beyond_all_numbers_is_as_long_as_one_can_say() {
        let warmup = Warmup { steps: 1, epochs: 1e300 };
        let timeline = Timeline { steps: 10, steps_per_epoch: 5 };
        assert_eq!(warmup.length(timeline.steps_per_epoch), u64::MAX);
        assert!(warmup.rate(&Schedule::default(), 0.1, 9, timeline) < 1e-15);
    }
}
