//! The forward pass and the gradient of the input.

use super::{
    line::{Line, Output, PIXELS, Weights},
    plan::{ChannelCut, rows_at_once},
    view::Reading,
};
use crate::{
    Isa, Machine, SharedMut,
    conv::{
        ConvProblem, Pictures,
        correlation::{Axis, Correlation},
        pack::{Packing, effective_strides},
        rows::RowReader,
    },
    cut::{is_streamed, part, whole_lines},
    gemm::{Finish, Panels},
    simd::{Kernel, Lanes, end_streams},
};

/// Outputs on a grid, each a sum over taps of its own channel, with the cut into tasks.
#[derive(Clone, Debug)]
pub(in crate::conv) struct Layer {
    reading: Reading,
    /// The phases in which rows and columns of the results take turns: one forward, as many as the stride backward.
    phases: [Vec<Axis>; 2],
    /// Height and width of the results.
    result: [usize; 2],
    kernel: [usize; 2],
    panels: Panels,
    cut: ChannelCut,
    /// Rows of results of a task.
    rows: usize,
    isa: Isa,
}

impl Layer {
    /// The forward pass over what `reader` reads.
    pub(in crate::conv) fn forward(problem: &ConvProblem, reader: RowReader, isa: Isa) -> Self {
        let axes = Correlation::forward(problem).axes;
        let reading = Reading::new(reader, axes, problem.in_channels);
        Self::new(problem, reading, axes.map(|axis| vec![axis]), isa)
    }

    /// The gradient of the input.
    pub(in crate::conv) fn backward(problem: &ConvProblem, isa: Isa) -> Self {
        let strides = effective_strides(problem);
        let phases = [0, 1].map(|axis| {
            let phases = (0..strides[axis]).map(|phase| Axis::backward(problem, axis, phase));
            phases.filter(|phase| phase.output > 0).collect::<Vec<_>>()
        });
        let reader = RowReader::plain(problem.output(), problem.out_channels);
        let reading = Reading::new(reader, [phases[0][0], phases[1][0]], problem.out_channels);
        Self::new(problem, reading, phases, isa)
    }

    fn new(problem: &ConvProblem, reading: Reading, phases: [Vec<Axis>; 2], isa: Isa) -> Self {
        let result = [0, 1].map(|axis| phases[axis][0].result);
        let panels = Packing::forward(problem, isa).panels(0);
        let cut = ChannelCut::new(problem);
        let rows = reading.rows_at_once(rows_at_once(result[0], problem.batch * cut.blocks));
        Self { reading, phases, result, kernel: problem.kernel, panels, cut, rows, isa }
    }

    /// How many f32 of scratch a worker needs.
    pub(in crate::conv) fn scratch_len(&self) -> usize {
        self.reading.scratch_len(self.rows) + whole_lines(PIXELS * self.cut.channels)
    }

    /// Runs the layer over the pictures present. `weights` are packed as [`Packing::forward`] does, backward too.
    pub(in crate::conv) fn run(
        &self,
        machine: &Machine,
        x: Pictures<'_>,
        weights: &[f32],
        finish: &Finish<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let tasks = x.rows * self.cut.blocks * self.row_blocks();
        let scratch = &mut scratch[..self.scratch_len() * machine.threads.count()];
        let streams = is_streamed(y, self.panels.columns);
        let y = SharedMut::new(y);
        machine.threads.run_with_scratch(tasks, scratch, |index, scratch| {
            self.isa.run(Task { layer: self, x, weights, finish, y, streams, index, scratch });
        });
    }

    fn row_blocks(&self) -> usize {
        self.result[0].div_ceil(self.rows)
    }
}

struct Task<'a> {
    layer: &'a Layer,
    x: Pictures<'a>,
    weights: &'a [f32],
    finish: &'a Finish<'a>,
    y: SharedMut<'a, f32>,
    streams: bool,
    index: usize,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Layer { reading, phases: [vertical, horizontal], result, panels, cut, .. } = self.layer;
        let (copied, sums) = self.scratch.split_at_mut(reading.scratch_len(self.layer.rows));
        let (index, row_block) = (self.index / self.layer.row_blocks(), self.index % self.layer.row_blocks());
        let (n, block) = (index / cut.blocks, index % cut.blocks);
        let rows = part(row_block, self.layer.rows, result[0]);
        let view = reading.view(self.x, n, rows.clone(), copied);
        for row in rows {
            // Phases start at different rows, each below the step they have in common.
            let Some(rows) = vertical.iter().find(|phase| row % phase.step == phase.start) else { continue };
            for columns in horizontal {
                let line = Line {
                    operands: view.operands(rows, columns, row / rows.step),
                    columns: *columns,
                    weights: Weights::new(self.weights, self.layer.kernel, [rows, columns]),
                    channels: part(block, cut.channels, panels.columns),
                    finish: self.finish,
                    output: Output {
                        y: self.y.as_mut_ptr(),
                        place: ((n * result[0] + row) * result[1] + columns.start) * panels.columns,
                        pixel_step: columns.step * panels.columns,
                        streams: self.streams,
                    },
                };
                // SAFETY: the view holds what these rows read, the weights are packed for all channels, and no other task has
                // these rows and channels.
                unsafe { line.run(lanes, sums) };
            }
        }
        if self.streams {
            end_streams();
        }
    }
}
