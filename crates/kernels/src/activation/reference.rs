//! The twin of [`Activation`]: each function from its definition, in f64.

use super::Activation;

/// The activation of one value.
pub fn apply(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Relu => clip(x, 0.0, f64::INFINITY),
        Activation::LeakyRelu { alpha } => {
            if x >= 0.0 {
                x
            } else {
                f64::from(alpha) * x
            }
        }
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::HardSigmoid { alpha, beta } => hard_sigmoid(f64::from(alpha), f64::from(beta), x),
        Activation::HardSwish => x * hard_sigmoid(1.0 / 6.0, 0.5, x),
        Activation::Clip { min, max } => clip(x, f64::from(min), f64::from(max)),
    }
}

/// `min(max(x, min), max)`, where a NaN stays.
fn clip(x: f64, min: f64, max: f64) -> f64 {
    let x = if x < min { min } else { x };
    if x > max { max } else { x }
}

fn hard_sigmoid(alpha: f64, beta: f64, x: f64) -> f64 {
    (alpha * x + beta).clamp(0.0, 1.0)
}

/// The derivative of the activation at the input `x`; at a kink 0 for Relu, Clip and HardSigmoid, `alpha` for
/// LeakyRelu, and for HardSwish the slope of the constant or straight side.
pub fn derivative(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Relu => f64::from(x > 0.0),
        Activation::LeakyRelu { alpha } => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(alpha)
            }
        }
        Activation::Sigmoid => apply(activation, x) * (1.0 - apply(activation, x)),
        Activation::Tanh => 1.0 - x.tanh() * x.tanh(),
        Activation::HardSigmoid { alpha, beta } => {
            let line = f64::from(alpha) * x + f64::from(beta);
            if line > 0.0 && line < 1.0 { f64::from(alpha) } else { 0.0 }
        }
        Activation::HardSwish if x <= -3.0 => 0.0,
        Activation::HardSwish if x >= 3.0 => 1.0,
        Activation::HardSwish => x / 3.0 + 0.5,
        Activation::Clip { min, max } => f64::from(x > f64::from(min) && x < f64::from(max)),
    }
}
