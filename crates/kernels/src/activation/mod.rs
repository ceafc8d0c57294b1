//! Activations: element by element, on their own or in the epilogue of a product.

/// A function applied to every element, named and behaving as in ONNX. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` where `x >= 0`, else `alpha * x`.
    LeakyRelu {
        /// The slope below zero (ONNX's default: 0.01).
        alpha: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// The slope (ONNX's default: 0.2).
        alpha: f32,
        /// The value at zero (ONNX's default: 0.5).
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `min(max(x, min), max)`; Relu6 is `Clip { min: 0.0, max: 6.0 }`.
    Clip {
        /// The lower bound.
        min: f32,
        /// The upper bound; it wins where it is below `min`.
        max: f32,
    },
}

impl Activation {
    /// The function of one value.
    pub fn apply(self, x: f32) -> f32 {
        // Comparisons that a NaN fails keep it.
        let clip = |x: f32, min: f32, max: f32| {
            let x = if x < min { min } else { x };
            if x > max { max } else { x }
        };
        match self {
            Self::Relu => clip(x, 0.0, f32::INFINITY),
            Self::LeakyRelu { alpha } => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::HardSigmoid { alpha, beta } => clip(alpha * x + beta, 0.0, 1.0),
            Self::HardSwish => x * clip(x / 6.0 + 0.5, 0.0, 1.0),
            Self::Clip { min, max } => clip(x, min, max),
        }
    }
}
