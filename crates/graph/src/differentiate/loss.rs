//! Softmax and the loss that contains it.

use super::{Backward, elementwise::mismatch};
use crate::{
    GraphError, Op,
    op::{Binary, Internal},
};

pub(super) fn softmax(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Softmax { axis } = backward.node().op else { return Err(mismatch(backward)) };
    let (y, dy) = (backward.output(0), backward.dy()?);
    let dx = backward.internal(Internal::SoftmaxGradient { axis }, &[y, dy])?;
    backward.give(0, dx)
}

pub(super) fn log_softmax(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::LogSoftmax { axis } = backward.node().op else { return Err(mismatch(backward)) };
    let (y, dy) = (backward.output(0), backward.dy()?);
    let dx = backward.internal(Internal::LogSoftmaxGradient { axis }, &[y, dy])?;
    backward.give(0, dx)
}

/// Both outputs may have gradients: the loss, and the log-probabilities as those of a `LogSoftmax`.
pub(super) fn softmax_cross_entropy(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::SoftmaxCrossEntropyLoss(loss) = backward.node().op else { return Err(mismatch(backward)) };
    if backward.wants(1) || backward.wants(2) {
        return Err(backward.refuse("targets and class weights are taken as given"));
    }
    let log_probabilities = backward.output(1);
    let mut parts = Vec::new();
    if let Some(dloss) = backward.output_gradient(0) {
        let inputs = [log_probabilities, backward.input(1), dloss];
        let inputs: Vec<_> = inputs.iter().chain(backward.node().inputs.get(2)).copied().collect();
        parts.push(backward.internal(Internal::SoftmaxCrossEntropyGradient(loss), &inputs)?);
    }
    if let Some(dy) = backward.output_gradient(1) {
        parts.push(backward.internal(Internal::LogSoftmaxGradient { axis: 1 }, &[log_probabilities, dy])?);
    }
    let dx = match parts[..] {
        [from_loss, from_probabilities] => {
            backward.emit(Op::Binary(Binary::Add), &[from_loss, from_probabilities])?
        }
        _ => parts[0],
    };
    backward.give(0, dx)
}
