//! Normalisations.

use super::{Backward, elementwise::mismatch, window::sum_to_channels};
use crate::{
    GraphError, Op, ValueId,
    op::{Binary, Internal},
};

/// By fixed statistics.
pub(super) fn batch_normalization(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::BatchNormalization(norm) = backward.node().op else { return Err(mismatch(backward)) };
    let dy = backward.dy()?;
    let [x, scale, mean, var] = [0, 1, 3, 4].map(|index| backward.input(index));
    let op = Op::Internal(Internal::FrozenBatchNormGradient { epsilon: norm.epsilon });
    let gradients = backward.emit_all(op, &[x, dy, scale, mean, var])?;
    give(backward, &gradients)?;
    if backward.wants(3) {
        let minus_one = backward.number(-1.0)?;
        let sum = sum_to_channels(backward, gradients[0])?;
        let dmean = backward.emit(Op::Binary(Binary::Mul), &[sum, minus_one])?;
        backward.give(3, dmean)?;
    }
    if backward.wants(4) {
        let dvar = variance_gradient(backward, gradients[1], norm.epsilon)?;
        backward.give(4, dvar)?;
    }
    Ok(())
}

/// `dvar = −½ · scale · dscale / (var + epsilon)`, because y depends on var as it does on scale, but for
/// `∂(var + epsilon)^−½ = −½ (var + epsilon)^−½ / (var + epsilon)`.
fn variance_gradient(
    backward: &mut Backward<'_>,
    dscale: ValueId,
    epsilon: f32,
) -> Result<ValueId, GraphError> {
    let (scale, var) = (backward.input(1), backward.input(4));
    let (epsilon, half) = (backward.number(epsilon)?, backward.number(-0.5)?);
    let product = backward.emit(Op::Binary(Binary::Mul), &[scale, dscale])?;
    let product = backward.emit(Op::Binary(Binary::Mul), &[product, half])?;
    let divisor = backward.emit(Op::Binary(Binary::Add), &[var, epsilon])?;
    backward.emit(Op::Binary(Binary::Div), &[product, divisor])
}

/// By the batch's statistics, which depend on x too; not on the running ones.
pub(super) fn batch_norm_training(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let (x, scale) = (backward.input(0), backward.input(1));
    let (mean, inverse) = (backward.output(1), backward.output(2));
    let op = Op::Internal(Internal::BatchNormGradient);
    let gradients = backward.emit_all(op, &[x, dy, scale, mean, inverse])?;
    give(backward, &gradients)
}

/// Gives the gradients of x, scale and bias.
fn give(backward: &mut Backward<'_>, gradients: &[ValueId]) -> Result<(), GraphError> {
    for (index, &gradient) in gradients.iter().enumerate() {
        if backward.wants(index) {
            backward.give(index, gradient)?;
        }
    }
    Ok(())
}

pub(super) fn lrn(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Lrn(lrn) = backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::LrnGradient(lrn), &[x, dy])?;
    backward.give(0, dx)
}
