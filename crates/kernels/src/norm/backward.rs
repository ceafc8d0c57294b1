use super::{BatchNorm, Inputs};
use crate::Machine;
use crate::activation::{Activation, Reads};
use crate::simd::Lanes;
use crate::vector::{ChannelMap, ChannelTerms, map_channels, sum_channels};

/// The output of [`BatchNorm::normalise_into`] and its gradient.
#[derive(Clone, Copy, Debug)]
pub struct OutputGradient<'a> {
    /// `[rows, pixels, C]`; read only where the activation's gradient reads the output, else it may be empty.
    pub y: &'a [f32],
    /// `[rows, pixels, C]`.
    pub dy: &'a [f32],
}

/// What the gradient writes.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// With respect to x `[rows, pixels, C]`, overwritten; `None` where nobody needs it.
    pub dx: Option<&'a mut [f32]>,
    /// With respect to the residual `[rows, pixels, C]`, overwritten; `None` where nobody needs it.
    pub dresidual: Option<&'a mut [f32]>,
    /// With respect to scale `[C]`, added to.
    pub dscale: &'a mut [f32],
    /// With respect to bias `[C]`, added to.
    pub dbias: &'a mut [f32],
}

impl BatchNorm {
    /// The gradient of [`normalise_into`](Self::normalise_into).
    ///
    /// With `dz` the gradient before the activation and `n = (x - mean) inv_std`: `dresidual = dz`, `dbias =
    /// sum dz`, `dscale = sum dz n`, and `dx = scale inv_std (dz - (dbias + n dscale) / M)`, or with frozen
    /// statistics `scale inv_std dz`.
    ///
    /// # Panics
    /// If a slice is shorter than its shape, or `scratch` than [`scratch_len`](Self::scratch_len).
    pub fn gradient_into(
        &self,
        machine: &Machine,
        rows: usize,
        inputs: &Inputs<'_>,
        output: OutputGradient<'_>,
        gradients: Gradients<'_>,
        scratch: &mut [f32],
    ) {
        let (len, params) = (self.len(rows), inputs.params());
        let x = &inputs.x[..len];
        let (mut gate, mut source) = Gate::new(self.activation, inputs, output);
        let mut dy = &output.dy[..len];
        if let Some(dresidual) = gradients.dresidual {
            let dresidual = &mut dresidual[..len];
            map_channels(machine, dresidual, Some(dy), [x, &source[..len]], params, gate);
            (gate, dy) = (Gate { activation: None, residual: false }, dresidual);
            source = dy;
        }
        let inputs = [dy, x, &source[..len]];
        let (means, scratch) = scratch.split_at_mut(2 * self.channels);
        let (mean_dz, mean_product) = means.split_at_mut(self.channels);
        let weight = if self.frozen { 0.0 } else { 1.0 / (rows * self.pixels) as f64 };
        sum_channels(machine, self.channels, inputs, params, scratch, gate, |c, [dz, product]| {
            gradients.dbias[c] += dz as f32;
            gradients.dscale[c] += product as f32;
            mean_dz[c] = (dz * weight) as f32;
            mean_product[c] = (product * weight) as f32;
        });
        if let Some(dx) = gradients.dx {
            let [mean, inv_std, scale, bias] = params;
            let params = [mean, inv_std, scale, bias, mean_dz, mean_product];
            map_channels(machine, &mut dx[..len], Some(dy), [x, inputs[2]], params, InputGradient(gate));
        }
    }
}

/// How the gradient before the activation follows from dy, x and a third array, `source`.
#[derive(Clone, Copy)]
struct Gate {
    activation: Option<Activation>,
    /// `source` is the residual, which belongs to the activation's input.
    residual: bool,
}

impl Gate {
    /// The gate and its source: y, the residual, or (where it needs neither) dy in their place.
    fn new<'a>(
        activation: Option<Activation>,
        inputs: &Inputs<'a>,
        output: OutputGradient<'a>,
    ) -> (Self, &'a [f32]) {
        let (residual, source) = match (activation.map(Activation::gradient_reads), inputs.residual) {
            (Some(Reads::Output), _) => (false, output.y),
            (Some(Reads::Input), Some(residual)) => (true, residual),
            _ => (false, output.dy),
        };
        (Self { activation, residual }, source)
    }

    /// The gradient before the activation; `normalised` is `(x - mean) inv_std`.
    #[inline(always)]
    fn dz<L: Lanes>(
        self,
        lanes: L,
        dy: L::Vector,
        source: L::Vector,
        normalised: L::Vector,
        [scale, bias]: [L::Vector; 2],
    ) -> L::Vector {
        let Some(activation) = self.activation else { return dy };
        let saved = match activation.gradient_reads() {
            Reads::Output => source,
            Reads::Input if self.residual => lanes.add(lanes.mul_add(normalised, scale, bias), source),
            Reads::Input => lanes.mul_add(normalised, scale, bias),
        };
        activation.gradient_register(lanes, saved, dy)
    }
}

impl ChannelMap<2, 4> for Gate {
    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        dy: L::Vector,
        [x, source]: [L::Vector; 2],
        [mean, inv_std, scale, bias]: [L::Vector; 4],
    ) -> L::Vector {
        let normalised = lanes.mul(lanes.sub(x, mean), inv_std);
        self.dz(lanes, dy, source, normalised, [scale, bias])
    }
}

impl ChannelTerms<3, 4, 2> for Gate {
    #[inline(always)]
    fn terms<L: Lanes>(
        self,
        lanes: L,
        [dy, x, source]: [L::Vector; 3],
        [mean, inv_std, scale, bias]: [L::Vector; 4],
    ) -> [L::Vector; 2] {
        let normalised = lanes.mul(lanes.sub(x, mean), inv_std);
        let dz = self.dz(lanes, dy, source, normalised, [scale, bias]);
        [dz, lanes.mul(dz, normalised)]
    }
}

/// `scale inv_std (dz - mean dz - n mean (dz n))`.
#[derive(Clone, Copy)]
struct InputGradient(Gate);

impl ChannelMap<2, 6> for InputGradient {
    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        dy: L::Vector,
        [x, source]: [L::Vector; 2],
        [mean, inv_std, scale, bias, mean_dz, mean_product]: [L::Vector; 6],
    ) -> L::Vector {
        let normalised = lanes.mul(lanes.sub(x, mean), inv_std);
        let dz = self.0.dz(lanes, dy, source, normalised, [scale, bias]);
        let centred = lanes.sub(lanes.sub(dz, mean_dz), lanes.mul(normalised, mean_product));
        lanes.mul(lanes.mul(scale, inv_std), centred)
    }
}
