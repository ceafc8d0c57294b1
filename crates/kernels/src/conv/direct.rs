//! The direct convolution: a matrix product whose left operand is never written down.
//!
//! A task owns a block of output pixels and some panels of output channels. Where the input is not as the convolution
//! sees it (padding, border, planes, an affine map), the block's rows are copied into the worker's scratch first; then
//! the channels under neighbouring taps of a kernel row are contiguous either way, and the register block of the matrix
//! product runs over them with one pointer per pixel:
//!
//! ```text
//! copy the block's input rows, where needed
//! for each panel of output channels:
//!     for each chunk of products:  for each tile of pixels:  sums += Σ over the chunk
//!     y = finish(sums)
//! ```
//!
//! A chunk of a panel's weights and the block's sums stay in the first-level cache. Blocks depend on sizes alone. Every
//! output is summed in one order: kernel rows, then taps, then channels.

use super::{
    Pictures,
    ahead::Ahead,
    blocks::{Block, Blocks, Limits},
    correlation::Correlation,
    pack::Packing,
    rows::RowReader,
};
use crate::{
    Isa, Machine, SharedMut,
    cut::{part, share, whole_lines},
    gemm::{Finish, MOST_ROWS, Panels, Rows, Runs, Sums, VECTORS, Walk, sum_tile_into, tile_rows, tiles},
    simd::{Kernel, Lanes, end_streams, prefetch_write},
};
use std::ops::Range;

/// Input rows take half of a second-level cache, a panel of sums half of a first-level one; a panel of weights is read once
/// for eight tiles of pixels or more.
const LIMITS: Limits = Limits { input: 64 * 1024, pixels: 256, enough_pixels: 48 };
/// Products of a chunk at most: with them, a panel of weights takes half of a first-level cache.
const CHUNK: usize = 256;
/// How many tasks there are at least, where panels of output channels allow it.
const TASKS: usize = 16;
/// Panels of a task at least where rows are copied, so that the copy pays.
const PANELS_PER_COPY: usize = 2;

/// One correlation with its blocks and the tables that its inner loops follow.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    correlation: Correlation,
    blocks: Blocks,
    panels: Panels,
    /// Groups whose panels follow each other.
    repeats: usize,
    /// Panels of a task.
    panels_at_once: usize,
    weights_start: usize,
    /// Offsets of the runs of operands from a pixel's first.
    runs: Vec<usize>,
    chunks: Vec<Chunk>,
    /// For each pixel of the largest block, the offset of its first operand in x; then as many more as a tile may ask for.
    pixels: Vec<usize>,
    /// Likewise, the offset of its channels in y.
    places: Vec<usize>,
    isa: Isa,
}

/// Runs that are summed before the next tile of pixels takes its turn.
#[derive(Clone, Debug, PartialEq)]
struct Chunk {
    /// Which runs.
    runs: Range<usize>,
    /// The length of each.
    depth: usize,
}

/// Cuts runs of `len` products at `offsets` into chunks; long ones fall into several shorter ones. Where there are no taps,
/// one empty chunk stores zeros.
fn cut_runs(offsets: &[usize], len: usize) -> (Vec<usize>, Vec<Chunk>) {
    if offsets.is_empty() || len == 0 {
        return (Vec::new(), vec![Chunk { runs: 0..0, depth: 0 }]);
    }
    if len <= CHUNK {
        let at_once = CHUNK / len;
        let chunks = (0..offsets.len().div_ceil(at_once)).map(|index| part(index, at_once, offsets.len()));
        return (offsets.to_vec(), chunks.map(|runs| Chunk { runs, depth: len }).collect());
    }
    let pieces = len.div_ceil(CHUNK);
    let piece = |index: usize| share(index, pieces, len);
    let all = || offsets.iter().flat_map(|&offset| (0..pieces).map(move |index| (offset, piece(index))));
    let chunks = all().enumerate().map(|(at, (_, piece))| Chunk { runs: at..at + 1, depth: piece.len() });
    (all().map(|(offset, piece)| offset + piece.start).collect(), chunks.collect())
}

impl Layer {
    /// The layer that reads through `reader`, with the weights of `phase`, which start at `weights_start`.
    pub(super) fn new(
        batch: usize,
        correlation: Correlation,
        reader: RowReader,
        packing: &Packing,
        [phase, weights_start]: [usize; 2],
        isa: Isa,
    ) -> Self {
        let blocks = Blocks::new(batch, &correlation, reader, LIMITS);
        let (panels, repeats) = (packing.panels(phase), packing.blocks());
        let all = panels.count() * repeats;
        let fewest = if blocks.copies { PANELS_PER_COPY.min(all) } else { 1 };
        let panels_at_once = (all * blocks.count(batch) / TASKS).clamp(fewest, all);
        let (offsets, run) = correlation.runs(blocks.row_len);
        let (runs, chunks) = cut_runs(&offsets, run);
        let [pixels, places] = pixel_tables(&correlation, &blocks);
        Self {
            correlation,
            blocks,
            panels,
            repeats,
            panels_at_once,
            weights_start,
            runs,
            chunks,
            pixels,
            places,
            isa,
        }
    }

    /// How many f32 of scratch a worker needs: for copied rows, and for the sums of a panel.
    pub(super) fn scratch_len(&self) -> usize {
        self.blocks.scratch_len() + whole_lines(self.blocks.most_pixels() * self.panels.whole())
    }

    /// Runs the layer over the pictures present.
    pub(super) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        weights: &[f32],
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let tasks = self.blocks.count(x.rows) * self.panel_blocks();
        let scratch = &mut scratch[..self.scratch_len() * machine.threads.count()];
        let weights = &weights[self.weights_start..];
        let finish = &finish.streaming(y, self.correlation.outputs);
        let y = SharedMut::new(y);
        machine.threads.run_with_scratch(tasks, scratch, |index, scratch| {
            self.isa.run(Task { layer: self, x, weights, finish, y, index, scratch });
        });
    }

    /// What the task that is done with the first of `blocks` fetches for the last, over `panels` panels.
    fn ahead<'a>(&self, x: Pictures<'a>, blocks: Range<usize>, panels: usize) -> Ahead<'a> {
        let wanted = !blocks.is_empty() && blocks.end < self.blocks.count(x.rows);
        let rest = match wanted {
            true => self.blocks.rows_in_memory(x, &self.blocks.block(blocks.end, x.rows)),
            false => &[],
        };
        Ahead::new([rest, &[]], panels * self.blocks.most_pixels().div_ceil(tile_rows(VECTORS)))
    }

    fn all_panels(&self) -> usize {
        self.panels.count() * self.repeats
    }

    fn panel_blocks(&self) -> usize {
        self.all_panels().div_ceil(self.panels_at_once)
    }

    /// Where the first channel of a block's first pixel lies in y.
    fn place(&self, block: &Block) -> usize {
        let [rows, columns] = self.correlation.axes;
        let row = block.pictures.start * rows.result + rows.start + block.rows.start * rows.step;
        let column = columns.start + block.columns.start * columns.step;
        (row * columns.result + column) * self.correlation.out_channels()
    }
}

/// The tables of a layer's pixels and places.
fn pixel_tables(correlation: &Correlation, blocks: &Blocks) -> [Vec<usize>; 2] {
    let [rows, columns] = correlation.axes;
    let channels = correlation.out_channels();
    let [mut pixels, mut places] = [(); 2].map(|()| Vec::with_capacity(blocks.most_pixels() + MOST_ROWS));
    for (at, x) in blocks.row_offsets().into_iter().enumerate() {
        let (picture, row) = (at / blocks.rows, at % blocks.rows);
        let y = (picture * rows.result + row * rows.step) * columns.result;
        pixels.extend((0..blocks.columns).map(|column| x + column * blocks.pixel_step()));
        places.extend((0..blocks.columns).map(|column| (y + column * columns.step) * channels));
    }
    [pixels, places].map(|mut table| {
        table.resize(table.len() + MOST_ROWS, 0);
        table
    })
}

struct Task<'a> {
    layer: &'a Layer,
    x: Pictures<'a>,
    weights: &'a [f32],
    finish: &'a Finish<'a>,
    y: SharedMut<'a, f32>,
    index: usize,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let layer = self.layer;
        let (block, panels) = (self.index / layer.panel_blocks(), self.index % layer.panel_blocks());
        let next = (self.index + 1) / layer.panel_blocks();
        let panels = part(panels, layer.panels_at_once, layer.all_panels());
        let mut ahead = layer.ahead(self.x, block..next, panels.len());
        let block = layer.blocks.block(block, self.x.rows);
        let (copied, sums) = self.scratch.split_at_mut(layer.blocks.scratch_len());
        let operands = Operands {
            layer,
            x: layer.blocks.read(self.x, &block, copied),
            y: self.y.as_mut_ptr(),
            start: layer.place(&block),
            pixels: layer.blocks.pixels(&block),
        };
        for index in panels {
            // SAFETY: `x` and the table of pixels hold this block's operands; no other task has its pixels and panels.
            unsafe { operands.run(lanes, index, self.weights, self.finish, sums, &mut ahead) };
        }
        if self.finish.stream {
            end_streams();
        }
    }
}

/// The operands of one block.
struct Operands<'a> {
    layer: &'a Layer,
    /// The first operand of the first pixel.
    x: *const f32,
    y: *mut f32,
    /// Where the first channel of the first pixel lies in y.
    start: usize,
    /// How many pixels there are.
    pixels: usize,
}

impl Operands<'_> {
    /// Computes one panel of output channels.
    ///
    /// # Safety
    /// - `x` is readable at the offset of every pixel plus that of every operand of a run.
    /// - `y` is writable at the offset of every pixel, for the channels of the panel, and no one else's.
    /// - Bias and addend of `finish` are as long as y wants them.
    #[inline(always)]
    unsafe fn run<L: Lanes>(
        &self,
        lanes: L,
        index: usize,
        weights: &[f32],
        finish: &Finish<'_>,
        sums: &mut [f32],
        ahead: &mut Ahead<'_>,
    ) {
        let Layer { correlation, panels, .. } = self.layer;
        let (group, panel) = (index / panels.count(), panels.panel(index % panels.count()));
        let start = group * panels.len() + panels.at(panel, 0);
        let weights = &weights[start..start + panels.depth * panel.stride];
        let x = self.x.wrapping_add(group * correlation.inputs);
        let channels = [group * correlation.outputs + panel.column, panel.width];
        let (mut weights, plain) = (weights.as_ptr(), finish.is_plain());
        let y = self.y.wrapping_add(self.start + channels[0]);
        for (index, chunk) in self.layer.chunks.iter().enumerate() {
            let walk = Walk { a_step: 1, b_step: panel.stride, depth: chunk.depth };
            let runs = Runs { offsets: &self.layer.runs[chunk.runs.clone()], walk };
            let last = index + 1 == self.layer.chunks.len();
            let direct = last && plain && panel.width == panel.stride;
            for tile in tiles(self.pixels, panel.vectors) {
                let places = &self.layer.places[tile.clone()];
                if last && !finish.stream {
                    places.iter().for_each(|&place| prefetch_write(y.wrapping_add(place)));
                }
                let start = sums[tile.start * panel.stride..][..tile.len() * panel.stride].as_mut_ptr();
                let pointers = &self.pointers(x, tile.start)[..tile.len()];
                // SAFETY: the caller's contract; the chunks are together as long as the panel is deep.
                unsafe {
                    let sums = Sums { start, begun: index > 0 };
                    let rows = Rows { start: y, offsets: places, stream: finish.stream };
                    let rows = direct.then_some(rows);
                    sum_tile_into(lanes, panel.vectors, pointers, weights, runs, sums, rows);
                    if last && !direct {
                        let places = &self.places(tile.start, channels[0])[..tile.len()];
                        finish.store(lanes, start, panel.vectors, self.y, places, channels);
                    }
                }
                ahead.fetch();
            }
            weights = weights.wrapping_add(chunk.runs.len() * chunk.depth * panel.stride);
        }
    }

    /// Where `channel` of the pixels from `first` on lies in y.
    #[inline(always)]
    fn places(&self, first: usize, channel: usize) -> [usize; MOST_ROWS] {
        let offsets = &self.layer.places[first..first + MOST_ROWS];
        let mut places = [self.start + channel; MOST_ROWS];
        for row in 0..MOST_ROWS {
            places[row] += offsets[row];
        }
        places
    }

    /// Where the first operands lie of the pixels from `first` on.
    #[inline(always)]
    fn pointers(&self, x: *const f32, first: usize) -> [*const f32; MOST_ROWS] {
        let offsets = &self.layer.pixels[first..first + MOST_ROWS];
        let mut pointers = [x; MOST_ROWS];
        for row in 0..MOST_ROWS {
            pointers[row] = x.wrapping_add(offsets[row]);
        }
        pointers
    }
}
