//! Operators that slide a window.

use super::{Backward, elementwise::mismatch};
use crate::{
    GraphError, Op, ValueId,
    op::{Conv, Internal, Reduce, ReduceKind},
};

pub(super) fn conv(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Conv(conv) = &backward.node().op else { return Err(mismatch(backward)) };
    let dy = backward.dy()?;
    let (x, weight) = (backward.input(0), backward.input(1));
    if backward.wants(1) {
        let dweight = backward.internal(Internal::ConvWeightGradient(conv.clone()), &[x, dy, weight])?;
        backward.give(1, dweight)?;
    }
    bias(backward, dy)?;
    if backward.wants(0) {
        let dx = backward.internal(Internal::ConvInputGradient(conv.clone()), &[dy, weight, x])?;
        backward.give(0, dx)?;
    }
    Ok(())
}

/// A transposed convolution is the gradient of a convolution with respect to its input, `⟨conv(u), x⟩ = ⟨u, y⟩`. So dx
/// is that convolution of dy, and dweight its weight's gradient where u is dy and the convolution's own gradient is x.
pub(super) fn conv_transpose(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::ConvTranspose(transposed) = &backward.node().op else { return Err(mismatch(backward)) };
    let window = &transposed.window;
    if transposed.output_padding.iter().zip(&window.strides).any(|(padding, stride)| padding >= stride) {
        return Err(backward.refuse("output_padding is not smaller than the stride"));
    }
    let dy = backward.dy()?;
    let (x, weight) = (backward.input(0), backward.input(1));
    let conv = Conv { window: window.clone(), group: transposed.group };
    if backward.wants(1) {
        let dweight = backward.internal(Internal::ConvWeightGradient(conv.clone()), &[dy, x, weight])?;
        backward.give(1, dweight)?;
    }
    bias(backward, dy)?;
    if backward.wants(0) {
        let dx = backward.emit(Op::Conv(conv), &[dy, weight])?;
        backward.give(0, dx)?;
    }
    Ok(())
}

/// The bias is added at every place of its channel.
fn bias(backward: &mut Backward<'_>, dy: ValueId) -> Result<(), GraphError> {
    if !backward.wants(2) {
        return Ok(());
    }
    let dbias = sum_to_channels(backward, dy)?;
    backward.give(2, dbias)
}

/// `[N, C, …] -> [C]`
pub(super) fn sum_to_channels(backward: &mut Backward<'_>, dy: ValueId) -> Result<ValueId, GraphError> {
    let rank = backward.shape(dy).rank() as i64;
    let axes = (0..rank).filter(|&axis| axis != 1).collect();
    backward.emit(Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keepdims: false }), &[dy])
}

/// Outside training form the places are found a second time.
pub(super) fn max_pool(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::MaxPool(pool) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let places = backward.emit_all(Op::Internal(Internal::MaxPoolTraining(pool.clone())), &[x])?[1];
    let dx = backward.internal(Internal::MaxPoolGradient(pool.clone()), &[dy, places, x])?;
    backward.give(0, dx)
}

pub(super) fn max_pool_training(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Internal(Internal::MaxPoolTraining(pool)) = &backward.node().op else {
        return Err(mismatch(backward));
    };
    let (x, places, dy) = (backward.input(0), backward.output(1), backward.dy()?);
    let dx = backward.internal(Internal::MaxPoolGradient(pool.clone()), &[dy, places, x])?;
    backward.give(0, dx)
}

pub(super) fn average_pool(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::AveragePool(pool) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::AveragePoolGradient(pool.clone()), &[dy, x])?;
    backward.give(0, dx)
}

pub(super) fn global_average_pool(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::ExpandLike { axes: Vec::new(), mean: true }, &[dy, x])?;
    backward.give(0, dx)
}

pub(super) fn global_max_pool(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::GlobalMaxPoolGradient, &[x, dy])?;
    backward.give(0, dx)
}
