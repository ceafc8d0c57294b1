use super::{Binder, Bound};
use crate::{
    EngineError,
    cpu::{
        context::Context,
        plan::{Home, Slot, Step},
    },
};
use svertka_graph::op::{self, SoftmaxCrossEntropyLoss};
use svertka_kernels::loss::{CrossEntropy, LabelError, Reduction, Target, Targets};

/// The operands of a loss, planar: `[outer, classes, inner]`.
struct Operands {
    kernel: CrossEntropy,
    classes: bool,
    scores: Slot,
    target: Slot,
    weights: Option<Slot>,
    per_outer: usize,
}

impl Operands {
    fn new(
        binder: &Binder,
        step: &Step,
        op: &SoftmaxCrossEntropyLoss,
        scores: Slot,
        weights: Option<Slot>,
    ) -> Result<Self, EngineError> {
        let shape = binder.shape(scores);
        let reduction = match op.reduction {
            op::Reduction::Mean => Reduction::Mean,
            op::Reduction::Sum => Reduction::Sum,
            op::Reduction::None => Reduction::None,
        };
        let kernel = CrossEntropy::new(shape[1], shape[2..].iter().product())
            .and_then(|kernel| kernel.with_label_smoothing(op.label_smoothing))
            .map_err(|error| binder.unsupported(step, error))?
            .with_ignore_index(op.ignore_index)
            .with_reduction(reduction);
        let classes = op.target == op::Target::Classes;
        let handed_in = matches!(binder.plan.values[step.inputs[1]].home, Home::Input(_));
        if classes && !handed_in {
            return Err(binder.unsupported(step, "its target has to be an input of the graph"));
        }
        let per_outer = shape[1..].iter().product();
        Ok(Self { kernel, classes, scores, target: step.inputs[1], weights, per_outer })
    }

    fn target<'a>(&self, cx: &'a Context<'_>) -> Target<'a> {
        let values = if self.classes {
            Targets::Labels(cx.labels(self.target))
        } else {
            Targets::Probabilities(cx.read(self.target))
        };
        Target { values, class_weights: self.weights.map(|slot| cx.read(slot)) }
    }

    fn outer(&self, cx: &Context<'_>) -> usize {
        cx.read(self.scores).len() / self.per_outer
    }

    fn forward(&self, cx: &Context<'_>, loss: &mut [f32], logs: &mut [f32]) -> Result<(), EngineError> {
        let (outer, scores, target) = (self.outer(cx), cx.read(self.scores), self.target(cx));
        self.kernel.forward_into(cx.machine, outer, scores, target, loss, logs).map_err(label)
    }
}

fn label(error: LabelError) -> EngineError {
    EngineError::Label { sample: error.index, label: error.label, classes: error.classes }
}

pub(super) fn forward(
    binder: &Binder,
    step: &Step,
    op: &SoftmaxCrossEntropyLoss,
) -> Result<Bound, EngineError> {
    let operands = Operands::new(binder, step, op, step.inputs[0], step.inputs.get(2).copied())?;
    let (loss, logs) = (step.outputs[0], step.outputs[1]);
    Ok(Bound::fallible(move |cx| operands.forward(cx, cx.write(loss), cx.write(logs))))
}

/// Inputs: log-probabilities, target, gradient of the loss, class weights.
pub(super) fn gradient(
    binder: &Binder,
    step: &Step,
    op: &SoftmaxCrossEntropyLoss,
) -> Result<Bound, EngineError> {
    let operands = Operands::new(binder, step, op, step.inputs[0], step.inputs.get(3).copied())?;
    let (dloss, dscores) = (step.inputs[2], step.outputs[0]);
    Ok(Bound::fallible(move |cx| {
        let (outer, logs, target) = (operands.outer(cx), cx.read(operands.scores), operands.target(cx));
        let (dloss, dscores) = (cx.read(dloss), cx.write(dscores));
        operands.kernel.gradient_into(cx.machine, outer, logs, target, dloss, dscores).map_err(label)
    }))
}

/// Loss, then the gradient of the scores of a loss that counts as 1.
pub(super) fn fused(
    binder: &Binder,
    step: &Step,
    op: &SoftmaxCrossEntropyLoss,
) -> Result<Bound, EngineError> {
    let operands = Operands::new(binder, step, op, step.inputs[0], step.inputs.get(2).copied())?;
    let (loss, dscores) = (step.outputs[0], step.outputs[1]);
    let scratch = binder.len(step.inputs[0]);
    Ok(Bound::fallible(move |cx| {
        let logs = cx.scratch();
        operands.forward(cx, cx.write(loss), logs)?;
        let (outer, target) = (operands.outer(cx), operands.target(cx));
        operands
            .kernel
            .gradient_into(cx.machine, outer, logs, target, &[1.0], cx.write(dscores))
            .map_err(label)
    })
    .with_scratch(scratch))
}
