use crate::Machine;
use crate::vector::CHUNK;

/// A function of one number, as ONNX defines it, that stands outside of the loops of convolutions. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `x` where it is positive, else `alpha (exp(x) - 1)`; its slope at 0 is that of the left side.
    Elu {
        /// Minus the limit far below 0.
        alpha: f32,
    },
    /// `gamma` times Elu.
    Selu {
        /// Minus the limit far below 0, over `gamma`.
        alpha: f32,
        /// The slope above 0.
        gamma: f32,
    },
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x` times the normal distribution of `x`.
    Gelu {
        /// With `0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³)))` for the distribution.
        tanh: bool,
    },
    /// `x tanh(softplus(x))`.
    Mish,
    /// The error function.
    Erf,
    /// The square root.
    Sqrt,
    /// The exponential.
    Exp,
    /// The natural logarithm.
    Log,
    /// `-x`.
    Neg,
    /// `|x|`; its slope at 0 is 0.
    Abs,
    /// `1 / x`.
    Reciprocal,
    /// -1, 0 or 1; its slope is 0.
    Sign,
    /// The largest whole number that is not larger; its slope is 0.
    Floor,
    /// The smallest whole number that is not smaller; its slope is 0.
    Ceil,
    /// The nearest whole number, halves to the even one; its slope is 0.
    Round,
    /// Whether `x` is 0; its slope is 0.
    Not,
}

const FRAC_2_SQRT_PI: f32 = std::f32::consts::FRAC_2_SQRT_PI;
const FRAC_1_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// `1 / sqrt(2 pi)`.
const DENSITY: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0;
/// `sqrt(2 / pi)`.
const TANH_SLOPE: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const TANH_CUBE: f32 = 0.044_715;

fn softplus(x: f32) -> f32 {
    // `max` drops a NaN, which the sum brings back.
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn elu(alpha: f32, x: f32) -> f32 {
    if x > 0.0 { x } else { alpha * x.exp_m1() }
}

fn elu_slope(alpha: f32, x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { alpha * x.exp() }
}

/// The normal distribution; by the complement, so that nothing cancels far below 0.
fn normal(x: f32) -> f32 {
    0.5 * libm::erfcf(-x * FRAC_1_SQRT_2)
}

fn tanh_of_gelu(x: f32) -> f32 {
    (TANH_SLOPE * (x + TANH_CUBE * x * x * x)).tanh()
}

fn gelu_slope(x: f32) -> f32 {
    normal(x) + x * DENSITY * (-0.5 * x * x).exp()
}

fn gelu_tanh_slope(x: f32) -> f32 {
    let t = tanh_of_gelu(x);
    let inner = TANH_SLOPE * (1.0 + 3.0 * TANH_CUBE * x * x);
    // Where the tangent is flat, its slope is 0 and the inner one may have overflowed.
    let bend = if t.abs() == 1.0 { 0.0 } else { 0.5 * x * (1.0 - t * t) * inner };
    0.5 * (1.0 + t) + bend
}

/// Far below 0 the tangent's slope meets `x`, and their product is 0.
fn mish_slope(x: f32) -> f32 {
    let t = softplus(x).tanh();
    let bend = if t == 1.0 { 0.0 } else { x * (1.0 - t * t) * sigmoid(x) };
    t + bend
}

fn sign(x: f32) -> f32 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

impl Unary {
    /// The function of one number.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Elu { alpha } => elu(alpha, x),
            Self::Selu { alpha, gamma } => gamma * elu(alpha, x),
            Self::Softplus => softplus(x),
            Self::Softsign if x.is_infinite() => x.signum(),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Gelu { .. } | Self::Mish if x == f32::NEG_INFINITY => 0.0,
            Self::Gelu { tanh: false } => x * normal(x),
            Self::Gelu { tanh: true } => 0.5 * x * (1.0 + tanh_of_gelu(x)),
            Self::Mish => x * softplus(x).tanh(),
            Self::Erf => libm::erff(x),
            Self::Sqrt => x.sqrt(),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Reciprocal => 1.0 / x,
            Self::Sign => sign(x),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Not => f32::from(u8::from(x == 0.0)),
        }
    }

    /// The slope of the function.
    pub fn slope(self, x: f32) -> f32 {
        match self {
            Self::Elu { alpha } => elu_slope(alpha, x),
            Self::Selu { alpha, gamma } => gamma * elu_slope(alpha, x),
            Self::Softplus => sigmoid(x),
            Self::Softsign => 1.0 / ((1.0 + x.abs()) * (1.0 + x.abs())),
            Self::Gelu { tanh: false } => gelu_slope(x),
            Self::Gelu { tanh: true } => gelu_tanh_slope(x),
            Self::Mish => mish_slope(x),
            Self::Erf => FRAC_2_SQRT_PI * (-x * x).exp(),
            Self::Sqrt => 0.5 / x.sqrt(),
            Self::Exp => x.exp(),
            Self::Log => 1.0 / x,
            Self::Neg => -1.0,
            Self::Abs => sign(x),
            Self::Reciprocal => -1.0 / (x * x),
            Self::Sign | Self::Floor | Self::Ceil | Self::Round | Self::Not => 0.0,
        }
    }

    /// `y = f(x)`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply_into(self, machine: &Machine, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "input and output have one length");
        machine.threads.run_chunks(y, CHUNK, |index, y| {
            let x = &x[index * CHUNK..index * CHUNK + y.len()];
            y.iter_mut().zip(x).for_each(|(y, x)| *y = self.apply(*x));
        });
    }

    /// `x = f(x)`.
    pub fn apply_in_place(self, machine: &Machine, x: &mut [f32]) {
        machine.threads.run_chunks(x, CHUNK, |_, x| x.iter_mut().for_each(|x| *x = self.apply(*x)));
    }

    /// `dx = dy f'(x)`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn gradient_into(self, machine: &Machine, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        assert_eq!([x.len(), dy.len()], [dx.len(); 2], "inputs and output have one length");
        machine.threads.run_chunks(dx, CHUNK, |index, dx| {
            let range = index * CHUNK..index * CHUNK + dx.len();
            let pairs = x[range.clone()].iter().zip(&dy[range]);
            dx.iter_mut().zip(pairs).for_each(|(dx, (x, dy))| *dx = dy * self.slope(*x));
        });
    }
}
