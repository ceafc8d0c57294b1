use super::reference;
use crate::{Isa, Machine, epilogue::Store};

/// The sum of every column of a row-major matrix: the gradient of a bias.
///
/// Shape: matrix [rows, columns] -> sums [columns].
#[derive(Clone, Debug)]
pub struct ColumnSumPlan {
    columns: usize,
}

impl ColumnSumPlan {
    /// A plan for at most `rows` rows of `columns` values.
    pub fn new(_rows: usize, columns: usize, _isa: Isa) -> Self {
        Self { columns }
    }

    /// How many f32 of scratch a call needs; the number of threads does not matter.
    pub fn scratch_len(&self) -> usize {
        0
    }

    /// Writes the sums over the first `rows` rows, or adds them to what `sums` holds.
    ///
    /// # Panics
    /// If a slice is shorter than the sizes say.
    pub fn run(
        &self,
        _machine: &Machine,
        rows: usize,
        matrix: &[f32],
        sums: &mut [f32],
        store: Store,
        _scratch: &mut [f32],
    ) {
        let matrix: Vec<f64> = matrix[..rows * self.columns].iter().map(|&x| f64::from(x)).collect();
        for (sum, value) in sums.iter_mut().zip(reference::column_sums(self.columns, &matrix)) {
            *sum = value as f32 + if store == Store::Accumulate { *sum } else { 0.0 };
        }
    }
}
