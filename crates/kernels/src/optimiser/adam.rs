use super::update::{self, Rule, Update};
use crate::simd::Lanes;
use crate::vector::{load, store};

/// Adam and AdamW. With `g` the scaled gradient and `t` the step from 1:
///
/// ```text
/// g = g + weight_decay w                       (Adam)
/// w = w - learning_rate weight_decay w         (AdamW: `decoupled`)
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g²
/// w = w - learning_rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
/// ```
///
/// Source: PyTorch's `torch.optim.Adam` and `AdamW` (without `amsgrad`); Kingma and Ba 2014,
/// <https://arxiv.org/abs/1412.6980>; Loshchilov and Hutter 2017, <https://arxiv.org/abs/1711.05101>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Step length; 1e-3 by default.
    pub learning_rate: f64,
    /// How much of the two moments stays; 0.9 and 0.999 by default.
    pub betas: [f64; 2],
    /// Added to the root, outside of it and after its correction; 1e-8 by default.
    pub epsilon: f64,
    /// By default 0 for Adam, 0.01 for AdamW.
    pub weight_decay: f64,
    /// Whether weights decay by themselves (AdamW) or through the gradient (Adam).
    pub decoupled: bool,
}

/// The moments of a parameter, as long as it, zero before the first step.
#[derive(Debug)]
pub struct Moments<'a> {
    /// Moving mean of the gradient, `m`.
    pub mean: &'a mut [f32],
    /// Moving mean of its square, `v`.
    pub square: &'a mut [f32],
}

impl Adam {
    /// PyTorch's `Adam` with its defaults.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, decoupled: false }
    }

    /// PyTorch's `AdamW` with its defaults.
    pub fn adamw(learning_rate: f64) -> Self {
        Self { weight_decay: 0.01, decoupled: true, ..Self::new(learning_rate) }
    }

    /// Step `step`, counted from 1, to be made along a gradient.
    ///
    /// # Panics
    /// If the lengths differ, or `step` is 0.
    pub fn update<'a>(
        &self,
        step: u64,
        gradient_scale: f32,
        weights: &'a mut [f32],
        moments: Moments<'a>,
    ) -> Update<'a> {
        assert!(step > 0, "steps are counted from 1");
        let Moments { mean, square } = moments;
        assert_eq!([mean.len(), square.len()], [weights.len(); 2], "two moments for each weight");
        let numbers = update::Numbers::Adam(self.numbers(step, gradient_scale));
        Update { numbers, weights, memories: [mean, square] }
    }

    /// What a step computes with, worked out in f64.
    fn numbers(&self, step: u64, gradient_scale: f32) -> Numbers {
        let Self { learning_rate, betas, epsilon, weight_decay, decoupled } = *self;
        let corrections = betas.map(|beta| 1.0 - beta.powf(step as f64));
        Numbers {
            gradient_scale,
            coupled_decay: if decoupled { 0.0 } else { weight_decay as f32 },
            shrink: if decoupled { (1.0 - learning_rate * weight_decay) as f32 } else { 1.0 },
            betas: betas.map(|beta| beta as f32),
            rests: betas.map(|beta| (1.0 - beta) as f32),
            step_length: (-learning_rate / corrections[0]) as f32,
            root_scale: (1.0 / corrections[1].sqrt()) as f32,
            epsilon: epsilon as f32,
        }
    }
}

/// What a step computes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    gradient_scale: f32,
    coupled_decay: f32,
    /// What weights are multiplied with first.
    shrink: f32,
    betas: [f32; 2],
    /// `1 - beta`.
    rests: [f32; 2],
    /// Negative.
    step_length: f32,
    root_scale: f32,
    epsilon: f32,
}

impl Rule for Numbers {
    #[inline(always)]
    unsafe fn step<L: Lanes>(
        &self,
        lanes: L,
        g: L::Vector,
        weights: *mut f32,
        [mean, square]: [*mut f32; 2],
        count: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            let old = [load(lanes, weights, count), load(lanes, mean, count), load(lanes, square, count)];
            let [w, m, v] = self.next(lanes, g, old);
            store(lanes, weights, w, count);
            store(lanes, mean, m, count);
            store(lanes, square, v, count);
        }
    }
}

impl Numbers {
    /// Weights and moments behind the step.
    #[inline(always)]
    fn next<L: Lanes>(&self, lanes: L, g: L::Vector, [w, m, v]: [L::Vector; 3]) -> [L::Vector; 3] {
        let by = |x, factor: f32| lanes.mul(x, lanes.splat(factor));
        let g = lanes.mul_add(w, lanes.splat(self.coupled_decay), by(g, self.gradient_scale));
        let w = by(w, self.shrink);
        let m = lanes.mul_add(m, lanes.splat(self.betas[0]), by(g, self.rests[0]));
        let v = lanes.mul_add(v, lanes.splat(self.betas[1]), by(lanes.mul(g, g), self.rests[1]));
        let root = lanes.mul_add(lanes.sqrt(v), lanes.splat(self.root_scale), lanes.splat(self.epsilon));
        let w = lanes.mul_add(lanes.div(m, root), lanes.splat(self.step_length), w);
        [w, m, v]
    }
}
