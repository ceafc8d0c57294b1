//! Arithmetic with broadcasting, activations, dropout.

use super::Backward;
use crate::{
    GraphError, Op, ValueId,
    op::{Binary, Internal, Unary},
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

fn binary(backward: &mut Backward<'_>, op: Binary, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
    backward.emit(Op::Binary(op), &[a, b])
}

/// da = dy·b·aᵇ⁻¹, db = dy·y·ln a, taken as 0 where a is not positive.
pub(super) fn pow(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let (a, b, y) = (backward.input(0), backward.input(1), backward.output(0));
    if backward.wants(1) {
        let zero = backward.number(0.0)?;
        let positive = binary(backward, Binary::Greater, a, zero)?;
        let one = backward.number(1.0)?;
        let base = backward.emit(Op::Where, &[positive, a, one])?;
        let logarithm = backward.emit(Op::Unary(Unary::Log), &[base])?;
        let slope = binary(backward, Binary::Mul, y, logarithm)?;
        let product = binary(backward, Binary::Mul, dy, slope)?;
        let product = backward.emit(Op::Where, &[positive, product, zero])?;
        let db = backward.sum_to(product, b)?;
        backward.give(1, db)?;
    }
    if backward.wants(0) {
        let one = backward.number(1.0)?;
        let exponent = binary(backward, Binary::Sub, b, one)?;
        let power = binary(backward, Binary::Pow, a, exponent)?;
        let slope = binary(backward, Binary::Mul, power, b)?;
        let product = binary(backward, Binary::Mul, dy, slope)?;
        let da = backward.sum_to(product, a)?;
        backward.give(0, da)?;
    }
    Ok(())
}

/// dy goes to the operand that was taken.
pub(super) fn extreme(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let comparison = match backward.node().op {
        Op::Binary(Binary::Max) => Binary::GreaterOrEqual,
        Op::Binary(Binary::Min) => Binary::LessOrEqual,
        _ => return Err(mismatch(backward)),
    };
    let (a, b) = (backward.input(0), backward.input(1));
    let takes_a = binary(backward, comparison, a, b)?;
    give_chosen(backward, takes_a, [0, 1])
}

/// dy goes where the condition sent the operand.
pub(super) fn choose(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let condition = backward.input(0);
    give_chosen(backward, condition, [1, 2])
}

/// dy to the first of two inputs where the condition holds, to the second elsewhere.
fn give_chosen(
    backward: &mut Backward<'_>,
    condition: ValueId,
    [first, second]: [usize; 2],
) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let zero = backward.number(0.0)?;
    for (index, chosen) in [(second, [zero, dy]), (first, [dy, zero])] {
        if backward.wants(index) {
            let gradient = backward.emit(Op::Where, &[condition, chosen[0], chosen[1]])?;
            let gradient = backward.sum_to(gradient, backward.input(index))?;
            backward.give(index, gradient)?;
        }
    }
    Ok(())
}

/// dx = dy, or dy·slope below 0; dslope = dy·min(x, 0).
pub(super) fn prelu(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let (x, slope) = (backward.input(0), backward.input(1));
    let zero = backward.number(0.0)?;
    if backward.wants(1) {
        let negative = binary(backward, Binary::Min, x, zero)?;
        let product = binary(backward, Binary::Mul, dy, negative)?;
        let dslope = backward.sum_to(product, slope)?;
        backward.give(1, dslope)?;
    }
    if backward.wants(0) {
        let below = binary(backward, Binary::Less, x, zero)?;
        let scaled = binary(backward, Binary::Mul, dy, slope)?;
        let dx = backward.emit(Op::Where, &[below, scaled, dy])?;
        backward.give(0, dx)?;
    }
    Ok(())
}

pub(super) fn unary(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Unary(unary) = backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::UnaryGradient(unary), &[x, dy])?;
    backward.give(0, dx)
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
