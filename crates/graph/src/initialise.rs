//! First values of parameters.
//!
//! A parameter's values depend on (seed, name) and on its own shape and initialiser, never on the other
//! parameters nor on the order in which they were added. What follows is fixed, so that a seed means the same
//! bits in every version and on every machine:
//!
//! - The generator is ChaCha with 8 rounds (Bernstein 2008), stream 0. Its 32-byte key is the seed (8 bytes,
//!   little-endian), FNV-1a of the name's UTF-8 (64 bits, little-endian) and 16 zero bytes. Elements are
//!   drawn in row-major order from 32-bit words w.
//! - Uniform: one word each, `bound · (⌊w/2⁸⌋ − 2²³)/2²³`.
//! - Normal: two words for two elements (Box and Muller 1958), `r = √(−2 ln((w₁+1)/2³²))`, `φ = 2π·w₂/2³²`,
//!   then `std · r·cos φ` and `std · r·sin φ`; the last sine is dropped where the number of elements is odd.
//! - All in f64, with `libm`'s logarithm, sine and cosine, and rounded to f32 at the end.

use crate::{
    DataType, Graph, GraphError, Initialiser, Op, Parameter, Parameters, Tensor, Value, hash::fnv1a,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

impl Parameters {
    /// Values for every parameter of `graph`, each drawn by its initialiser from (seed, name) alone.
    ///
    /// # Errors
    /// [`GraphError::Parameter`] for an initialiser that does not fit the parameter's shape or type.
    ///
    /// ```
    /// use svertka_graph::{Builder, Parameters};
    ///
    /// let network = Builder::new();
    /// network.image(1, [4, 4]).conv(2, 3).output("maps");
    /// let graph = network.finish()?;
    /// let parameters = Parameters::initialise(&graph, 1)?;
    /// parameters.check(&graph)?;
    /// assert_eq!(parameters, Parameters::initialise(&graph, 1)?);
    /// # Ok::<(), svertka_graph::GraphError>(())
    /// ```
    pub fn initialise(graph: &Graph, seed: u64) -> Result<Self, GraphError> {
        let groups = dirac_groups(graph);
        let parameters = graph.parameters().map(|(id, value, parameter)| {
            let values = draw(value, parameter, groups[id.index()], seed);
            let error = |reason| GraphError::Parameter { name: value.name.clone(), reason };
            values.map(|values| (value.name.clone(), values)).map_err(error)
        });
        parameters.collect()
    }
}

/// By [`ValueId::index`], the groups of the convolution whose weight a value is, else 1.
fn dirac_groups(graph: &Graph) -> Vec<usize> {
    let mut groups = vec![1; graph.values().len()];
    for node in graph.nodes() {
        if let (Op::Conv(conv), Some(weight)) = (&node.op, node.inputs.get(1)) {
            groups[weight.index()] = conv.group;
        }
    }
    groups
}

fn draw(value: &Value, parameter: &Parameter, groups: usize, seed: u64) -> Result<Tensor, String> {
    let shape = value.ty.shape.sizes().ok_or("its shape is not known")?;
    let count = shape.iter().product();
    let name = &value.name;
    let tensor = match (value.ty.dtype, parameter.initialiser) {
        (DataType::I64, Initialiser::Constant(value)) => Tensor::i64(&shape, vec![value as i64; count]),
        (DataType::I64, other) => return Err(format!("{other:?} gives no integers")),
        (DataType::Bool, _) => return Err("truth values are no parameters".into()),
        (DataType::F32, Initialiser::Dirac) => Tensor::f32(&shape, dirac(&shape, groups)?),
        (DataType::F32, initialiser) => {
            let values = match distribution(initialiser, &shape)? {
                Distribution::Constant(value) => vec![value; count],
                Distribution::Uniform(bound) => uniform(&mut generator(seed, name), bound, count),
                Distribution::Normal(std) => normal(&mut generator(seed, name), std, count),
            };
            Tensor::f32(&shape, values)
        }
    };
    tensor.ok_or_else(|| format!("{count} elements do not fit {shape:?}"))
}

enum Distribution {
    Constant(f32),
    Uniform(f64),
    Normal(f64),
}

fn distribution(initialiser: Initialiser, shape: &[usize]) -> Result<Distribution, String> {
    let fans =
        || fans(shape).ok_or_else(|| format!("{initialiser:?} needs two axes at least, got {shape:?}"));
    Ok(match initialiser {
        Initialiser::Constant(value) => Distribution::Constant(value),
        Initialiser::Uniform { bound } => Distribution::Uniform(bound.into()),
        Initialiser::Normal { std } => Distribution::Normal(std.into()),
        Initialiser::KaimingUniform { slope } => {
            let gain = (2.0 / (1.0 + f64::from(slope).powi(2))).sqrt();
            Distribution::Uniform(gain * (3.0 / fans()?.0).sqrt())
        }
        Initialiser::KaimingNormalFanOut => Distribution::Normal((2.0 / fans()?.1).sqrt()),
        Initialiser::XavierUniform => {
            let (fan_in, fan_out) = fans()?;
            Distribution::Uniform((6.0 / (fan_in + fan_out)).sqrt())
        }
        Initialiser::XavierNormal => {
            let (fan_in, fan_out) = fans()?;
            Distribution::Normal((2.0 / (fan_in + fan_out)).sqrt())
        }
        Initialiser::Dirac => return Err("it is no distribution".to_owned()),
    })
}

/// fan_in and fan_out of a weight `[O, I, k…]`: taps times input channels and taps times output channels.
fn fans(shape: &[usize]) -> Option<(f64, f64)> {
    let [outputs, inputs, taps @ ..] = shape else { return None };
    let taps: f64 = taps.iter().map(|&extent| extent as f64).product();
    Some((*inputs as f64 * taps, *outputs as f64 * taps))
}

fn generator(seed: u64, name: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(name).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

fn uniform(generator: &mut ChaCha8Rng, bound: f64, count: usize) -> Vec<f32> {
    let half = f64::from(1 << 23);
    let unit = |word: u32| (f64::from(word >> 8) - half) / half;
    (0..count).map(|_| (bound * unit(generator.next_u32())) as f32).collect()
}

fn normal(generator: &mut ChaCha8Rng, std: f64, count: usize) -> Vec<f32> {
    let words = 2f64.powi(32);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * libm::log((f64::from(generator.next_u32()) + 1.0) / words)).sqrt();
        let angle = std::f64::consts::TAU * f64::from(generator.next_u32()) / words;
        values.push((std * radius * libm::cos(angle)) as f32);
        values.push((std * radius * libm::sin(angle)) as f32);
    }
    values.truncate(count);
    values
}

/// Within each group, output channel d copies input channel d at the centre tap, as `torch.nn.init.dirac_`
/// has it.
fn dirac(shape: &[usize], groups: usize) -> Result<Vec<f32>, String> {
    let [outputs, inputs, taps @ ..] = shape else {
        return Err(format!("Dirac needs the weight of a convolution, got {shape:?}"));
    };
    let area: usize = taps.iter().product();
    let centre = taps.iter().fold(0, |index, &extent| index * extent + extent / 2);
    let per_group = outputs / groups;
    let mut values = vec![0.0; outputs * inputs * area];
    for output in 0..per_group * groups {
        let channel = output % per_group;
        if channel < *inputs {
            values[(output * inputs + channel) * area + centre] = 1.0;
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
