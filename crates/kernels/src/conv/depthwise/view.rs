//! The input, where it lies or copied into scratch, and what a row of results sees of it.

use crate::conv::{
    Pictures,
    correlation::Axis,
    rows::{RowReader, Window},
};
use crate::cut::whole_lines;
use std::ops::Range;

/// f32 of copied rows at most, if a row of results needs no more: half of a second-level cache.
const COPIED: usize = 64 * 1024;

/// How the input is reached.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    reader: RowReader,
    /// Height and width of a picture that is read where it lies.
    picture: [usize; 2],
    channels: usize,
    /// What results read, where that is copied because it does not lie as the convolution sees it.
    copied: Option<[Axis; 2]>,
}

impl Reading {
    /// `axes` are those of the forward pass; a gradient's dy is plain.
    pub(super) fn new(reader: RowReader, axes: [Axis; 2], channels: usize) -> Self {
        let copied = (!reader.is_plain()).then_some(axes);
        Self { reader, picture: axes.map(|axis| axis.input), channels, copied }
    }

    /// How many rows of results may be read at once, of `rows` that are wanted.
    pub(super) fn rows_at_once(&self, rows: usize) -> usize {
        (1..=rows).rev().find(|&rows| self.copied_len(rows) <= COPIED).unwrap_or(1)
    }

    /// How many f32 of scratch `rows` rows of results need.
    pub(super) fn scratch_len(&self, rows: usize) -> usize {
        whole_lines(self.copied_len(rows))
    }

    fn copied_len(&self, rows: usize) -> usize {
        self.copied.map_or(0, |[vertical, horizontal]| {
            vertical.span(rows) * horizontal.span(horizontal.output) * self.channels
        })
    }

    /// What `rows` rows of results of picture `n` read.
    #[inline(always)]
    pub(super) fn view(&self, x: Pictures<'_>, n: usize, rows: Range<usize>, scratch: &mut [f32]) -> View {
        let channels = self.channels;
        let Some([vertical, horizontal]) = self.copied else {
            let values = x.values[n * self.reader.picture_len()..].as_ptr();
            return View { values, start: [0, 0], size: self.picture, channels };
        };
        let start = [vertical.position(rows.start), horizontal.position(0)];
        let size = [vertical.span(rows.len()), horizontal.span(horizontal.output)];
        self.reader.read(x, n, Window { start, size }, scratch);
        View { values: scratch.as_ptr(), start, size, channels }
    }
}

/// A rectangle of a picture in memory; what lies outside is padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    values: *const f32,
    /// Its first row and column.
    start: [isize; 2],
    size: [usize; 2],
    channels: usize,
}

/// What a row of results reads.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    /// Under the first tap of the first pixel, in the first kernel row; may lie outside.
    pub(super) first: *const f32,
    /// From a kernel row to the next.
    pub(super) row_step: usize,
    /// The kernel rows that lie inside.
    pub(super) rows: Range<usize>,
    /// From a column to the next.
    pub(super) column_step: usize,
    /// The columns that lie inside, counted from the first tap of the first pixel.
    pub(super) columns: [isize; 2],
}

impl View {
    /// The operands of row `row` of `rows`.
    #[inline(always)]
    pub(super) fn operands(&self, rows: &Axis, columns: &Axis, row: usize) -> Operands {
        let [y, x] = [rows.position(row) - self.start[0], columns.position(0) - self.start[1]];
        let [height, width] = self.size.map(|size| size as isize);
        let dilation = rows.dilation as isize;
        // Taps before position `at`.
        let before =
            |at: isize| ((at - y + dilation - 1).div_euclid(dilation).max(0) as usize).min(rows.taps.count);
        let column_step = self.channels;
        Operands {
            first: self.values.wrapping_offset((y * width + x) * column_step as isize),
            row_step: rows.dilation * self.size[1] * column_step,
            rows: before(0)..before(height),
            column_step,
            columns: [-x, width - x],
        }
    }
}
