//! Blocks of output pixels, and how the input under them is reached: where it lies, or copied into scratch.

use super::{
    Pictures,
    correlation::{Axis, Correlation},
    rows::{RowReader, Window},
};
use crate::cut::{part, whole_lines};
use std::ops::Range;

/// How large a block may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// f32 of the input rows under it.
    pub(super) input: usize,
    /// Output pixels.
    pub(super) pixels: usize,
    /// Small pictures are put together until a block has so many output pixels.
    pub(super) enough_pixels: usize,
}

/// A batch cut into blocks: of several whole pictures, of whole output rows of one picture, or of a part of a long row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    axes: [Axis; 2],
    reader: RowReader,
    channels: usize,
    /// Rows are copied, because the convolution does not see them as they lie.
    pub(super) copies: bool,
    /// Length of an input row, as the inner loops see it.
    pub(super) row_len: usize,
    /// Pictures of a block.
    pub(super) pictures: usize,
    /// Output rows of a block.
    pub(super) rows: usize,
    /// Output columns of a block; all of them if it has several rows.
    pub(super) columns: usize,
}

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) pictures: Range<usize>,
    /// Output rows of each.
    pub(super) rows: Range<usize>,
    /// Output columns of each row.
    pub(super) columns: Range<usize>,
}

impl Blocks {
    /// Chooses the size of blocks: a function of the sizes alone.
    pub(super) fn new(batch: usize, correlation: &Correlation, reader: RowReader, limits: Limits) -> Self {
        let axes = correlation.axes;
        let [rows, columns] = axes;
        let has_taps = rows.taps.count * columns.taps.count > 0;
        let copies = has_taps && !(reader.is_plain() && rows.is_inside() && columns.is_inside());
        let channels = correlation.in_channels();
        let most = limits.pixels.max(1);
        let columns_at_once = columns.output.div_ceil(columns.output.div_ceil(most));
        let row_len = if copies { columns.span(columns_at_once) * channels } else { reader.row_len() };
        let (pictures, rows) = match columns_at_once == columns.output {
            true => choose_sizes(batch, axes, row_len, limits),
            false => (1, 1),
        };
        Self { axes, reader, channels, copies, row_len, pictures, rows, columns: columns_at_once }
    }

    /// Blocks of rows of a picture, and of columns of a row.
    fn grid(&self) -> [usize; 2] {
        [self.axes[0].output.div_ceil(self.rows), self.axes[1].output.div_ceil(self.columns)]
    }

    /// How many blocks `pictures` pictures make.
    pub(super) fn count(&self, pictures: usize) -> usize {
        pictures.div_ceil(self.pictures) * self.grid()[0] * self.grid()[1]
    }

    /// The `index`th block of the first `pictures` pictures.
    pub(super) fn block(&self, index: usize, pictures: usize) -> Block {
        let [rows, columns] = self.grid();
        let (index, column) = (index / columns, index % columns);
        Block {
            pictures: part(index / rows, self.pictures, pictures),
            rows: part(index % rows, self.rows, self.axes[0].output),
            columns: part(column, self.columns, self.axes[1].output),
        }
    }

    /// Output pixels of a block.
    pub(super) fn pixels(&self, block: &Block) -> usize {
        block.pictures.len() * block.rows.len() * block.columns.len()
    }

    /// Output pixels of the largest block.
    pub(super) fn most_pixels(&self) -> usize {
        self.pictures * self.rows * self.columns
    }

    /// How many f32 of scratch a worker needs for copied rows.
    pub(super) fn scratch_len(&self) -> usize {
        if self.copies { whole_lines(self.pictures * self.copied_len()) } else { 0 }
    }

    /// How many f32 the rows under one picture's part of a block take in scratch.
    fn copied_len(&self) -> usize {
        self.axes[0].span(self.rows) * self.row_len
    }

    /// From one picture of a block to the next, as the inner loops see them.
    pub(super) fn picture_step(&self) -> usize {
        if self.copies { self.copied_len() } else { self.reader.picture_len() }
    }

    /// From one output pixel to the next in a row.
    pub(super) fn pixel_step(&self) -> usize {
        self.axes[1].stride * self.channels
    }

    /// How many pixels the output has before a block's first.
    pub(super) fn first_pixel(&self, block: &Block) -> usize {
        let row = block.pictures.start * self.axes[0].output + block.rows.start;
        row * self.axes[1].output + block.columns.start
    }

    /// Where the rows of the largest block start, from its first operand; smaller blocks take the first of them.
    pub(super) fn row_offsets(&self) -> Vec<usize> {
        let row_step = self.axes[0].stride * self.row_len;
        (0..self.pictures)
            .flat_map(|n| (0..self.rows).map(move |row| (n, row)))
            .map(|(n, row)| n * self.picture_step() + row * row_step)
            .collect()
    }

    /// The rows of x under a block as they lie in memory, to be fetched ahead; none where there is no simple answer.
    pub(super) fn rows_in_memory<'a>(&self, x: Pictures<'a>, block: &Block) -> &'a [f32] {
        let [vertical, columns] = self.axes;
        if !self.reader.is_channels_last() || self.columns < columns.output {
            return &[];
        }
        let (first, height) = (vertical.position(block.rows.start), self.reader.height() as isize);
        let last = first + vertical.span(block.rows.len()) as isize;
        let offset = |n: usize, row: isize| {
            n * self.reader.picture_len() + row.clamp(0, height) as usize * self.reader.row_len()
        };
        x.values.get(offset(block.pictures.start, first)..offset(block.pictures.end - 1, last)).unwrap_or(&[])
    }

    /// The first operand of a block, copied into `scratch` where that is needed.
    #[inline(always)]
    pub(super) fn read(&self, x: Pictures<'_>, block: &Block, scratch: &mut [f32]) -> *const f32 {
        let [vertical, horizontal] = self.axes;
        let start = [vertical.position(block.rows.start), horizontal.position(block.columns.start)];
        if !self.copies {
            let picture = x.values.as_ptr().wrapping_add(block.pictures.start * self.reader.picture_len());
            let [row, column] = [start[0] * self.row_len as isize, start[1] * self.channels as isize];
            return picture.wrapping_offset(row + column);
        }
        // Behind the last column, where a last block is narrower, there is padding.
        let size = [vertical.span(block.rows.len()), horizontal.span(self.columns)];
        for (slot, n) in block.pictures.clone().enumerate() {
            self.reader.read(x, n, Window { start, size }, &mut scratch[slot * self.copied_len()..]);
        }
        scratch.as_ptr()
    }
}

/// Pictures and output rows of a block.
fn choose_sizes(batch: usize, [rows, columns]: [Axis; 2], row_len: usize, limits: Limits) -> (usize, usize) {
    let fits = |count: usize| rows.span(count) * row_len <= limits.input;
    let most = (limits.pixels / columns.output).clamp(1, rows.output);
    let most = (1..=most).rev().find(|&count| fits(count)).unwrap_or(1);
    let row_blocks = rows.output.div_ceil(most);
    let rows_at_once = rows.output.div_ceil(row_blocks);
    if row_blocks > 1 {
        return (1, rows_at_once);
    }
    let picture_len = (rows.span(rows_at_once) * row_len).max(1);
    let pictures = limits.enough_pixels.div_ceil(rows.output * columns.output);
    (pictures.min(limits.input / picture_len).clamp(1, batch), rows_at_once)
}
