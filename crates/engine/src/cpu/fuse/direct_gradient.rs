//! Gradients of weights are added where they accumulate by the step that computes them, without a copy in between.

use super::each_step;
use crate::cpu::plan::{Kind, Plan};
use svertka_graph::{
    Op,
    op::{Reduce, ReduceKind},
};

pub(super) fn run(plan: &mut Plan) {
    each_step(plan, fuse);
}

fn fuse(plan: &mut Plan, index: usize) -> bool {
    let step = &plan.steps[index];
    if step.kind != Kind::Accumulate {
        return false;
    }
    let (value, gradient) = (step.inputs[0], step.outputs[0]);
    let Some(producer) = plan.producer(value).filter(|_| plan.uses(value) == 1) else { return false };
    let place = plan.steps[producer].outputs.iter().position(|&output| output == value);
    let rank = plan.values[plan.steps[producer].inputs[0]].rank;
    if !adds_up(&plan.steps[producer].kind, place, rank)
        || plan.values[value].rank != plan.values[gradient].rank
    {
        return false;
    }
    plan.steps.remove(index);
    for output in &mut plan.steps[producer].outputs {
        if *output == value {
            *output = gradient;
        }
    }
    true
}

/// Whether a step, whose first input has `rank` axes, can add to what its output at this place holds.
fn adds_up(kind: &Kind, place: Option<usize>, rank: usize) -> bool {
    match kind {
        Kind::ConvWeightGradient(..) | Kind::Gemm(_, None) => true,
        // The gradients of scale and bias; that of x is written.
        Kind::NormGradient(_) => matches!(place, Some(1 | 2)),
        Kind::Op(Op::Reduce(reduce)) => is_column_sum(reduce, rank),
        _ => false,
    }
}

/// A sum over every axis but the channels', of an input of `rank` axes: the gradient of a bias.
pub(in crate::cpu) fn is_column_sum(reduce: &Reduce, rank: usize) -> bool {
    let all_but_channels = [0].into_iter().chain(2..rank as i64);
    reduce.kind == ReduceKind::Sum && !reduce.keepdims && reduce.axes.iter().copied().eq(all_but_channels)
}
