use super::{Assembly, Fill, Problem, batch, one, statistic, weight};
use svertka_graph::{
    Op,
    op::{Activation, BatchNormalization, Dropout, Lrn},
};

pub fn problems() -> Vec<Problem> {
    [batch_norms(), vec![shared_batch_norm()], lrns(), dropouts()].into_iter().flatten().collect()
}

fn batch_norms() -> Vec<Problem> {
    let norm = |x: &[usize], epsilon, frozen| {
        let channel = [x[1]];
        let mean = statistic(&channel).filled(Fill::Distinct);
        let operands = [batch(x), weight(&channel), weight(&channel), mean, statistic(&channel)];
        let op = BatchNormalization { epsilon, frozen, momentum: 0.9 };
        one(Op::BatchNormalization(op), &operands)
    };
    vec![
        norm(&[3, 2, 4, 5], 1e-5, false),
        norm(&[3, 2, 4, 5], 1e-5, true),
        norm(&[5, 3], 1e-3, false),
        norm(&[2, 3, 7], 1e-5, false),
        norm(&[1, 4, 3, 1], 1e-5, false),
        // A single value per channel: its normalised value is 0 whatever it is.
        norm(&[1, 3, 1, 1], 1e-2, false),
    ]
}

/// Two normalisations of one set of parameters, with an activation between them.
fn shared_batch_norm() -> Problem {
    let mut assembly = Assembly::new("shared batch normalisation");
    let x = assembly.operand("x", &batch(&[3, 2, 4]));
    let [scale, bias] = ["scale", "bias"].map(|name| assembly.operand(name, &weight(&[2])));
    let [mean, var] = ["mean", "var"].map(|name| assembly.operand(name, &statistic(&[2])));
    let norm = Op::BatchNormalization(BatchNormalization::default());
    let first = assembly.node("first", norm.clone(), &[x, scale, bias, mean, var]);
    let active = assembly.node("active", Op::Activation(Activation::Tanh), &[first]);
    let second = assembly.node("second", norm, &[active, scale, bias, mean, var]);
    assembly.finish(&[second])
}

fn lrns() -> Vec<Problem> {
    let lrn =
        |x: &[usize], size, alpha, beta, bias| one(Op::Lrn(Lrn { size, alpha, beta, bias }), &[batch(x)]);
    vec![
        lrn(&[2, 7, 3, 2], 5, 0.5, 0.75, 1.0),
        lrn(&[1, 4, 1, 1], 2, 1.0, 0.5, 2.0),
        lrn(&[2, 3, 5], 9, 0.3, 1.5, 1.0),
        lrn(&[3, 1, 2, 2], 1, 0.1, 0.75, 0.5),
    ]
}

fn dropouts() -> Vec<Problem> {
    let dropout = |x: &[usize], ratio| one(Op::Dropout(Dropout { ratio }), &[batch(x)]);
    vec![dropout(&[3, 4], 0.5), dropout(&[2, 3, 4, 5], 0.2), dropout(&[2, 3, 5], 0.9), dropout(&[2, 2], 0.0)]
}
