use super::pass::{Operands, Rule};
use super::{BatchNorm, BatchStatistics, Inputs, Running};
use crate::Machine;
use crate::activation::{Activation, AnyFunction, Clipped, Function, Identity, Rectifier};
use crate::simd::Lanes;

impl BatchNorm {
    /// Training, first half: the statistics of the rows present, into `saved` and `running`.
    ///
    /// One pass: x is summed as distances to a block's first pixel, so that a large mean does not cancel a small
    /// variance, and blocks are joined in f64. One value per channel has no unbiased variance; its biased one, 0,
    /// enters `running`.
    ///
    /// # Panics
    /// If a slice is shorter than its shape, or `scratch` than [`scratch_len`](Self::scratch_len).
    pub fn statistics_into(
        &self,
        machine: &Machine,
        rows: usize,
        x: &[f32],
        saved: &mut BatchStatistics<'_>,
        running: Option<Running<'_>>,
        scratch: &mut [f32],
    ) {
        let (channels, pixels) = (self.channels, rows * self.pixels);
        let (mean, inv_std) = (&mut saved.mean[..channels], &mut saved.inv_std[..channels]);
        let count = pixels as f64;
        let inputs = [Some(&x[..self.len(rows)])];
        let operands = Operands { out: &mut [], inputs, params: [], pixels, channels };
        let mut running = running;
        operands.sum(machine, scratch, Moments, |c, [sum, squares]| {
            let centre = sum / count;
            let variance = squares / count - centre * centre;
            // Rounding may bring it below 0; a NaN stays.
            let variance = if variance < 0.0 { 0.0 } else { variance };
            mean[c] = centre as f32;
            inv_std[c] = (1.0 / (variance + f64::from(self.epsilon)).sqrt()) as f32;
            if let Some(running) = &mut running {
                running.update(c, mean[c], variance * count / (count - 1.0).max(1.0));
            }
        });
    }

    /// Training, second half, and inference with frozen statistics: normalises, adds, activates.
    ///
    /// # Panics
    /// If a slice is shorter than its shape.
    pub fn normalise_into(&self, machine: &Machine, rows: usize, inputs: &Inputs<'_>, y: &mut [f32]) {
        let len = self.len(rows);
        let (y, x) = (&mut y[..len], Some(&inputs.x[..len]));
        match inputs.residual {
            Some(residual) => self.normalise(machine, y, [x, Some(&residual[..len])], inputs.params()),
            None => self.normalise(machine, y, [x], inputs.params()),
        }
    }

    fn normalise<const K: usize>(
        &self,
        machine: &Machine,
        out: &mut [f32],
        inputs: [Option<&[f32]>; K],
        params: [&[f32]; 4],
    ) {
        let (pixels, channels) = (out.len() / self.channels, self.channels);
        let operands = Operands { out, inputs, params, pixels, channels };
        match self.activation {
            None => operands.map(machine, Normalise(Identity)),
            Some(Activation::Relu) => operands.map(machine, Normalise(Rectifier)),
            Some(Activation::Clip { min, max }) => operands.map(machine, Normalise(Clipped { min, max })),
            Some(other) => operands.map(machine, Normalise(AnyFunction(other))),
        }
    }

    /// `1 / sqrt(variance + epsilon)` of frozen statistics, as [`normalise_into`](Self::normalise_into) wants
    /// it.
    pub fn inverse_std_into(&self, variance: &[f32], inv_std: &mut [f32]) {
        for (inv_std, &variance) in inv_std.iter_mut().zip(variance) {
            *inv_std = (1.0 / (f64::from(variance) + f64::from(self.epsilon)).sqrt()) as f32;
        }
    }

    /// Frozen statistics as a factor and a summand per channel, for [`ScaleShift`] or to be folded into a
    /// convolution: `factor = scale inv_std`, `shift = bias - mean factor`. Reads all of `inputs` but x and
    /// residual.
    pub fn fold_into(&self, inputs: &Inputs<'_>, factor: &mut [f32], shift: &mut [f32]) {
        for c in 0..self.channels {
            let product = f64::from(inputs.scale[c]) * f64::from(inputs.inv_std[c]);
            factor[c] = product as f32;
            shift[c] = (f64::from(inputs.bias[c]) - f64::from(inputs.mean[c]) * product) as f32;
        }
    }
}

impl<'a> Inputs<'a> {
    pub(super) fn params(&self) -> [&'a [f32]; 4] {
        [self.mean, self.inv_std, self.scale, self.bias]
    }
}

impl Running<'_> {
    fn update(&mut self, channel: usize, mean: f32, variance: f64) {
        let weight = f64::from(self.weight);
        let joined = |running: f32, batch: f64| ((1.0 - weight) * f64::from(running) + weight * batch) as f32;
        self.mean[channel] = joined(self.mean[channel], f64::from(mean));
        self.variance[channel] = joined(self.variance[channel], variance);
    }
}

/// `act(x factor + shift [+ residual])` per channel: batch normalisation at inference, or a bias.
#[derive(Clone, Copy, Debug)]
pub struct ScaleShift<'a> {
    /// `[C]`.
    pub factor: &'a [f32],
    /// `[C]`.
    pub shift: &'a [f32],
    /// As large as x.
    pub residual: Option<&'a [f32]>,
    /// Behind the addition.
    pub activation: Option<Activation>,
}

impl ScaleShift<'_> {
    /// Applies it to x `[M, C]`.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn apply_into(&self, machine: &Machine, x: &[f32], y: &mut [f32]) {
        self.apply(machine, Some(x), y);
    }

    /// Overwrites x `[M, C]`.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn apply_in_place(&self, machine: &Machine, x: &mut [f32]) {
        self.apply(machine, None, x);
    }

    fn apply(&self, machine: &Machine, x: Option<&[f32]>, y: &mut [f32]) {
        let channels = self.factor.len();
        let (pixels, params, rule) = (y.len() / channels, [self.factor, self.shift], Scale(self.activation));
        match self.residual {
            Some(residual) => {
                Operands { out: y, inputs: [x, Some(residual)], params, pixels, channels }.map(machine, rule);
            }
            None => Operands { out: y, inputs: [x], params, pixels, channels }.map(machine, rule),
        }
    }
}

/// The sums of x and of its square, in a block those of the distances to its first pixel.
#[derive(Clone, Copy)]
struct Moments;

impl Rule<1, 0, 2> for Moments {
    const STORES: bool = false;

    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        [x]: [L::Vector; 1],
        _: [L::Vector; 0],
        [first]: [L::Vector; 1],
    ) -> (L::Vector, [L::Vector; 2]) {
        let distance = lanes.sub(x, first);
        (x, [distance, lanes.mul(distance, distance)])
    }

    #[inline(always)]
    fn join(self, [distances, squares]: [f32; 2], [first]: [f32; 1], count: usize) -> [f64; 2] {
        let (count, first) = (count as f64, f64::from(first));
        let (distances, squares) = (f64::from(distances), f64::from(squares));
        [count * first + distances, squares + first * (2.0 * distances + count * first)]
    }
}

/// `f((x - mean) scale inv_std + bias [+ residual])`; in the same words the gradient computes it again.
#[derive(Clone, Copy)]
struct Normalise<F>(F);

impl<F: Function, const K: usize> Rule<K, 4, 0> for Normalise<F> {
    const STORES: bool = true;

    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        inputs: [L::Vector; K],
        [mean, inv_std, scale, bias]: [L::Vector; 4],
        _: [L::Vector; K],
    ) -> (L::Vector, [L::Vector; 0]) {
        let distance = lanes.sub(inputs[0], mean);
        let y = lanes.mul_add(distance, lanes.mul(scale, inv_std), bias);
        (add_and_activate(lanes, y, inputs, self.0.activation()), [])
    }
}

#[derive(Clone, Copy)]
struct Scale(Option<Activation>);

impl<const K: usize> Rule<K, 2, 0> for Scale {
    const STORES: bool = true;

    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        inputs: [L::Vector; K],
        [factor, shift]: [L::Vector; 2],
        _: [L::Vector; K],
    ) -> (L::Vector, [L::Vector; 0]) {
        (add_and_activate(lanes, lanes.mul_add(inputs[0], factor, shift), inputs, self.0), [])
    }
}

/// Adds every input but the first, and activates.
#[inline(always)]
fn add_and_activate<L: Lanes, const K: usize>(
    lanes: L,
    mut y: L::Vector,
    inputs: [L::Vector; K],
    activation: Option<Activation>,
) -> L::Vector {
    for &other in &inputs[1..] {
        y = lanes.add(y, other);
    }
    match activation {
        Some(activation) => activation.apply_register(lanes, y),
        None => y,
    }
}
