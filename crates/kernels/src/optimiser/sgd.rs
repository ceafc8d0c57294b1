use crate::simd::{Kernel, Lanes};
use crate::vector::{CHUNK, load, store};
use crate::{Machine, SharedMut};

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

    /// One step. `buffer` is the momentum, as long as the weights; `first` says that it holds nothing yet.
    /// Without momentum it is neither read nor written and may be empty.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(
        &self,
        machine: &Machine,
        first: bool,
        gradient_scale: f32,
        weights: &mut [f32],
        gradients: &[f32],
        buffer: &mut [f32],
    ) {
        assert_eq!(weights.len(), gradients.len(), "one gradient for each weight");
        let has_momentum = self.momentum != 0.0;
        assert!(!has_momentum || buffer.len() == weights.len(), "one momentum for each weight");
        let buffer = SharedMut::new(buffer);
        machine.threads.run_chunks(weights, CHUNK, |index, weights| {
            let (start, len) = (index * CHUNK, weights.len());
            // SAFETY: each task has a chunk of its own.
            let buffer = unsafe { if has_momentum { buffer.slice(start, len) } else { buffer.slice(0, 0) } };
            let gradients = &gradients[start..start + len];
            machine.isa.run(Step { rule: self, first, gradient_scale, weights, gradients, buffer });
        });
    }
}

/// `buffer` is empty where there is no momentum.
struct Step<'a> {
    rule: &'a Sgd,
    first: bool,
    gradient_scale: f32,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    buffer: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Sgd { learning_rate, momentum, dampening, weight_decay, nesterov } = *self.rule;
        let [decay, momentum, share, rate] =
            [weight_decay, momentum, 1.0 - dampening, -learning_rate].map(|value| lanes.splat(value as f32));
        let scale = lanes.splat(self.gradient_scale);
        let len = self.weights.len();
        for at in (0..len).step_by(L::COUNT) {
            let count = L::COUNT.min(len - at);
            // SAFETY: `at + count` is at most the length of the three slices, unless the buffer is empty and
            // not touched.
            unsafe {
                let to = self.weights.as_mut_ptr().add(at);
                let w = load(lanes, to, count);
                let g = lanes.mul(load(lanes, self.gradients.as_ptr().add(at), count), scale);
                let mut d = lanes.mul_add(w, decay, g);
                if !self.buffer.is_empty() {
                    let memory = self.buffer.as_mut_ptr().add(at);
                    let b = if self.first {
                        d
                    } else {
                        lanes.mul_add(momentum, load(lanes, memory, count), lanes.mul(share, d))
                    };
                    store(lanes, memory, b, count);
                    d = if nesterov { lanes.mul_add(momentum, b, d) } else { b };
                }
                store(lanes, to, lanes.mul_add(rate, d, w), count);
            }
        }
    }
}
