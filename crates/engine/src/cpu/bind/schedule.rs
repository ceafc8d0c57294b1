//! The order in which steps run, and which of them take the batch in pieces.
//!
//! Where rows are small, most steps last a few microseconds and meeting after each of them costs as much as the work. Steps
//! that treat every row alone then form a stretch: the batch is cut into pieces, and a thread takes one piece after another
//! through the whole stretch, in its own cache and without waiting for anybody. A step that sums over rows (a gradient of
//! few weights) writes one sum per piece, which are added in order behind the stretch; one of many weights leaves the
//! stretch and runs behind it, parallel inside.
//!
//! All of this depends on sizes alone, so results do not depend on the number of threads.

use super::Binder;
use crate::cpu::plan::{Home, Kind, Slot, Step};
use std::ops::Range;
use svertka_graph::{Op, op::Internal};

/// A step takes the batch in pieces if it reads and writes at most so many f32 per row.
const SMALL_ROW: usize = 16 * 1024;
/// ... and reads at most so many weights, so that all of them stay in a second-level cache.
pub(super) const FEW_WEIGHTS: usize = 64 * 1024;
/// What the widest step of a stretch reads and writes per piece, in f32: what two neighbouring steps hand over stays in the
/// caches, and a kernel has rows enough to fill its blocks.
const PIECE: usize = 256 * 1024;
/// Pieces of a full batch at least, so that several threads have something to do.
const PIECES: usize = 8;
/// Sums over rows that are kept per piece, in f32: few enough to cost little beside the rows themselves.
const FEW_SUMS: usize = 8 * 1024;

/// What runs next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Turn {
    /// One step, parallel inside.
    Step(usize),
    /// Several steps, parallel along the batch.
    Stretch(Stretch),
}

/// Steps that every piece of the batch runs through alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) steps: Vec<usize>,
    /// Rows of a piece.
    pub(crate) rows: usize,
    /// Gradients of which every piece has its own sum: which slot, and where it lies among the sums of a piece.
    pub(crate) sums: Vec<(Slot, Range<usize>)>,
    /// Where the sums of all pieces lie in the arena; before memory is planned, only the length counts.
    pub(crate) partials: Range<usize>,
    /// Where the scratch of all threads lies.
    pub(crate) scratch: Range<usize>,
}

impl Turn {
    /// The steps of this turn, in order.
    pub(crate) fn steps(&self) -> &[usize] {
        match self {
            Turn::Step(index) => std::slice::from_ref(index),
            Turn::Stretch(stretch) => &stretch.steps,
        }
    }
}

impl Stretch {
    /// How many pieces so many rows make.
    pub(crate) fn pieces(&self, rows: usize) -> usize {
        rows.div_ceil(self.rows)
    }

    /// Where the sums of a piece start in the arena.
    pub(crate) fn sums_start(&self, piece: usize) -> usize {
        self.partials.start + piece * self.sums.last().map_or(0, |(_, range)| range.end)
    }
}

/// How a step meets the rows of the batch.
enum Way {
    /// Each row of its outputs follows from the same row of its inputs.
    ByRow,
    /// It sums so many values over the rows.
    Sums(usize),
    /// As a whole.
    Whole,
}

/// Cuts the plan's steps into turns.
pub(super) fn schedule(binder: &Binder) -> Vec<Turn> {
    let mut scheduler = Scheduler { binder, turns: Vec::new(), open: Vec::new(), behind: Vec::new() };
    let mut backward = false;
    for (index, step) in binder.plan.steps.iter().enumerate() {
        if step.backward && !backward {
            scheduler.close();
            backward = true;
        }
        scheduler.take(index, step);
    }
    scheduler.close();
    scheduler.turns
}

struct Scheduler<'a> {
    binder: &'a Binder<'a>,
    turns: Vec<Turn>,
    /// The stretch that is being made.
    open: Vec<usize>,
    /// Steps that wait for its end.
    behind: Vec<usize>,
}

impl Scheduler<'_> {
    fn take(&mut self, index: usize, step: &Step) {
        match way(self.binder, step) {
            Way::ByRow => self.open.push(index),
            Way::Sums(len) if len <= FEW_SUMS => self.open.push(index),
            Way::Sums(_) if !self.open.is_empty() => self.behind.push(index),
            _ => {
                self.close();
                self.turns.push(Turn::Step(index));
            }
        }
    }

    /// Ends the stretch; one computing step alone is better parallel inside.
    fn close(&mut self) {
        let steps = std::mem::take(&mut self.open);
        let computing = steps.iter().filter(|&&index| !self.binder.views(&self.binder.plan.steps[index]));
        if computing.count() > 1 {
            self.turns.push(Turn::Stretch(stretch(self.binder, steps)));
        } else {
            self.turns.extend(steps.into_iter().map(Turn::Step));
        }
        self.turns.extend(self.behind.drain(..).map(Turn::Step));
    }
}

fn way(binder: &Binder, step: &Step) -> Way {
    let few_weights =
        step.reads().filter(|&slot| !binder.leads(slot)).map(|slot| binder.len(slot)).sum::<usize>()
            <= FEW_WEIGHTS;
    let enough_rows = binder.batch.leads_everywhere && binder.batch.size >= 2 * PIECES;
    if !enough_rows || row_len(binder, step) > SMALL_ROW || !few_weights {
        return Way::Whole;
    }
    if step.outputs.iter().all(|&slot| binder.leads(slot)) {
        return if reads_other_rows(binder, step) { Way::Whole } else { Way::ByRow };
    }
    match step.outputs[..] {
        [gradient] if sums_rows(&step.kind) && binder.is_gradient(gradient) => {
            Way::Sums(binder.len(gradient))
        }
        // Where the gradient would be, so that nothing else is cut otherwise than with it.
        [weight] if matches!(step.kind, Kind::Update(gemm) if gemm.trans_a) => Way::Sums(binder.len(weight)),
        _ => Way::Whole,
    }
}

/// How many f32 a step reads and writes per row.
fn row_len(binder: &Binder, step: &Step) -> usize {
    let leading = step.reads().chain(step.outputs.iter().copied()).filter(|&slot| binder.leads(slot));
    leading.map(|slot| binder.len(slot) / binder.batch.size).sum()
}

/// Whether rows of the output depend on the number of rows, though each has its place.
fn reads_other_rows(binder: &Binder, step: &Step) -> bool {
    match &step.kind {
        Kind::Op(Op::Internal(Internal::SoftmaxCrossEntropyGradient(_))) => true,
        Kind::Op(Op::Internal(Internal::ExpandLike { .. })) => !binder.leads(step.inputs[0]),
        Kind::CrossEntropy(_) | Kind::Op(Op::SoftmaxCrossEntropyLoss(_)) => true,
        Kind::NormGradient(gradient) => gradient.frozen.is_none(),
        Kind::Norm(norm) => norm.training,
        _ => false,
    }
}

/// Whether a step's output is a sum over the rows present, so that sums of pieces add up to it.
fn sums_rows(kind: &Kind) -> bool {
    match kind {
        Kind::ConvWeightGradient(..) | Kind::Op(Op::Reduce(_)) => true,
        Kind::Gemm(gemm, activation) => gemm.trans_a && activation.is_none(),
        _ => false,
    }
}

fn stretch(binder: &Binder, steps: Vec<usize>) -> Stretch {
    let all = || steps.iter().map(|&index| &binder.plan.steps[index]);
    let widest = all().map(|step| row_len(binder, step)).max().unwrap_or(0).max(1);
    let rows = (PIECE / widest).clamp(1, binder.batch.size.div_ceil(PIECES));
    let mut sums = Vec::new();
    let mut len = 0;
    for slot in all().flat_map(|step| &step.outputs).copied().filter(|&slot| binder.is_gradient(slot)) {
        sums.push((slot, len..len + binder.len(slot)));
        len += binder.len(slot);
    }
    let partials = 0..len * binder.batch.size.div_ceil(rows);
    Stretch { steps, rows, sums, partials, scratch: 0..0 }
}

impl Binder<'_> {
    fn is_gradient(&self, slot: Slot) -> bool {
        matches!(self.plan.values[slot].home, Home::Gradient(_))
    }
}
