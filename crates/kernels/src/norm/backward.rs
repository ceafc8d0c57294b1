use super::pass::{Operands, Rule};
use super::{BatchNorm, Inputs};
use crate::Machine;
use crate::activation::{Activation, AnyFunction, Clipped, Function, Identity, Reads, Rectifier};
use crate::simd::Lanes;

/// The output of [`BatchNorm::normalise_into`] and its gradient.
#[derive(Clone, Copy, Debug)]
pub struct OutputGradient<'a> {
    /// `[rows, pixels, C]`. Empty: what the activation's gradient needs is computed again from x, which costs less than
    /// reading y; only behind an addition it has to be there, where the activation's gradient reads the output.
    pub y: &'a [f32],
    /// `[rows, pixels, C]`.
    pub dy: &'a [f32],
}

/// What the gradient writes.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// With respect to x `[rows, pixels, C]`, overwritten; `None` where nobody needs it. Where [`Inputs::x`] is empty, it
    /// holds x before.
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
    /// If a slice is shorter than its shape, or `scratch` than [`scratch_len`](Self::scratch_len); if `dresidual` is
    /// wanted behind an activation whose operand, y or the residual, is missing.
    pub fn gradient_into(
        &self,
        machine: &Machine,
        rows: usize,
        inputs: &Inputs<'_>,
        output: OutputGradient<'_>,
        gradients: Gradients<'_>,
        scratch: &mut [f32],
    ) {
        let call = Call { norm: self, machine, len: self.len(rows), inputs, dy: output.dy, scratch };
        let y = Some(output.y).filter(|y| !y.is_empty());
        let saved = match self.activation.map(Activation::gradient_reads) {
            None => None,
            Some(Reads::Output) => y,
            Some(Reads::Input) => inputs.residual,
        };
        match self.activation {
            None => call.run(gradients, saved, Identity),
            Some(Activation::Relu) => call.run(gradients, saved, Rectifier),
            Some(Activation::Clip { min, max }) => call.run(gradients, saved, Clipped { min, max }),
            Some(other) => call.run(gradients, saved, AnyFunction(other)),
        }
    }
}

struct Call<'a> {
    norm: &'a BatchNorm,
    machine: &'a Machine,
    /// Values of the rows present.
    len: usize,
    inputs: &'a Inputs<'a>,
    dy: &'a [f32],
    scratch: &'a mut [f32],
}

impl Call<'_> {
    fn run<F: Function>(mut self, mut gradients: Gradients<'_>, saved: Option<&[f32]>, function: F) {
        let (len, gate) = (self.len, Gate::<F, false>(function));
        let (dy, saved) = (&self.dy[..len], saved.map(|saved| &saved[..len]));
        if let Some(dresidual) = gradients.dresidual.take() {
            let dresidual = &mut dresidual[..len];
            let saved = saved.or(function.activation().is_none().then_some(dy));
            assert!(saved.is_some(), "an activation behind an addition has its operand");
            self.sum(&mut gradients, dresidual, [None, Some(dy), saved], Gate::<F, true>(function));
            return self.write(gradients.dx, [None, Some(dresidual)], Gate::<_, false>(Identity));
        }
        if saved.is_some() {
            self.sum(&mut gradients, &mut [], [None, Some(dy), saved], gate);
            self.write(gradients.dx, [None, Some(dy), saved], gate);
        } else {
            self.sum(&mut gradients, &mut [], [None, Some(dy)], gate);
            self.write(gradients.dx, [None, Some(dy)], gate);
        }
    }

    /// First pass: the sums of dz and dz (x - mean), of which `scratch` keeps the means; x takes the first place of `sources`.
    fn sum<F: Function, const K: usize, const STORES: bool>(
        &mut self,
        gradients: &mut Gradients<'_>,
        out: &mut [f32],
        sources: [Option<&[f32]>; K],
        gate: Gate<F, STORES>,
    ) where
        Gate<F, STORES>: Rule<K, 4, 2>,
    {
        let Gradients { dx, dscale, dbias, .. } = gradients;
        let (pixels, channels) = (self.len / self.norm.channels, self.norm.channels);
        let x = if self.inputs.x.is_empty() { dx.as_deref().unwrap_or(&[]) } else { self.inputs.x };
        let mut inputs = sources;
        inputs[0] = Some(&x[..self.len]);
        let (means, scratch) = self.scratch.split_at_mut(2 * channels);
        let (mean_dz, mean_product) = means.split_at_mut(channels);
        let (inv_std, params) = (self.inputs.inv_std, self.inputs.params());
        let weight = if self.norm.frozen { 0.0 } else { 1.0 / pixels as f64 };
        let operands = Operands { out, inputs, params, pixels, channels };
        operands.sum(self.machine, scratch, gate, |c, [dz, product]| {
            let product = product * f64::from(inv_std[c]);
            dbias[c] += dz as f32;
            dscale[c] += product as f32;
            mean_dz[c] = (dz * weight) as f32;
            mean_product[c] = (product * weight) as f32;
        });
    }

    /// Second pass: dx; x takes the first place of `sources`, unless dx holds it.
    fn write<F: Function, const K: usize>(
        &self,
        dx: Option<&mut [f32]>,
        sources: [Option<&[f32]>; K],
        gate: Gate<F, false>,
    ) where
        InputGradient<F>: Rule<K, 6, 0>,
    {
        let Some(dx) = dx else { return };
        let channels = self.norm.channels;
        let mut inputs = sources;
        inputs[0] = (!self.inputs.x.is_empty()).then(|| &self.inputs.x[..self.len]);
        let (mean_dz, mean_product) = self.scratch.split_at(channels);
        let [mean, inv_std, scale, bias] = self.inputs.params();
        let params = [mean, inv_std, scale, bias, mean_dz, mean_product];
        let (out, pixels) = (&mut dx[..self.len], self.len / channels);
        Operands { out, inputs, params, pixels, channels }.map(self.machine, InputGradient(gate));
    }
}

/// How the gradient before the activation, `dz`, follows from x, dy and what a third input holds, if there is one: the
/// output, or (where the activation's gradient reads its input) the residual. It stores dz, or not.
#[derive(Clone, Copy)]
struct Gate<F, const STORES: bool>(F);

impl<F: Function, const STORES: bool> Gate<F, STORES> {
    /// `dz`; `distance` is `x - mean`.
    #[inline(always)]
    fn dz<L: Lanes, const K: usize>(
        self,
        lanes: L,
        inputs: [L::Vector; K],
        distance: L::Vector,
        [inv_std, scale, bias]: [L::Vector; 3],
    ) -> L::Vector {
        let (dy, third) = (inputs[1], inputs.get(2).copied());
        let Some(activation) = self.0.activation() else { return dy };
        let normalised = lanes.mul_add(distance, lanes.mul(scale, inv_std), bias);
        let saved = match (activation.gradient_reads(), third) {
            (Reads::Output, Some(y)) => y,
            (Reads::Output, None) => activation.apply_register(lanes, normalised),
            (Reads::Input, Some(residual)) => lanes.add(normalised, residual),
            (Reads::Input, None) => normalised,
        };
        activation.gradient_register(lanes, saved, dy)
    }
}

/// The terms `dz` and `dz (x - mean)`.
impl<F: Function, const K: usize, const STORES: bool> Rule<K, 4, 2> for Gate<F, STORES> {
    const STORES: bool = STORES;

    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        inputs: [L::Vector; K],
        [mean, inv_std, scale, bias]: [L::Vector; 4],
        _: [L::Vector; K],
    ) -> (L::Vector, [L::Vector; 2]) {
        let distance = lanes.sub(inputs[0], mean);
        let dz = self.dz(lanes, inputs, distance, [inv_std, scale, bias]);
        (dz, [dz, lanes.mul(dz, distance)])
    }
}

/// `scale inv_std (dz - mean dz - n mean (dz n))` with `n = (x - mean) inv_std`.
#[derive(Clone, Copy)]
struct InputGradient<F>(Gate<F, false>);

impl<F: Function, const K: usize> Rule<K, 6, 0> for InputGradient<F> {
    const STORES: bool = true;

    #[inline(always)]
    fn apply<L: Lanes>(
        self,
        lanes: L,
        inputs: [L::Vector; K],
        [mean, inv_std, scale, bias, mean_dz, mean_product]: [L::Vector; 6],
        _: [L::Vector; K],
    ) -> (L::Vector, [L::Vector; 0]) {
        let distance = lanes.sub(inputs[0], mean);
        let dz = self.0.dz(lanes, inputs, distance, [inv_std, scale, bias]);
        let slope = lanes.mul(inv_std, mean_product);
        let centred = lanes.sub(lanes.sub(dz, mean_dz), lanes.mul(distance, slope));
        (lanes.mul(lanes.mul(scale, inv_std), centred), [])
    }
}
