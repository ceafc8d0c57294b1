//! The order in which a correlation reads weights: as they lie, or for each phase and group, panels of output channels, and in each
//! panel the taps row by row with their channels, which is the order of the runs of an input row.

use super::{ConvProblem, correlation::Taps};
use crate::{
    Isa, Machine,
    gemm::{Panel, Panels},
};
use std::ops::Range;

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
    Backward {
        strides: [usize; 2],
        dilations: [usize; 2],
    },
    /// For each row of the kernel, panels of (tap, input channel) as columns, with the output channels as rows.
    Scatter,
    /// Not at all: for kernels that transform weights themselves.
    None,
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

    /// Weights as they lie.
    pub(super) fn none(problem: &ConvProblem, isa: Isa) -> Self {
        Self { direction: Direction::None, ..Self::forward(problem, isa) }
    }

    /// For products that are added to the pixels they came from; of one group.
    pub(super) fn scatter(problem: &ConvProblem, isa: Isa) -> Self {
        Self { direction: Direction::Scatter, ..Self::forward(problem, isa) }
    }

    /// Weights are read as they lie: packing copies them, and who has them need not pack them.
    pub fn is_none(&self) -> bool {
        self.direction == Direction::None
    }

    fn weights_len(&self) -> usize {
        self.groups * self.out_channels * self.in_channels * self.kernel[0] * self.kernel[1]
    }

    /// How many f32 the packed weights are.
    pub fn packed_len(&self) -> usize {
        if self.is_none() {
            return self.weights_len();
        }
        let phases = self.phases();
        (0..phases[0] * phases[1]).map(|phase| self.phase_len(phase)).sum()
    }

    /// Writes `weights`, `[O, C/groups, kh, kw]`, into `packed` in the order of this packing.
    ///
    /// # Panics
    /// If a slice is shorter than the problem says.
    pub fn pack(&self, machine: &Machine, weights: &[f32], packed: &mut [f32]) {
        let (weights, mut packed) = (&weights[..self.weights_len()], &mut packed[..self.packed_len()]);
        if self.is_none() {
            return packed.copy_from_slice(weights);
        }
        let phases = self.phases();
        for phase in 0..phases[0] * phases[1] {
            let (of_phase, rest) = packed.split_at_mut(self.phase_len(phase));
            self.pack_phase(machine, weights, phase, of_phase);
            packed = rest;
        }
    }

    /// How many phases there are along each axis; scattering takes each row of the kernel as one.
    pub(super) fn phases(&self) -> [usize; 2] {
        match self.direction {
            Direction::Forward | Direction::None => [1, 1],
            Direction::Scatter => [self.kernel[0], 1],
            Direction::Backward { strides, .. } => strides,
        }
    }

    /// The panels of one group; of all channels where each is a group of its own.
    pub(super) fn panels(&self, phase: usize) -> Panels {
        if self.direction == Direction::Scatter {
            return Panels::new(self.kernel[1] * self.in_channels, self.out_channels, self.isa);
        }
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

    fn is_backward(&self) -> bool {
        matches!(self.direction, Direction::Backward { .. })
    }

    fn inputs(&self) -> usize {
        if self.is_backward() { self.out_channels } else { self.in_channels }
    }

    fn outputs(&self) -> usize {
        if self.is_backward() { self.in_channels } else { self.out_channels }
    }

    fn taps(&self, phase: usize) -> [Taps; 2] {
        match self.direction {
            Direction::Forward | Direction::Scatter | Direction::None => self.kernel.map(Taps::all),
            Direction::Backward { strides, dilations } => {
                let phases = [phase / strides[1], phase % strides[1]];
                [0, 1].map(|axis| {
                    Taps::of_phase(self.kernel[axis], strides[axis], dilations[axis], phases[axis])
                })
            }
        }
    }

    /// Where the weights of a phase lie.
    pub(super) fn order(&self, phase: usize) -> Order {
        let taps = self.kernel[0] * self.kernel[1];
        let (row, group) = (self.in_channels * taps, self.out_channels * self.in_channels * taps);
        let [group, output, input] = match self.direction {
            _ if self.is_depthwise() => [0, taps, 0],
            Direction::Backward { .. } => [group, taps, row],
            Direction::Forward | Direction::Scatter | Direction::None => [group, row, taps],
        };
        Order { group, output, input, taps: self.taps(phase), kernel_width: self.kernel[1] }
    }

    fn pack_phase(&self, machine: &Machine, weights: &[f32], phase: usize, packed: &mut [f32]) {
        let (panels, order) = (self.panels(phase), self.order(phase));
        if panels.depth == 0 {
            return;
        }
        if self.direction == Direction::Scatter {
            return self.pack_kernel_row(weights, phase, packed);
        }
        for (group, packed) in packed.chunks_mut(panels.len()).enumerate() {
            let weights = &weights[group * order.group..];
            machine.threads.run_chunks(packed, panels.whole() * panels.depth, |index, packed| {
                let panel = panels.panel(index);
                // Few channels at a time, so that their taps, which are neighbours in the weights, stay in the first-level
                // cache.
                for first in (0..self.inputs()).step_by(CHANNELS) {
                    let inputs = first..self.inputs().min(first + CHANNELS);
                    let out = &mut packed[first * panel.stride..];
                    order.gather(weights, panel, inputs, out, self.inputs() * panel.stride);
                }
            });
        }
    }

    /// Packs row `row` of the kernel for [`Direction::Scatter`].
    fn pack_kernel_row(&self, weights: &[f32], row: usize, packed: &mut [f32]) {
        let (panels, [rows, taps], channels) = (self.panels(row), self.kernel, self.in_channels);
        packed.fill(0.0);
        for panel in (0..panels.count()).map(|index| panels.panel(index)) {
            for column in 0..panel.width {
                let (tap, channel) = ((panel.column + column) / channels, (panel.column + column) % channels);
                let weights =
                    weights[(channel * rows + row) * taps + tap..].iter().step_by(channels * rows * taps);
                let slots = packed[panels.at(panel, 0) + column..].iter_mut().step_by(panel.stride);
                slots.zip(weights).take(panels.depth).for_each(|(slot, &weight)| *slot = weight);
            }
        }
    }
}

/// Where the weights of a correlation lie: at `group * g + output * o + input * c`, and the tap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    group: usize,
    output: usize,
    input: usize,
    taps: [Taps; 2],
    kernel_width: usize,
}

impl Order {
    /// Writes the weights of some inputs for the outputs of a panel: for each tap, `tap_step` further, a row per input.
    #[inline(always)]
    pub(super) fn gather(
        &self,
        weights: &[f32],
        panel: Panel,
        inputs: Range<usize>,
        out: &mut [f32],
        tap_step: usize,
    ) {
        let [rows, columns] = self.taps;
        for index in 0..rows.count * columns.count {
            let (y, x) = (rows.tap(index / columns.count), columns.tap(index % columns.count));
            let start = self.output * panel.column + y * self.kernel_width + x;
            let out = out[index * tap_step..].chunks_exact_mut(panel.stride);
            for (row, input) in out.zip(inputs.clone()) {
                gather(&weights[start + self.input * input..], self.output, &mut row[..panel.width]);
                if panel.width < panel.stride {
                    row[panel.width..].fill(0.0);
                }
            }
        }
    }
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
