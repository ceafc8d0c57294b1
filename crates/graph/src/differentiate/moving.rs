//! Operators that pick, repeat and rearrange elements.

use super::{Backward, elementwise::mismatch};
use crate::{
    GraphError, Op, ValueId,
    op::{Internal, ReduceKind},
};

/// Gives input 0 the output of an internal operator.
fn give(backward: &mut Backward<'_>, op: Internal, inputs: &[ValueId]) -> Result<(), GraphError> {
    let dx = backward.internal(op, inputs)?;
    backward.give(0, dx)
}

pub(super) fn slice(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Slice(slice) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    give(backward, Internal::SliceGradient(slice.clone()), &[dy, x])
}

pub(super) fn gather(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Gather { axis } = backward.node().op else { return Err(mismatch(backward)) };
    let (x, indices, dy) = (backward.input(0), backward.input(1), backward.dy()?);
    give(backward, Internal::GatherGradient { axis }, &[dy, indices, x])
}

pub(super) fn gather_elements(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::GatherElements { axis } = backward.node().op else { return Err(mismatch(backward)) };
    let (x, indices, dy) = (backward.input(0), backward.input(1), backward.dy()?);
    give(backward, Internal::GatherElementsGradient { axis }, &[dy, indices, x])
}

/// Of the values; their places have none.
pub(super) fn top_k(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::TopK(top) = backward.node().op else { return Err(mismatch(backward)) };
    let (x, indices, dy) = (backward.input(0), backward.output(1), backward.dy()?);
    give(backward, Internal::GatherElementsGradient { axis: top.axis }, &[dy, indices, x])
}

pub(super) fn expand(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let (x, dy) = (backward.input(0), backward.dy()?);
    let dx = backward.sum_to(dy, x)?;
    backward.give(0, dx)
}

pub(super) fn tile(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Tile(tile) = &backward.node().op else { return Err(mismatch(backward)) };
    let (x, dy) = (backward.input(0), backward.dy()?);
    give(backward, Internal::TileGradient(tile.clone()), &[dy, x])
}

/// Each is the other's gradient.
pub(super) fn depth_space(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let back = match backward.node().op {
        Op::DepthToSpace(op) => Op::SpaceToDepth(op),
        Op::SpaceToDepth(op) => Op::DepthToSpace(op),
        _ => return Err(mismatch(backward)),
    };
    let dx = backward.emit(back, &[dy])?;
    backward.give(0, dx)
}

/// Of a maximum, minimum or product.
pub(super) fn fold(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Reduce(reduce) = &backward.node().op else { return Err(mismatch(backward)) };
    debug_assert!(!matches!(reduce.kind, ReduceKind::Mean | ReduceKind::Sum));
    let (x, dy) = (backward.input(0), backward.dy()?);
    give(backward, Internal::FoldGradient(reduce.clone()), &[x, dy])
}
