use super::update::{self, Rule, Update};
use crate::simd::Lanes;
use crate::vector::{load, store};

/// Stochastic gradient descent. With `g` the scaled gradient:
///
/// ```text
/// d = g + weight_decay w
/// b = momentum b + (1 - dampening) d      (first step: b = d)
/// w = w - learning_rate d                 (momentum = 0)
/// w = w - learning_rate (d + momentum b)  (nesterov)
/// w = w - learning_rate b                 (else)
/// ```
///
/// Source: PyTorch's `torch.optim.SGD`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Step length.
    pub learning_rate: f64,
    /// How much of the last direction stays; 0 by default.
    pub momentum: f64,
    /// What the new direction lacks; 0 by default.
    pub dampening: f64,
    /// Weight of the penalty on squares; 0 by default.
    pub weight_decay: f64,
    /// Whether to look ahead; wants momentum above 0 and no dampening.
    pub nesterov: bool,
}

impl Sgd {
    /// Plain descent: everything else 0.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }

    /// One step, to be made along a gradient. `buffer` is the momentum, as long as the weights; `first` says that it holds
    /// nothing yet. Without momentum it is neither read nor written and may be empty.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn update<'a>(
        &self,
        first: bool,
        gradient_scale: f32,
        weights: &'a mut [f32],
        buffer: &'a mut [f32],
    ) -> Update<'a> {
        let has_momentum = self.momentum != 0.0;
        assert!(!has_momentum || buffer.len() == weights.len(), "one momentum for each weight");
        let momentum = has_momentum.then_some(Momentum {
            first,
            factor: self.momentum as f32,
            share: (1.0 - self.dampening) as f32,
            nesterov: self.nesterov,
        });
        let numbers = Numbers {
            gradient_scale,
            decay: self.weight_decay as f32,
            rate: -self.learning_rate as f32,
            momentum,
        };
        Update { numbers: update::Numbers::Sgd(numbers), weights, memories: [buffer, &mut []] }
    }
}

/// What a step computes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    gradient_scale: f32,
    decay: f32,
    /// Negative.
    rate: f32,
    momentum: Option<Momentum>,
}

#[derive(Clone, Copy, Debug)]
struct Momentum {
    /// Nothing is remembered yet.
    first: bool,
    factor: f32,
    /// `1 - dampening`.
    share: f32,
    nesterov: bool,
}

impl Rule for Numbers {
    #[inline(always)]
    unsafe fn step<L: Lanes>(
        &self,
        lanes: L,
        g: L::Vector,
        weights: *mut f32,
        [memory, _]: [*mut f32; 2],
        count: usize,
    ) {
        // SAFETY: the caller's contract; without momentum the memory is not touched.
        unsafe {
            let w = load(lanes, weights, count);
            let g = lanes.mul(g, lanes.splat(self.gradient_scale));
            let mut d = lanes.mul_add(w, lanes.splat(self.decay), g);
            if let Some(momentum) = &self.momentum {
                d = momentum.turn(lanes, d, memory, count);
            }
            store(lanes, weights, lanes.mul_add(lanes.splat(self.rate), d, w), count);
        }
    }
}

impl Momentum {
    /// Remembers the direction `d`; the one that is taken instead.
    ///
    /// # Safety
    /// - `memory` is readable and writable for `count` values, and nobody else's; `count <= L::COUNT`.
    #[inline(always)]
    unsafe fn turn<L: Lanes>(&self, lanes: L, d: L::Vector, memory: *mut f32, count: usize) -> L::Vector {
        let factor = lanes.splat(self.factor);
        // SAFETY: the caller's contract.
        unsafe {
            let b = if self.first {
                d
            } else {
                let share = lanes.mul(lanes.splat(self.share), d);
                lanes.mul_add(factor, load(lanes, memory, count), share)
            };
            store(lanes, memory, b, count);
            if self.nesterov { lanes.mul_add(factor, b, d) } else { b }
        }
    }
}
