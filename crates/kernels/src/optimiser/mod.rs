//! Update rules as PyTorch defines them, each one pass over a parameter's slices, or the end of
//! the matrix product that makes the gradient ([`Update`]).
//!
//! Numbers of a rule are f64, for `1 - 0.999` would lose four digits in f32. Every rule multiplies the
//! gradient by `gradient_scale` first: 1, or what clipping by the global norm asks for.

mod adam;
pub mod reference;
mod sgd;
mod update;

use crate::Machine;
use crate::elementwise::sum_of;
use crate::simd::{Kernel, Lanes};
use crate::vector::{Map, map_in_place, sum_in_parts};
pub use adam::{Adam, Moments};
pub use sgd::Sgd;
pub use update::Update;
pub(crate) use update::{Numbers, Rule};

/// An exponential moving average of weights: `average = decay average + (1 - decay) weights`.
///
/// # Panics
/// If the lengths differ.
pub fn moving_average_in_place(machine: &Machine, decay: f64, weights: &[f32], average: &mut [f32]) {
    map_in_place(machine, average, [weights], Approach((1.0 - decay) as f32));
}

/// The sum of squares, of which the global norm of gradients is made; in a fixed order, blocks joined in f64.
pub fn sum_of_squares(machine: &Machine, x: &[f32]) -> f64 {
    sum_in_parts(machine, x.len(), |range| machine.isa.run(SumOfSquares(&x[range])))
}

/// `x + share (other - x)`.
#[derive(Clone, Copy)]
struct Approach(f32);

impl Map<1> for Approach {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, [other]: [L::Vector; 1]) -> L::Vector {
        lanes.mul_add(lanes.sub(other, x), lanes.splat(self.0), x)
    }
}

#[derive(Clone, Copy)]
struct Square;

impl Map<0> for Square {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, _: [L::Vector; 0]) -> L::Vector {
        lanes.mul(x, x)
    }
}

struct SumOfSquares<'a>(&'a [f32]);

impl Kernel for SumOfSquares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f64 {
        sum_of(lanes, self.0, Square)
    }
}

#[cfg(test)]
mod tests;
