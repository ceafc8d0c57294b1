//! The f64 twin of the matrix product, from the definition.

use super::{Addend, GemmProblem};

/// `y = alpha · op(A) · op(B) + beta · addend` for every matrix of the batch; `old` is what y held.
pub fn multiply(problem: &GemmProblem, a: &[f64], b: &[f64], addend: Addend<'_>, old: &[f64]) -> Vec<f64> {
    let (rows, columns, depth) = (problem.rows, problem.columns, problem.depth);
    let mut y = Vec::with_capacity(problem.batch * rows * columns);
    for n in 0..problem.batch {
        let a_start = if problem.a_shared { 0 } else { n * rows * depth };
        let b_start = if problem.b_shared { 0 } else { n * depth * columns };
        for i in 0..rows {
            for j in 0..columns {
                let product: f64 = (0..depth)
                    .map(|k| {
                        let a_at = if problem.trans_a { k * rows + i } else { i * depth + k };
                        let b_at = if problem.trans_b { j * depth + k } else { k * columns + j };
                        a[a_start + a_at] * b[b_start + b_at]
                    })
                    .sum();
                let at = (n * rows + i) * columns + j;
                let added = match addend {
                    Addend::None => None,
                    Addend::Columns(bias) => Some(f64::from(bias[j])),
                    Addend::Full(full) => Some(f64::from(full[at])),
                    Addend::Output => Some(old[at]),
                };
                let added = added.map_or(0.0, |value| f64::from(problem.beta) * value);
                y.push(f64::from(problem.alpha) * product + added);
            }
        }
    }
    y
}

/// The sum of every column of a row-major matrix.
pub fn column_sums(columns: usize, matrix: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for row in matrix.chunks(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums
}
