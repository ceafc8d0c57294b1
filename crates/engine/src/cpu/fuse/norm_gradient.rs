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
    step.kind =
        Kind::NormGradient(FusedNormGradient { frozen, activation: None, reads_output: false, add: false });
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
    // Behind the normalisation itself, what the gradient reads is computed again from x and the norm's bias. An addition
    // in between would have to be read as well, so the output is.
    let x = plan.steps[norm].inputs[0];
    let before =
        if activation.gradient_reads_output() { input_of(plan, saved, activation) } else { Some(saved) };
    let bias = before.and_then(|before| bias_of(plan, before, x));
    let output = activation.gradient_reads_output().then_some(saved);
    let (Some(last), reads_output) = (bias.or(output), bias.is_none()) else { return false };
    let add = plan.uses(behind) > 1;
    let mut fused = plan.steps.remove(norm);
    fused.kind = match fused.kind {
        Kind::NormGradient(gradient) => {
            let activation = Some(activation);
            Kind::NormGradient(FusedNormGradient { activation, reads_output, add, ..gradient })
        }
        other => other,
    };
    fused.inputs[1] = dy;
    fused.inputs.push(last);
    fused.outputs.extend(add.then_some(behind));
    plan.steps[index] = fused;
    true
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

/// The input of the activation that puts out `slot`.
fn input_of(plan: &Plan, slot: Slot, activation: Activation) -> Option<Slot> {
    let step = &plan.steps[plan.producer(slot)?];
    (step.kind == Kind::Op(Op::Activation(activation))).then(|| step.inputs[0])
}

/// The bias of the normalisation of `x` that puts out `slot`.
fn bias_of(plan: &Plan, slot: Slot, x: Slot) -> Option<Slot> {
    let step = &plan.steps[plan.producer(slot)?];
    (matches!(step.kind, Kind::Norm(_)) && step.inputs[0] == x).then(|| step.inputs[2])
}
