//! The gradient of the weights:
//!
//! ```text
//! for each block of output rows of the part:
//!     copy the rows under it into planes, and dy into planes of the same positions, with zeros between its rows
//!     for each pair of operands, for each tile of outputs:
//!         sums += Σ over vectors of positions of x[position + operand] * dy[position]
//! ```
//!
//! The lanes of a part's sums are added up in the end, and the parts in order. A NaN or an infinity in x may reach, beside
//! the taps that meet it, those that meet what lies between two rows, because zero times it is NaN: under
//! `Algorithms::Direct` it does not.

use super::{
    LANES, is_faster,
    planes::{Block, Planes},
};
use crate::conv::{Algorithms, Choice, ConvProblem, Pictures, correlation::Correlation, rows::RowReader};
use crate::{
    Isa, Machine, SharedMut,
    cut::{part, whole_lines},
    epilogue::Store,
    gemm::{VECTORS, tiles},
    simd::{Kernel, Lanes},
    vector::load,
};
use std::ops::Range;

/// Planes of x and dy take at most so many f32: a first-level cache.
const PLANES: usize = 7 * 1024;
/// How many parts there are at most.
const PARTS: usize = 16;
/// Operands that are summed at once.
const OPERANDS: usize = 2;

/// The sums of one problem.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WeightSums {
    planes: Planes,
    /// Where each operand (channel, kernel row, tap) lies from a position's first.
    operands: Vec<usize>,
    outputs: usize,
    /// Blocks of a part.
    blocks: usize,
    parts: usize,
    isa: Isa,
}

impl WeightSums {
    /// The sums, if they are faster than others and may be chosen.
    pub(in crate::conv) fn choose(problem: &ConvProblem, reader: RowReader, choice: Choice) -> Option<Self> {
        let Choice { isa, algorithms } = choice;
        if algorithms == Algorithms::Direct || !is_faster(problem, isa) {
            return None;
        }
        let outputs = problem.out_channels;
        let planes = Planes::new(&Correlation::forward(problem), reader, [outputs, PLANES], isa.lanes());
        let [rows, columns] = planes.taps();
        let taps = || (0..rows).flat_map(move |row| (0..columns).map(move |column| [row, column]));
        let operands = (0..problem.in_channels)
            .flat_map(|channel| taps().map(move |tap| planes.operand(channel, tap)))
            .collect();
        let all = planes.count(problem.batch);
        let blocks = all.div_ceil(PARTS);
        Some(Self { planes, operands, outputs, blocks, parts: all.div_ceil(blocks), isa })
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(in crate::conv) fn scratch_len(&self, threads: usize) -> usize {
        self.parts * self.sums_len() + threads * self.worker_lens().iter().sum::<usize>()
    }

    /// The sums of a part.
    fn sums_len(&self) -> usize {
        whole_lines(self.outputs * self.operands.len())
    }

    /// From one plane of dy to the next.
    fn plane_len(&self) -> usize {
        whole_lines(self.planes.most_positions() + self.isa.lanes())
    }

    /// Planes of dy, a vector of sums for each pair of output and operand, planes of x.
    fn worker_lens(&self) -> [usize; 3] {
        let sums = self.operands.len().next_multiple_of(OPERANDS) * self.outputs * self.isa.lanes();
        [self.outputs * self.plane_len(), whole_lines(sums), self.planes.scratch_len()]
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
        let (sums, workers) = scratch.split_at_mut(self.parts * self.sums_len());
        let workers = &mut workers[..machine.threads.count() * self.worker_lens().iter().sum::<usize>()];
        let blocks = self.planes.count(x.rows);
        let parts = blocks.div_ceil(self.blocks);
        let shared = SharedMut::new(sums);
        machine.threads.run_with_scratch(parts, workers, |index, scratch| {
            // SAFETY: no other task has the sums of this part.
            let out = unsafe { shared.slice(index * self.sums_len(), self.sums_len()) };
            let blocks = part(index, self.blocks, blocks);
            self.isa.run(Task { all: self, x, dy, blocks, out, scratch });
        });
        if store == Store::Overwrite {
            dw.fill(0.0);
        }
        for sums in sums.chunks_exact(self.sums_len()).take(parts) {
            dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum);
        }
    }
}

struct Task<'a> {
    all: &'a WeightSums,
    x: Pictures<'a>,
    dy: &'a [f32],
    blocks: Range<usize>,
    /// The sums of the part, as the weights lie.
    out: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let WeightSums { planes, operands, outputs, .. } = self.all;
        let [gradient, sums, _] = self.all.worker_lens();
        let (gradient, rest) = self.scratch.split_at_mut(gradient);
        let (sums, x) = rest.split_at_mut(sums);
        gradient.fill(0.0);
        sums.fill(0.0);
        for block in self.blocks.map(|index| planes.block(index)) {
            planes.read(self.x, &block, x);
            self.all.read_gradient(lanes, self.dy, &block, gradient);
            let positions = block.rows.len() * planes.row_len();
            // SAFETY: both kinds of planes hold whole vectors of positions; `sums` has a vector for each output and operand.
            unsafe { self.all.add(lanes, x, gradient, positions, sums) };
        }
        for output in 0..*outputs {
            for operand in 0..operands.len() {
                let at = (operand * outputs + output) * L::COUNT;
                // SAFETY: a vector was cut out.
                let sum = unsafe { lanes.load(sums[at..at + L::COUNT].as_ptr()) };
                self.out[output * operands.len() + operand] = lanes.sum(sum);
            }
        }
    }
}

impl WeightSums {
    /// Copies dy of a block into planes whose positions between two rows hold zeros and are left alone.
    #[inline(always)]
    fn read_gradient<L: Lanes>(&self, lanes: L, dy: &[f32], block: &Block, planes: &mut [f32]) {
        let (columns, outputs) = (self.planes.columns(), self.outputs);
        let mut squares = [[0.0; LANES * LANES]; 2];
        let dy = &dy[self.planes.first_pixel(block) * outputs..];
        for row in 0..block.rows.len() {
            for column in (0..columns).step_by(L::COUNT) {
                let dy = &dy[(row * columns + column) * outputs..];
                let position = row * self.planes.row_len() + column;
                let pixels = L::COUNT.min(columns - column);
                self.read_pixels(lanes, dy, pixels, &mut squares, &mut planes[position..]);
            }
        }
        // A block of fewer rows than the one before ends in the middle of what that left.
        let end = block.rows.len() * self.planes.row_len();
        for plane in planes.chunks_exact_mut(self.plane_len()) {
            plane[end..end + L::COUNT].fill(0.0);
        }
    }

    /// Copies the first `pixels` pixels of dy into a vector of each plane, which zeros fill up.
    #[inline(always)]
    fn read_pixels<L: Lanes>(
        &self,
        lanes: L,
        dy: &[f32],
        pixels: usize,
        [rows, columns]: &mut [[f32; LANES * LANES]; 2],
        planes: &mut [f32],
    ) {
        let outputs = self.outputs;
        let whole = pixels == L::COUNT && dy.len() >= (L::COUNT - 1) * outputs + L::COUNT;
        // SAFETY: a square holds a vector for each lane; `dy` holds the pixels, and if they are `whole`, vectors at each.
        unsafe {
            if whole {
                lanes.transpose(dy.as_ptr(), outputs, columns.as_mut_ptr(), L::COUNT);
            } else {
                rows[pixels * L::COUNT..].fill(0.0);
                for (pixel, row) in dy.chunks_exact(outputs).zip(rows.chunks_exact_mut(L::COUNT)).take(pixels)
                {
                    lanes.store(row.as_mut_ptr(), load(lanes, pixel.as_ptr(), outputs));
                }
                lanes.transpose(rows.as_ptr(), L::COUNT, columns.as_mut_ptr(), L::COUNT);
            }
        }
        for (plane, values) in
            planes.chunks_mut(self.plane_len()).zip(columns.chunks_exact(L::COUNT)).take(outputs)
        {
            plane[..L::COUNT].copy_from_slice(values);
        }
    }

    /// Adds the products of a block.
    ///
    /// # Safety
    /// - `x` is readable at every operand for `positions` values, rounded up to vectors, and so is every plane of `dy`.
    /// - `sums` has a vector for each output and operand, the number of operands rounded up to pairs.
    #[inline(always)]
    unsafe fn add<L: Lanes>(&self, lanes: L, x: &[f32], dy: &[f32], positions: usize, sums: &mut [f32]) {
        for (pair, operands) in self.operands.chunks(OPERANDS).enumerate() {
            // The last one may be without a partner.
            let x = [operands[0], operands[operands.len() - 1]].map(|operand| x[operand..].as_ptr());
            for tile in tiles(self.outputs, VECTORS) {
                let at = (pair * OPERANDS * self.outputs + tile.start) * L::COUNT;
                let sums = Sums { start: sums[at..].as_mut_ptr(), step: self.outputs * L::COUNT };
                let dy =
                    Gradient { start: dy[tile.start * self.plane_len()..].as_ptr(), step: self.plane_len() };
                // SAFETY: the caller's contract.
                unsafe {
                    match tile.len() {
                        1 => add_products::<L, 1>(lanes, x, dy, positions, sums),
                        2 => add_products::<L, 2>(lanes, x, dy, positions, sums),
                        3 => add_products::<L, 3>(lanes, x, dy, positions, sums),
                        4 => add_products::<L, 4>(lanes, x, dy, positions, sums),
                        5 => add_products::<L, 5>(lanes, x, dy, positions, sums),
                        6 => add_products::<L, 6>(lanes, x, dy, positions, sums),
                        outputs => unreachable!("no tile of {outputs} outputs"),
                    }
                }
            }
        }
    }
}

/// Vectors of sums, one after the other for the outputs of an operand, those of the next operand `step` further.
#[derive(Clone, Copy)]
struct Sums {
    start: *mut f32,
    step: usize,
}

/// Planes of dy, `step` apart.
#[derive(Clone, Copy)]
struct Gradient {
    start: *const f32,
    step: usize,
}

/// Adds the products of two operands and `M` outputs.
///
/// # Safety
/// - Both pointers of `x` and the first `M` planes of `dy` are readable for `positions` values, rounded up to vectors.
/// - `sums` is readable and writable for both operands and `M` outputs.
#[inline(always)]
unsafe fn add_products<L: Lanes, const M: usize>(
    lanes: L,
    x: [*const f32; OPERANDS],
    dy: Gradient,
    positions: usize,
    sums: Sums,
) {
    let mut tile = [[lanes.splat(0.0); M]; OPERANDS];
    let place = |k: usize, m: usize| sums.start.wrapping_add(k * sums.step + m * L::COUNT);
    // SAFETY: the caller's contract.
    unsafe {
        for k in 0..OPERANDS {
            for m in 0..M {
                tile[k][m] = lanes.load(place(k, m));
            }
        }
        for position in (0..positions).step_by(L::COUNT) {
            let x = [lanes.load(x[0].add(position)), lanes.load(x[1].add(position))];
            for m in 0..M {
                let dy = lanes.load(dy.start.add(m * dy.step + position));
                for k in 0..OPERANDS {
                    tile[k][m] = lanes.mul_add(x[k], dy, tile[k][m]);
                }
            }
        }
        for k in 0..OPERANDS {
            for m in 0..M {
                lanes.store(place(k, m), tile[k][m]);
            }
        }
    }
}
