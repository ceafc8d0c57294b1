//! The order in which a correlation reads weights: for each phase and group, panels of output channels, and in each
//! panel the taps row by row with their channels, which is the order of the runs of an input row.

use super::{ConvProblem, correlation::Taps};
use crate::{Isa, Machine, gemm::Panels};

/// Channels that are packed at once.
const CHANNELS: usize = 16;

/// How weights are laid out for a plan. Equal packings (of plans of any batch and picture size) share packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packing {
    kernel: [usize; 2],
    groups: usize,
    out_channels: usize,
    in_channels: usize,
    direction: Direction,
    isa: Isa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    Forward,
    Backward { strides: [usize; 2], dilations: [usize; 2] },
}

/// Where a weight lies: at `group * g + output * o + input * c + ky * kw + kx`.
#[derive(Clone, Copy)]
struct Strides {
    group: usize,
    output: usize,
    input: usize,
}

impl Packing {
    pub(super) fn forward(problem: &ConvProblem, isa: Isa) -> Self {
        Self {
            kernel: problem.kernel,
            groups: problem.groups,
            out_channels: problem.group_out_channels(),
            in_channels: problem.group_in_channels(),
            direction: Direction::Forward,
            isa,
        }
    }

    pub(super) fn backward(problem: &ConvProblem, isa: Isa) -> Self {
        let direction =
            Direction::Backward { strides: effective_strides(problem), dilations: problem.dilations };
        Self { direction, ..Self::forward(problem, isa) }
    }

    /// How many f32 the packed weights are.
    pub fn packed_len(&self) -> usize {
        let phases = self.phases();
        (0..phases[0] * phases[1]).map(|phase| self.phase_len(phase)).sum()
    }

    /// Writes `weights`, `[O, C/groups, kh, kw]`, into `packed` in the order of this packing.
    ///
    /// # Panics
    /// If a slice is shorter than the problem says.
    pub fn pack(&self, machine: &Machine, weights: &[f32], packed: &mut [f32]) {
        let len = self.groups * self.out_channels * self.in_channels * self.kernel[0] * self.kernel[1];
        let (weights, mut packed) = (&weights[..len], &mut packed[..self.packed_len()]);
        let phases = self.phases();
        for phase in 0..phases[0] * phases[1] {
            let (of_phase, rest) = packed.split_at_mut(self.phase_len(phase));
            self.pack_phase(machine, weights, phase, of_phase);
            packed = rest;
        }
    }

    /// How many phases there are along each axis.
    pub(super) fn phases(&self) -> [usize; 2] {
        match self.direction {
            Direction::Forward => [1, 1],
            Direction::Backward { strides, .. } => strides,
        }
    }

    /// The panels of one group; of all channels where each is a group of its own.
    pub(super) fn panels(&self, phase: usize) -> Panels {
        let taps = self.taps(phase);
        let depth = taps[0].count * taps[1].count * self.inputs();
        if self.is_depthwise() {
            return Panels::of_vectors(self.groups, depth, self.isa);
        }
        Panels::new(self.outputs(), depth, self.isa)
    }

    /// How many f32 the weights of `phase` take.
    pub(super) fn phase_len(&self, phase: usize) -> usize {
        self.panels(phase).len() * self.blocks()
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.in_channels == 1 && self.out_channels == 1
    }

    /// How many times the panels repeat.
    pub(super) fn blocks(&self) -> usize {
        if self.is_depthwise() { 1 } else { self.groups }
    }

    fn inputs(&self) -> usize {
        if self.direction == Direction::Forward { self.in_channels } else { self.out_channels }
    }

    fn outputs(&self) -> usize {
        if self.direction == Direction::Forward { self.out_channels } else { self.in_channels }
    }

    fn taps(&self, phase: usize) -> [Taps; 2] {
        match self.direction {
            Direction::Forward => self.kernel.map(Taps::all),
            Direction::Backward { strides, dilations } => {
                let phases = [phase / strides[1], phase % strides[1]];
                [0, 1].map(|axis| {
                    Taps::of_phase(self.kernel[axis], strides[axis], dilations[axis], phases[axis])
                })
            }
        }
    }

    fn strides(&self) -> Strides {
        let taps = self.kernel[0] * self.kernel[1];
        let (row, group) = (self.in_channels * taps, self.out_channels * self.in_channels * taps);
        match self.direction {
            _ if self.is_depthwise() => Strides { group: 0, output: taps, input: 0 },
            Direction::Forward => Strides { group, output: row, input: taps },
            Direction::Backward { .. } => Strides { group, output: taps, input: row },
        }
    }

    fn pack_phase(&self, machine: &Machine, weights: &[f32], phase: usize, packed: &mut [f32]) {
        let (panels, strides, [rows, columns]) = (self.panels(phase), self.strides(), self.taps(phase));
        if panels.depth == 0 {
            return;
        }
        for (group, packed) in packed.chunks_mut(panels.len()).enumerate() {
            machine.threads.run_chunks(packed, panels.whole() * panels.depth, |index, packed| {
                let panel = panels.panel(index);
                // Few channels at a time, so that their taps, which are neighbours in the weights, stay in the first-level
                // cache.
                for first in (0..self.inputs()).step_by(CHANNELS) {
                    let inputs = first..self.inputs().min(first + CHANNELS);
                    for (index, (y, x)) in grid(rows.count, columns.count).enumerate() {
                        let tap = rows.tap(y) * self.kernel[1] + columns.tap(x);
                        let start = strides.group * group + strides.output * panel.column + tap;
                        for input in inputs.clone() {
                            let row = (index * self.inputs() + input) * panel.stride;
                            let row = &mut packed[row..row + panel.stride];
                            let from = &weights[start + strides.input * input..];
                            gather(from, strides.output, &mut row[..panel.width]);
                            if panel.width < panel.stride {
                                row[panel.width..].fill(0.0);
                            }
                        }
                    }
                }
            });
        }
    }
}

fn grid(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// Copies values that lie `stride` apart; in fours, which are written at once.
#[inline(always)]
fn gather(from: &[f32], stride: usize, row: &mut [f32]) {
    let (quads, rest) = row.as_chunks_mut();
    for (index, quad) in quads.iter_mut().enumerate() {
        let from = &from[4 * index * stride..][..3 * stride + 1];
        *quad = [from[0], from[stride], from[2 * stride], from[3 * stride]];
    }
    let first = 4 * quads.len();
    rest.iter_mut().enumerate().for_each(|(index, slot)| *slot = from[(first + index) * stride]);
}

/// Strides as the gradient of the input sees them: along an axis of one output the stride does not matter.
pub(super) fn effective_strides(problem: &ConvProblem) -> [usize; 2] {
    [0, 1].map(|axis| if problem.output()[axis] == 1 { 1 } else { problem.strides[axis] })
}
