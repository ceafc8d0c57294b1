use super::*;
use crate::testing::{Cases, Draw, narrow, widen};
use serde_json::Value;

/// A dozen f32 roundings per step on values of order 1.
const TOLERANCE: f64 = 1e-6;
/// Six steps of both sides in f32.
const FIXTURE_TOLERANCE: f64 = 2e-6;

/// A rule with what it remembers.
#[derive(Clone, Debug)]
enum Rule {
    Sgd(Sgd, Vec<f32>),
    Adam(Adam, Vec<f32>, Vec<f32>),
}

impl Rule {
    fn step(&mut self, machine: &Machine, step: u64, scale: f32, weights: &mut [f32], gradients: &[f32]) {
        let update = match self {
            Self::Sgd(rule, buffer) => rule.update(step == 1, scale, weights, buffer),
            Self::Adam(rule, mean, square) => rule.update(step, scale, weights, Moments { mean, square }),
        };
        update.run(machine, gradients);
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// The rule of a case of the fixture, with PyTorch's names and defaults.
fn rule_of(case: &Value) -> Rule {
    let options = &case["options"];
    let number = |name: &str, default: f64| options[name].as_f64().unwrap_or(default);
    let len = case["start"].as_array().unwrap().len();
    let learning_rate = number("lr", 1e-3);
    if case["rule"] == "sgd" {
        let rule = Sgd {
            momentum: number("momentum", 0.0),
            dampening: number("dampening", 0.0),
            weight_decay: number("weight_decay", 0.0),
            nesterov: options["nesterov"].as_bool().unwrap_or(false),
            ..Sgd::new(learning_rate)
        };
        // Before the first step the momentum may hold anything.
        return Rule::Sgd(rule, vec![f32::NAN; len]);
    }
    let defaults =
        if case["rule"] == "adamw" { Adam::adamw(learning_rate) } else { Adam::new(learning_rate) };
    let beta = |i: usize| options["betas"][i].as_f64().unwrap_or(defaults.betas[i]);
    let betas = [beta(0), beta(1)];
    let epsilon = number("eps", defaults.epsilon);
    let weight_decay = number("weight_decay", defaults.weight_decay);
    Rule::Adam(Adam { betas, epsilon, weight_decay, ..defaults }, vec![0.0; len], vec![0.0; len])
}

/// `tests/fixtures/optimisers.json`, written by `reference/optimisers.py` with the version of PyTorch that it
/// records.
#[test]
fn every_rule_is_pytorchs() {
    let fixture: Value = serde_json::from_str(include_str!("../../tests/fixtures/optimisers.json")).unwrap();
    let mut cases = Cases::default();
    for case in fixture["cases"].as_array().unwrap() {
        let steps: Vec<(&Value, &Value)> =
            case["gradients"].as_array().unwrap().iter().zip(case["weights"].as_array().unwrap()).collect();
        let expected: Vec<f64> = steps.iter().flat_map(|(_, after)| widen(&numbers(after))).collect();
        cases.check((&case["rule"], &case["options"]), &expected, FIXTURE_TOLERANCE, |machine| {
            let (mut rule, mut weights) = (rule_of(case), numbers(&case["start"]));
            let mut after = Vec::new();
            for (step, (gradients, _)) in (1..).zip(&steps) {
                rule.step(machine, step, 1.0, &mut weights, &numbers(gradients));
                after.extend_from_slice(&weights);
            }
            after
        });
    }
}

/// Rules with every option, on a parameter of several chunks.
fn rules(len: usize) -> Vec<Rule> {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..Sgd::new(0.1) };
    let adam = Adam { weight_decay: 0.1, ..Adam::new(0.01) };
    let zeros = || vec![0.0; len];
    vec![
        Rule::Sgd(Sgd::new(0.1), Vec::new()),
        Rule::Sgd(Sgd { weight_decay: 0.1, ..Sgd::new(0.1) }, Vec::new()),
        Rule::Sgd(sgd, zeros()),
        Rule::Sgd(Sgd { dampening: 0.4, ..sgd }, zeros()),
        Rule::Sgd(Sgd { nesterov: true, ..sgd }, zeros()),
        Rule::Adam(adam, zeros(), zeros()),
        Rule::Adam(Adam { betas: [0.5, 0.9], epsilon: 1e-3, ..Adam::adamw(0.1) }, zeros(), zeros()),
    ]
}

/// Three steps of the twin on one weight.
fn twin(rule: &Rule, scale: f64, mut w: f64, gradients: [f64; 3]) -> f64 {
    let (mut momentum, mut m, mut v) = (None, 0.0, 0.0);
    for (step, gradient) in (1..).zip(gradients) {
        match rule {
            Rule::Sgd(rule, _) => {
                let after = reference::sgd(rule, w, scale * gradient, momentum);
                (w, momentum) = (after.0, Some(after.1));
            }
            Rule::Adam(rule, ..) => (w, m, v) = reference::adam(rule, step, w, scale * gradient, m, v),
        }
    }
    w
}

#[test]
fn every_rule_is_its_twin() {
    const LEN: usize = 40_003;
    const SCALE: f32 = 0.25;
    let mut cases = Cases::default();
    let mut draw = Draw::new(1);
    let start = draw.normal(LEN);
    let gradients = [draw.normal(LEN), draw.normal(LEN), draw.normal(LEN)];
    for rule in rules(LEN) {
        let expected: Vec<f64> = (0..LEN)
            .map(|i| twin(&rule, f64::from(SCALE), start[i], gradients.each_ref().map(|g| g[i])))
            .collect();
        let name = match &rule {
            Rule::Sgd(rule, _) => format!("{rule:?}"),
            Rule::Adam(rule, ..) => format!("{rule:?}"),
        };
        cases.check(name, &expected, TOLERANCE, |machine| {
            let (mut rule, mut weights) = (rule.clone(), narrow(&start));
            for (step, gradients) in (1..).zip(&gradients) {
                rule.step(machine, step, SCALE, &mut weights, &narrow(gradients));
            }
            weights
        });
    }
}

#[test]
fn the_moving_average_approaches_the_weights() {
    let mut draw = Draw::new(2);
    let (weights, average) = (draw.normal(20_001), draw.normal(20_001));
    let decay = 0.75;
    let expected: Vec<f64> =
        average.iter().zip(&weights).map(|(a, w)| decay * a + (1.0 - decay) * w).collect();
    Cases::default().check("average", &expected, TOLERANCE, |machine| {
        let mut average = narrow(&average);
        moving_average_in_place(machine, decay, &narrow(&weights), &mut average);
        average
    });
}

#[test]
fn the_sum_of_squares_is_exact_to_f32() {
    let mut cases = Cases::default();
    for len in [0, 1, 255, 512, 100_003] {
        let x = Draw::new(3).normal(len);
        let expected = [x.iter().map(|x| x * x).sum::<f64>()];
        cases.check(len, &expected, TOLERANCE, |machine| vec![sum_of_squares(machine, &narrow(&x)) as f32]);
    }
}
