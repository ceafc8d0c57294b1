//! A row of dy and what it adds to the sums of the weights' gradient.

use super::view::Operands;
use crate::{
    conv::correlation::Axis,
    simd::{Lanes, prefetch},
    vector::load,
};
use std::ops::Range;

/// Pixels of a segment at most: the lines that a vector of channels touches in x and dy stay in the first-level cache until
/// the next vector has used their other half.
const PIXELS: usize = 16;

/// The pixels of one row of dy, and the operands that meet them.
pub(super) struct WeightLine {
    pub(super) operands: Operands,
    pub(super) columns: Axis,
    /// Rows of the kernel.
    pub(super) kernel_rows: usize,
    /// The first pixel.
    pub(super) dy: *const f32,
    /// The channels that are summed, from a whole vector on.
    pub(super) channels: Range<usize>,
    /// The sums of these channels, `[vector][tap][lane]`.
    pub(super) sums: *mut f32,
}

/// Neighbouring pixels and a vector of channels.
#[derive(Clone, Copy)]
struct Segment {
    pixels: usize,
    /// The pixels whose columns all lie inside.
    inner: [usize; 2],
    /// The columns that lie inside, from that of the first tap of the first pixel.
    columns: [isize; 2],
    /// The first pixel.
    dy: *const f32,
    /// Under the first tap of the first pixel, in the first kernel row.
    x: *const f32,
    /// Of the first tap.
    sums: *mut f32,
    /// How many channels there are.
    count: usize,
}

impl WeightLine {
    /// Adds the products of all pixels.
    ///
    /// # Safety
    /// - The operands that lie inside are readable, and so are these channels of all pixels of `dy`.
    /// - The sums of these channels are no one else's.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(&self, lanes: L) {
        let output = self.columns.output;
        let segments = output.div_ceil(PIXELS);
        for index in 0..segments {
            let segment = self.segment(index * output / segments..(index + 1) * output / segments);
            // SAFETY: the caller's contract.
            unsafe {
                match self.columns.taps.count {
                    3 => self.run_vectors::<L, 3, 3>(lanes, segment),
                    5 => self.run_vectors::<L, 2, 5>(lanes, segment),
                    7 => self.run_vectors::<L, 1, 7>(lanes, segment),
                    _ => self.run_vectors::<L, 1, 1>(lanes, segment),
                }
            }
        }
    }

    /// The segment of `pixels`, with the first channels.
    #[inline(always)]
    fn segment(&self, pixels: Range<usize>) -> Segment {
        let (stride, step) = (self.columns.stride, self.operands.column_step);
        let columns = self.operands.columns.map(|end| end - (pixels.start * stride) as isize);
        // Pixels before which a column lies.
        let before = |column: isize| (column.max(0) as usize).div_ceil(stride).min(pixels.len());
        let first = before(columns[0]);
        Segment {
            pixels: pixels.len(),
            inner: [first, before(columns[1] - self.columns.span(1) as isize + 1).max(first)],
            columns,
            dy: self.dy.wrapping_add(pixels.start * step + self.channels.start),
            x: self.operands.first.wrapping_add(pixels.start * stride * step + self.channels.start),
            sums: self.sums,
            count: 0,
        }
    }

    /// Adds the products of a segment's channels, `ROWS` kernel rows and `TAPS` taps at a time.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn run_vectors<L: Lanes, const ROWS: usize, const TAPS: usize>(
        &self,
        lanes: L,
        mut segment: Segment,
    ) {
        for channel in self.channels.clone().step_by(L::COUNT) {
            segment.count = L::COUNT.min(self.channels.end - channel);
            if (channel - self.channels.start).is_multiple_of(2 * L::COUNT) {
                self.ask_ahead(segment);
            }
            // SAFETY: the caller's contract.
            unsafe {
                if segment.count == L::COUNT {
                    self.run_rows::<L, ROWS, TAPS, true>(lanes, segment);
                } else {
                    self.run_rows::<L, 1, 1, false>(lanes, segment);
                }
            }
            segment.dy = segment.dy.wrapping_add(L::COUNT);
            segment.x = segment.x.wrapping_add(L::COUNT);
            segment.sums = segment.sums.wrapping_add(self.kernel_rows * self.columns.taps.count * L::COUNT);
        }
    }

    /// Asks for what the next row of dy will meet here.
    #[inline(always)]
    fn ask_ahead(&self, segment: Segment) {
        let (stride, step) = (self.columns.stride, self.operands.column_step);
        let dy = segment.dy.wrapping_add(self.columns.output * step);
        for pixel in 0..segment.pixels {
            prefetch(dy.wrapping_add(pixel * step));
        }
        let x = segment.x.wrapping_add(self.operands.rows.end * self.operands.row_step);
        for row in 0..stride {
            for column in 0..segment.pixels * stride {
                prefetch(x.wrapping_add(row * self.operands.row_step + column * step));
            }
        }
    }

    /// Adds the products of one vector of channels; `WHOLE` if it has all its lanes.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn run_rows<L: Lanes, const ROWS: usize, const TAPS: usize, const WHOLE: bool>(
        &self,
        lanes: L,
        segment: Segment,
    ) {
        let rows = &self.operands.rows;
        let mut row = rows.start;
        // SAFETY: the caller's contract.
        unsafe {
            while row + ROWS <= rows.end {
                self.add_taps::<L, ROWS, TAPS, WHOLE>(lanes, segment, row);
                row += ROWS;
            }
            if ROWS > 2 && row + 2 <= rows.end {
                self.add_taps::<L, 2, TAPS, WHOLE>(lanes, segment, row);
                row += 2;
            }
            if row < rows.end {
                self.add_taps::<L, 1, TAPS, WHOLE>(lanes, segment, row);
            }
            for row in (0..rows.start).chain(rows.end..self.kernel_rows) {
                self.add_nothing(lanes, segment, row);
            }
        }
    }

    /// Adds the products of the taps of `ROWS` kernel rows from `row` on.
    ///
    /// # Safety
    /// - As [`run`](Self::run), and the kernel rows lie inside.
    #[inline(always)]
    unsafe fn add_taps<L: Lanes, const ROWS: usize, const TAPS: usize, const WHOLE: bool>(
        &self,
        lanes: L,
        segment: Segment,
        row: usize,
    ) {
        let tap_step = self.columns.dilation * self.operands.column_step;
        for tap in (0..self.columns.taps.count).step_by(TAPS) {
            let x = segment.x.wrapping_add(row * self.operands.row_step + tap * tap_step);
            let sums = segment.sums.wrapping_add((row * self.columns.taps.count + tap) * L::COUNT);
            let columns = segment.columns.map(|end| end - (tap * self.columns.dilation) as isize);
            // SAFETY: the caller's contract.
            unsafe { self.add::<L, ROWS, TAPS, WHOLE>(lanes, Segment { x, sums, columns, ..segment }) };
        }
    }

    /// Adds the products of `ROWS` by `TAPS` taps, the first of which is the segment's. A column outside counts as zeros, which
    /// matters where dy is not finite.
    ///
    /// # Safety
    /// - As [`run`](Self::run), and the kernel rows lie inside.
    #[inline(always)]
    unsafe fn add<L: Lanes, const ROWS: usize, const TAPS: usize, const WHOLE: bool>(
        &self,
        lanes: L,
        segment: Segment,
    ) {
        let count = if WHOLE { L::COUNT } else { segment.count };
        let sum_at = |row: usize, tap: usize| {
            segment.sums.wrapping_add((row * self.columns.taps.count + tap) * L::COUNT)
        };
        let mut sums = [[lanes.splat(0.0); TAPS]; ROWS];
        for row in 0..ROWS {
            for tap in 0..TAPS {
                // SAFETY: the caller's contract.
                sums[row][tap] = unsafe { lanes.load(sum_at(row, tap)) };
            }
        }
        let [first, end] = segment.inner;
        // SAFETY: the caller's contract.
        unsafe {
            for pixel in 0..first {
                self.add_edge(lanes, &mut sums, segment, pixel, count);
            }
            self.add_inner(lanes, &mut sums, segment, count);
            for pixel in end..segment.pixels {
                self.add_edge(lanes, &mut sums, segment, pixel, count);
            }
        }
        for row in 0..ROWS {
            for tap in 0..TAPS {
                // SAFETY: the caller's contract.
                unsafe { lanes.store(sum_at(row, tap), sums[row][tap]) };
            }
        }
    }

    /// Adds the products of the inner pixels.
    ///
    /// # Safety
    /// As [`add`](Self::add).
    #[inline(always)]
    unsafe fn add_inner<L: Lanes, const ROWS: usize, const TAPS: usize>(
        &self,
        lanes: L,
        sums: &mut [[L::Vector; TAPS]; ROWS],
        segment: Segment,
        count: usize,
    ) {
        let Axis { stride, dilation, .. } = self.columns;
        let step = self.operands.column_step;
        let (pixel_step, tap_step) = (stride * step, dilation * step);
        let [first, end] = segment.inner;
        let mut dy = segment.dy.wrapping_add(first * step);
        let mut rows = [segment.x.wrapping_add(first * pixel_step); ROWS];
        for row in 1..ROWS {
            rows[row] = rows[row - 1].wrapping_add(self.operands.row_step);
        }
        for _ in first..end {
            // SAFETY: the caller's contract.
            let gradient = unsafe { load(lanes, dy, count) };
            for row in 0..ROWS {
                for tap in 0..TAPS {
                    // SAFETY: the caller's contract.
                    let value = unsafe { load(lanes, rows[row].wrapping_add(tap * tap_step), count) };
                    sums[row][tap] = lanes.mul_add(value, gradient, sums[row][tap]);
                }
                rows[row] = rows[row].wrapping_add(pixel_step);
            }
            dy = dy.wrapping_add(step);
        }
    }

    /// Adds the products of a pixel some of whose columns lie outside.
    ///
    /// # Safety
    /// As [`add`](Self::add).
    #[inline(always)]
    unsafe fn add_edge<L: Lanes, const ROWS: usize, const TAPS: usize>(
        &self,
        lanes: L,
        sums: &mut [[L::Vector; TAPS]; ROWS],
        segment: Segment,
        pixel: usize,
        count: usize,
    ) {
        let Axis { stride, dilation, .. } = self.columns;
        let step = self.operands.column_step;
        // SAFETY: the caller's contract.
        let gradient = unsafe { load(lanes, segment.dy.wrapping_add(pixel * step), count) };
        for tap in 0..TAPS {
            let column = pixel * stride + tap * dilation;
            let is_inside = (segment.columns[0]..segment.columns[1]).contains(&(column as isize));
            for row in 0..ROWS {
                let mut value = lanes.splat(0.0);
                if is_inside {
                    let at = segment.x.wrapping_add(row * self.operands.row_step + column * step);
                    // SAFETY: the caller's contract.
                    value = unsafe { load(lanes, at, count) };
                }
                sums[row][tap] = lanes.mul_add(value, gradient, sums[row][tap]);
            }
        }
    }

    /// Adds the products of the taps of a kernel row outside: zeros, unless dy is not finite.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    #[inline(always)]
    unsafe fn add_nothing<L: Lanes>(&self, lanes: L, segment: Segment, row: usize) {
        let (zero, taps) = (lanes.splat(0.0), self.columns.taps.count);
        let mut nothing = zero;
        // SAFETY: the caller's contract.
        unsafe {
            for pixel in 0..segment.pixels {
                let at = segment.dy.wrapping_add(pixel * self.operands.column_step);
                nothing = lanes.mul_add(load(lanes, at, segment.count), zero, nothing);
            }
            for tap in 0..taps {
                let sum = segment.sums.wrapping_add((row * taps + tap) * L::COUNT);
                lanes.store(sum, lanes.add(lanes.load(sum), nothing));
            }
        }
    }
}
