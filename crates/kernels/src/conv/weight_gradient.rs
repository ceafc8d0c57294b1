//! The gradient of the weights: for every output channel and operand (tap and input channel), the products of dy and x
//! summed over output pixels.
//!
//! The register block of the matrix product, with output channels as its rows, operands as its columns and pixels as its
//! inner dimension. A task owns some output channels, some operands and a part of the batch, for which it has a matrix of
//! sums to itself:
//!
//! ```text
//! for each block of output pixels of the part:
//!     reach or copy the input rows under it; pack dy by tiles of output channels
//!     for each strip of operands:  pack x
//!                                  for each tile of output channels:  sums += Σ over the block's pixels
//! ```
//!
//! Both operands are packed, because pixels are often a power of two apart and would fall into few sets of the cache. In
//! the end the parts are added in order into dw. There is more than one part only where channels and operands are too few
//! tasks; how many is a function of the problem.

use super::{
    Pictures,
    blocks::Block,
    weight_sums::{VECTORS, WeightSums},
};
use crate::{
    SharedMut,
    gemm::{MOST_ROWS, Panel, Runs, Sums, Walk, sum_tile, tile_rows, tiles},
    simd::{Kernel, Lanes},
    vector::{load, store},
};
use std::ops::Range;

/// One task.
pub(super) struct Task<'a> {
    pub(super) all: &'a WeightSums,
    pub(super) x: Pictures<'a>,
    pub(super) dy: &'a [f32],
    pub(super) out: SharedMut<'a, f32>,
    pub(super) index: usize,
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (all, cut) = (self.all, self.all.cut);
        let (index, batch_part) = (self.index / cut.parts, self.index % cut.parts);
        let (index, strip_block) = (index / cut.strip_blocks, index % cut.strip_blocks);
        let (group, tile_block) = (index / cut.tile_blocks, index % cut.tile_blocks);
        let share =
            |block: usize, blocks: usize, count: usize| block * count / blocks..(block + 1) * count / blocks;
        let strips = share(strip_block, cut.strip_blocks, all.strips.count());
        let rows = share(tile_block, cut.tile_blocks, all.sum_rows());
        let [copied, strip_len, _] = all.worker_lens();
        let (copied, packed) = self.scratch.split_at_mut(copied);
        let (packed_x, packed_dy) = packed.split_at_mut(strip_len);
        let start = batch_part * all.sums_len() + group * all.group_len();
        let mut piece =
            Piece { all, group, rows, out: self.out.as_mut_ptr().wrapping_add(start), begun: false };
        for index in all.blocks_of(batch_part, self.x.rows) {
            let block = all.blocks.block(index, self.x.rows);
            let x = all.blocks.read(self.x, &block, copied);
            // SAFETY: `x` holds the operands of all pixels of the block; no other task has these rows and strips of this part's
            // sums.
            unsafe {
                piece.pack_gradient(lanes, self.dy, &block, packed_dy);
                piece.add(lanes, strips.clone(), x, &block, packed_x, packed_dy);
            }
            piece.begun = true;
        }
    }
}

/// What a task sums: some rows of a group.
struct Piece<'a> {
    all: &'a WeightSums,
    group: usize,
    rows: Range<usize>,
    /// The sums of the part and group.
    out: *mut f32,
    /// They hold earlier blocks.
    begun: bool,
}

impl Piece<'_> {
    /// The first value of dy under a block, for output channel `channel`.
    fn gradient_start(&self, block: &Block, channel: usize) -> usize {
        self.all.blocks.first_pixel(block) * self.all.correlation.out_channels() + channel
    }

    /// Packs the rows' channels of dy by tiles, in each pixel after pixel. A whole vector is written per pixel; what follows
    /// overwrites the lanes that the tile does not have.
    #[inline(always)]
    fn pack_gradient<L: Lanes>(&self, lanes: L, dy: &[f32], block: &Block, packed: &mut [f32]) {
        let channels = self.all.correlation.out_channels();
        let pixels = self.all.blocks.pixels(block);
        let first = self.group * self.all.correlation.outputs + self.rows.start;
        let dy = &dy[self.gradient_start(block, first)..];
        assert!(dy.len() >= (pixels - 1) * channels + self.rows.len());
        assert!(packed.len() >= pixels * self.rows.len() + L::COUNT && L::COUNT >= tile_rows(VECTORS));
        for tile in tiles(self.rows.len(), VECTORS) {
            for pixel in 0..pixels {
                // SAFETY: by the assertions, of which the second leaves room for a vector behind the last tile.
                unsafe {
                    let values = load(lanes, dy.as_ptr().add(pixel * channels + tile.start), tile.len());
                    lanes.store(packed.as_mut_ptr().add(pixels * tile.start + pixel * tile.len()), values);
                }
            }
        }
    }

    /// Adds the products of one block.
    ///
    /// # Safety
    /// - `x` is readable at the offset of every operand from every pixel of the block.
    /// - The sums of these rows and strips are no one else's.
    #[inline(always)]
    unsafe fn add<L: Lanes>(
        &self,
        lanes: L,
        strips: Range<usize>,
        x: *const f32,
        block: &Block,
        packed_x: &mut [f32],
        packed_dy: &[f32],
    ) {
        let pixels = self.all.blocks.pixels(block);
        let x = x.wrapping_add(self.group * self.all.correlation.inputs);
        for strip in strips {
            let strip = self.all.strips.panel(strip);
            let packed_x = &mut packed_x[..pixels * strip.stride];
            // SAFETY: the caller's contract.
            unsafe { self.all.pack_operands(lanes, strip, x, block, packed_x) };
            for tile in tiles(self.rows.len(), VECTORS) {
                let mut pointers = [std::ptr::null(); MOST_ROWS];
                for (row, pointer) in pointers.iter_mut().enumerate().take(tile.len()) {
                    *pointer = packed_dy[pixels * tile.start..].as_ptr().wrapping_add(row);
                }
                let walk = Walk { a_step: tile.len(), b_step: strip.stride, depth: pixels };
                let row = self.rows.start + tile.start;
                let start = self.out.wrapping_add(self.all.strip_start(strip) + row * strip.stride);
                let (sums, pointers) = (Sums { start, begun: self.begun }, &pointers[..tile.len()]);
                // SAFETY: both operands are packed for all pixels; then the caller's contract.
                unsafe {
                    sum_tile(lanes, strip.vectors, pointers, packed_x.as_ptr(), Runs::one(walk), sums);
                }
            }
        }
    }
}

impl WeightSums {
    /// Packs the operands of `strip` for every pixel of a block, filled up with zeros.
    ///
    /// # Safety
    /// - `x` is readable at the offset of every operand from every pixel.
    #[inline(always)]
    unsafe fn pack_operands<L: Lanes>(
        &self,
        lanes: L,
        strip: Panel,
        x: *const f32,
        block: &Block,
        packed: &mut [f32],
    ) {
        if strip.width < strip.stride {
            packed.fill(0.0);
        }
        let operands = &self.operands[strip.column..strip.column + strip.width];
        let mut start = 0;
        while start < strip.width {
            let (first, most) = (operands[start], L::COUNT.min(strip.width - start));
            let count = (1..most).find(|&next| operands[start + next] != first + next).unwrap_or(most);
            let segment = Segment { offset: first, column: start, count };
            // SAFETY: the caller's contract.
            unsafe { self.pack_segment(lanes, segment, strip.stride, x, block, packed) };
            start += count;
        }
    }

    /// Packs one segment for every pixel of a block. Lanes behind it are overwritten by the segments that follow.
    ///
    /// # Safety
    /// - `x` is readable for the segment from every pixel.
    #[inline(always)]
    unsafe fn pack_segment<L: Lanes>(
        &self,
        lanes: L,
        Segment { offset, column, count }: Segment,
        stride: usize,
        x: *const f32,
        block: &Block,
        packed: &mut [f32],
    ) {
        let [columns, step] = [block.columns.len(), self.blocks.pixel_step()];
        let rows = &self.rows[..block.pictures.len() * block.rows.len()];
        let room = L::COUNT.min(stride - column);
        for (&row, packed) in rows.iter().zip(packed.chunks_exact_mut(columns * stride)) {
            let mut pixel = x.wrapping_add(row + offset);
            for slot in packed.chunks_exact_mut(stride) {
                // SAFETY: the caller's contract; a slot has `room` values from `column` on.
                unsafe {
                    let values = load(lanes, pixel, count);
                    store(lanes, slot.as_mut_ptr().add(column), values, room);
                }
                pixel = pixel.wrapping_add(step);
            }
        }
    }
}

/// Operands of a strip that follow each other in x, at most a vector of them.
#[derive(Clone, Copy)]
struct Segment {
    /// From a pixel's first operand to the segment's.
    offset: usize,
    /// Its place in the strip.
    column: usize,
    count: usize,
}
