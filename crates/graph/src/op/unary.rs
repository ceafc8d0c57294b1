/// A function of one variable, applied to every element, that is no [`Activation`](super::Activation) which convolutions take
/// into their own loops.
///
/// Its gradient is computed from its input. Where it has a kink, the gradient is that of the left side (`Elu`, `Selu`) or 0
/// (`Abs`, and everywhere for `Sign`, `Floor`, `Ceil`, `Round` and `Not`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// x for x > 0, alpha·(eˣ − 1) otherwise (Clevert et al. 2016); ONNX default alpha 1.
    Elu {
        /// Minus the limit at −∞.
        alpha: f32,
    },
    /// gamma·x for x > 0, gamma·alpha·(eˣ − 1) otherwise (Klambauer et al. 2017).
    Selu {
        /// ONNX default 1.67326.
        alpha: f32,
        /// ONNX default 1.0507.
        gamma: f32,
    },
    /// ln(1 + eˣ)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// x·Φ(x), Φ the normal distribution (Hendrycks and Gimpel 2016).
    Gelu {
        /// Approximates Φ by a hyperbolic tangent, default false.
        tanh: bool,
    },
    /// x·tanh(ln(1 + eˣ)) (Misra 2019)
    Mish,
    /// The error function.
    Erf,
    /// √x
    Sqrt,
    /// eˣ
    Exp,
    /// The natural logarithm.
    Log,
    /// −x
    Neg,
    /// |x|
    Abs,
    /// 1/x
    Reciprocal,
    /// −1, 0 or 1.
    Sign,
    /// The largest integer not above x.
    Floor,
    /// The smallest integer not below x.
    Ceil,
    /// The nearest integer; halves go to the even one.
    Round,
    /// The other truth value.
    Not,
}

impl Unary {
    /// The ONNX name.
    pub fn name(self) -> &'static str {
        match self {
            Unary::Elu { .. } => "Elu",
            Unary::Selu { .. } => "Selu",
            Unary::Softplus => "Softplus",
            Unary::Softsign => "Softsign",
            Unary::Gelu { .. } => "Gelu",
            Unary::Mish => "Mish",
            Unary::Erf => "Erf",
            Unary::Sqrt => "Sqrt",
            Unary::Exp => "Exp",
            Unary::Log => "Log",
            Unary::Neg => "Neg",
            Unary::Abs => "Abs",
            Unary::Reciprocal => "Reciprocal",
            Unary::Sign => "Sign",
            Unary::Floor => "Floor",
            Unary::Ceil => "Ceil",
            Unary::Round => "Round",
            Unary::Not => "Not",
        }
    }

    /// Whether integers are taken as well as real numbers.
    pub fn takes_integers(self) -> bool {
        matches!(self, Unary::Neg | Unary::Abs | Unary::Sign)
    }
}
