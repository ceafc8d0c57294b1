//! The order in which a product reads its right operand: panels of columns, and in each, row after row.

use super::microkernel::VECTORS;
use crate::{
    Isa,
    cut::cuts,
    simd::{Kernel, Lanes},
    vector::load,
};
use std::ops::Range;

/// Rows that are packed together: so many streams a processor follows ahead of the reader.
const ROWS: usize = 8;

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
        // Whole panels are many: they wait for no division.
        let vectors = if width == self.whole() { self.vectors } else { width.div_ceil(self.lanes) };
        Panel { column, width, vectors, stride: vectors * self.lanes }
    }

    /// Where row `k` of the panel of `column` lies.
    pub(crate) fn at(&self, panel: Panel, k: usize) -> usize {
        panel.column * self.depth + k * panel.stride
    }
}

/// A right operand as a problem describes it, not packed.
#[derive(Clone, Copy)]
pub(super) struct Plain<'a> {
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
    pub(super) depth: usize,
    pub(super) transposed: bool,
}

impl Plain<'_> {
    /// Packs these rows of these panels, one panel after another, each but the last `rows.len()` whole rows long.
    #[inline(always)]
    pub(super) fn pack<L: Lanes>(
        &self,
        lanes: L,
        panels: Panels,
        of: &Range<usize>,
        rows: &Range<usize>,
        out: &mut [f32],
    ) {
        let len = (panels.whole() * rows.len()).max(1);
        if self.transposed {
            for (panel, out) in of.clone().zip(out.chunks_mut(len)) {
                self.pack_transposed(lanes, panels.panel(panel), rows, out);
            }
            return;
        }
        for group in cuts(rows.clone(), ROWS) {
            for (slot, panel) in of.clone().enumerate() {
                let panel = panels.panel(panel);
                let out = &mut out[slot * len + (group.start - rows.start) * panel.stride..];
                self.pack_rows(lanes, panel, &group, out);
            }
        }
    }

    #[inline(always)]
    fn pack_rows<L: Lanes>(&self, lanes: L, panel: Panel, rows: &Range<usize>, out: &mut [f32]) {
        for (k, out) in rows.clone().zip(out.chunks_exact_mut(panel.stride)) {
            let row = &self.values[k * self.columns + panel.column..][..panel.width];
            for (row, out) in row.chunks(L::COUNT).zip(out.chunks_exact_mut(L::COUNT)) {
                // SAFETY: a chunk of a row is at most a vector, one of `out` is a whole one.
                unsafe { lanes.store(out.as_mut_ptr(), load(lanes, row.as_ptr(), row.len())) };
            }
        }
    }

    /// Columns are contiguous: squares of them are turned in registers.
    #[inline(always)]
    fn pack_transposed<L: Lanes>(&self, lanes: L, panel: Panel, rows: &Range<usize>, out: &mut [f32]) {
        let (stride, out) = (panel.stride, &mut out[..rows.len() * panel.stride]);
        for column in (0..stride).step_by(L::COUNT) {
            let columns = &self.values[(panel.column + column) * self.depth..];
            let width = panel.width.saturating_sub(column).min(L::COUNT);
            let squares = if width == L::COUNT { rows.len() / L::COUNT } else { 0 };
            for k in (0..squares * L::COUNT).step_by(L::COUNT) {
                let from = &columns[rows.start + k..][..(L::COUNT - 1) * self.depth + L::COUNT];
                let to = &mut out[k * stride + column..][..(L::COUNT - 1) * stride + L::COUNT];
                // SAFETY: both slices end with the last value of their square.
                unsafe { lanes.transpose(from.as_ptr(), self.depth, to.as_mut_ptr(), stride) };
            }
            for k in squares * L::COUNT..rows.len() {
                for (j, out) in out[k * stride + column..][..L::COUNT].iter_mut().enumerate() {
                    *out = if j < width { columns[j * self.depth + rows.start + k] } else { 0.0 };
                }
            }
        }
    }
}

/// A whole panel.
pub(super) struct PackPanel<'a> {
    pub(super) plain: Plain<'a>,
    pub(super) panels: Panels,
    pub(super) index: usize,
    pub(super) out: &'a mut [f32],
}

impl Kernel for PackPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (of, rows) = (self.index..self.index + 1, 0..self.plain.depth);
        self.plain.pack(lanes, self.panels, &of, &rows, self.out);
    }
}
