use super::call::{Call, Results};
use svertka_graph::op::Gemm;
use svertka_kernels::{
    elementwise::reference::{broadcast_shape, expand},
    gemm::{Addend, GemmProblem, reference::multiply},
};

pub(super) fn gemm(call: &Call<'_>, gemm: Gemm) -> Results {
    let (a, y) = (call.shape(0), call.outputs[0]);
    let depth = if gemm.trans_a { a[0] } else { a[1] };
    let problem = GemmProblem::new(y[0], y[1], depth)
        .and_then(|problem| {
            let (trans_a, trans_b) = (gemm.trans_a, gemm.trans_b);
            let (alpha, beta) = (gemm.alpha, gemm.beta);
            GemmProblem { trans_a, trans_b, alpha, beta, ..problem }.checked()
        })
        .map_err(|error| call.refuse(error))?;
    // C enters as what y held before.
    let (addend, old) = match call.inputs.get(2) {
        Some(c) => (Addend::Output, expand(c.shape(), y, call.real(2))),
        None => (Addend::None, Vec::new()),
    };
    call.one(multiply(&problem, call.real(0), call.real(1), addend, &old))
}

/// NumPy's `matmul`: a vector counts as a matrix of one row (left) or one column (right); axes in front are broadcast.
pub(super) fn matmul(call: &Call<'_>) -> Results {
    let a = if call.shape(0).len() == 1 { [&[1], call.shape(0)].concat() } else { call.shape(0).to_vec() };
    let b = if call.shape(1).len() == 1 { [call.shape(1), &[1]].concat() } else { call.shape(1).to_vec() };
    let ((a_batch, a_matrix), (b_batch, b_matrix)) = (a.split_at(a.len() - 2), b.split_at(b.len() - 2));
    let batch = broadcast_shape(a_batch, b_batch);
    let problem = GemmProblem::new(a_matrix[0], b_matrix[1], a_matrix[1])
        .and_then(|problem| GemmProblem { batch: batch.iter().product(), ..problem }.checked())
        .map_err(|error| call.refuse(error))?;
    let a_all = expand(&a, &[&batch, a_matrix].concat(), call.real(0));
    let b_all = expand(&b, &[&batch, b_matrix].concat(), call.real(1));
    call.one(multiply(&problem, &a_all, &b_all, Addend::None, &[]))
}
