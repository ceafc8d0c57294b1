//! The gradient of the weights by tiles: the adjoint of F(4x4, 3x3).
//!
//! As `y = Aᵀ [U ⊙ V] A` with `U = G w Gᵀ` and `V = Bᵀ x B`, the gradient of U is `W ⊙ V` with `W = A dy Aᵀ`, summed over
//! all tiles of all pictures, and that of w is `Gᵀ dU G`, once:
//!
//! ```text
//! for each chunk of tiles:
//!     V = transformed tiles of x                          36 matrices [tiles, C]
//!     W = transformed tiles of dy                         36 matrices [tiles, O]
//!     for each of the 36:  dU [O, C] += Wᵀ V              on the register block, tiles as inner dimension
//! dw = dU transformed back
//! ```
//!
//! Tiles of dy that reach over the edge of the picture are filled up with zeros. Where dU is small, each task has a part of
//! the tiles, transforms them for itself and has a dU of its own; where it is large, tasks transform a chunk together, and
//! each adds to a block of dU, which it transforms back after the last chunk.
//!
//! A NaN or an infinity in x or dy reaches up to all nine taps of the pairs of channels that it is multiplied for (and an
//! infinity may become NaN), where the definition spares the taps that meet it in the padding. `Algorithms::Direct` spares
//! them.

use super::{
    MATRICES,
    ahead::Ahead,
    transform::{Input, OutputAdjoint, POINTS, TAPS, Transform, WeightsAdjoint, transform_into},
    weight_sums::{Block, Operand, WeightSums},
};
use crate::{
    SharedMut,
    conv::Pictures,
    epilogue::Store,
    gemm::{MOST_ROWS, Panel, Runs, Sums, Walk, sum_tile, tiles},
    simd::{Kernel, Lanes, prefetch},
};
use std::{array::from_fn, ops::Range};

/// What all tasks of a call have in common.
pub(super) struct Job<'a> {
    pub(super) all: &'a WeightSums,
    pub(super) x: Pictures<'a>,
    pub(super) dy: &'a [f32],
    /// Tiles of the pictures present.
    pub(super) tiles: usize,
    pub(super) dw: SharedMut<'a, f32>,
    pub(super) store: Store,
}

/// The sums of some chunks, whose tiles the task transforms for itself.
pub(super) struct SumPart<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) block: Block,
    pub(super) chunks: Range<usize>,
    pub(super) sums: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for SumPart<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { job, block, chunks, sums, scratch } = self;
        let (reading, transformed) = scratch.split_at_mut(job.all.reading_len());
        for index in chunks.clone() {
            let tiles = job.all.chunk(index, job.tiles);
            let out = SharedMut::new(transformed);
            // SAFETY: no one else has `transformed`.
            unsafe { job.transform(lanes, tiles.start, 0..tiles.len(), out, reading) };
            let next = if index + 1 < chunks.end { job.all.chunk(index + 1, job.tiles) } else { 0..0 };
            let chunk = Chunk::new(job.all, transformed, tiles.len());
            chunk.add(lanes, &block, sums, index > chunks.start, job.ahead(next));
        }
    }
}

/// Transforms tiles `first..` of x and dy to `slots` of a shared chunk.
pub(super) struct TransformBoth<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) first: usize,
    pub(super) slots: Range<usize>,
    pub(super) out: SharedMut<'a, f32>,
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for TransformBoth<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        // SAFETY: no other task has these slots.
        unsafe { self.job.transform(lanes, self.first, self.slots, self.out, self.scratch) };
    }
}

/// The products of a shared chunk for one block, transformed back after the last chunk.
pub(super) struct Multiply<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) block: Block,
    pub(super) tiles: usize,
    pub(super) transformed: &'a [f32],
    pub(super) sums: &'a mut [f32],
    /// Which chunk it is, and which is the last.
    pub(super) now: [usize; 2],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { job, block, tiles, transformed, sums, now: [index, last] } = self;
        let chunk = Chunk::new(job.all, transformed, tiles);
        chunk.add(lanes, &block, sums, index > 0, job.ahead(0..0));
        if index == last {
            job.write(lanes, &block, block.rows.clone(), sums);
        }
    }
}

/// Adds the parts' sums in order, and transforms `rows` of them back.
pub(super) struct Write<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) block: Block,
    pub(super) rows: Range<usize>,
    pub(super) sums: &'a [f32],
}

impl Kernel for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        self.job.write(lanes, &self.block, self.rows, self.sums);
    }
}

impl Job<'_> {
    /// The pixels under `tiles`, of x and of dy.
    fn ahead(&self, tiles: Range<usize>) -> [Ahead; 2] {
        let dy = Pictures::new(self.x.rows, self.dy);
        [self.all.x.tiles.ahead(self.x, tiles.clone()), self.all.dy.tiles.ahead(dy, tiles)]
    }

    /// Transforms tiles `first..` of x and dy to `slots` of a chunk.
    ///
    /// # Safety
    /// - No one else has these slots of `out`.
    #[inline(always)]
    unsafe fn transform<L: Lanes>(
        &self,
        lanes: L,
        first: usize,
        slots: Range<usize>,
        out: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let WeightSums { x, dy, .. } = self.all;
        // SAFETY: this only checks that a whole chunk fits.
        let out = unsafe { out.slice(0, self.all.transformed_len()) }.as_mut_ptr();
        let gradient = Pictures::new(self.x.rows, self.dy);
        for (tile, slot) in (first..).zip(slots) {
            // SAFETY: the caller's contract, and the check above.
            unsafe {
                x.transform(lanes, Input, (self.x, tile), slot, out, scratch);
                dy.transform(lanes, OutputAdjoint, (gradient, tile), slot, out.add(x.len()), scratch);
            }
        }
    }

    /// Transforms `rows` of the sums of a block back, those of all parts in `sums` added in order, and writes them to dw.
    #[inline(always)]
    fn write<L: Lanes>(&self, lanes: L, block: &Block, rows: Range<usize>, sums: &[f32]) {
        let WeightSums { x, .. } = self.all;
        for (index, panel) in block.panels.clone().enumerate() {
            let panel = x.panels.panel(panel);
            let start = self.all.panel_start(block, index);
            for row in rows.clone() {
                for skipped in (0..panel.width).step_by(L::COUNT) {
                    let start = start + (row - block.rows.start) * panel.stride + skipped;
                    let taps = self.all.transform_back(lanes, &sums[start..]);
                    let count = L::COUNT.min(panel.width - skipped);
                    let place = row * x.panels.columns + panel.column + skipped;
                    // SAFETY: no other task has these rows and panels.
                    let out = unsafe { self.dw.slice(place * TAPS * TAPS, count * TAPS * TAPS) };
                    write_taps(lanes, taps, out, self.store);
                }
            }
        }
    }
}

/// Lanes of the widest instruction set.
const MOST_LANES: usize = 16;

/// Writes nine vectors, whose lanes are channels, channel by channel.
#[inline(always)]
fn write_taps<L: Lanes>(lanes: L, taps: [[L::Vector; TAPS]; TAPS], out: &mut [f32], store: Store) {
    let mut lines = [[0.0; MOST_LANES]; TAPS * TAPS];
    assert!(L::COUNT <= MOST_LANES);
    for (line, tap) in lines.iter_mut().zip(taps.into_iter().flatten()) {
        // SAFETY: a line takes a vector by the assertion.
        unsafe { lanes.store(line.as_mut_ptr(), tap) };
    }
    for (lane, out) in out.chunks_exact_mut(TAPS * TAPS).enumerate() {
        for (tap, out) in out.iter_mut().enumerate() {
            let old = if store == Store::Accumulate { *out } else { 0.0 };
            *out = old + lines[tap][lane];
        }
    }
}

impl Operand {
    /// Transforms a tile to `slot` of the matrices that start at `out`.
    ///
    /// # Safety
    /// - `out` takes a chunk of this operand, and no one else has this slot.
    #[inline(always)]
    unsafe fn transform<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        transform: impl Transform<N, POINTS>,
        (x, tile): (Pictures<'_>, usize),
        slot: usize,
        out: *mut f32,
        scratch: &mut [f32],
    ) {
        let from = self.tiles.places(x, tile, scratch);
        let out = out.wrapping_add(slot * self.panels.whole());
        for channel in (0..self.panels.columns).step_by(L::COUNT) {
            let to = out.wrapping_add(self.at(channel));
            // SAFETY: `from` is readable for whole vectors, and a slot has room for them in each matrix.
            unsafe { transform_into(lanes, transform, &from, channel, to, self.step) };
        }
    }
}

/// The transformed tiles of a chunk.
struct Chunk<'a> {
    all: &'a WeightSums,
    x: &'a [f32],
    dy: &'a [f32],
    /// How many there are.
    tiles: usize,
}

impl<'a> Chunk<'a> {
    fn new(all: &'a WeightSums, transformed: &'a [f32], tiles: usize) -> Self {
        let (x, dy) = transformed[..all.transformed_len()].split_at(all.x.len());
        Self { all, x, dy, tiles }
    }

    /// Adds the products to the sums of a block, and meanwhile asks for what is read next.
    #[inline(always)]
    fn add<L: Lanes>(&self, lanes: L, block: &Block, sums: &mut [f32], begun: bool, mut ahead: [Ahead; 2]) {
        let all = self.all;
        let steps = MATRICES * block.panels.len() * tiles(block.rows.len(), 2).count();
        let lines = [0, 1].map(|operand| ahead[operand].lines().div_ceil(steps));
        for matrix in 0..MATRICES {
            for (index, panel) in block.panels.clone().enumerate() {
                let panel = all.x.panels.panel(panel);
                let start = all.panel_start(block, index) + matrix * all.sums_step();
                let sums = &mut sums[start..start + block.rows.len() * panel.stride];
                for tile in tiles(block.rows.len(), panel.vectors) {
                    let start = sums[tile.start * panel.stride..].as_mut_ptr();
                    let rows = block.rows.start + tile.start..block.rows.start + tile.end;
                    // SAFETY: the panel has sums for every row.
                    unsafe { self.add_tile(lanes, matrix, panel, rows, Sums { start, begun }) };
                    ahead[0].ask(lines[0]);
                    ahead[1].ask(lines[1]);
                }
            }
        }
    }

    /// Adds the products of one matrix to the sums of some rows and a panel, and asks for the sums that follow.
    ///
    /// # Safety
    /// - `sums` is writable, and readable if begun, for all vectors of the panel in each row.
    #[inline(always)]
    unsafe fn add_tile<L: Lanes>(
        &self,
        lanes: L,
        matrix: usize,
        panel: Panel,
        rows: Range<usize>,
        sums: Sums,
    ) {
        let WeightSums { x, dy, rows: places, .. } = self.all;
        let x_values = &self.x[x.at(panel.column) + matrix * x.step..][..x.step];
        let dy_values = &self.dy[matrix * dy.step..];
        let places = &places[rows.start..rows.start + MOST_ROWS];
        assert!(dy_values.len() >= places[rows.len() - 1] + (self.tiles - 1) * dy.panels.whole());
        let pointers: [_; MOST_ROWS] = from_fn(|row| dy_values.as_ptr().wrapping_add(places[row]));
        let walk = Walk { a_step: dy.panels.whole(), b_step: x.panels.whole(), depth: self.tiles };
        let len = rows.len() * panel.stride;
        for line in (len..2 * len).step_by(16) {
            prefetch(sums.start.wrapping_add(line));
        }
        // SAFETY: a matrix of x has the panel's vectors of every tile, one of dy the rows of every tile; then the caller's
        // contract.
        unsafe {
            let pointers = &pointers[..rows.len()];
            sum_tile(lanes, panel.vectors, pointers, x_values.as_ptr(), Runs::one(walk), sums);
        }
    }
}

impl WeightSums {
    /// Where the sums of a block's `index`th panel start in the first matrix.
    #[inline(always)]
    fn panel_start(&self, block: &Block, index: usize) -> usize {
        index * block.rows.len() * self.x.panels.whole()
    }

    /// The taps of a vector of channels, from its sums in all parts.
    #[inline(always)]
    fn transform_back<L: Lanes>(&self, lanes: L, sums: &[f32]) -> [[L::Vector; TAPS]; TAPS] {
        let mut half = [[lanes.splat(0.0); POINTS]; TAPS];
        for i in 0..POINTS {
            let mut row = [lanes.splat(0.0); POINTS];
            for j in 0..POINTS {
                row[j] = self.add_parts(lanes, &sums[(POINTS * i + j) * self.sums_step()..]);
            }
            let row = WeightsAdjoint.apply(lanes, row);
            for j in 0..TAPS {
                half[j][i] = row[j];
            }
        }
        let mut taps = [[lanes.splat(0.0); TAPS]; TAPS];
        for j in 0..TAPS {
            let column = WeightsAdjoint.apply(lanes, half[j]);
            for i in 0..TAPS {
                taps[i][j] = column[i];
            }
        }
        taps
    }

    /// The sum over the parts of a vector of sums.
    #[inline(always)]
    fn add_parts<L: Lanes>(&self, lanes: L, sums: &[f32]) -> L::Vector {
        assert!(sums.len() >= L::COUNT);
        // SAFETY: by the assertion.
        let mut sum = unsafe { lanes.load(sums.as_ptr()) };
        for start in (self.sums_len()..sums.len()).step_by(self.sums_len()) {
            let part = &sums[start..];
            assert!(part.len() >= L::COUNT);
            // SAFETY: by the assertion.
            sum = lanes.add(sum, unsafe { lanes.load(part.as_ptr()) });
        }
        sum
    }
}
