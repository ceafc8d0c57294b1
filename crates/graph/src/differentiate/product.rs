//! Products of matrices.

use super::{Backward, elementwise::mismatch};
use crate::{
    GraphError, Op, ValueId,
    op::{Binary, Gemm, Internal, Transpose, Unsqueeze},
};

/// `y = alpha·A'·B' + beta·C`, where A' and B' are A and B, transposed or not:
/// `dA' = alpha·dy·B'ᵀ`, `dB' = alpha·A'ᵀ·dy`, `dC = beta·dy`.
pub(super) fn gemm(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let Op::Gemm(gemm) = backward.node().op else { return Err(mismatch(backward)) };
    let dy = backward.dy()?;
    if backward.wants(2) {
        let dc = addend_gradient(backward, dy, gemm.beta)?;
        backward.give(2, dc)?;
    }
    let (a, b) = (backward.input(0), backward.input(1));
    let product = |trans_a, trans_b| Op::Gemm(Gemm { alpha: gemm.alpha, beta: 1.0, trans_a, trans_b });
    if backward.wants(1) {
        let db = match gemm.trans_b {
            false => backward.emit(product(!gemm.trans_a, false), &[a, dy])?,
            true => backward.emit(product(true, gemm.trans_a), &[dy, a])?,
        };
        backward.give(1, db)?;
    }
    if backward.wants(0) {
        let da = match gemm.trans_a {
            false => backward.emit(product(false, !gemm.trans_b), &[dy, b])?,
            true => backward.emit(product(gemm.trans_b, true), &[b, dy])?,
        };
        backward.give(0, da)?;
    }
    Ok(())
}

fn addend_gradient(backward: &mut Backward<'_>, dy: ValueId, beta: f32) -> Result<ValueId, GraphError> {
    let sum = backward.sum_to(dy, backward.input(2))?;
    if beta == 1.0 {
        return Ok(sum);
    }
    let beta = backward.number(beta)?;
    backward.emit(Op::Binary(Binary::Mul), &[sum, beta])
}

/// `dA = dy·Bᵀ`, `dB = Aᵀ·dy`, summed over the batch axes along which an operand was broadcast. A vector counts as a
/// matrix of one row (A) or one column (B).
pub(super) fn matmul(backward: &mut Backward<'_>) -> Result<(), GraphError> {
    let dy = backward.dy()?;
    let (a, b) = (backward.input(0), backward.input(1));
    let rank = |backward: &Backward<'_>, id| backward.shape(id).rank();
    if rank(backward, a) == 2 && rank(backward, b) == 2 {
        return gemm_of(backward, dy);
    }
    let row: &[i64] = if rank(backward, a) == 1 { &[-2] } else { &[] };
    let column: &[i64] = if rank(backward, b) == 1 { &[-1] } else { &[] };
    let dy = unsqueeze(backward, dy, &[row, column].concat())?;
    let a_matrix = unsqueeze(backward, a, row)?;
    let b_matrix = unsqueeze(backward, b, column)?;
    if backward.wants(1) {
        let transposed = transpose(backward, a_matrix)?;
        let db = backward.emit(Op::MatMul, &[transposed, dy])?;
        give_like(backward, 1, db, b_matrix)?;
    }
    if backward.wants(0) {
        let transposed = transpose(backward, b_matrix)?;
        let da = backward.emit(Op::MatMul, &[dy, transposed])?;
        give_like(backward, 0, da, a_matrix)?;
    }
    Ok(())
}

/// Two matrices: nothing has to be moved.
fn gemm_of(backward: &mut Backward<'_>, dy: ValueId) -> Result<(), GraphError> {
    let (a, b) = (backward.input(0), backward.input(1));
    if backward.wants(1) {
        let db = backward.emit(Op::Gemm(Gemm { trans_a: true, ..Gemm::default() }), &[a, dy])?;
        backward.give(1, db)?;
    }
    if backward.wants(0) {
        let da = backward.emit(Op::Gemm(Gemm { trans_b: true, ..Gemm::default() }), &[dy, b])?;
        backward.give(0, da)?;
    }
    Ok(())
}

fn unsqueeze(backward: &mut Backward<'_>, id: ValueId, axes: &[i64]) -> Result<ValueId, GraphError> {
    if axes.is_empty() {
        return Ok(id);
    }
    backward.emit(Op::Unsqueeze(Unsqueeze { axes: axes.to_vec() }), &[id])
}

/// Exchanges the last two axes.
fn transpose(backward: &mut Backward<'_>, id: ValueId) -> Result<ValueId, GraphError> {
    let rank = backward.shape(id).rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    backward.emit(Op::Transpose(Transpose { perm }), &[id])
}

/// Gives input `index` the gradient of the matrix it was made into.
fn give_like(
    backward: &mut Backward<'_>,
    index: usize,
    gradient: ValueId,
    matrix: ValueId,
) -> Result<(), GraphError> {
    let (input, sum) = (backward.input(index), backward.sum_to(gradient, matrix)?);
    let gradient = match matrix == input {
        true => sum,
        false => backward.internal(Internal::ReshapeLike, &[sum, input])?,
    };
    backward.give(index, gradient)
}
