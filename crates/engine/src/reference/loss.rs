use super::{
    Elements,
    call::{Call, Results},
};
use crate::EngineError;
use svertka_graph::{
    infer::normalize_axis,
    op::{self, SoftmaxCrossEntropyLoss},
};
use svertka_kernels::{
    loss::{CrossEntropy, LabelError, Reduction, Target, Targets, reference as losses},
    softmax::{Softmax, reference as softmaxes},
};

fn along(call: &Call<'_>, axis: i64) -> Result<Softmax, EngineError> {
    let shape = call.shape(0);
    let axis = normalize_axis(axis, shape.len()).map_err(|reason| call.refuse(reason))?;
    Softmax::new(shape[axis], shape[axis + 1..].iter().product()).map_err(|error| call.refuse(error))
}

pub(super) fn softmax(call: &Call<'_>, axis: i64) -> Results {
    call.one(softmaxes::softmax(&along(call, axis)?, call.real(0)))
}

pub(super) fn log_softmax(call: &Call<'_>, axis: i64) -> Results {
    call.one(softmaxes::log_softmax(&along(call, axis)?, call.real(0)))
}

/// Inputs: y, dy.
pub(super) fn softmax_gradient(call: &Call<'_>, axis: i64) -> Results {
    call.one(softmaxes::softmax_gradient(&along(call, axis)?, call.real(0), call.real(1)))
}

/// Inputs: y, dy.
pub(super) fn log_softmax_gradient(call: &Call<'_>, axis: i64) -> Results {
    call.one(softmaxes::log_softmax_gradient(&along(call, axis)?, call.real(0), call.real(1)))
}

/// A loss on scores `[N, C, d…]` with copies of its target and class weights in the twin's types.
struct Problem {
    loss: CrossEntropy,
    probabilities: Vec<f32>,
    class_weights: Option<Vec<f32>>,
}

impl Problem {
    /// `weights` is the place of the class weights among the inputs, behind scores and target.
    fn new(call: &Call<'_>, loss: &SoftmaxCrossEntropyLoss, weights: usize) -> Result<Self, EngineError> {
        let [_, classes, inner] = call.planes(0);
        let reduction = match loss.reduction {
            op::Reduction::Mean => Reduction::Mean,
            op::Reduction::Sum => Reduction::Sum,
            op::Reduction::None => Reduction::None,
        };
        let problem = CrossEntropy::new(classes, inner)
            .and_then(|problem| problem.with_label_smoothing(loss.label_smoothing))
            .map_err(|error| call.refuse(error))?;
        let narrow = |input| call.real(input).iter().map(|&value| value as f32).collect();
        let soft = loss.target == op::Target::Probabilities;
        Ok(Self {
            loss: problem.with_ignore_index(loss.ignore_index).with_reduction(reduction),
            probabilities: if soft { narrow(1) } else { Vec::new() },
            class_weights: (call.inputs.len() > weights).then(|| narrow(weights)),
        })
    }

    fn target<'a>(&'a self, call: &Call<'a>) -> Target<'a> {
        let values = match self.probabilities.is_empty() {
            true => Targets::Labels(call.integers(1)),
            false => Targets::Probabilities(&self.probabilities),
        };
        Target { values, class_weights: self.class_weights.as_deref() }
    }
}

fn label_error(problem: &CrossEntropy, error: LabelError) -> EngineError {
    let sample = error.index / problem.inner();
    EngineError::Label { sample, label: error.label, classes: error.classes }
}

/// Inputs: scores, target, [class weights].
pub(super) fn cross_entropy(call: &Call<'_>, loss: &SoftmaxCrossEntropyLoss) -> Results {
    let problem = Problem::new(call, loss, 2)?;
    let (loss, log_probabilities) = losses::cross_entropy(&problem.loss, call.real(0), problem.target(call))
        .map_err(|error| label_error(&problem.loss, error))?;
    call.all([loss, log_probabilities].map(Elements::F64))
}

/// Inputs: log-probabilities, target, gradient of the loss, [class weights]. Log-probabilities are scores with the same
/// softmax.
pub(super) fn cross_entropy_gradient(call: &Call<'_>, loss: &SoftmaxCrossEntropyLoss) -> Results {
    let problem = Problem::new(call, loss, 3)?;
    let dx = losses::cross_entropy_gradient(&problem.loss, call.real(0), problem.target(call), call.real(2))
        .map_err(|error| label_error(&problem.loss, error))?;
    call.one(dx)
}
