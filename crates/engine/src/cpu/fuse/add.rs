//! Convolution or batch norm + add: the summand is added while the result is written.

use super::{each_step, same_shape};
use crate::cpu::plan::{Kind, Plan, Slot, Step};
use svertka_graph::{Op, op::Binary};

pub(super) fn run(plan: &mut Plan) {
    each_step(plan, fuse);
}

/// Fuses the addition at `index` into the later of the steps that make its summands; whether it did.
fn fuse(plan: &mut Plan, index: usize) -> bool {
    if plan.steps[index].kind != Kind::Op(Op::Binary(Binary::Add)) || plan.steps[index].backward {
        return false;
    }
    let (a, b) = (plan.steps[index].inputs[0], plan.steps[index].inputs[1]);
    if a == b || !same_shape(plan, a, b) {
        return false;
    }
    let (made, other) = if plan.producer(a) > plan.producer(b) { (a, b) } else { (b, a) };
    let Some(producer) = plan.producer(made) else { return false };
    if plan.uses(made) != 1 || !takes_summand(&plan.steps[producer]) {
        return false;
    }
    let sum = plan.steps.remove(index).outputs[0];
    add_summand(&mut plan.steps[producer], other);
    plan.steps[producer].outputs[0] = sum;
    true
}

fn takes_summand(step: &Step) -> bool {
    match &step.kind {
        Kind::Conv(conv) => conv.add.is_none() && conv.activation.is_none(),
        Kind::Norm(norm) => !norm.add && norm.activation.is_none(),
        _ => false,
    }
}

fn add_summand(step: &mut Step, summand: Slot) {
    match &mut step.kind {
        Kind::Conv(conv) => conv.add = Some(summand),
        Kind::Norm(norm) => {
            norm.add = true;
            step.inputs.push(summand);
        }
        _ => {}
    }
}
