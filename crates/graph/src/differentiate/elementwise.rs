//! Arithmetic with broadcasting, activations, dropout.

use super::Backward;
use crate::{
    GraphError, Op,
    op::{Binary, Internal},
};

pub(super) fn identity(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    backward.give(0, dy)
}

/// da = dy, db = dy.
pub(super) fn add(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    for index in (0..2).filter(|&index| backward.wants(index)).collect::<Vec<_>>() {
        let gradient = backward.sum_to(dy, backward.input(index))?;
        backward.give(index, gradient)?;
    }
    Ok(())
}

/// da = dy, db = −dy.
pub(super) fn sub(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    if backward.wants(1) {
        let db = backward.sum_to(dy, backward.input(1))?;
        let minus_one = backward.number(-1.0)?;
        let db = backward.emit(Op::Binary(Binary::Mul), &[db, minus_one])?;
        backward.give(1, db)?;
    }
    if backward.wants(0) {
        let da = backward.sum_to(dy, backward.input(0))?;
        backward.give(0, da)?;
    }
    Ok(())
}

/// da = dy·b, db = dy·a.
pub(super) fn mul(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    for index in [1, 0] {
        if backward.wants(index) {
            let product = backward.emit(Op::Binary(Binary::Mul), &[dy, backward.input(1 - index)])?;
            let gradient = backward.sum_to(product, backward.input(index))?;
            backward.give(index, gradient)?;
        }
    }
    Ok(())
}

/// da = dy/b, db = −da·y.
pub(super) fn div(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let (a, b, y) = (backward.input(0), backward.input(1), backward.output(0));
    let quotient = backward.emit(Op::Binary(Binary::Div), &[dy, b])?;
    if backward.wants(1) {
        let product = backward.emit(Op::Binary(Binary::Mul), &[quotient, y])?;
        let sum = backward.sum_to(product, b)?;
        let minus_one = backward.number(-1.0)?;
        let db = backward.emit(Op::Binary(Binary::Mul), &[sum, minus_one])?;
        backward.give(1, db)?;
    }
    if backward.wants(0) {
        let da = backward.sum_to(quotient, a)?;
        backward.give(0, da)?;
    }
    Ok(())
}

pub(super) fn activation(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Activation(activation) = backward.node().op else { return Err(mismatch(backward)) };
    let dy = backward.dy()?;
    let read = if activation.gradient_reads_output() { backward.output(0) } else { backward.input(0) };
    let dx = backward.internal(Internal::ActivationGradient(activation), &[read, dy])?;
    backward.give(0, dx)
}

/// The gradient passes where the value passed: dropout of the same stream.
pub(super) fn dropout(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let dx = backward.emit(backward.node().op.clone(), &[dy])?;
    backward.give(0, dx)
}

/// The error of a rule that was registered under another operator's name.
pub(super) fn mismatch(backward: &Backward<'_>) -> GraphError {
    backward.refuse("its rule belongs to another operator")
}
