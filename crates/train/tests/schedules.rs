//! Schedules beside PyTorch's, step by step.

use serde::Deserialize;
use svertka_train::{Schedule, Timeline, Warmup};

/// Largest difference, relative to the base rate: PyTorch computes the next rate from the last, which rounds at every step.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Fixture {
    base: f64,
    steps_per_epoch: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    steps: u64,
    warmup: u64,
    schedule: Schedule,
    rates: Vec<f64>,
}

#[test]
fn every_step_has_the_rate_that_pytorch_gives_it() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/schedules.json")).unwrap();
    for Case { steps, warmup, schedule, rates } in fixture.cases {
        let timeline = Timeline { steps, steps_per_epoch: fixture.steps_per_epoch };
        let rise = Warmup { steps: warmup, epochs: 0.0 };
        for (step, expected) in rates.iter().enumerate() {
            let rate = rise.rate(&schedule, fixture.base, step as u64, timeline);
            let difference = (rate - expected).abs();
            assert!(
                difference <= TOLERANCE * fixture.base,
                "{schedule:?} after {warmup}, step {step}: {rate}, PyTorch {expected}"
            );
        }
    }
}

#[test]
fn warm_up_is_told_in_steps_or_epochs() {
    let length = |steps, epochs| Warmup { steps, epochs }.length(7);
    assert_eq!([length(3, 0.0), length(0, 0.5), length(0, 2.0), length(1, 1.0)], [3, 4, 14, 8]);
}

#[test]
fn degenerate_lengths_give_finite_rates() {
    for name in ["constant", "step", "cosine", "one_cycle"] {
        let schedule: Schedule = serde_json::from_str(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
        for steps in 0..4 {
            let timeline = Timeline { steps, steps_per_epoch: 1 };
            for step in 0..=steps {
                let rate = Warmup { steps: 2, epochs: 0.0 }.rate(&schedule, 1.0, step, timeline);
                assert!((0.0..=1.0).contains(&rate), "{name}, step {step} of {steps}: {rate}");
            }
        }
    }
}
