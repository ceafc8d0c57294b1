use super::{Assembly, Fill, Problem, batch, one};
use svertka_graph::{
    Op, Tensor,
    op::{Reduction, SoftmaxCrossEntropyLoss, Target},
};

pub fn problems() -> Vec<Problem> {
    softmaxes().into_iter().chain(cross_entropies()).collect()
}

fn softmaxes() -> Vec<Problem> {
    let cases: [(&[usize], i64); 7] = [
        (&[3, 5], -1),
        (&[3, 5], 0),
        (&[2, 4, 3, 2], 1),
        (&[2, 3, 4], 2),
        (&[2, 1], 1),
        (&[6], 0),
        (&[2, 3, 4], -2),
    ];
    let both = |(x, axis): (&[usize], i64)| {
        [Op::Softmax { axis }, Op::LogSoftmax { axis }].map(|op| one(op, &[batch(x)]))
    };
    cases.into_iter().flat_map(both).collect()
}

fn cross_entropies() -> Vec<Problem> {
    let shapes: [&[usize]; 3] = [&[5, 4], &[2, 3, 2, 3], &[3, 2, 4]];
    let mut problems = Vec::new();
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for (ignore_index, label_smoothing) in [(None, 0.0), (Some(1), 0.0), (None, 0.1), (Some(0), 0.3)] {
            let target = Target::Classes;
            let loss = SoftmaxCrossEntropyLoss { reduction, ignore_index, label_smoothing, target };
            problems.extend(
                shapes.iter().flat_map(|scores| {
                    [cross_entropy(loss, scores, false), cross_entropy(loss, scores, true)]
                }),
            );
            if ignore_index.is_none() {
                let soft = SoftmaxCrossEntropyLoss { target: Target::Probabilities, ..loss };
                problems.extend(shapes.iter().flat_map(|scores| {
                    [cross_entropy(soft, scores, false), cross_entropy(soft, scores, true)]
                }));
            }
        }
    }
    problems.push(log_probabilities());
    problems
}

/// The loss and, in the second half of the operands, class weights.
fn cross_entropy(loss: SoftmaxCrossEntropyLoss, scores: &[usize], weighted: bool) -> Problem {
    let mut assembly =
        Assembly::new(&format!("{loss:?} of {scores:?}{}", if weighted { ", weighted" } else { "" }));
    let mut inputs = vec![assembly.operand("scores", &batch(scores))];
    let samples: Vec<usize> = [&scores[..1], &scores[2..]].concat();
    inputs.push(match loss.target {
        Target::Classes => assembly.operand("target", &batch(&samples).filled(Fill::Labels(scores[1]))),
        Target::Probabilities => assembly.operand("target", &batch(scores).filled(Fill::Probabilities)),
    });
    if weighted {
        let weights: Vec<f32> = (0..scores[1]).map(|class| 0.5 + class as f32).collect();
        let weights = Tensor::f32(&[scores[1]], weights).unwrap();
        inputs.push(assembly.node("weights", Op::Constant(weights), &[]));
    }
    let loss = assembly.node("loss", Op::SoftmaxCrossEntropyLoss(loss), &inputs);
    assembly.finish(&[loss])
}

/// Gradients arrive at both outputs.
fn log_probabilities() -> Problem {
    let mut assembly = Assembly::new("loss and log-probabilities");
    let scores = assembly.operand("scores", &batch(&[4, 3]));
    let target = assembly.operand("target", &batch(&[4]).filled(Fill::Labels(3)));
    let loss = Op::SoftmaxCrossEntropyLoss(SoftmaxCrossEntropyLoss::default());
    let outputs = assembly.graph.add_node("loss", loss, &[scores, target]).unwrap();
    assembly.finish(&outputs)
}
