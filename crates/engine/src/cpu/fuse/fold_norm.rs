//! Convolution + batch norm at inference: the normalisation is folded into the weights while they are packed.

use super::each_step;
use crate::cpu::plan::{FoldedNorm, Kind, Plan};

pub(super) fn run(plan: &mut Plan) {
    each_step(plan, fold);
}

/// Folds the normalisation at `index` into the convolution in front of it; whether it did.
fn fold(plan: &mut Plan, index: usize) -> bool {
    let Kind::Norm(norm) = &plan.steps[index].kind else { return false };
    let (x, epsilon) = (plan.steps[index].inputs[0], norm.norm.epsilon);
    if norm.training || plan.uses(x) != 1 {
        return false;
    }
    let Some(producer) = plan.producer(x) else { return false };
    if !matches!(&plan.steps[producer].kind, Kind::Conv(conv) if conv.batch_norm.is_none()) {
        return false;
    }
    let step = plan.steps.remove(index);
    let inputs = &step.inputs;
    let folded = FoldedNorm { epsilon, parameters: [inputs[1], inputs[2], inputs[3], inputs[4]] };
    if let Kind::Conv(conv) = &mut plan.steps[producer].kind {
        conv.batch_norm = Some(folded);
    }
    plan.steps[producer].outputs[0] = step.outputs[0];
    true
}
