use super::{Assembly, Fill, Problem, batch, input, one, weight};
use svertka_graph::{
    Op,
    op::{Activation, Binary},
};

pub fn problems() -> Vec<Problem> {
    [binaries(), vec![twice()], activations()].into_iter().flatten().collect()
}

fn binaries() -> Vec<Problem> {
    let shapes: [(&[usize], &[usize]); 8] = [
        (&[2, 3, 4, 5], &[2, 3, 4, 5]),
        (&[2, 3, 4, 5], &[3, 1, 1]),
        (&[3, 1, 5], &[2, 1, 4, 1]),
        (&[4], &[3, 4]),
        (&[2, 3], &[]),
        (&[], &[2, 3]),
        (&[1, 1], &[3, 2]),
        (&[3, 1], &[1, 4]),
    ];
    let operators = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div];
    let problem = |(op, (a, b)): (Binary, (&[usize], &[usize]))| {
        one(Op::Binary(op), &[input(a), weight(b).filled(Fill::Positive)])
    };
    operators.into_iter().flat_map(|op| shapes.map(|shape| (op, shape))).map(problem).collect()
}

/// Values that are used several times, also by one node.
fn twice() -> Problem {
    let mut assembly = Assembly::new("x·x / (x + x) + x");
    let x = assembly.operand("x", &batch(&[3, 2]));
    let square = assembly.node("square", Op::Binary(Binary::Mul), &[x, x]);
    let double = assembly.node("double", Op::Binary(Binary::Add), &[x, x]);
    let quotient = assembly.node("quotient", Op::Binary(Binary::Div), &[square, double]);
    let sum = assembly.node("sum", Op::Binary(Binary::Add), &[quotient, x]);
    assembly.finish(&[sum, square])
}

/// Bounds and slopes are such that both kinks lie within the values and none of them on a value.
fn activations() -> Vec<Problem> {
    let activations = [
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::LeakyRelu { alpha: -0.5 },
        Activation::LeakyRelu { alpha: 0.0 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::HardSigmoid { alpha: 0.4, beta: 0.5 },
        Activation::HardSigmoid { alpha: -0.6, beta: 0.3 },
        Activation::HardSwish,
        Activation::Clip { min: -1.0, max: 0.75 },
        Activation::Clip { min: 0.0, max: 6.0 },
        Activation::Clip { min: f32::NEG_INFINITY, max: 1.0 },
    ];
    let shapes: [&[usize]; 3] = [&[2, 3, 3, 5], &[7], &[1, 1]];
    let all = activations.iter().flat_map(|&activation| shapes.map(|shape| (activation, shape)));
    all.map(|(activation, shape)| one(Op::Activation(activation), &[batch(shape)]))
        .chain([hard_swish_beyond_its_kinks()])
        .collect()
}

fn hard_swish_beyond_its_kinks() -> Problem {
    let mut assembly = Assembly::new("hard swish from -8 to 8");
    let x = assembly.operand("x", &batch(&[4, 10]));
    let four = assembly.node("four", Op::Constant(svertka_graph::Tensor::scalar(4.0)), &[]);
    let wide = assembly.node("wide", Op::Binary(Binary::Mul), &[x, four]);
    let y = assembly.node("y", Op::Activation(Activation::HardSwish), &[wide]);
    assembly.finish(&[y])
}
