//! Normalise + first convolution, and pad + convolution: done while the convolution reads its input, forward and in the
//! gradient of its weight, so that neither result is ever stored.

use crate::cpu::plan::{FusedSource, Home, Kind, Normalise, Plan, Slot};
use svertka_graph::{
    Op,
    op::{Binary, Pad},
};

/// Finds what makes a slot: what a convolution can do instead, and the slot that it then reads.
type Find = fn(&Plan, Slot) -> Option<(FusedSource, Slot)>;

pub(super) fn run(plan: &mut Plan) {
    // A convolution pads what it has normalised.
    for find in [pad as Find, normalise] {
        for index in 0..plan.steps.len() {
            absorb(plan, index, find);
        }
        super::remove_unread(plan);
    }
}

/// Moves what produced the convolution's input into the convolution.
fn absorb(plan: &mut Plan, index: usize, find: Find) {
    let input = plan.steps[index].inputs.first().copied();
    let Some((source, input)) = source(&plan.steps[index].kind).zip(input) else { return };
    let Some((found, before)) = find(plan, input) else { return };
    let merged = FusedSource { pad: found.pad.or_else(|| source.pad.clone()), normalise: found.normalise };
    let step = &mut plan.steps[index];
    step.inputs[0] = before;
    match &mut step.kind {
        Kind::Conv(conv) => conv.source = merged,
        Kind::ConvWeightGradient(_, source) => *source = merged,
        _ => {}
    }
}

fn source(kind: &Kind) -> Option<&FusedSource> {
    match kind {
        Kind::Conv(conv) => Some(&conv.source),
        Kind::ConvWeightGradient(_, source) => Some(source),
        _ => None,
    }
}

/// A padding of the spatial axes that nothing but convolutions reads.
fn pad(plan: &Plan, padded: Slot) -> Option<(FusedSource, Slot)> {
    let step = &plan.steps[plan.producer(padded)?];
    let Kind::Op(Op::Pad(pad)) = &step.kind else { return None };
    let axes = pad.pads.len() / 2;
    let spatial_only = pad.pads.iter().enumerate().all(|(axis, &by)| by == 0 || (axis % axes >= 2 && by > 0));
    let source = FusedSource { pad: Some(Pad::clone(pad)), normalise: None };
    (spatial_only && read_by_convolutions(plan, padded)).then(|| (source, step.inputs[0]))
}

/// `(x − mean) / deviation` with constants per channel that nothing but convolutions reads.
fn normalise(plan: &Plan, normalised: Slot) -> Option<(FusedSource, Slot)> {
    let channels = plan.channels(normalised)?;
    let (centred, deviation) = with_constant(plan, normalised, Binary::Div, channels)?;
    let (x, mean) = with_constant(plan, centred, Binary::Sub, channels)?;
    let source = FusedSource { pad: None, normalise: Some(Normalise { mean, deviation }) };
    (plan.uses(centred) == 1 && read_by_convolutions(plan, normalised)).then_some((source, x))
}

/// The operands of `slot = x op constant`, the constant being one value or one per channel.
fn with_constant(plan: &Plan, slot: Slot, op: Binary, channels: usize) -> Option<(Slot, Vec<f32>)> {
    let step = &plan.steps[plan.producer(slot)?];
    if step.kind != Kind::Op(Op::Binary(op)) {
        return None;
    }
    let Home::Constant(values) = &plan.values[step.inputs[1]].home else { return None };
    let shape = plan.graph.shape(plan.values[step.inputs[1]].value).sizes()?;
    let rank = plan.values[step.inputs[0]].rank;
    let channel_axis = (shape.len() + 1).checked_sub(rank);
    let per_channel =
        values.len() == channels && channel_axis.and_then(|axis| shape.get(axis)) == Some(&channels);
    match values.len() {
        1 => Some((step.inputs[0], vec![values[0]; channels])),
        _ => per_channel.then(|| (step.inputs[0], values.clone())),
    }
}

fn read_by_convolutions(plan: &Plan, slot: Slot) -> bool {
    let readers = plan.steps.iter().filter(|step| step.reads().any(|input| input == slot));
    let mut convolutions = 0;
    for step in readers {
        if source(&step.kind).is_none() || step.inputs[0] != slot {
            return false;
        }
        convolutions += 1;
    }
    convolutions > 0 && plan.uses(slot) == convolutions
}
