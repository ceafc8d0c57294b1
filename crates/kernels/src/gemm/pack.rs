//! The order in which a product reads its right operand: panels of columns, and in each, row after row.

use super::{GemmProblem, microkernel::VECTORS};
use crate::Isa;

/// `columns` columns cut into panels of two vectors; the last may be of one. A panel is stored as `[depth][columns of the
/// panel]`, filled up with zeros to whole vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Panels {
    pub(crate) columns: usize,
    pub(crate) depth: usize,
    lanes: usize,
    /// Of a whole panel.
    vectors: usize,
}

/// One panel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    /// Its first column.
    pub(crate) column: usize,
    /// How many columns it has.
    pub(crate) width: usize,
    /// In how many vectors they lie.
    pub(crate) vectors: usize,
    /// How many values a row takes in memory.
    pub(crate) stride: usize,
}

impl Panels {
    pub(crate) fn new(columns: usize, depth: usize, isa: Isa) -> Self {
        Self { columns, depth, lanes: isa.lanes(), vectors: VECTORS }
    }

    /// Panels of a single vector.
    pub(crate) fn of_vectors(columns: usize, depth: usize, isa: Isa) -> Self {
        Self { vectors: 1, ..Self::new(columns, depth, isa) }
    }

    /// Columns of a whole panel.
    pub(crate) fn whole(&self) -> usize {
        self.vectors * self.lanes
    }

    pub(crate) fn count(&self) -> usize {
        self.columns.div_ceil(self.whole())
    }

    /// How many values all panels take.
    pub(crate) fn len(&self) -> usize {
        self.columns.next_multiple_of(self.lanes) * self.depth
    }

    pub(crate) fn panel(&self, index: usize) -> Panel {
        let column = index * self.whole();
        let width = self.whole().min(self.columns - column);
        let vectors = width.div_ceil(self.lanes);
        Panel { column, width, vectors, stride: vectors * self.lanes }
    }

    /// Where row `k` of the panel of `column` lies.
    pub(crate) fn at(&self, panel: Panel, k: usize) -> usize {
        panel.column * self.depth + k * panel.stride
    }
}

/// Packs the columns of `panel` of a B that lies as `problem` says, from row `first` on, as many rows as `out` holds.
pub(crate) fn pack_columns(problem: &GemmProblem, b: &[f32], panel: Panel, first: usize, out: &mut [f32]) {
    if problem.trans_b {
        return pack_transposed(&b[panel.column * problem.depth..], problem.depth, panel, first, out);
    }
    for (k, row) in out.chunks_exact_mut(panel.stride).enumerate() {
        let start = (first + k) * problem.columns + panel.column;
        row[..panel.width].copy_from_slice(&b[start..start + panel.width]);
        row[panel.width..].fill(0.0);
    }
}

/// Packs a panel whose columns are contiguous, `stride` apart. Four columns at a time, so that whole parts of a cache
/// line are written.
fn pack_transposed(b: &[f32], stride: usize, panel: Panel, first: usize, out: &mut [f32]) {
    let depth = out.len() / panel.stride;
    for quad in (0..panel.stride).step_by(4) {
        let column = |j: usize| (j < panel.width).then(|| &b[j * stride + first..][..depth]);
        match [column(quad), column(quad + 1), column(quad + 2), column(quad + 3)] {
            [Some(b0), Some(b1), Some(b2), Some(b3)] => {
                for (k, row) in out.chunks_exact_mut(panel.stride).enumerate() {
                    row[quad..quad + 4].copy_from_slice(&[b0[k], b1[k], b2[k], b3[k]]);
                }
            }
            columns => {
                for (k, row) in out.chunks_exact_mut(panel.stride).enumerate() {
                    let row = &mut row[quad..quad + 4];
                    row.iter_mut()
                        .zip(columns)
                        .for_each(|(slot, column)| *slot = column.map_or(0.0, |b| b[k]));
                }
            }
        }
    }
}
