//! Forward:
//!
//! ```text
//! copy a block's rows into planes
//! for each tile of two vectors of positions:
//!     sums = Σ over operands of broadcast(weights[operand][output]) * plane[position + operand]
//!     y = transpose(activation(sums + bias))
//! ```
//!
//! Every output is summed in one order: kernel rows, then taps, then channels.

use super::{
    LANES, is_faster,
    planes::{Block, Planes},
};
use crate::conv::{ConvProblem, Pictures, correlation::Correlation, pack::Packing, rows::RowReader};
use crate::{
    Isa, Machine, SharedMut,
    gemm::{Finish, VECTORS, tiles},
    simd::{Kernel, Lanes},
    vector::store,
};

/// Planes of a block take at most so many f32, a quarter of a first-level cache.
const PLANES: usize = 2 * 1024;

/// Sums of two vectors of positions, a row for each lane.
const SUMS: usize = VECTORS * LANES * LANES;

/// A convolution of few channels, with its blocks and operands.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Layer {
    planes: Planes,
    /// Where each operand (kernel row, tap, channel) lies from a position's first.
    operands: Vec<usize>,
    outputs: usize,
    /// From the weights of one operand to those of the next.
    step: usize,
    isa: Isa,
}

impl Layer {
    /// The layer, if it is faster than others.
    pub(in crate::conv) fn choose(
        problem: &ConvProblem,
        reader: RowReader,
        packing: &Packing,
        isa: Isa,
    ) -> Option<Self> {
        if !is_faster(problem, isa) {
            return None;
        }
        let planes = Planes::new(&Correlation::forward(problem), reader, [0, PLANES], isa.lanes());
        let [rows, columns] = planes.taps();
        let taps = (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column]));
        let operands = taps
            .flat_map(|tap| (0..problem.in_channels).map(move |channel| planes.operand(channel, tap)))
            .collect();
        let step = packing.panels(0).panel(0).stride;
        Some(Self { planes, operands, outputs: problem.out_channels, step, isa })
    }

    /// How many f32 of scratch a worker needs.
    pub(in crate::conv) fn scratch_len(&self) -> usize {
        self.planes.scratch_len()
    }

    /// Runs the layer over the pictures present.
    pub(in crate::conv) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        weights: &[f32],
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let scratch = &mut scratch[..self.scratch_len() * machine.threads.count()];
        let y = SharedMut::new(y);
        machine.threads.run_with_scratch(self.planes.count(x.rows), scratch, |index, planes| {
            let block = self.planes.block(index);
            self.isa.run(Task { layer: self, x, weights, finish, y, block, planes });
        });
    }
}

struct Task<'a> {
    layer: &'a Layer,
    x: Pictures<'a>,
    weights: &'a [f32],
    finish: &'a Finish<'a>,
    y: SharedMut<'a, f32>,
    block: Block,
    planes: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Layer { planes, outputs, .. } = self.layer;
        planes.read(self.x, &self.block, self.planes);
        let (start, len) = (planes.first_pixel(&self.block), self.block.rows.len() * planes.columns());
        // SAFETY: no other task has these rows of y.
        let y = unsafe { self.y.slice(start * outputs, len * outputs) };
        let mut pixels = Pixels {
            planes,
            finish: self.finish,
            outputs: *outputs,
            start,
            y,
            done: [0, 0],
            square: [0.0; LANES * LANES],
        };
        let positions = self.block.rows.len() * planes.row_len();
        let mut sums = [0.0; SUMS];
        for position in (0..positions).step_by(VECTORS * L::COUNT) {
            // SAFETY: the planes hold every operand of two vectors of positions.
            unsafe { self.sum(lanes, self.planes.as_ptr().add(position), &mut sums) };
            for v in 0..VECTORS {
                // SAFETY: `sums` has a row of vectors for each lane.
                unsafe { pixels.write(lanes, sums.as_ptr().add(v * L::COUNT)) };
            }
        }
    }
}

impl Task<'_> {
    /// The sums of all outputs at two vectors of positions, a row per output; finished, where y does not matter for that.
    ///
    /// # Safety
    /// - `x` is readable for two vectors at every operand.
    #[inline(always)]
    unsafe fn sum<L: Lanes>(&self, lanes: L, x: *const f32, sums: &mut [f32; SUMS]) {
        for tile in tiles(self.layer.outputs, VECTORS) {
            // SAFETY: the caller's contract.
            unsafe {
                match tile.len() {
                    1 => self.sum_tile::<L, 1>(lanes, x, tile.start, sums),
                    2 => self.sum_tile::<L, 2>(lanes, x, tile.start, sums),
                    3 => self.sum_tile::<L, 3>(lanes, x, tile.start, sums),
                    4 => self.sum_tile::<L, 4>(lanes, x, tile.start, sums),
                    5 => self.sum_tile::<L, 5>(lanes, x, tile.start, sums),
                    6 => self.sum_tile::<L, 6>(lanes, x, tile.start, sums),
                    outputs => unreachable!("no tile of {outputs} outputs"),
                }
            }
        }
    }

    /// The same for `M` outputs from `first` on.
    ///
    /// # Safety
    /// As [`sum`](Self::sum).
    #[inline(always)]
    unsafe fn sum_tile<L: Lanes, const M: usize>(
        &self,
        lanes: L,
        x: *const f32,
        first: usize,
        sums: &mut [f32; SUMS],
    ) {
        let Layer { operands, step, .. } = self.layer;
        assert!(self.weights.len() >= operands.len() * step && first + M <= *step);
        let mut weights = self.weights[first..].as_ptr();
        let mut tile = [[lanes.splat(0.0); VECTORS]; M];
        for &operand in operands {
            // SAFETY: the caller's contract; `weights` has advanced by whole steps, as many as operands were met.
            unsafe {
                let x = x.add(operand);
                let x = [lanes.load(x), lanes.load(x.add(L::COUNT))];
                for m in 0..M {
                    let weight = lanes.splat(*weights.add(m));
                    for v in 0..VECTORS {
                        tile[m][v] = lanes.mul_add(weight, x[v], tile[m][v]);
                    }
                }
            }
            weights = weights.wrapping_add(*step);
        }
        let rows = sums[first * VECTORS * L::COUNT..][..M * VECTORS * L::COUNT].as_mut_ptr();
        let early = is_early(self.finish);
        for m in 0..M {
            for v in 0..VECTORS {
                let value = if early { self.finished(lanes, tile[m][v], first + m) } else { tile[m][v] };
                // SAFETY: as many values as vectors were cut out.
                unsafe { lanes.store(rows.add((m * VECTORS + v) * L::COUNT), value) };
            }
        }
    }

    /// Sums of one output with its bias, activated.
    #[inline(always)]
    fn finished<L: Lanes>(&self, lanes: L, mut sums: L::Vector, output: usize) -> L::Vector {
        if let Some(bias) = self.finish.bias {
            sums = lanes.add(sums, lanes.splat(bias[output]));
        }
        match self.finish.activation {
            Some(activation) => activation.apply_register(lanes, sums),
            None => sums,
        }
    }
}

/// Whether sums can be finished before they are pixels: nothing laid out as y takes part.
#[inline(always)]
fn is_early(finish: &Finish<'_>) -> bool {
    finish.carry.is_none() && finish.add.is_none()
}

/// Writes the pixels of a block one after the other.
struct Pixels<'a> {
    planes: &'a Planes,
    finish: &'a Finish<'a>,
    outputs: usize,
    /// How many pixels y has before those of the block.
    start: usize,
    /// The block's rows.
    y: &'a mut [f32],
    /// The row and column of the next position.
    done: [usize; 2],
    /// A vector of outputs for each lane.
    square: [f32; LANES * LANES],
}

impl Pixels<'_> {
    /// Writes those of the next `L::COUNT` positions that are pixels; `sums` are their outputs, rows of two vectors.
    ///
    /// # Safety
    /// - `sums` is readable for a vector at each of `L::COUNT` rows.
    #[inline(always)]
    unsafe fn write<L: Lanes>(&mut self, lanes: L, sums: *const f32) {
        let [row, column] = self.done;
        let place = (row * self.planes.columns() + column) * self.outputs;
        let (whole, step) = (column + L::COUNT <= self.planes.columns(), VECTORS * L::COUNT);
        // What a vector has beyond its pixel, the next pixel overwrites.
        if whole && is_early(self.finish) && place + (L::COUNT - 1) * self.outputs + L::COUNT <= self.y.len()
        {
            // SAFETY: the caller's contract; the last vector ends within y.
            unsafe { lanes.transpose(sums, step, self.y.as_mut_ptr().add(place), self.outputs) };
            return self.advance(L::COUNT);
        }
        // SAFETY: the caller's contract; there are at most `LANES` lanes.
        unsafe { lanes.transpose(sums, step, self.square.as_mut_ptr(), L::COUNT) };
        for pixel in 0..L::COUNT {
            // SAFETY: the square has a vector for each lane.
            let value = unsafe { lanes.load(self.square[pixel * L::COUNT..].as_ptr()) };
            self.write_pixel(lanes, value);
            self.advance(1);
        }
    }

    /// Writes the next position, if it is a pixel.
    #[inline(always)]
    fn write_pixel<L: Lanes>(&mut self, lanes: L, mut value: L::Vector) {
        let ([row, column], outputs, early) = (self.done, self.outputs, is_early(self.finish));
        let place = (row * self.planes.columns() + column) * outputs;
        if column >= self.planes.columns() || place >= self.y.len() {
            return;
        }
        // SAFETY: all outputs of a pixel lie in y; `add` is as long as all of y.
        unsafe {
            if !early {
                let first = self.y.as_ptr().wrapping_sub(self.start * outputs);
                value = self.finish.apply(lanes, value, first, [self.start * outputs + place, 0, outputs]);
            }
            let room = if early && place + L::COUNT <= self.y.len() { L::COUNT } else { outputs };
            store(lanes, self.y[place..place + outputs].as_mut_ptr(), value, room);
        }
    }

    #[inline(always)]
    fn advance(&mut self, positions: usize) {
        let [row, column] = &mut self.done;
        *column += positions;
        while *column >= self.planes.row_len() {
            (*row, *column) = (*row + 1, *column - self.planes.row_len());
        }
    }
}
