//! What forward and input gradient have in common: outputs on a grid, each a sum over taps at equal distances.
//!
//! Forward is one correlation of x. The gradient of the input, along an axis of stride s, falls apart into s phases: the
//! pixels `i` with equal `(i + pad) mod s` are reached by the same taps, every `s / gcd(s, d)`th, and along them the
//! gradient is a correlation of dy of stride 1 with these taps in reversed order.

use super::{ConvProblem, pack::effective_strides};

/// One axis: output `o` reads the input at `o * stride + t * dilation + offset` for every tap `t`, and is written to
/// position `start + o * step` of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) taps: Taps,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) offset: isize,
    pub(super) start: usize,
    pub(super) step: usize,
    /// The size of the result.
    pub(super) result: usize,
}

/// Which taps of the kernel are used: `first`, `first + step`, ... in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taps {
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) step: isize,
}

impl Taps {
    pub(super) fn all(count: usize) -> Self {
        Self { count, first: 0, step: 1 }
    }

    /// The taps of phase `phase` of a stride: those with `t * dilation ≡ phase (mod stride)`, last first.
    pub(super) fn of_phase(kernel: usize, stride: usize, dilation: usize, phase: usize) -> Self {
        let step = stride / greatest_common_divisor(stride, dilation);
        let first = (0..kernel.min(step)).find(|tap| tap * dilation % stride == phase);
        let Some(first) = first else { return Self { count: 0, first: 0, step: 0 } };
        let count = (kernel - first).div_ceil(step);
        Self { count, first: first + (count - 1) * step, step: -(step as isize) }
    }

    /// The kernel's tap that is the `index`th of these.
    pub(super) fn tap(&self, index: usize) -> usize {
        self.first.wrapping_add_signed(index as isize * self.step)
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Axis {
    pub(super) fn forward(problem: &ConvProblem, axis: usize) -> Self {
        Self {
            input: problem.input[axis],
            output: problem.output()[axis],
            taps: Taps::all(problem.kernel[axis]),
            stride: problem.strides[axis],
            dilation: problem.dilations[axis],
            offset: -(problem.pads[axis] as isize),
            start: 0,
            step: 1,
            result: problem.output()[axis],
        }
    }

    /// One phase of the gradient of the input.
    pub(super) fn backward(problem: &ConvProblem, axis: usize, phase: usize) -> Self {
        let (stride, dilation, pad) =
            (effective_strides(problem)[axis], problem.dilations[axis], problem.pads[axis]);
        let taps = Taps::of_phase(problem.kernel[axis], stride, dilation, phase);
        // The first pixel with (start + pad) mod stride = phase.
        let start = (phase + stride - pad % stride) % stride;
        let output = problem.input[axis].saturating_sub(start).div_ceil(stride);
        let first = (start + pad) as isize - (taps.first * dilation) as isize;
        Self {
            input: problem.output()[axis],
            output,
            taps,
            stride: 1,
            dilation: dilation / greatest_common_divisor(stride, dilation),
            offset: first.div_euclid(stride as isize),
            start,
            step: stride,
            result: problem.input[axis],
        }
    }

    /// How much of the input `outputs` neighbouring outputs read.
    pub(super) fn span(&self, outputs: usize) -> usize {
        if self.taps.count == 0 || outputs == 0 {
            return 0;
        }
        (outputs - 1) * self.stride + (self.taps.count - 1) * self.dilation + 1
    }

    /// Where the first tap of output `o` reads.
    pub(super) fn position(&self, o: usize) -> isize {
        (o * self.stride) as isize + self.offset
    }

    /// No output reads outside the input.
    pub(super) fn is_inside(&self) -> bool {
        let span = self.span(self.output);
        span == 0 || (self.offset >= 0 && self.offset as usize + span <= self.input)
    }
}

/// A correlation of pictures of `groups * inputs` channels that gives `groups * outputs` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Correlation {
    pub(super) axes: [Axis; 2],
    pub(super) groups: usize,
    /// Channels of the input per group.
    pub(super) inputs: usize,
    /// Channels of the output per group.
    pub(super) outputs: usize,
}

impl Correlation {
    pub(super) fn forward(problem: &ConvProblem) -> Self {
        Self {
            axes: [Axis::forward(problem, 0), Axis::forward(problem, 1)],
            groups: problem.groups,
            inputs: problem.group_in_channels(),
            outputs: problem.group_out_channels(),
        }
    }

    pub(super) fn backward(problem: &ConvProblem, [row, column]: [usize; 2]) -> Self {
        Self {
            axes: [Axis::backward(problem, 0, row), Axis::backward(problem, 1, column)],
            groups: problem.groups,
            inputs: problem.group_out_channels(),
            outputs: problem.group_in_channels(),
        }
    }

    pub(super) fn in_channels(&self) -> usize {
        self.groups * self.inputs
    }

    pub(super) fn out_channels(&self) -> usize {
        self.groups * self.outputs
    }

    /// The offsets at which a pixel's operands lie, and how many follow each other: whole rows of the kernel where they
    /// are contiguous, else the channels of single taps. `row` is the length of an input row in memory.
    pub(super) fn runs(&self, row: usize) -> (Vec<usize>, usize) {
        let [rows, columns] = self.axes;
        let channels = self.in_channels();
        let row_offset = |tap: usize| tap * rows.dilation * row;
        if self.groups == 1 && columns.dilation == 1 && columns.taps.count > 0 {
            return ((0..rows.taps.count).map(row_offset).collect(), columns.taps.count * channels);
        }
        let offsets = (0..rows.taps.count)
            .flat_map(|y| {
                (0..columns.taps.count).map(move |x| row_offset(y) + x * columns.dilation * channels)
            })
            .collect();
        (offsets, self.inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_share_out_the_taps() {
        for (kernel, stride, dilation) in [(3, 2, 1), (5, 3, 2), (4, 2, 2), (1, 3, 1), (7, 4, 6)] {
            let mut seen: Vec<usize> = (0..stride)
                .flat_map(|phase| {
                    let taps = Taps::of_phase(kernel, stride, dilation, phase);
                    (0..taps.count).map(move |index| taps.tap(index))
                })
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..kernel).collect::<Vec<_>>(), "{kernel} {stride} {dilation}");
        }
    }
}
