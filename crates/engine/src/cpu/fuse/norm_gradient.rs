//! The gradient of batch norm (+ add) + activation in one: the gradient behind the activation is stored only where the
//! other summand needs it.

use super::each_step;
use crate::cpu::plan::{FusedNormGradient, Kind, Plan, Slot, Step};
use svertka_graph::{
    Op,
    op::{Activation, Internal},
};

pub(super) fn run(plan: &mut Plan) {
    for index in 0..plan.steps.len() {
        lift(&mut plan.steps[index]);
    }
    each_step(plan, fuse);
}

/// Inputs of both forms: x, dy, scale, mean, and inverse deviation or variance.
fn lift(step: &mut Step) {
    let frozen = match step.kind {
        Kind::Op(Op::Internal(Internal::BatchNormGradient)) => None,
        Kind::Op(Op::Internal(Internal::FrozenBatchNormGradient { epsilon })) => Some(epsilon),
        _ => return,
    };
    step.kind = Kind::NormGradient(FusedNormGradient { frozen, activation: None, add: false });
}

/// Fuses the gradient of an activation, at `index`, with that of the normalisation it leads to; whether it did.
fn fuse(plan: &mut Plan, index: usize) -> bool {
    let Kind::Op(Op::Internal(Internal::ActivationGradient(activation))) = plan.steps[index].kind else {
        return false;
    };
    let (saved, dy, behind) = {
        let step = &plan.steps[index];
        (step.inputs[0], step.inputs[1], step.outputs[0])
    };
    let Some(norm) = reader(plan, behind) else { return false };
    // A gradient that reads the function's input has it recomputed from x and the norm's bias.
    let last = if activation.gradient_reads_output() {
        Some(saved)
    } else {
        bias_of(plan, saved, plan.steps[norm].inputs[0])
    };
    let Some(last) = last else { return false };
    let add = plan.uses(behind) > 1;
    let mut fused = plan.steps.remove(norm);
    fused.kind = match fused.kind {
        Kind::NormGradient(gradient) => Kind::NormGradient(gradient_with(gradient, activation, add)),
        other => other,
    };
    fused.inputs[1] = dy;
    fused.inputs.push(last);
    fused.outputs.extend(add.then_some(behind));
    plan.steps[index] = fused;
    true
}

fn gradient_with(gradient: FusedNormGradient, activation: Activation, add: bool) -> FusedNormGradient {
    FusedNormGradient { activation: Some(activation), add, ..gradient }
}

/// The normalisation's gradient that reads `slot` as its dy, if exactly one does and nothing is fused into it yet.
fn reader(plan: &Plan, slot: Slot) -> Option<usize> {
    let reads = |step: &Step| {
        matches!(&step.kind, Kind::NormGradient(gradient) if gradient.activation.is_none())
            && step.inputs[1] == slot
    };
    let mut found = (0..plan.steps.len()).filter(|&index| reads(&plan.steps[index]));
    found.next().filter(|_| found.next().is_none())
}

/// The bias of the normalisation of `x` that puts out `slot`.
fn bias_of(plan: &Plan, slot: Slot, x: Slot) -> Option<Slot> {
    let step = &plan.steps[plan.producer(slot)?];
    (matches!(step.kind, Kind::Norm(_)) && step.inputs[0] == x).then(|| step.inputs[2])
}
