//! Convolution, matrix product or batch norm + activation: applied while the result is written, where nobody needs the
//! value in between.

use super::each_step;
use crate::cpu::plan::{Kind, Plan};
use svertka_graph::{Op, op::Activation};

pub(super) fn run(plan: &mut Plan) {
    each_step(plan, fuse);
}

/// Fuses the activation at `index` into the step in front of it; whether it did.
fn fuse(plan: &mut Plan, index: usize) -> bool {
    let Kind::Op(Op::Activation(activation)) = plan.steps[index].kind else { return false };
    let x = plan.steps[index].inputs[0];
    let Some(producer) = plan.producer(x).filter(|_| plan.uses(x) == 1) else { return false };
    let Some(place) = activation_of(&mut plan.steps[producer].kind).filter(|place| place.is_none()) else {
        return false;
    };
    *place = Some(activation);
    let step = plan.steps.remove(index);
    plan.steps[producer].outputs[0] = step.outputs[0];
    true
}

/// The place for an activation of a step that has one.
fn activation_of(kind: &mut Kind) -> Option<&mut Option<Activation>> {
    match kind {
        Kind::Conv(conv) => Some(&mut conv.activation),
        Kind::ConvTranspose(_, activation) | Kind::Gemm(_, activation) => Some(activation),
        Kind::Norm(norm) => Some(&mut norm.activation),
        _ => None,
    }
}
