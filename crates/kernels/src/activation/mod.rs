//! Functions of one value that stand between layers, named and defined as in ONNX.

mod function;
pub(crate) mod math;
pub mod reference;

use crate::Machine;
use crate::simd::Lanes;
use crate::vector::{Map, map_in_place, map_into};
pub(crate) use function::{AnyFunction, Clipped, Function, Identity, Rectifier};

/// A function applied to every value alone. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`; its gradient at 0 is 0.
    Relu,
    /// `x` where it is positive, else `alpha x`.
    LeakyRelu {
        /// Slope below 0; ONNX's default is 0.01.
        alpha: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(0, min(1, alpha x + beta))`; its gradient at both kinks is 0.
    HardSigmoid {
        /// Slope; ONNX's default is 0.2.
        alpha: f32,
        /// Value at 0; ONNX's default is 0.5.
        beta: f32,
    },
    /// `x HardSigmoid(x)` with `alpha = 1/6`, `beta = 0.5`.
    HardSwish,
    /// `min(max(x, min), max)`; its gradient at both bounds is 0.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound; it wins where it is below `min`.
        max: f32,
    },
}

/// Which value an activation's gradient is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The input x, which must then be kept.
    Input,
    /// The output y; x may be overwritten by it.
    Output,
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

    /// What the gradient of this activation is computed from.
    pub fn gradient_reads(self) -> Reads {
        match self {
            Self::HardSwish => Reads::Input,
            // A slope that is not positive makes both sides' outputs alike.
            Self::LeakyRelu { alpha } if alpha <= 0.0 => Reads::Input,
            _ => Reads::Output,
        }
    }

    /// `y = f(x)`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply_into(self, machine: &Machine, x: &[f32], y: &mut [f32]) {
        map_into(machine, y, x, [], Apply(self));
    }

    /// `x = f(x)`.
    pub fn apply_in_place(self, machine: &Machine, x: &mut [f32]) {
        map_in_place(machine, x, [], Apply(self));
    }

    /// `dx = dy f'`, where `saved` is what [`gradient_reads`](Self::gradient_reads) names.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn gradient_into(self, machine: &Machine, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
        map_into(machine, dx, dy, [saved], Gradient(self));
    }

    /// `dy = dy f'`, where `saved` is what [`gradient_reads`](Self::gradient_reads) names.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn gradient_in_place(self, machine: &Machine, saved: &[f32], dy: &mut [f32]) {
        map_in_place(machine, dy, [saved], Gradient(self));
    }

    /// `f(x)` of a register.
    #[inline(always)]
    pub(crate) fn apply_register<L: Lanes>(self, lanes: L, x: L::Vector) -> L::Vector {
        let zero = lanes.splat(0.0);
        match self {
            // The order of operands lets a NaN through.
            Self::Relu => lanes.max(zero, x),
            Self::LeakyRelu { alpha } => lanes.select_greater(x, zero, x, lanes.mul(x, lanes.splat(alpha))),
            Self::Sigmoid => math::sigmoid(lanes, x),
            Self::Tanh => math::tanh(lanes, x),
            Self::HardSigmoid { alpha, beta } => hard_sigmoid(lanes, alpha, beta, x),
            Self::HardSwish => lanes.mul(x, hard_sigmoid(lanes, 1.0 / 6.0, 0.5, x)),
            Self::Clip { min, max } => lanes.min(lanes.splat(max), lanes.max(lanes.splat(min), x)),
        }
    }

    /// `dy f'` of a register, where `saved` is what [`gradient_reads`](Self::gradient_reads) names.
    #[inline(always)]
    pub(crate) fn gradient_register<L: Lanes>(self, lanes: L, saved: L::Vector, dy: L::Vector) -> L::Vector {
        let [zero, one] = [lanes.splat(0.0), lanes.splat(1.0)];
        match self {
            Self::Relu => lanes.where_positive(saved, dy),
            Self::LeakyRelu { alpha } => {
                lanes.select_greater(saved, zero, dy, lanes.mul(dy, lanes.splat(alpha)))
            }
            Self::Sigmoid => lanes.mul(dy, lanes.mul(saved, lanes.sub(one, saved))),
            Self::Tanh => lanes.mul(dy, lanes.sub(one, lanes.mul(saved, saved))),
            Self::HardSigmoid { alpha, .. } => {
                between(lanes, saved, zero, one, lanes.mul(dy, lanes.splat(alpha)))
            }
            Self::HardSwish => hard_swish_gradient(lanes, saved, dy),
            Self::Clip { min, max } => between(lanes, saved, lanes.splat(min), lanes.splat(max), dy),
        }
    }
}

#[inline(always)]
fn hard_sigmoid<L: Lanes>(lanes: L, alpha: f32, beta: f32, x: L::Vector) -> L::Vector {
    let line = lanes.mul_add(x, lanes.splat(alpha), lanes.splat(beta));
    lanes.min(lanes.splat(1.0), lanes.max(lanes.splat(0.0), line))
}

#[inline(always)]
fn hard_swish_gradient<L: Lanes>(lanes: L, x: L::Vector, dy: L::Vector) -> L::Vector {
    let inner = lanes.mul(dy, lanes.mul_add(x, lanes.splat(1.0 / 3.0), lanes.splat(0.5)));
    let above = lanes.select_greater(x, lanes.splat(-3.0), inner, lanes.splat(0.0));
    lanes.select_greater(lanes.splat(3.0), x, above, dy)
}

/// `value` where `low < x < high`, else 0.
#[inline(always)]
fn between<L: Lanes>(lanes: L, x: L::Vector, low: L::Vector, high: L::Vector, value: L::Vector) -> L::Vector {
    let below = lanes.select_greater(high, x, value, lanes.splat(0.0));
    lanes.select_greater(x, low, below, lanes.splat(0.0))
}

#[derive(Clone, Copy)]
struct Apply(Activation);

impl Map<0> for Apply {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, _: [L::Vector; 0]) -> L::Vector {
        self.0.apply_register(lanes, x)
    }
}

#[derive(Clone, Copy)]
struct Gradient(Activation);

impl Map<1> for Gradient {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, dy: L::Vector, [saved]: [L::Vector; 1]) -> L::Vector {
        self.0.gradient_register(lanes, saved, dy)
    }
}

#[cfg(test)]
mod tests;
