//! Operators that move elements, and reductions.

use super::{Backward, elementwise::mismatch};
use crate::{
    GraphError, Op,
    infer::reduce_axes,
    op::{Internal, ReduceKind, Transpose},
};

pub(super) fn reshape(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::ReshapeLike, &[dy, x])?;
    backward.give(0, dx)
}

pub(super) fn transpose(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Transpose(Transpose { perm }) = &backward.node().op else { return Err(mismatch(backward)) };
    let dy = backward.dy()?;
    let mut inverse = vec![0; perm.len()];
    for (to, &from) in perm.iter().enumerate() {
        inverse[from] = to;
    }
    let dx = backward.emit(Op::Transpose(Transpose { perm: inverse }), &[dy])?;
    backward.give(0, dx)
}

pub(super) fn pad(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Pad(pad) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::PadGradient(pad.clone()), &[dy, x])?;
    backward.give(0, dx)
}

pub(super) fn concat(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Concat(concat) = backward.node().op else { return Err(mismatch(backward)) };
    let dy = backward.dy()?;
    let inputs: Vec<_> = [dy].iter().chain(&backward.node().inputs).copied().collect();
    let parts = backward.emit_all(Op::Internal(Internal::ConcatGradient(concat)), &inputs)?;
    for (index, part) in parts.into_iter().enumerate() {
        if backward.wants(index) {
            backward.give(index, part)?;
        }
    }
    Ok(())
}

pub(super) fn reduce(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Reduce(reduce) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dropped = reduce_axes(reduce, backward.shape(x).rank()).map_err(|reason| backward.refuse(&reason))?;
    let axes = if reduce.keepdims { Vec::new() } else { dropped };
    let mean = reduce.kind == ReduceKind::Mean;
    let dx = backward.internal(Internal::ExpandLike { axes, mean }, &[dy, x])?;
    backward.give(0, dx)
}

pub(super) fn resize(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Resize(resize) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.internal(Internal::ResizeGradient(resize.clone()), &[dy, x])?;
    backward.give(0, dx)
}
