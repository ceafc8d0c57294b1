//! The gradient of the weights: how its sums are cut into tasks, and how they are joined.

use super::{
    plan::{ChannelCut, pieces},
    view::Reading,
    weight_line::WeightLine,
};
use crate::{
    Isa, Machine, SharedMut,
    conv::{
        ConvProblem, Pictures,
        correlation::{Axis, Correlation},
        pack::Packing,
        rows::RowReader,
    },
    cut::{part, share, whole_lines},
    epilogue::Store,
    gemm::Panels,
    simd::{Kernel, Lanes},
};
use std::ops::Range;

/// For every channel and tap, the products of dy and x summed over pixels. A task sums some channels of a part of the
/// batch's rows; the parts are added in order.
#[derive(Clone, Debug)]
pub(in crate::conv) struct WeightSums {
    reading: Reading,
    axes: [Axis; 2],
    panels: Panels,
    cut: ChannelCut,
    parts: usize,
    /// Rows of dy whose operands are read at once.
    rows: usize,
    isa: Isa,
}

impl WeightSums {
    /// The sums over what `reader` reads.
    pub(in crate::conv) fn new(problem: &ConvProblem, reader: RowReader, isa: Isa) -> Self {
        let axes = Correlation::forward(problem).axes;
        let reading = Reading::new(reader, axes, problem.in_channels);
        let panels = Packing::forward(problem, isa).panels(0);
        let cut = ChannelCut::new(problem);
        let parts = pieces(problem.batch * axes[0].output, cut.blocks);
        let rows = reading.rows_at_once(axes[0].output);
        Self { reading, axes, panels, cut, parts, rows, isa }
    }

    /// How many f32 of scratch a call on `threads` threads needs.
    pub(in crate::conv) fn scratch_len(&self, threads: usize) -> usize {
        self.parts * self.sums_len() + threads * self.reading.scratch_len(self.rows)
    }

    fn sums_len(&self) -> usize {
        whole_lines(self.panels.len())
    }

    /// The rows of dy of a part, over all pictures present.
    fn rows_of(&self, part: usize, pictures: usize) -> Range<usize> {
        let rows = pictures * self.axes[0].output;
        share(part, self.parts, rows)
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
        let (sums, copied) = scratch.split_at_mut(self.parts * self.sums_len());
        let shared = SharedMut::new(sums);
        let copied = &mut copied[..machine.threads.count() * self.reading.scratch_len(self.rows)];
        machine.threads.run_with_scratch(self.parts * self.cut.blocks, copied, |index, scratch| {
            self.isa.run(Task { all: self, x, dy, sums: shared, index, scratch });
        });
        self.join(machine, sums, dw, store);
    }

    /// Adds the parts in order.
    fn join(&self, machine: &Machine, sums: &[f32], dw: &mut [f32], store: Store) {
        let (taps, whole) = (self.panels.depth, self.panels.whole());
        machine.threads.run_chunks(dw, taps * whole, |index, dw| {
            if store == Store::Overwrite {
                dw.fill(0.0);
            }
            let panel = self.panels.panel(index);
            for sums in sums.chunks_exact(self.sums_len()) {
                let sums = &sums[self.panels.at(panel, 0)..];
                for (channel, dw) in dw.chunks_exact_mut(taps).enumerate() {
                    let sums = sums[channel..].iter().step_by(panel.stride);
                    dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum);
                }
            }
        });
    }
}

struct Task<'a> {
    all: &'a WeightSums,
    x: Pictures<'a>,
    dy: &'a [f32],
    sums: SharedMut<'a, f32>,
    index: usize,
    scratch: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let WeightSums { reading, axes: [vertical, horizontal], panels, cut, .. } = self.all;
        let (batch_part, block) = (self.index / cut.blocks, self.index % cut.blocks);
        let channels = part(block, cut.channels, panels.columns);
        let start = batch_part * self.all.sums_len() + channels.start * panels.depth;
        let len = channels.len().next_multiple_of(L::COUNT) * panels.depth;
        // SAFETY: no other task has these channels of this part.
        let sums = unsafe { self.sums.slice(start, len) };
        sums.fill(0.0);
        let mut rows = self.all.rows_of(batch_part, self.x.rows);
        while !rows.is_empty() {
            let (n, first) = (rows.start / vertical.output, rows.start % vertical.output);
            let last = vertical.output.min(first + rows.len().min(self.all.rows));
            let view = reading.view(self.x, n, first..last, self.scratch);
            for row in first..last {
                let operands = view.operands(vertical, horizontal, row);
                let pixel = (n * vertical.output + row) * horizontal.output;
                let line = WeightLine {
                    operands,
                    columns: *horizontal,
                    kernel_rows: vertical.taps.count,
                    dy: self.dy[pixel * panels.columns..].as_ptr(),
                    channels: channels.clone(),
                    sums: sums.as_mut_ptr(),
                };
                // SAFETY: the view holds what this row reads, dy has it, and `sums` are those of these channels.
                unsafe { line.run(lanes) };
            }
            rows.start += last - first;
        }
    }
}
