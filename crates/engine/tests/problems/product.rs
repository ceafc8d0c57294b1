use super::{Problem, batch, input, one, weight};
use svertka_graph::{Op, op::Gemm};

pub fn problems() -> Vec<Problem> {
    gemms().into_iter().chain(matmuls()).collect()
}

fn gemms() -> Vec<Problem> {
    let (m, n, k) = (3, 5, 4);
    let addends: [Option<&[usize]>; 6] =
        [None, Some(&[n]), Some(&[m, n]), Some(&[m, 1]), Some(&[1, n]), Some(&[])];
    let mut problems = Vec::new();
    for (index, addend) in addends.into_iter().enumerate() {
        for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let (alpha, beta) = if index % 2 == 0 { (1.0, 1.0) } else { (0.5, -2.0) };
            let a = input(&if trans_a { [k, m] } else { [m, k] });
            let b = weight(&if trans_b { [n, k] } else { [k, n] });
            let operands: Vec<_> = [a, b].into_iter().chain(addend.map(weight)).collect();
            problems.push(one(Op::Gemm(Gemm { alpha, beta, trans_a, trans_b }), &operands));
        }
    }
    let layer = Op::Gemm(Gemm { trans_b: true, ..Gemm::default() });
    problems.push(one(layer, &[batch(&[1, 7]), weight(&[1, 7]), weight(&[1])]));
    problems
}

fn matmuls() -> Vec<Problem> {
    let shapes: [(&[usize], &[usize]); 11] = [
        (&[3, 4], &[4, 2]),
        (&[4], &[4]),
        (&[4], &[4, 3]),
        (&[3, 4], &[4]),
        (&[2, 3, 4], &[4, 5]),
        (&[3, 4], &[2, 4, 5]),
        (&[2, 3, 4], &[4]),
        (&[4], &[2, 4, 3]),
        (&[2, 1, 3, 4], &[5, 4, 2]),
        (&[2, 3, 1, 4], &[2, 3, 4, 1]),
        (&[1, 3, 4], &[3, 4, 2]),
    ];
    shapes.into_iter().map(|(a, b)| one(Op::MatMul, &[input(a), weight(b)])).collect()
}
