//! The blocked product.
//!
//! A task owns a block of rows and of panels of y. For every chunk of the inner dimension it brings both operands into
//! the second-level cache (A is packed, and a B that is not yet) and runs the register block over all tiles:
//!
//! ```text
//! for each chunk of DEPTH products:
//!     for each slice of the chunk:  pack
//!         for each band of rows:  for each panel:  for each tile of the band:
//!             sums of the tile += products of the slice
//!             y = finish(sums) behind the last slice
//! ```
//!
//! Between chunks y holds the partial sums, so the order of summation depends on `DEPTH` and the slice, hence on the problem
//! alone. A plain B of few rows of A is all that moves: short slices of many panels let it be read along its rows. Where there
//! are few products y is all that moves: low bands of many panels let it be written along its rows.

use super::{
    Addend, GemmCall, GemmProblem, Present, Right,
    finish::{Descent, Finish},
    microkernel::{MOST_ROWS, MOST_SUMS, Rows, Runs, Sums, Walk, sum_tile_into, tiles},
    pack::{Panel, Panels},
};
use crate::{
    SharedMut,
    cut::{LINE, cuts, is_streamed, part, whole_lines},
    simd::{Kernel, Lanes, end_streams},
};
use std::{hint::black_box, ops::Range};

/// How many products are summed in registers: so many rows of a panel take half of a first-level cache.
pub(super) const DEPTH: usize = 256;

/// What one task works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) rows: usize,
    pub(super) panels: usize,
    /// Rows whose tiles are done panel by panel.
    pub(super) band: usize,
    /// How many products of a plain B are packed at once, at most [`DEPTH`]. A packed one is cut alike: the sums of slices
    /// are added up, and have to be the same.
    pub(super) slice: usize,
}

impl Blocks {
    /// How many f32 a worker needs: for A and B packed, and for sums.
    pub(super) fn scratch_len(&self, problem: &GemmProblem, panels: &Panels) -> usize {
        let sums = if self.slice < DEPTH { self.rows * self.panels * panels.whole() } else { 0 };
        self.packed(problem, panels).iter().sum::<usize>() + whole_lines(sums.max(MOST_SUMS))
    }

    fn packed(&self, problem: &GemmProblem, panels: &Panels) -> [usize; 2] {
        let a = self.rows * (problem.depth.min(DEPTH) + LINE);
        [whole_lines(a), self.panels * panels.whole() * problem.depth.min(self.slice)]
    }
}

/// A call, and where its blocks lie.
pub(super) struct Product<'a> {
    problem: &'a GemmProblem,
    panels: Panels,
    blocks: Blocks,
    /// How many f32 of a worker's scratch are for A and B.
    packed: [usize; 2],
    call: &'a GemmCall<'a>,
    y: SharedMut<'a, f32>,
    /// There is no y: sums move weights.
    descent: Option<Descent<'a>>,
    /// Past the caches.
    stream: bool,
    /// Blocks of rows, blocks of panels.
    grid: [usize; 2],
}

impl<'a> Product<'a> {
    pub(super) fn new(
        problem: &'a GemmProblem,
        panels: Panels,
        blocks: Blocks,
        call: &'a GemmCall<'a>,
        y: &'a mut [f32],
    ) -> Self {
        let grid = [call.present.rows.div_ceil(blocks.rows), panels.count().div_ceil(blocks.panels)];
        let packed = blocks.packed(problem, &panels);
        let stream = call.present.depth <= DEPTH && is_streamed(y, problem.columns);
        Self { problem, panels, blocks, packed, call, y: SharedMut::new(y), descent: None, stream, grid }
    }

    /// The sums of a single chunk move weights, which lie as y would.
    pub(super) fn descending(self, descent: Descent<'a>) -> Self {
        Self { descent: Some(descent), ..self }
    }

    pub(super) fn tasks(&self) -> usize {
        self.call.present.batch * self.grid[0] * self.grid[1]
    }

    /// What is done to the sums of a chunk of products. What y holds counts once, in the first chunk, all else in the last.
    fn finish(&self, chunk: &Range<usize>, n: usize) -> Finish<'a> {
        let (first, last) = (chunk.start == 0, chunk.end == self.call.present.depth);
        let own = matches!(self.call.addend, Addend::Output).then_some(self.problem.beta);
        let carry = if first { own } else { Some(1.0) };
        let begun = Finish { alpha: self.problem.alpha, carry, ..Finish::PLAIN };
        if !last {
            return begun;
        }
        let (bias, add) = match self.call.addend {
            Addend::Columns(bias) => (Some(bias), None),
            Addend::Full(add) => (None, Some(&add[n * self.problem.strides()[2]..])),
            Addend::None | Addend::Output => (None, None),
        };
        let (beta, stream) = (self.problem.beta, self.stream && carry.is_none());
        Finish { beta, bias, add, activation: self.call.activation, stream, ..begun }
    }
}

/// One task.
pub(super) struct Block<'a> {
    pub(super) product: &'a Product<'a>,
    pub(super) index: usize,
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let product = self.product;
        let [row_blocks, panel_blocks] = product.grid;
        let Present { rows, depth, .. } = product.call.present;
        let (n, block) = (self.index / (row_blocks * panel_blocks), self.index % (row_blocks * panel_blocks));
        let rows = part(block % row_blocks, product.blocks.rows, rows);
        let panels = part(block / row_blocks, product.blocks.panels, product.panels.count());
        let (packed_a, rest) = self.scratch.split_at_mut(product.packed[0]);
        let (packed_b, sums) = rest.split_at_mut(product.packed[1]);
        // A depth of 0 has one empty chunk, which stores zeros and the addend.
        for chunk in cuts(0..depth, DEPTH) {
            let a = product.left(n, &rows, &chunk, packed_a);
            let finish = product.finish(&chunk, n);
            for slice in cuts(chunk.clone(), product.blocks.slice) {
                let begun = slice.start > chunk.start;
                let part = Part {
                    product,
                    n,
                    rows: rows.clone(),
                    panels: panels.clone(),
                    depth: slice.len(),
                    a: Left { values: &a.values[(slice.start - chunk.start) * a.step..], ..a },
                    b: product.right(lanes, n, &panels, &slice, packed_b),
                    sums: Sums { start: sums.as_mut_ptr(), begun },
                    finish: (slice.end == chunk.end).then_some(&finish),
                };
                // SAFETY: `left` and `right` hold the slice's products of these rows and panels, no other task has these
                // elements of y, and `Blocks` made room for the sums.
                unsafe { part.run(lanes) };
            }
        }
        if product.stream {
            end_streams();
        }
    }
}

/// Rows of A in one chunk: row `i` starts at `i * row_step`, its products are `step` apart.
#[derive(Clone, Copy)]
struct Left<'a> {
    values: &'a [f32],
    row_step: usize,
    step: usize,
}

impl Product<'_> {
    /// The block's rows of A, packed, because as they lie they may be a power of two apart and fall into one set of the
    /// cache.
    fn left<'s>(
        &'s self,
        n: usize,
        rows: &Range<usize>,
        chunk: &Range<usize>,
        packed: &'s mut [f32],
    ) -> Left<'s> {
        let a = &self.call.a[n * self.problem.strides()[0]..];
        let GemmProblem { rows: all, depth, trans_a, .. } = *self.problem;
        let (lines, line, from, stride) = if trans_a {
            (chunk.len(), rows.len(), chunk.start * all + rows.start, all)
        } else {
            (rows.len(), chunk.len(), rows.start * depth + chunk.start, depth)
        };
        let packed_stride = if trans_a { line } else { line + LINE };
        for index in 0..lines {
            packed[index * packed_stride..][..line].copy_from_slice(&a[from + index * stride..][..line]);
        }
        let (row_step, step) = if trans_a { (1, packed_stride) } else { (packed_stride, 1) };
        Left { values: packed, row_step, step }
    }

    /// The panels' rows of B in one slice.
    #[inline(always)]
    fn right<'s, L: Lanes>(
        &'s self,
        lanes: L,
        n: usize,
        panels: &Range<usize>,
        slice: &Range<usize>,
        packed: &'s mut [f32],
    ) -> Panelled<'s> {
        match self.call.b {
            Right::Packed(b) => {
                let matrix = if self.problem.b_shared { 0 } else { n * self.panels.len() };
                let panel_step = self.panels.whole() * self.problem.depth;
                let values = &b[matrix + panels.start * panel_step..];
                Panelled { values, panel_step, first: slice.start }
            }
            Right::Plain(b) => {
                let plain = self.problem.right(&b[n * self.problem.strides()[1]..]);
                plain.pack(lanes, self.panels, panels, slice, packed);
                Panelled { values: packed, panel_step: self.panels.whole() * slice.len(), first: 0 }
            }
        }
    }
}

/// Panels of B, `panel_step` apart, from row `first` on.
#[derive(Clone, Copy)]
struct Panelled<'a> {
    values: &'a [f32],
    panel_step: usize,
    first: usize,
}

/// The products of one slice in a block of y.
struct Part<'a> {
    product: &'a Product<'a>,
    n: usize,
    rows: Range<usize>,
    panels: Range<usize>,
    depth: usize,
    a: Left<'a>,
    b: Panelled<'a>,
    /// Where the sums of all tiles lie, or of one at a time where a slice is a whole chunk.
    sums: Sums,
    /// Behind the last slice of a chunk.
    finish: Option<&'a Finish<'a>>,
}

impl Part<'_> {
    /// # Safety
    /// - `a` and `b` hold `depth` products of every row and column, from the first row and panel on.
    /// - `sums` is writable, and readable if begun, for all tiles, or for one where a slice is a whole chunk.
    /// - No other task touches these elements of y.
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self, lanes: L) {
        let Blocks { band, slice, .. } = self.product.blocks;
        let whole = self.product.panels.whole();
        for band in cuts(0..self.rows.len(), band) {
            for (slot, panel) in self.panels.clone().enumerate() {
                let panel = self.product.panels.panel(panel);
                let b = &self.b.values[slot * self.b.panel_step + self.b.first * panel.stride..];
                let b = &b[..self.depth * panel.stride];
                for tile in tiles(band.len(), panel.vectors) {
                    let tile = band.start + tile.start..band.start + tile.end;
                    let sums = slot * self.rows.len() * whole + tile.start * panel.stride;
                    let sums =
                        if slice < DEPTH { self.sums.start.wrapping_add(sums) } else { self.sums.start };
                    // SAFETY: the caller's contract.
                    unsafe { self.tile(lanes, panel, tile, b, Sums { start: sums, ..self.sums }) };
                }
            }
        }
    }

    /// # Safety
    /// - As [`run`](Self::run); `b` holds the panel's rows, and `sums` is the tile's.
    #[inline(always)]
    unsafe fn tile<L: Lanes>(&self, lanes: L, panel: Panel, tile: Range<usize>, b: &[f32], sums: Sums) {
        let problem = self.product.problem;
        let runs = Runs::one(Walk { a_step: self.a.step, b_step: panel.stride, depth: self.depth });
        let mut pointers = [std::ptr::null(); MOST_ROWS];
        let mut places = [0; MOST_ROWS];
        for (slot, row) in tile.clone().enumerate() {
            pointers[slot] = self.a.values.as_ptr().wrapping_add(row * self.a.row_step);
            places[slot] = (self.rows.start + row) * problem.columns + panel.column;
        }
        let (pointers, places) = (&pointers[..tile.len()], &places[..tile.len()]);
        let y = self.product.y.as_mut_ptr().wrapping_add(self.n * problem.strides()[2]);
        // Read anew for every tile: factors that stay in registers push sums out of them.
        let finish = black_box(self.finish);
        let descent = black_box(self.product.descent.as_ref());
        let whole = panel.width == panel.stride && descent.is_none();
        let straight = finish.filter(|finish| finish.is_plain() && whole);
        let to = straight.map(|finish| Rows { start: y, offsets: places, stream: finish.stream });
        // SAFETY: the caller's contract; `GemmPlan::multiply` checked the lengths of bias and addend, `GemmPlan::update`
        // and who made the update those of weights and memories; then there is no y to be stored straight.
        unsafe {
            sum_tile_into(lanes, panel.vectors, pointers, b.as_ptr(), runs, sums, to);
            match (finish, to, descent) {
                (Some(_), None, Some(descent)) => {
                    descent.step(lanes, sums.start, panel.vectors, places, panel.width);
                }
                (Some(finish), None, None) => {
                    finish.store(lanes, sums.start, panel.vectors, y, places, [panel.column, panel.width]);
                }
                _ => {}
            }
        }
    }
}
