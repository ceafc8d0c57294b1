/// A function of one variable, applied to every element.
///
/// Where a function has a kink, its gradient there is 0 (`Relu` and `Clip`) or that of the left side (`LeakyRelu`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x for x > 0, alpha·x otherwise; ONNX default alpha 0.01.
    LeakyRelu {
        /// Slope of the negative side.
        alpha: f32,
    },
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// max(0, min(1, alpha·x + beta)); ONNX defaults 0.2 and 0.5.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// x · HardSigmoid(alpha = 1/6, beta = 1/2)(x)
    HardSwish,
    /// min(max(x, min), max); −∞ and +∞ where a bound is absent. Relu6 is `Clip` from 0 to 6.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
}

impl Activation {
    /// The ONNX name.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Relu => "Relu",
            Activation::LeakyRelu { .. } => "LeakyRelu",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
            Activation::HardSigmoid { .. } => "HardSigmoid",
            Activation::HardSwish => "HardSwish",
            Activation::Clip { .. } => "Clip",
        }
    }

    /// Whether the gradient is computed from the function's output; otherwise from its input.
    ///
    /// From the output wherever it tells the sides of a kink apart: the input need not be kept then.
    pub fn gradient_reads_output(&self) -> bool {
        match self {
            Activation::HardSwish => false,
            Activation::LeakyRelu { alpha } => *alpha > 0.0,
            _ => true,
        }
    }
}
