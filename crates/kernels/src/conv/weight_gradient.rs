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
    ConvProblem, Pictures,
    blocks::{Block, Blocks, Limits, whole_lines},
    correlation::Correlation,
    depthwise,
    rows::RowReader,
};
use crate::{
    Isa, Machine, SharedMut,
    epilogue::Store,
    gemm::{MOST_ROWS, Panel, Panels, Runs, Sums, Walk, sum_tile, tile_rows, tiles},
    simd::{Kernel, Lanes},
    vector::{load, store},
};
use std::ops::Range;

/// A packed strip of x takes half of the first-level cache, the input under a block the second-level one: it is read once.
const LIMITS: Limits = Limits { input: 128 * 1024, pixels: 256, enough_pixels: 128 };
/// How many tasks there are at least, where the problem allows it.
const TASKS: usize = 16;
/// Output channels of a task at most, in tiles, so that packing x pays.
const TILES: usize = 24;
/// Parts of the batch are made first, as long as their sums together take no more f32 than this: the other cuts make tasks
/// pack the same operands again.
const SUMS: usize = 1024 * 1024;
/// Vectors of a strip of operands.
const VECTORS: usize = 2;

/// The sums of one problem, cut into tasks.
#[derive(Clone, Debug)]
pub(super) struct WeightSums {
    correlation: Correlation,
    blocks: Blocks,
    /// The operands of an output channel (kernel row, tap, channel) in strips; where depthwise, all channels.
    strips: Panels,
    /// Where each operand lies from a pixel's first; where depthwise, each tap.
    operands: Vec<usize>,
    /// Where the output rows of a block start.
    rows: Vec<usize>,
    cut: Cut,
    isa: Isa,
}

/// Into how many pieces the work is cut along each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    /// Tiles of output channels of a group; 1 where depthwise.
    tile_blocks: usize,
    strip_blocks: usize,
    parts: usize,
}

impl Cut {
    fn new(outputs: usize, strips: usize, sums_len: usize, [groups, blocks]: [usize; 2]) -> Self {
        let tile_blocks = tiles(outputs, VECTORS).count().div_ceil(TILES);
        let parts = (SUMS / sums_len).clamp(1, TASKS.div_ceil(groups * tile_blocks)).min(blocks);
        let strip_blocks = TASKS.div_ceil(groups * tile_blocks * parts).min(strips.div_ceil(8));
        Self { tile_blocks, strip_blocks, parts }
    }
}

impl WeightSums {
    pub(super) fn new(problem: &ConvProblem, reader: RowReader, isa: Isa) -> Self {
        let correlation = Correlation::forward(problem);
        let blocks = Blocks::new(problem.batch, &correlation, reader, LIMITS);
        let (offsets, run) = correlation.runs(blocks.row_len);
        let operands: Vec<usize> = offsets.into_iter().flat_map(|start| start..start + run).collect();
        let columns = if correlation.is_depthwise() { problem.groups } else { operands.len() };
        let strips = Panels::new(columns, 1, isa);
        let rows = blocks.row_offsets();
        let cut = Cut { tile_blocks: 0, strip_blocks: 0, parts: 0 };
        let mut sums = Self { correlation, blocks, strips, operands, rows, cut, isa };
        let outputs = if correlation.is_depthwise() { 1 } else { correlation.outputs };
        let repeats = [sums.groups(), blocks.count(problem.batch)];
        sums.cut = Cut::new(outputs, strips.count(), sums.sums_len(), repeats);
        sums
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(super) fn scratch_len(&self, threads: usize) -> usize {
        self.cut.parts * self.sums_len() + threads * self.worker_len()
    }

    /// Groups that are worked on one by one.
    fn groups(&self) -> usize {
        if self.correlation.is_depthwise() { 1 } else { self.correlation.groups }
    }

    /// Rows of the sums of a group: its output channels; where depthwise, the taps.
    fn sum_rows(&self) -> usize {
        if self.correlation.is_depthwise() { self.operands.len() } else { self.correlation.outputs }
    }

    /// The sums of a part: for each group and strip, its rows of whole vectors.
    fn sums_len(&self) -> usize {
        whole_lines(self.groups() * self.group_len())
    }

    fn group_len(&self) -> usize {
        self.strips.len() * self.sum_rows()
    }

    /// How much one worker packs: rows of x, a strip of x, and dy.
    fn worker_lens(&self) -> [usize; 3] {
        let pixels = self.blocks.most_pixels();
        let columns =
            if self.correlation.is_depthwise() { self.strips.whole() } else { self.correlation.outputs };
        let lens =
            [self.blocks.scratch_len(), pixels * self.strips.whole(), pixels * columns + self.strips.whole()];
        lens.map(whole_lines)
    }

    fn worker_len(&self) -> usize {
        self.worker_lens().iter().sum()
    }

    /// The blocks of one part, when `pictures` are present.
    fn blocks_of(&self, part: usize, pictures: usize) -> Range<usize> {
        let blocks = self.blocks.count(pictures);
        part * blocks / self.cut.parts..(part + 1) * blocks / self.cut.parts
    }

    /// Adds up everything and writes dw.
    pub(super) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        dy: &[f32],
        dw: &mut [f32],
        store: Store,
        scratch: &mut [f32],
    ) {
        let (sums, workers) = scratch.split_at_mut(self.cut.parts * self.sums_len());
        let shared = SharedMut::new(sums);
        let tasks = self.groups() * self.cut.parts * self.cut.tile_blocks * self.cut.strip_blocks;
        let workers = &mut workers[..machine.threads.count() * self.worker_len()];
        machine.threads.run_with_scratch(tasks, workers, |index, scratch| {
            self.isa.run(Task { all: self, x, dy, out: shared, index, scratch });
        });
        self.join(machine, x.rows, sums, dw, store);
    }

    /// Adds the parts in order.
    fn join(&self, machine: &Machine, pictures: usize, sums: &[f32], dw: &mut [f32], store: Store) {
        let len = dw.len() / self.correlation.out_channels();
        machine.threads.run_chunks(dw, len, |output, dw| {
            if store == Store::Overwrite {
                dw.fill(0.0);
            }
            for part in (0..self.cut.parts).filter(|&part| !self.blocks_of(part, pictures).is_empty()) {
                let sums = &sums[part * self.sums_len()..][..self.sums_len()];
                if self.correlation.is_depthwise() {
                    self.add_channel(output, sums, dw);
                } else {
                    self.add_output(output, sums, dw);
                }
            }
        });
    }

    /// Adds the sums of an output channel, which lie by taps, to its weights, which lie by channels.
    fn add_output(&self, output: usize, sums: &[f32], dw: &mut [f32]) {
        let Correlation { inputs, outputs, .. } = self.correlation;
        let (group, row) = (output / outputs, output % outputs);
        let (taps, mut tap, mut channel) = (dw.len() / inputs, 0, 0);
        for strip in (0..self.strips.count()).map(|index| self.strips.panel(index)) {
            let start = group * self.group_len() + self.strip_start(strip) + row * strip.stride;
            for sum in &sums[start..start + strip.width] {
                dw[channel * taps + tap] += sum;
                channel += 1;
                if channel == inputs {
                    (tap, channel) = (tap + 1, 0);
                }
            }
        }
    }

    /// Adds the sums of a channel of a depthwise problem to its taps.
    fn add_channel(&self, channel: usize, sums: &[f32], dw: &mut [f32]) {
        let strip = self.strips.panel(channel / self.strips.whole());
        let sums = &sums[self.strip_start(strip) + channel - strip.column..];
        dw.iter_mut().zip(sums.iter().step_by(strip.stride)).for_each(|(dw, sum)| *dw += sum);
    }

    fn strip_start(&self, strip: Panel) -> usize {
        strip.column * self.sum_rows()
    }
}

struct Task<'a> {
    all: &'a WeightSums,
    x: Pictures<'a>,
    dy: &'a [f32],
    out: SharedMut<'a, f32>,
    index: usize,
    scratch: &'a mut [f32],
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
                if all.correlation.is_depthwise() {
                    piece.add_depthwise(lanes, strips.clone(), x, self.dy, &block, packed_dy);
                } else {
                    piece.pack_gradient(lanes, self.dy, &block, packed_dy);
                    piece.add(lanes, strips.clone(), x, &block, packed_x, packed_dy);
                }
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
        let [vertical, horizontal] = self.all.correlation.axes;
        let row = block.pictures.start * vertical.output + block.rows.start;
        row * horizontal.output * self.all.correlation.out_channels() + channel
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

    /// Adds the products of one block of a depthwise problem; `packed` is for a strip of dy.
    ///
    /// # Safety
    /// As [`add`](Self::add).
    #[inline(always)]
    unsafe fn add_depthwise<L: Lanes>(
        &self,
        lanes: L,
        strips: Range<usize>,
        x: *const f32,
        dy: &[f32],
        block: &Block,
        packed: &mut [f32],
    ) {
        let all = self.all;
        let rows = block.pictures.len() * block.rows.len();
        for strip in strips {
            let strip = all.strips.panel(strip);
            let packed = &mut packed[..all.blocks.pixels(block) * strip.stride];
            let dy = &dy[self.gradient_start(block, strip.column)..];
            pack_channels(dy, all.correlation.out_channels(), strip, packed);
            let depth = all.correlation.axes[1].output;
            let walk = Walk { a_step: all.blocks.pixel_step(), b_step: strip.stride, depth };
            let runs = Runs { offsets: &all.rows[..rows], walk };
            for tile in tiles(all.operands.len(), strip.vectors) {
                let mut pointers = [std::ptr::null(); MOST_ROWS];
                for (pointer, operand) in pointers.iter_mut().zip(&all.operands[tile.clone()]) {
                    *pointer = x.wrapping_add(operand + strip.column);
                }
                let start = self.out.wrapping_add(all.strip_start(strip) + tile.start * strip.stride);
                let (sums, pointers) = (Sums { start, begun: self.begun }, &pointers[..tile.len()]);
                // SAFETY: the caller's contract.
                unsafe { depthwise::sum_taps(lanes, strip, pointers, packed, runs, sums) };
            }
        }
    }
}

/// Packs the channels of `strip`, pixel after pixel, filled up with zeros.
#[inline(always)]
fn pack_channels(dy: &[f32], channels: usize, strip: Panel, packed: &mut [f32]) {
    for (pixel, slot) in packed.chunks_exact_mut(strip.stride).enumerate() {
        let from = &dy[pixel * channels..][..strip.width];
        slot[..strip.width].copy_from_slice(from);
        slot[strip.width..].fill(0.0);
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
        let [columns, step] = [self.correlation.axes[1].output, self.blocks.pixel_step()];
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
