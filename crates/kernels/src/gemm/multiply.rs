//! The blocked product.
//!
//! A task owns a block of rows and of panels of y. For every chunk of the inner dimension it brings both operands into
//! the second-level cache (a transposed A and a plain B are packed, the rest is read where it lies) and runs the
//! register block over all tiles:
//!
//! ```text
//! for each chunk of DEPTH products:  pack
//!     for each panel:  for each tile of rows:  y = finish(sums over the chunk)
//! ```
//!
//! Between chunks y holds the partial sums, so the order of summation depends on `DEPTH` alone.

use super::{
    Addend, GemmCall, GemmProblem, Present, Right,
    finish::Finish,
    microkernel::{MOST_ROWS, MOST_SUMS, Runs, Sums, Walk, sum_tile, tiles},
    pack::{Panel, Panels, pack_columns},
};
use crate::{
    SharedMut,
    cut::part,
    simd::{Kernel, Lanes},
};
use std::ops::Range;

/// How many products are summed in registers: so many rows of a panel take half of a first-level cache.
pub(super) const DEPTH: usize = 256;

/// What one task works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) rows: usize,
    pub(super) panels: usize,
}

impl Blocks {
    /// How many f32 a worker packs A and B into.
    pub(super) fn scratch_len(&self, problem: &GemmProblem, panels: &Panels) -> usize {
        self.packed_a(problem) + self.panels * panels.whole() * problem.depth.min(DEPTH)
    }

    fn packed_a(&self, problem: &GemmProblem) -> usize {
        if problem.trans_a { self.rows * problem.depth.min(DEPTH) } else { 0 }
    }
}

/// A call, and where its blocks lie.
pub(super) struct Product<'a> {
    problem: &'a GemmProblem,
    panels: Panels,
    blocks: Blocks,
    call: &'a GemmCall<'a>,
    y: SharedMut<'a, f32>,
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
        Self { problem, panels, blocks, call, y: SharedMut::new(y), grid }
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
        Finish { beta: self.problem.beta, bias, add, activation: self.call.activation, ..begun }
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
        let (packed_a, packed_b) = self.scratch.split_at_mut(product.blocks.packed_a(product.problem));
        // A depth of 0 has one empty chunk, which stores zeros and the addend.
        for chunk in 0..depth.div_ceil(DEPTH).max(1) {
            let chunk = part(chunk, DEPTH, depth);
            let a = product.left(n, &rows, &chunk, packed_a);
            let finish = product.finish(&chunk, n);
            for (slot, panel) in panels.clone().enumerate() {
                let panel = product.panels.panel(panel);
                let slot = &mut packed_b[slot * product.panels.whole() * product.problem.depth.min(DEPTH)..];
                let b = product.right(n, panel, &chunk, slot);
                let panel_of = OnePanel { product, n, panel, rows: rows.clone(), depth: chunk.len() };
                // SAFETY: `left` and `right` hold the chunk's products of these rows and this panel, and no other task has
                // these elements of y.
                unsafe { panel_of.run(lanes, a, b, &finish) };
            }
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
    /// The block's rows of A. A transposed A is packed, because its rows may be a power of two apart and fall into one
    /// set of the cache.
    fn left<'s>(
        &'s self,
        n: usize,
        rows: &Range<usize>,
        chunk: &Range<usize>,
        packed: &'s mut [f32],
    ) -> Left<'s> {
        let a = &self.call.a[n * self.problem.strides()[0]..];
        if !self.problem.trans_a {
            let (row_step, step) = (self.problem.depth, 1);
            return Left { values: &a[(rows.start * row_step + chunk.start)..], row_step, step };
        }
        for (packed, k) in packed.chunks_exact_mut(rows.len()).zip(chunk.clone()) {
            let start = k * self.problem.rows + rows.start;
            packed.copy_from_slice(&a[start..start + rows.len()]);
        }
        Left { values: packed, row_step: 1, step: rows.len() }
    }

    /// The panel's rows of B in one chunk, `panel.stride` apart.
    fn right<'s>(&'s self, n: usize, panel: Panel, chunk: &Range<usize>, packed: &'s mut [f32]) -> &'s [f32] {
        let len = chunk.len() * panel.stride;
        match self.call.b {
            Right::Packed(b) => {
                let matrix = if self.problem.b_shared { 0 } else { n * self.panels.len() };
                &b[matrix + self.panels.at(panel, chunk.start)..][..len]
            }
            Right::Plain(b) => {
                let b = &b[n * self.problem.strides()[1]..];
                pack_columns(self.problem, b, panel, chunk.start, &mut packed[..len]);
                &packed[..len]
            }
        }
    }
}

/// One panel of y in the rows of a block.
struct OnePanel<'a> {
    product: &'a Product<'a>,
    n: usize,
    panel: Panel,
    rows: Range<usize>,
    depth: usize,
}

impl OnePanel<'_> {
    /// # Safety
    /// - `a` and `b` hold `depth` products of every row and column.
    /// - No other task touches these elements of y.
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self, lanes: L, a: Left<'_>, b: &[f32], finish: &Finish<'_>) {
        let (panel, columns) = (self.panel, self.product.problem.columns);
        let walk = Walk { a_step: a.step, b_step: panel.stride, depth: self.depth };
        let runs = Runs::one(walk);
        let y = self.product.y.as_mut_ptr().wrapping_add(self.n * self.product.problem.strides()[2]);
        let mut sums = [0.0; MOST_SUMS];
        for tile in tiles(self.rows.len(), panel.vectors) {
            let mut pointers = [std::ptr::null(); MOST_ROWS];
            let mut places = [0; MOST_ROWS];
            for (slot, row) in tile.clone().enumerate() {
                pointers[slot] = a.values.as_ptr().wrapping_add(row * a.row_step);
                places[slot] = (self.rows.start + row) * columns + panel.column;
            }
            let (pointers, places) = (&pointers[..tile.len()], &places[..tile.len()]);
            // SAFETY: the caller's contract; `GemmPlan::multiply` checked the lengths of bias and addend.
            unsafe {
                let fresh = Sums { start: sums.as_mut_ptr(), begun: false };
                sum_tile(lanes, panel.vectors, pointers, b.as_ptr(), runs, fresh);
                finish.store(lanes, sums.as_ptr(), panel.vectors, y, places, [panel.column, panel.width]);
            }
        }
    }
}
