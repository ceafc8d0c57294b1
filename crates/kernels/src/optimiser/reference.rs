//! The twins of the update rules in f64, one parameter at a time, written from PyTorch's documentation.

use super::{Adam, Sgd};

/// One step of [`Sgd`] on a weight `w`, its gradient and its momentum (`None` before the first step): both
/// after it.
pub fn sgd(rule: &Sgd, w: f64, gradient: f64, momentum: Option<f64>) -> (f64, f64) {
    let d = gradient + rule.weight_decay * w;
    let mu = rule.momentum;
    let buffer = momentum.map_or(d, |buffer| mu * buffer + (1.0 - rule.dampening) * d);
    let direction = match (mu == 0.0, rule.nesterov) {
        (true, _) => d,
        (false, true) => d + mu * buffer,
        (false, false) => buffer,
    };
    (w - rule.learning_rate * direction, buffer)
}

/// Step `step` (from 1) of [`Adam`] on a weight and its two moments: the three after it.
pub fn adam(rule: &Adam, step: u64, w: f64, gradient: f64, m: f64, v: f64) -> (f64, f64, f64) {
    let (rate, decay) = (rule.learning_rate, rule.weight_decay);
    let [beta1, beta2] = rule.betas;
    let (w, g) = if rule.decoupled { (w - rate * decay * w, gradient) } else { (w, gradient + decay * w) };
    let m = beta1 * m + (1.0 - beta1) * g;
    let v = beta2 * v + (1.0 - beta2) * g * g;
    let (mean, square) = (m / (1.0 - beta1.powf(step as f64)), v / (1.0 - beta2.powf(step as f64)));
    (w - rate * mean / (square.sqrt() + rule.epsilon), m, v)
}
