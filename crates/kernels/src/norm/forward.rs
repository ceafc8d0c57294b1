use super::{BatchNorm, BatchStatistics, Inputs, Running};
use crate::Machine;
use crate::activation::Activation;
use crate::simd::Lanes;
use crate::vector::{ChannelMap, ChannelTerms, map_channels, sum_channels};

impl BatchNorm {
    /// Training, first half: the statistics of the rows present, into `saved` and `running`.
    ///
    /// The mean comes first and the variance from distances to it, so that a large mean does not cancel a
    /// small variance. One value per channel has no unbiased variance; its biased one, 0, enters `running`.
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
        let (channels, x) = (self.channels, &x[..self.len(rows)]);
        let count = (rows * self.pixels) as f64;
        let (mean, inv_std) = (&mut saved.mean[..channels], &mut saved.inv_std[..channels]);
        sum_channels(machine, channels, [x], [], scratch, Values, |c, [sum]| mean[c] = (sum / count) as f32);
        let mut running = running;
        sum_channels(machine, channels, [x], [mean], scratch, Distances, |c, [sum, squares]| {
            // The rounding of the mean is corrected for.
            let variance = (squares / count - (sum / count).powi(2)).max(0.0);
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
        let (len, map) = (self.len(rows), Normalise(self.activation));
        let (y, x) = (&mut y[..len], Some(&inputs.x[..len]));
        let params = inputs.params();
        match inputs.residual {
            Some(residual) => map_channels(machine, y, x, [&residual[..len]], params, map),
            None => map_channels(machine, y, x, [], params, map),
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
        let (params, map) = ([self.factor, self.shift], Scale(self.activation));
        match self.residual {
            Some(residual) => map_channels(machine, y, x, [residual], params, map),
            None => map_channels(machine, y, x, [], params, map),
        }
    }
}

/// The sum of x.
#[derive(Clone, Copy)]
struct Values;

impl ChannelTerms<1, 0, 1> for Values {
    #[inline(always)]
    fn terms<L: Lanes>(self, _: L, x: [L::Vector; 1], _: [L::Vector; 0]) -> [L::Vector; 1] {
        x
    }
}

/// The sums of `x - mean` and of its square.
#[derive(Clone, Copy)]
struct Distances;

impl ChannelTerms<1, 1, 2> for Distances {
    #[inline(always)]
    fn terms<L: Lanes>(self, lanes: L, [x]: [L::Vector; 1], [mean]: [L::Vector; 1]) -> [L::Vector; 2] {
        let distance = lanes.sub(x, mean);
        [distance, lanes.mul(distance, distance)]
    }
}

#[inline(always)]
fn add_and_activate<L: Lanes, const K: usize>(
    lanes: L,
    mut y: L::Vector,
    others: [L::Vector; K],
    activation: Option<Activation>,
) -> L::Vector {
    for other in others {
        y = lanes.add(y, other);
    }
    match activation {
        Some(activation) => activation.apply_register(lanes, y),
        None => y,
    }
}

#[derive(Clone, Copy)]
struct Normalise(Option<Activation>);

impl<const K: usize> ChannelMap<K, 4> for Normalise {
    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        x: L::Vector,
        others: [L::Vector; K],
        [mean, inv_std, scale, bias]: [L::Vector; 4],
    ) -> L::Vector {
        let normalised = lanes.mul(lanes.sub(x, mean), inv_std);
        add_and_activate(lanes, lanes.mul_add(normalised, scale, bias), others, self.0)
    }
}

#[derive(Clone, Copy)]
struct Scale(Option<Activation>);

impl<const K: usize> ChannelMap<K, 2> for Scale {
    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        x: L::Vector,
        others: [L::Vector; K],
        [factor, shift]: [L::Vector; 2],
    ) -> L::Vector {
        add_and_activate(lanes, lanes.mul_add(x, factor, shift), others, self.0)
    }
}
