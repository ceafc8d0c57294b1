use crate::conv::{
    Pictures,
    correlation::{Axis, Correlation},
    rows::{RowReader, Window},
};
use crate::{
    cut::{part, whole_lines},
    gemm::VECTORS,
};
use std::ops::Range;

/// How the input under some output rows of a picture lies in scratch: a plane per channel, whose rows are as long as the
/// padded input's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    reader: RowReader,
    axes: [Axis; 2],
    channels: usize,
    /// Output rows of a block.
    rows: usize,
    /// Vectors that are read at once reach so far beyond the last row.
    slack: usize,
}

/// Some output rows of a picture.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) picture: usize,
    pub(super) rows: Range<usize>,
}

impl Planes {
    /// Planes for blocks of as many rows as fit `most` values, if each output position takes `outputs` of them itself.
    pub(super) fn new(
        correlation: &Correlation,
        reader: RowReader,
        [outputs, most]: [usize; 2],
        lanes: usize,
    ) -> Self {
        let (axes, channels) = (correlation.axes, correlation.inputs);
        let [vertical, horizontal] = axes;
        let row_len = horizontal.span(horizontal.output);
        let len = |rows: usize| (channels * vertical.span(rows) + outputs * rows) * row_len;
        // A block of more rows than this cannot fit.
        let rows = (most / row_len).clamp(1, vertical.output);
        let fitting = (1..=rows).rev().find(|&rows| len(rows) <= most).unwrap_or(1);
        let rows = vertical.output.div_ceil(vertical.output.div_ceil(fitting));
        let slack = (horizontal.taps.count - 1) * horizontal.dilation + VECTORS * lanes;
        Self { reader, axes, channels, rows, slack }
    }

    /// From one row to the next, of input and output positions alike.
    pub(super) fn row_len(&self) -> usize {
        self.axes[1].span(self.columns())
    }

    /// Outputs of a row; the positions behind them are nobody's.
    pub(super) fn columns(&self) -> usize {
        self.axes[1].output
    }

    /// Output positions of the largest block.
    pub(super) fn most_positions(&self) -> usize {
        self.rows * self.row_len()
    }

    /// The offset of an operand from that of the output position's first.
    pub(super) fn operand(&self, channel: usize, [row, column]: [usize; 2]) -> usize {
        let [vertical, horizontal] = self.axes;
        channel * self.plane_len() + row * vertical.dilation * self.row_len() + column * horizontal.dilation
    }

    /// Rows and columns of taps.
    pub(super) fn taps(&self) -> [usize; 2] {
        self.axes.map(|axis| axis.taps.count)
    }

    fn row_blocks(&self) -> usize {
        self.axes[0].output.div_ceil(self.rows)
    }

    /// How many blocks `pictures` pictures make.
    pub(super) fn count(&self, pictures: usize) -> usize {
        pictures * self.row_blocks()
    }

    pub(super) fn block(&self, index: usize) -> Block {
        let blocks = self.row_blocks();
        Block { picture: index / blocks, rows: part(index % blocks, self.rows, self.axes[0].output) }
    }

    /// How many pixels the output has before a block's first.
    pub(super) fn first_pixel(&self, block: &Block) -> usize {
        (block.picture * self.axes[0].output + block.rows.start) * self.columns()
    }

    fn plane_len(&self) -> usize {
        self.axes[0].span(self.rows) * self.row_len() + self.slack
    }

    /// How many f32 the planes take; where there are several, the rows that they are made of lie behind them.
    pub(super) fn scratch_len(&self) -> usize {
        let planes = if self.channels > 1 { 2 } else { 1 };
        whole_lines(planes * self.channels * self.plane_len())
    }

    /// Reads the rows under a block.
    #[inline(always)]
    pub(super) fn read(&self, x: Pictures<'_>, block: &Block, scratch: &mut [f32]) {
        let [vertical, horizontal] = self.axes;
        let start = [vertical.position(block.rows.start), horizontal.position(0)];
        let window = Window { start, size: [vertical.span(block.rows.len()), self.row_len()] };
        let (len, channels) = (window.size[0] * self.row_len(), self.channels);
        let (planes, rows) = scratch.split_at_mut(channels * self.plane_len());
        if channels > 1 {
            self.reader.read(x, block.picture, window, rows);
        } else {
            self.reader.read(x, block.picture, window, planes);
        }
        for (channel, plane) in planes.chunks_exact_mut(self.plane_len()).enumerate() {
            if channels > 1 {
                let pixels = rows[channel..].iter().step_by(channels);
                plane[..len].iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
            }
            plane[len..len + self.slack].fill(0.0);
        }
    }
}
