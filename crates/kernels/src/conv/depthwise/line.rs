//! A row of results: blocks of neighbouring pixels, vector of channels by vector of channels.

use super::view::Operands;
use crate::{
    conv::correlation::Axis,
    gemm::Finish,
    simd::{Lanes, prefetch},
    vector::{load, store},
};
use std::ops::Range;

/// Pixels of a block: of fewer, each would load the weights for itself; of more, small pictures are no multiple.
pub(super) const PIXELS: usize = 4;

/// The results of one row, or those of one phase of its columns.
pub(super) struct Line<'a> {
    pub(super) operands: Operands,
    pub(super) columns: Axis,
    pub(super) weights: Weights<'a>,
    /// The channels that are computed, from a whole vector on.
    pub(super) channels: Range<usize>,
    pub(super) finish: &'a Finish<'a>,
    pub(super) output: Output,
}

/// Where the pixels of a line go.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) y: *mut f32,
    /// Where the first pixel lies in y, and how far it is to the next.
    pub(super) place: usize,
    pub(super) pixel_step: usize,
    /// Past the caches: y is large, and aligned to whole vectors.
    pub(super) streams: bool,
}

/// Weights in vectors of channels, `[vector][tap][lane]`, and the order in which taps are used.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    values: &'a [f32],
    /// Taps of a vector.
    taps: usize,
    /// The first tap of the first kernel row.
    first: usize,
    /// From a kernel row to the next, and from a tap to the next in a row.
    steps: [isize; 2],
}

impl<'a> Weights<'a> {
    pub(super) fn new(values: &'a [f32], [height, width]: [usize; 2], [rows, columns]: [&Axis; 2]) -> Self {
        let first = rows.taps.first * width + columns.taps.first;
        let steps = [rows.taps.step * width as isize, columns.taps.step];
        Self { values, taps: height * width, first, steps }
    }
}

/// A block of pixels with some channels.
#[derive(Clone, Copy)]
struct Block {
    /// Under the first tap of the first pixel, in the first kernel row inside.
    x: *const f32,
    /// The weights of that tap.
    weights: *const f32,
    /// How many kernel rows lie inside.
    rows: usize,
    /// The columns that lie inside, counted from x.
    columns: [isize; 2],
    /// From a kernel row to the next in x, and from a column to the next.
    steps: [usize; 2],
    /// From a kernel row to the next in the weights, from a tap to the next, and from a vector to the next.
    weight_steps: [isize; 3],
    /// The first pixel of the results.
    out: *mut f32,
    /// To the next.
    out_step: usize,
    streams: bool,
    /// How many channels are left.
    channels: usize,
}

impl Block {
    /// Goes on to the next vector.
    #[inline(always)]
    fn advance(&mut self, lanes: usize) {
        self.x = self.x.wrapping_add(lanes);
        self.weights = self.weights.wrapping_offset(self.weight_steps[2]);
        self.out = self.out.wrapping_add(lanes);
        self.channels = self.channels.saturating_sub(lanes);
    }
}

/// The columns of a block that lie outside.
const NONE: u8 = 0;
/// As many as a kernel of odd width has before its middle.
const LEFT: u8 = 1;
/// As many as such a kernel has behind its middle and does not stride over.
const RIGHT: u8 = 2;

impl Line<'_> {
    /// Writes the results; `scratch` is for `PIXELS` pixels of the channels.
    ///
    /// # Safety
    /// - The operands that lie inside are readable, and there are weights for all taps of `channels`.
    /// - `y` is writable, and no one else's, for these channels of every pixel; so is `finish.add` readable, and
    ///   `finish.bias` for these channels.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(&self, lanes: L, scratch: &mut [f32]) {
        let (output, channels, plain) = (self.columns.output, self.channels.len(), self.finish.is_plain());
        for start in (0..output).step_by(PIXELS) {
            // The last block begins earlier, and computes some pixels again.
            let first = start.min(output.saturating_sub(PIXELS));
            let mut block = self.block(first, L::COUNT);
            if !plain {
                (block.out, block.out_step, block.streams) = (scratch.as_mut_ptr(), channels, false);
            }
            // SAFETY: the caller's contract; scratch has room for the block.
            unsafe {
                self.run_block(lanes, block);
                if !plain {
                    let sums = &scratch[(start - first) * channels..];
                    self.finish(lanes, start..output.min(first + PIXELS), sums);
                }
            }
        }
    }

    /// The block of the pixels from `first` on.
    #[inline(always)]
    fn block(&self, first: usize, lanes: usize) -> Block {
        let Operands { first: x, row_step, rows, column_step, columns } = &self.operands;
        let Weights { values, taps, first: tap, steps } = self.weights;
        let Output { y, place, pixel_step, streams } = self.output;
        let (channel, column) = (self.channels.start, first * self.columns.stride);
        let [weight_row, weight_step] = steps.map(|step| step * lanes as isize);
        let weights = values.as_ptr().wrapping_add(channel * taps + tap * lanes);
        Block {
            x: x.wrapping_add(rows.start * row_step + column * column_step + channel),
            weights: weights.wrapping_offset(rows.start as isize * weight_row),
            rows: rows.len(),
            columns: columns.map(|end| end - column as isize),
            steps: [*row_step, *column_step],
            weight_steps: [weight_row, weight_step, (taps * lanes) as isize],
            out: y.wrapping_add(place + first * pixel_step + channel),
            out_step: pixel_step,
            streams,
            channels: self.channels.len(),
        }
    }

    /// Computes all channels of a block.
    ///
    /// # Safety
    /// - As [`run`](Self::run), for where the block writes.
    #[inline(always)]
    unsafe fn run_block<L: Lanes>(&self, lanes: L, mut block: Block) {
        let Axis { taps, stride, dilation, output, .. } = self.columns;
        // SAFETY: the caller's contract.
        unsafe {
            match [taps.count, stride, dilation] {
                _ if output < PIXELS => {}
                [1, 1, _] => self.run_vectors::<L, 1, 1>(lanes, &mut block),
                [2, 1, 1] => self.run_vectors::<L, 2, 1>(lanes, &mut block),
                [3, 1, 1] => self.run_vectors::<L, 3, 1>(lanes, &mut block),
                [3, 2, 1] => self.run_vectors::<L, 3, 2>(lanes, &mut block),
                [5, 1, 1] => self.run_vectors::<L, 5, 1>(lanes, &mut block),
                [5, 2, 1] => self.run_vectors::<L, 5, 2>(lanes, &mut block),
                [7, 1, 1] => self.run_vectors::<L, 7, 1>(lanes, &mut block),
                _ => {}
            }
            while block.channels > 0 {
                sum_any(lanes, block, &self.columns);
                block.advance(L::COUNT);
            }
        }
    }

    /// Computes the whole vectors of a block at an edge that kernels of odd width have; `TAPS` and `STRIDE` are those of the
    /// columns.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block).
    #[inline(always)]
    unsafe fn run_vectors<L: Lanes, const TAPS: usize, const STRIDE: usize>(
        &self,
        lanes: L,
        block: &mut Block,
    ) {
        let span = self.columns.span(PIXELS) as isize;
        let outside = [(-block.columns[0]).min(0), (block.columns[1] - span).min(0)];
        let half = (TAPS / 2) as isize;
        // SAFETY: the caller's contract, and what is matched.
        unsafe {
            if outside == [0, 0] {
                run_edge::<L, TAPS, STRIDE, NONE>(lanes, block);
            } else if outside == [-half, 0] {
                run_edge::<L, TAPS, STRIDE, LEFT>(lanes, block);
            } else if outside == [0, STRIDE as isize - 1 - half] {
                run_edge::<L, TAPS, STRIDE, RIGHT>(lanes, block);
            }
        }
    }

    /// Writes what the sums of `pixels` become.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, lanes: L, pixels: Range<usize>, sums: &[f32]) {
        let Output { y, place, pixel_step, .. } = self.output;
        for (pixel, sums) in pixels.zip(sums.chunks_exact(self.channels.len())) {
            let start = place + pixel * pixel_step;
            for (channel, sums) in self.channels.clone().step_by(L::COUNT).zip(sums.chunks(L::COUNT)) {
                let (at, count) = (start + channel, sums.len());
                // SAFETY: the caller's contract.
                unsafe {
                    let sum = load(lanes, sums.as_ptr(), count);
                    store(lanes, y.add(at), self.finish.apply(lanes, sum, y, [at, channel, count]), count);
                }
            }
        }
    }
}

/// Computes the whole vectors of a block.
///
/// # Safety
/// - In all of the block's rows, the columns under its pixels are readable but for those that lie outside as `EDGE` says.
/// - There are weights for all taps, and the results are writable; if they are streamed, aligned to whole vectors.
#[inline(always)]
unsafe fn run_edge<L: Lanes, const TAPS: usize, const STRIDE: usize, const EDGE: u8>(
    lanes: L,
    block: &mut Block,
) {
    while block.channels >= L::COUNT {
        // SAFETY: the caller's contract.
        let sums = unsafe { sum::<L, TAPS, STRIDE, EDGE>(lanes, block) };
        for (pixel, sum) in sums.into_iter().enumerate() {
            let out = block.out.wrapping_add(pixel * block.out_step);
            // SAFETY: the caller's contract.
            unsafe { if block.streams { lanes.stream(out, sum) } else { lanes.store(out, sum) } };
        }
        block.advance(L::COUNT);
    }
}

/// The sums of a block's pixels, for a whole vector.
///
/// # Safety
/// As [`run_edge`].
#[inline(always)]
unsafe fn sum<L: Lanes, const TAPS: usize, const STRIDE: usize, const EDGE: u8>(
    lanes: L,
    block: &Block,
) -> [L::Vector; PIXELS] {
    let mut sums = [lanes.splat(0.0); PIXELS];
    let (mut x, mut weights) = (block.x, block.weights);
    for _ in 0..block.rows {
        // SAFETY: the caller's contract.
        unsafe { add_row::<L, TAPS, STRIDE, EDGE>(lanes, &mut sums, x, weights, block) };
        x = x.wrapping_add(block.steps[0]);
        weights = weights.wrapping_offset(block.weight_steps[0]);
    }
    // What the next row of results reads that this one does not.
    for row in 0..STRIDE {
        for column in 0..PIXELS * STRIDE {
            prefetch(x.wrapping_add(row * block.steps[0] + column * block.steps[1]));
        }
    }
    sums
}

/// Adds the products of one kernel row.
///
/// # Safety
/// As [`run_edge`].
#[inline(always)]
unsafe fn add_row<L: Lanes, const TAPS: usize, const STRIDE: usize, const EDGE: u8>(
    lanes: L,
    sums: &mut [L::Vector; PIXELS],
    x: *const f32,
    row_weights: *const f32,
    block: &Block,
) {
    let columns = (PIXELS - 1) * STRIDE + TAPS;
    let before = if EDGE == LEFT { TAPS / 2 } else { 0 };
    let behind = if EDGE == RIGHT { TAPS / 2 + 1 - STRIDE } else { 0 };
    let mut weights = [lanes.splat(0.0); TAPS];
    for tap in 0..TAPS {
        let weight = row_weights.wrapping_offset(tap as isize * block.weight_steps[1]);
        // SAFETY: the caller's contract.
        weights[tap] = unsafe { lanes.load(weight) };
    }
    for column in 0..columns {
        if column < before || column >= columns - behind {
            continue;
        }
        // SAFETY: the caller's contract.
        let value = unsafe { lanes.load(x.wrapping_add(column * block.steps[1])) };
        for pixel in 0..PIXELS {
            if column >= pixel * STRIDE && column - pixel * STRIDE < TAPS {
                sums[pixel] = lanes.mul_add(value, weights[column - pixel * STRIDE], sums[pixel]);
            }
        }
    }
}

/// Writes the sums of a block's pixels, at most `columns.output`, with any taps at any edge, for a vector that need not be
/// whole.
///
/// # Safety
/// - The columns inside are readable in all of the block's rows.
/// - There are weights for all taps, and the results are writable.
#[inline(always)]
unsafe fn sum_any<L: Lanes>(lanes: L, block: Block, columns: &Axis) {
    let count = L::COUNT.min(block.channels);
    for pixel in 0..PIXELS.min(columns.output) {
        let mut sum = lanes.splat(0.0);
        let (mut x, mut row_weights) = (block.x, block.weights);
        for _ in 0..block.rows {
            let mut weights = row_weights;
            for tap in 0..columns.taps.count {
                let column = pixel * columns.stride + tap * columns.dilation;
                if (block.columns[0]..block.columns[1]).contains(&(column as isize)) {
                    // SAFETY: the caller's contract.
                    unsafe {
                        let value = load(lanes, x.wrapping_add(column * block.steps[1]), count);
                        sum = lanes.mul_add(value, lanes.load(weights), sum);
                    }
                }
                weights = weights.wrapping_offset(block.weight_steps[1]);
            }
            x = x.wrapping_add(block.steps[0]);
            row_weights = row_weights.wrapping_offset(block.weight_steps[0]);
        }
        // SAFETY: the caller's contract.
        unsafe { store(lanes, block.out.add(pixel * block.out_step), sum, count) };
    }
}
