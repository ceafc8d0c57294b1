//! Gradients of weights are added where they accumulate by the step that computes them, without a copy in between.

use crate::cpu::plan::{Kind, Plan};
use svertka_graph::{
    Op,
    op::{Reduce, ReduceKind},
};

pub(super) fn run(plan: &mut Plan) {
    let mut index = 0;
    while index < plan.steps.len() {
        if !fuse(plan, index) {
            index += 1;
        }
    }
}

fn fuse(plan: &mut Plan, index: usize) -> bool {
    let step = &plan.steps[index];
    if step.kind != Kind::Accumulate {
        return false;
    }
    let (value, gradient) = (step.inputs[0], step.outputs[0]);
    let Some(producer) = plan.producer(value).filter(|_| plan.uses(value) == 1) else { return false };
    let place = plan.steps[producer].outputs.iter().position(|&output| output == value);
    if !adds_up(&plan.steps[producer].kind, place) || plan.values[value].rank != plan.values[gradient].rank {
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

/// Whether a step can add to what its output (of a parameter's gradient) at this place holds.
fn adds_up(kind: &Kind, place: Option<usize>) -> bool {
    match kind {
        Kind::ConvWeightGradient(..) | Kind::Gemm(_, None) => true,
        // The gradients of scale and bias; that of x is written.
        Kind::NormGradient(_) => matches!(place, Some(1 | 2)),
        Kind::Op(Op::Reduce(reduce)) => is_column_sum(reduce),
        _ => false,
    }
}

/// A sum over every axis but the channels': the gradient of a bias.
pub(in crate::cpu) fn is_column_sum(reduce: &Reduce) -> bool {
    let Some(&last) = reduce.axes.last() else { return false };
    let expected: Vec<i64> = [0].into_iter().chain(2..=last).collect();
    let dense = last == 0 && reduce.axes == [0];
    reduce.kind == ReduceKind::Sum && !reduce.keepdims && (dense || reduce.axes == expected)
}
