//! Softmax + cross-entropy: the loss and the gradient of the scores in one pass, where the loss itself is what training
//! minimises.

use crate::cpu::plan::{Home, Kind, Plan, Step};
use svertka_graph::{
    Op,
    op::{Internal, SoftmaxCrossEntropyLoss},
};

pub(super) fn run(plan: &mut Plan) {
    let gradients: Vec<usize> =
        (0..plan.steps.len()).filter(|&index| gradient(&plan.steps[index]).is_some()).collect();
    for &index in gradients.iter().rev() {
        fuse(plan, index);
    }
}

fn gradient(step: &Step) -> Option<&SoftmaxCrossEntropyLoss> {
    match &step.kind {
        Kind::Op(Op::Internal(Internal::SoftmaxCrossEntropyGradient(loss))) => Some(loss),
        _ => None,
    }
}

fn fuse(plan: &mut Plan, index: usize) {
    let step = &plan.steps[index];
    let one = Home::Constant(vec![1.0]);
    let Some(forward) = plan.producer(step.inputs[0]) else { return };
    let Kind::Op(Op::SoftmaxCrossEntropyLoss(loss)) = plan.steps[forward].kind else { return };
    let only_gradient = plan.uses(step.inputs[0]) == 1;
    if plan.values[step.inputs[2]].home != one || !only_gradient {
        return;
    }
    let scores_gradient = plan.steps.remove(index).outputs[0];
    let step = &mut plan.steps[forward];
    step.outputs[1] = scores_gradient;
    step.kind = Kind::CrossEntropy(loss);
}
