//! Normalisations by the mean and the variance of the sample itself.

use super::{Source, Spelling, target};
use crate::{
    Dim, Op, ValueId,
    infer::normalize_axis,
    onnx::error::{Refusal, invalid, unsupported},
    op::{BatchNormalization, Binary, ReduceKind, Unary},
};

/// What is normalised, and the inverse of its deviation.
struct Normalised {
    mean: ValueId,
    inverse: ValueId,
    value: ValueId,
}

/// `(x − mean) / √(variance + epsilon)` over some axes.
fn normalise(spelling: &mut Spelling, x: ValueId, axes: &[i64], epsilon: f32) -> Result<Normalised, Refusal> {
    let mean = spelling.reduce("mean", ReduceKind::Mean, axes, x)?;
    let centred = spelling.binary("centred", Binary::Sub, x, mean)?;
    let square = spelling.binary("square", Binary::Mul, centred, centred)?;
    let variance = spelling.reduce("variance", ReduceKind::Mean, axes, square)?;
    let epsilon = spelling.number("epsilon", epsilon)?;
    let variance = spelling.binary("above 0", Binary::Add, variance, epsilon)?;
    let deviation = spelling.unary("deviation", Unary::Sqrt, variance)?;
    let inverse = spelling.unary("inverse", Unary::Reciprocal, deviation)?;
    let value = spelling.binary("normalised", Binary::Mul, centred, inverse)?;
    Ok(Normalised { mean, inverse, value })
}

/// `value · scale + bias`, as the node's first output.
fn scale(
    spelling: &mut Spelling,
    value: ValueId,
    scale: ValueId,
    bias: Option<ValueId>,
) -> Result<(), Refusal> {
    let Some(bias) = bias else {
        return spelling.output(0, Op::Binary(Binary::Mul), &[value, scale]).map(drop);
    };
    let scaled = spelling.binary("scaled", Binary::Mul, value, scale)?;
    spelling.output(0, Op::Binary(Binary::Add), &[scaled, bias]).map(drop)
}

/// Every channel of every sample by itself (Ulyanov et al. 2016).
pub(super) fn instance(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let (x, gamma, beta) = (spelling.input(0)?, spelling.input(1)?, spelling.input(2)?);
    let rank = spelling.rank(x);
    if rank < 3 {
        return invalid(format!("it needs [N, C, …], got {}", spelling.shape(x)));
    }
    let axes: Vec<i64> = (2..rank as i64).collect();
    let normalised = normalise(spelling, x, &axes, source.float("epsilon", 1e-5)?)?;
    let gamma = spelling.per_channel("scale", gamma, rank)?;
    let beta = spelling.per_channel("bias", beta, rank)?;
    scale(spelling, normalised.value, gamma, Some(beta))
}

/// Over the last axes of every sample (Ba et al. 2016).
pub(super) fn layer(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    source.skip("stash_type");
    let (x, gamma) = (spelling.input(0)?, spelling.input(1)?);
    let rank = spelling.rank(x);
    let axis = normalize_axis(source.int("axis")?.unwrap_or(-1), rank).map_err(Refusal::Invalid)?;
    let axes: Vec<i64> = (axis as i64..rank as i64).collect();
    let normalised = normalise(spelling, x, &axes, source.float("epsilon", 1e-5)?)?;
    let beta = spelling.inputs.get(2).copied();
    scale(spelling, normalised.value, gamma, beta)?;
    for (index, value) in [(1, normalised.mean), (2, normalised.inverse)] {
        if spelling.node.output.get(index).is_some_and(|name| !name.is_empty()) {
            spelling.output(index, Op::Identity, &[value])?;
        }
    }
    Ok(())
}

/// Over groups of channels of every sample (Wu and He 2018). Scale and bias are per group in opsets 18 to 20 and per
/// channel since.
pub(super) fn group(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    source.skip("stash_type");
    let (x, gamma, beta) = (spelling.input(0)?, spelling.input(1)?, spelling.input(2)?);
    let Some(groups) = source.extent("num_groups")? else {
        return invalid("attribute `num_groups` is missing");
    };
    let epsilon = source.float("epsilon", 1e-5)?;
    let shape = spelling.shape(x).to_vec();
    let channels = shape.get(1).and_then(Dim::fixed).filter(|channels| groups > 0 && channels % groups == 0);
    let Some(channels) = channels else {
        return invalid(format!("{groups} groups do not divide the channels of {}", spelling.shape(x)));
    };
    let in_groups = vec![0, groups as i64, (channels / groups) as i64, -1];
    let grouped = spelling.reshape("groups", in_groups, x)?;
    let mut value = normalise(spelling, grouped, &[2, 3], epsilon)?.value;
    let per_group = spelling.sizes(gamma) == Some(vec![groups]) && groups != channels;
    if per_group {
        let gamma = spelling.per_channel("scale", gamma, 4)?;
        let beta = spelling.per_channel("bias", beta, 4)?;
        value = spelling.binary("scaled", Binary::Mul, value, gamma)?;
        value = spelling.binary("shifted", Binary::Add, value, beta)?;
    }
    let whole = target(&shape)?;
    if per_group {
        let reshape = crate::op::Reshape { shape: whole, allow_zero: false };
        return spelling.output(0, Op::Reshape(reshape), &[value]).map(drop);
    }
    let value = spelling.reshape("whole", whole, value)?;
    let gamma = spelling.per_channel("scale", gamma, shape.len())?;
    let beta = spelling.per_channel("bias", beta, shape.len())?;
    scale(spelling, value, gamma, Some(beta))
}

/// Over batch and pixels if no axes are named.
pub(super) fn mean_variance(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let axes = source.ints("axes")?.unwrap_or(vec![0, 2, 3]);
    let mean = spelling.reduce("mean", ReduceKind::Mean, &axes, x)?;
    let centred = spelling.binary("centred", Binary::Sub, x, mean)?;
    let square = spelling.binary("square", Binary::Mul, centred, centred)?;
    let variance = spelling.reduce("variance", ReduceKind::Mean, &axes, square)?;
    let deviation = spelling.unary("deviation", Unary::Sqrt, variance)?;
    let epsilon = spelling.number("epsilon", 1e-9)?;
    let deviation = spelling.binary("above 0", Binary::Add, deviation, epsilon)?;
    spelling.output(0, Op::Binary(Binary::Div), &[centred, deviation]).map(drop)
}

/// `BatchNormalization` with `training_mode`: by the batch's own statistics, of which the running ones take a part. ONNX's
/// running variance is the biased one.
pub(super) fn batch_in_training(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    if !source.flag("training_mode", false)? {
        return unsupported("outputs behind the first one, without `training_mode`");
    }
    let norm = BatchNormalization {
        epsilon: source.float("epsilon", 1e-5)?,
        momentum: source.float("momentum", 0.9)?,
        frozen: true,
    };
    let x = spelling.input(0)?;
    let axes: Vec<i64> = (0..spelling.rank(x) as i64).filter(|&axis| axis != 1).collect();
    let mean = spelling.reduce("mean", ReduceKind::Mean, &axes, x)?;
    let centred = spelling.binary("centred", Binary::Sub, x, mean)?;
    let square = spelling.binary("square", Binary::Mul, centred, centred)?;
    let variance = spelling.reduce("variance", ReduceKind::Mean, &axes, square)?;
    let mean = spelling.reshape("mean of channels", vec![-1], mean)?;
    let variance = spelling.reshape("variance of channels", vec![-1], variance)?;
    let (gamma, beta) = (spelling.input(1)?, spelling.input(2)?);
    spelling.output(0, Op::BatchNormalization(norm), &[x, gamma, beta, mean, variance])?;
    for (index, (running, now)) in [(1, (spelling.input(3)?, mean)), (2, (spelling.input(4)?, variance))] {
        let old = spelling.number(&format!("momentum {index}"), norm.momentum)?;
        let new = spelling.number(&format!("rest {index}"), 1.0 - norm.momentum)?;
        let old = spelling.binary(&format!("old {index}"), Binary::Mul, running, old)?;
        let new = spelling.binary(&format!("new {index}"), Binary::Mul, now, new)?;
        spelling.output(index, Op::Binary(Binary::Add), &[old, new])?;
    }
    Ok(())
}
