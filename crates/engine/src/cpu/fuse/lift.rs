//! Turns operators that fusions work on into their fusable form, with nothing fused yet.

use crate::cpu::plan::{FusedConv, FusedNorm, FusedSource, Kind, Plan, Step};
use svertka_graph::{
    Op,
    op::{BatchNormalization, Internal, Reduce, ReduceKind},
};

pub(super) fn run(plan: &mut Plan) {
    share_statistics(plan);
    sum_columns(plan);
    for step in &mut plan.steps {
        if let Kind::Op(op) = &step.kind {
            let op = op.clone();
            lift(step, op);
        }
    }
    // Batch normalisation moves its statistics itself.
    plan.updates.clear();
}

/// The gradient of a row that was added to every row of a matrix is the sum of the columns.
fn sum_columns(plan: &mut Plan) {
    for index in 0..plan.steps.len() {
        let step = &plan.steps[index];
        if step.kind != Kind::Op(Op::Internal(Internal::SumTo)) {
            continue;
        }
        let shape = |slot: usize| plan.graph.shape(plan.values[slot].value);
        let (from, to) = (shape(step.inputs[0]), shape(step.inputs[1]));
        if from.rank() == 2 && to.rank() == 1 && from[1] == to[0] {
            let reduce = Reduce { kind: ReduceKind::Sum, axes: vec![0], keepdims: false };
            plan.steps[index].inputs.truncate(1);
            plan.steps[index].kind = Kind::Op(Op::Reduce(reduce));
        }
    }
}

/// A normalisation that takes over another's next statistics works on the same parameters: they are moved in place.
fn share_statistics(plan: &mut Plan) {
    for index in 0..plan.steps.len() {
        if !matches!(plan.steps[index].kind, Kind::Op(Op::Internal(Internal::BatchNormTraining { .. }))) {
            continue;
        }
        for place in [3, 4] {
            let earlier = plan.producer(plan.steps[index].inputs[place]);
            if let Some(earlier) = earlier {
                plan.steps[index].inputs[place] = plan.steps[earlier].inputs[place];
            }
        }
    }
}

fn lift(step: &mut Step, op: Op) {
    match op {
        Op::Conv(conv) => {
            let bias = step.inputs.get(2).copied();
            step.inputs.truncate(2);
            let source = FusedSource::default();
            step.kind =
                Kind::Conv(FusedConv { conv, source, bias, batch_norm: None, add: None, activation: None });
        }
        Op::ConvTranspose(conv) => step.kind = Kind::ConvTranspose(conv, None),
        Op::Gemm(gemm) => step.kind = Kind::Gemm(gemm, None),
        Op::BatchNormalization(norm) => step.kind = norm_kind(norm, false),
        Op::Internal(Internal::ConvWeightGradient(conv)) => {
            step.inputs.truncate(2);
            step.kind = Kind::ConvWeightGradient(conv, FusedSource::default());
        }
        Op::Internal(Internal::BatchNormTraining { epsilon, momentum }) => {
            step.outputs.truncate(3);
            step.kind = norm_kind(BatchNormalization { epsilon, momentum, frozen: false }, true);
        }
        _ => {}
    }
}

fn norm_kind(norm: BatchNormalization, training: bool) -> Kind {
    Kind::Norm(FusedNorm { norm, training, add: false, activation: None })
}
