//! How the gradient of the weights by tiles is cut into tasks, and where its operands and sums lie in scratch.

use super::{
    MATRICES, odd_lines,
    tiles::Tiles,
    transform::{OUTPUTS, POINTS, TAPS},
    weight_gradient::{Job, Multiply, SumPart, TransformBoth, Write},
};
use crate::{
    Isa, Machine, SharedMut,
    conv::{Algorithms, Choice, ConvProblem, Pictures, rows::RowReader},
    cut::{part, share},
    epilogue::Store,
    gemm::{MOST_ROWS, Panels},
};
use std::ops::Range;

/// How large pieces may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// f32 of sums up to which tasks share out the tiles.
    small_sums: usize,
    /// f32 of the sums of all parts together.
    parts_len: usize,
    /// Chunks that a part has at least.
    chunks: usize,
    /// Tiles of a chunk where each task transforms its own.
    own_tiles: usize,
    /// f32 of the transformed tiles of a chunk where tasks share them.
    shared_len: usize,
    /// Output channels, and panels of input channels, of a block.
    block: [usize; 2],
}

/// The sums of a part, or of a block, are read and written once per chunk: in a chunk there are enough tiles that this costs
/// little, and few enough that they stay in the third-level cache.
const LIMITS: Limits = Limits {
    small_sums: 1024 * 1024,
    parts_len: 2 * 1024 * 1024,
    chunks: 3,
    own_tiles: 64,
    shared_len: 6 * 1024 * 1024,
    block: [64, 2],
};
/// How many parts there are at most, and how many tasks at least where tiles or sums are transformed.
const TASKS: usize = 16;
/// Tiles of a chunk at least.
const FEWEST_TILES: usize = 32;

/// x or dy: how its tiles are read, and where they lie once transformed: by panels of channels, in these by matrices, in
/// these tile after tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) tiles: Tiles,
    pub(super) panels: Panels,
    /// From one matrix to the next.
    pub(super) step: usize,
}

impl Operand {
    fn new(tiles: Tiles, at_once: usize, isa: Isa) -> Self {
        let panels = Panels::new(tiles.channels(), 1, isa);
        Self { tiles, panels, step: odd_lines(at_once * panels.whole()) }
    }

    /// How many f32 the transformed tiles take.
    pub(super) fn len(&self) -> usize {
        self.panels.count() * MATRICES * self.step
    }

    /// Where `channel` of the first tile lies in the first matrix.
    pub(super) fn at(&self, channel: usize) -> usize {
        let whole = self.panels.whole();
        channel / whole * MATRICES * self.step + channel % whole
    }
}

/// Output channels, and panels of input channels.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    pub(super) panels: Range<usize>,
}

/// The sums of one problem, cut into tasks.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WeightSums {
    pub(super) x: Operand,
    pub(super) dy: Operand,
    /// Tiles that are transformed and multiplied at once.
    chunk: usize,
    split: Split,
    /// Output channels, and panels of input channels, of the largest block.
    block: [usize; 2],
    /// Where each output channel of the first tile lies in a matrix of dy; then as many more as a tile of registers may ask for.
    pub(super) rows: Vec<usize>,
    isa: Isa,
}

/// What the tasks share out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// The tiles: at most so many parts, each with sums of all channels, which are added in the end.
    Tiles { parts: usize },
    /// The channels: tasks transform a chunk together, then each multiplies it for one block. The sums of all blocks are kept
    /// from chunk to chunk, where there is more than one.
    Channels { kept: bool },
}

impl WeightSums {
    /// The sums by tiles, where they can be made, and the choice wants them.
    pub(in crate::conv) fn choose(problem: &ConvProblem, reader: RowReader, choice: Choice) -> Option<Self> {
        let wanted = match choice.algorithms {
            Algorithms::Direct => false,
            Algorithms::Winograd => true,
            Algorithms::Fastest => is_faster(problem),
        };
        let steps = [problem.strides, problem.dilations];
        let computes = problem.kernel == [TAPS; 2] && steps == [[1; 2]; 2] && problem.groups == 1;
        (wanted && computes).then(|| Self::new(problem, reader, choice.isa, &LIMITS))
    }

    fn new(problem: &ConvProblem, reader: RowReader, isa: Isa, limits: &Limits) -> Self {
        let (output, [inputs, outputs]) = (problem.output(), [problem.in_channels, problem.out_channels]);
        let grid = output.map(|size| size.div_ceil(OUTPUTS));
        let [top, left, ..] = problem.pads;
        let x = Tiles::new(reader, problem.input, inputs, [top, left], grid);
        let dy = Tiles::new(RowReader::plain(output, outputs), output, outputs, [0; 2], grid);
        let panels = Panels::new(inputs, 1, isa);
        let sums = MATRICES * outputs * panels.count() * panels.whole();
        let small = sums <= limits.small_sums;
        let shared = (limits.shared_len / (MATRICES * (inputs + outputs))).max(FEWEST_TILES);
        let chunk = even(problem.batch * x.per_picture(), if small { limits.own_tiles } else { shared });
        let chunks = (problem.batch * x.per_picture()).div_ceil(chunk);
        let (split, [rows, columns]) = if small {
            let parts = (limits.parts_len / sums).min(chunks / limits.chunks).clamp(1, TASKS);
            (Split::Tiles { parts }, [outputs, panels.count()])
        } else {
            (Split::Channels { kept: chunks > 1 }, limits.block)
        };
        let block = [even(outputs, rows), even(panels.count(), columns)];
        let (x, dy) = (Operand::new(x, chunk, isa), Operand::new(dy, chunk, isa));
        let rows = (0..outputs).map(|row| dy.at(row)).chain([0; MOST_ROWS]).collect();
        Self { x, dy, chunk, split, block, rows, isa }
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(in crate::conv) fn scratch_len(&self, threads: usize) -> usize {
        self.shared_len() + threads * self.worker_len()
    }

    /// How many f32 all tasks share: the sums of parts; or transformed tiles, and sums that are kept.
    fn shared_len(&self) -> usize {
        match self.split {
            Split::Tiles { parts } => parts * self.sums_len(),
            Split::Channels { kept } => {
                let [rows, columns] = self.blocks();
                self.transformed_len() + usize::from(kept) * rows * columns * self.sums_len()
            }
        }
    }

    fn worker_len(&self) -> usize {
        match self.split {
            Split::Tiles { .. } => self.reading_len() + self.transformed_len(),
            Split::Channels { kept } => self.reading_len().max(usize::from(!kept) * self.sums_len()),
        }
    }

    /// How many f32 are needed to read a tile.
    pub(super) fn reading_len(&self) -> usize {
        self.x.tiles.scratch_len::<POINTS>().max(self.dy.tiles.scratch_len::<OUTPUTS>())
    }

    /// How many f32 the transformed tiles of a chunk take: those of x, then those of dy.
    pub(super) fn transformed_len(&self) -> usize {
        self.x.len() + self.dy.len()
    }

    /// From one matrix of a block's sums to the next.
    pub(super) fn sums_step(&self) -> usize {
        odd_lines(self.block[0] * self.block[1] * self.x.panels.whole())
    }

    /// How many f32 the sums of the largest block take.
    pub(super) fn sums_len(&self) -> usize {
        MATRICES * self.sums_step()
    }

    /// Rows and columns of blocks.
    fn blocks(&self) -> [usize; 2] {
        [self.dy.panels.columns.div_ceil(self.block[0]), self.x.panels.count().div_ceil(self.block[1])]
    }

    fn block(&self, index: usize) -> Block {
        let columns = self.blocks()[1];
        Block {
            rows: part(index / columns, self.block[0], self.dy.panels.columns),
            panels: part(index % columns, self.block[1], self.x.panels.count()),
        }
    }

    /// The `index`th chunk of `tiles` tiles.
    pub(super) fn chunk(&self, index: usize, tiles: usize) -> Range<usize> {
        part(index, self.chunk, tiles)
    }

    /// Adds up everything and writes dw.
    pub(in crate::conv) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        dy: &[f32],
        dw: &mut [f32],
        store: Store,
        scratch: &mut [f32],
    ) {
        let tiles = x.rows * self.x.tiles.per_picture();
        if tiles == 0 {
            if store == Store::Overwrite {
                dw.fill(0.0);
            }
            return;
        }
        let (shared, workers) = scratch.split_at_mut(self.shared_len());
        let workers = &mut workers[..machine.threads.count() * self.worker_len()];
        let job = Job { all: self, x, dy, tiles, dw: SharedMut::new(dw), store };
        match self.split {
            Split::Tiles { parts } => self.run_parts(machine, &job, parts, shared, workers),
            Split::Channels { kept } => self.run_blocks(machine, &job, kept, shared, workers),
        }
    }

    /// Makes the sums of each part, then adds them up.
    fn run_parts(
        &self,
        machine: &Machine,
        job: &Job<'_>,
        parts: usize,
        sums: &mut [f32],
        workers: &mut [f32],
    ) {
        let (chunks, len) = (job.tiles.div_ceil(self.chunk), self.sums_len());
        let parts = parts.min(chunks);
        let sums = &mut sums[..parts * len];
        let of_parts = SharedMut::new(sums);
        machine.threads.run_with_scratch(parts, workers, |index, scratch| {
            // SAFETY: each part has sums of its own.
            let sums = unsafe { of_parts.slice(index * len, len) };
            let chunks = share(index, parts, chunks);
            self.isa.run(SumPart { job, block: self.block(0), chunks, sums, scratch });
        });
        let (rows, sums) = (self.dy.panels.columns, &*sums);
        let rows_at_once = rows.div_ceil(TASKS);
        machine.threads.run(rows.div_ceil(rows_at_once), |_, index| {
            let rows = part(index, rows_at_once, rows);
            self.isa.run(Write { job, block: self.block(0), rows, sums });
        });
    }

    /// Transforms and multiplies chunk after chunk.
    fn run_blocks(
        &self,
        machine: &Machine,
        job: &Job<'_>,
        kept: bool,
        shared: &mut [f32],
        workers: &mut [f32],
    ) {
        let (transformed, sums) = shared.split_at_mut(self.transformed_len());
        let (sums, len, [rows, columns]) = (SharedMut::new(sums), self.sums_len(), self.blocks());
        let chunks = job.tiles.div_ceil(self.chunk);
        for index in 0..chunks {
            let chunk = self.chunk(index, job.tiles);
            self.transform(machine, job, chunk.clone(), transformed, workers);
            machine.threads.run_with_scratch(rows * columns, workers, |block, scratch| {
                // SAFETY: each block has sums of its own.
                let sums = if kept { unsafe { sums.slice(block * len, len) } } else { &mut scratch[..len] };
                let (block, tiles, now) = (self.block(block), chunk.len(), [index, chunks - 1]);
                self.isa.run(Multiply { job, block, tiles, transformed, sums, now });
            });
        }
    }

    /// Transforms the tiles of a chunk, some in each task.
    fn transform(
        &self,
        machine: &Machine,
        job: &Job<'_>,
        chunk: Range<usize>,
        transformed: &mut [f32],
        workers: &mut [f32],
    ) {
        let out = SharedMut::new(transformed);
        let at_once = chunk.len().div_ceil(TASKS);
        machine.threads.run_with_scratch(chunk.len().div_ceil(at_once), workers, |index, scratch| {
            let slots = part(index, at_once, chunk.len());
            self.isa.run(TransformBoth { job, first: chunk.start + slots.start, slots, out, scratch });
        });
    }
}

/// The size of equal pieces of `all`, at most `most`.
fn even(all: usize, most: usize) -> usize {
    all.div_ceil(all.div_ceil(most))
}

/// Whether tiles take less time than the direct sums: a function of the sizes alone.
fn is_faster(problem: &ConvProblem) -> bool {
    problem.in_channels >= 16 && problem.out_channels >= 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conv::{ConvShape, reference},
        testing::{Cases, Draw, channels_last, narrow},
    };

    /// As in the tests of all plans, relative to the largest sum of magnitudes.
    const TOLERANCE: f64 = 2e-6;

    #[test]
    fn every_way_of_cutting_agrees_with_the_twin_and_needs_no_threads() {
        let small = Limits { chunks: 1, own_tiles: 5, shared_len: 0, block: [10, 1], ..LIMITS };
        let all_limits = [
            Limits { parts_len: 0, ..small },
            small,
            Limits { small_sums: 0, ..small },
            Limits { small_sums: 0, block: [64, 2], ..LIMITS },
        ];
        let shape = ConvShape { pads: [1, 0, 1, 2], ..ConvShape::new(3, 37, 27, [17, 15], [3, 3]) };
        let problem = ConvProblem::new(shape).unwrap();
        let [input, output] = [problem.input, problem.output()].map(|size| size[0] * size[1]);
        let random = &mut Draw::new(5);
        let (x, dy) = (random.normal(3 * problem.input_len()), random.normal(3 * problem.output_len()));
        let expected = reference::weight_gradient(&problem, &x, &dy);
        let x = channels_last(37, &narrow(&x), input);
        let dy = channels_last(27, &narrow(&dy), output);
        let reader = RowReader::plain(problem.input, 37);
        let mut cases = Cases::default();
        for limits in all_limits {
            cases.check(limits, &expected, TOLERANCE, |machine| {
                let sums = WeightSums::new(&problem, reader, machine.isa, &limits);
                let mut scratch = vec![f32::NAN; sums.scratch_len(machine.threads.count())];
                let mut dw = vec![f32::NAN; problem.weights_len()];
                sums.run(machine, Pictures::new(3, &x), &dy, &mut dw, Store::Overwrite, &mut scratch);
                dw
            });
        }
    }
}
