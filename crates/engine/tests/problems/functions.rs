//! Functions of one, two and three numbers beyond the activations, and comparisons.

use super::{Assembly, Fill, Problem, batch, input, one, weight};
use svertka_graph::{
    DataType, Op, Tensor,
    op::{Binary, Unary},
};

pub fn problems() -> Vec<Problem> {
    [unaries(), binaries(), choices(), casts()].into_iter().flatten().collect()
}

fn unaries() -> Vec<Problem> {
    let anywhere = [
        Unary::Elu { alpha: 0.8 },
        Unary::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
        Unary::Softplus,
        Unary::Softsign,
        Unary::Gelu { tanh: false },
        Unary::Gelu { tanh: true },
        Unary::Mish,
        Unary::Erf,
        Unary::Exp,
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
    ];
    let positive = [Unary::Sqrt, Unary::Log, Unary::Reciprocal];
    let shapes: [&[usize]; 3] = [&[2, 3, 3, 5], &[7], &[1, 1]];
    let all = |ops: &[Unary], fill: Fill| {
        let each = ops.iter().flat_map(|&op| shapes.map(|shape| (op, shape)));
        each.map(|(op, shape)| one(Op::Unary(op), &[batch(shape).filled(fill)])).collect::<Vec<_>>()
    };
    [all(&anywhere, Fill::Distinct), all(&positive, Fill::Positive)].concat()
}

fn binaries() -> Vec<Problem> {
    let shapes: [(&[usize], &[usize]); 5] = [
        (&[2, 3, 4, 5], &[2, 3, 4, 5]),
        (&[2, 3, 4, 5], &[3, 1, 1]),
        (&[3, 1, 5], &[2, 1, 4, 1]),
        (&[2, 3], &[]),
        (&[3, 1], &[1, 4]),
    ];
    let mut problems = Vec::new();
    for (a, b) in shapes {
        problems.push(one(Op::Binary(Binary::Pow), &[input(a).filled(Fill::Positive), weight(b)]));
        for op in [Binary::Min, Binary::Max] {
            problems.push(one(Op::Binary(op), &[input(a), weight(b).filled(Fill::Small)]));
        }
        if b.len() <= a.len() && a.len() != 3 && b != [1, 4] {
            problems.push(one(Op::Binary(Binary::PRelu), &[input(a), weight(b).filled(Fill::Small)]));
        }
    }
    problems
}

/// Comparisons as conditions, and logic on them.
fn choices() -> Vec<Problem> {
    let comparisons =
        [Binary::Greater, Binary::Less, Binary::GreaterOrEqual, Binary::LessOrEqual, Binary::Equal];
    let mut problems: Vec<Problem> = comparisons.into_iter().map(chosen_by).collect();
    for op in [Binary::And, Binary::Or, Binary::Xor] {
        let mut assembly = Assembly::new(&format!("chosen by {op:?}"));
        let x = assembly.operand("x", &batch(&[2, 3, 4]));
        let y = assembly.operand("y", &weight(&[4]));
        let above = assembly.node("above", Op::Binary(Binary::Greater), &[x, y]);
        let zero = assembly.node("zero", Op::Constant(Tensor::scalar(0.0)), &[]);
        let negative = assembly.node("negative", Op::Binary(Binary::Less), &[x, zero]);
        let negative = assembly.node("not negative", Op::Unary(Unary::Not), &[negative]);
        let both = assembly.node("both", Op::Binary(op), &[above, negative]);
        let chosen = assembly.node("chosen", Op::Where, &[both, x, y]);
        problems.push(assembly.finish(&[chosen]));
    }
    problems
        .push(one(Op::Where, &[batch(&[2, 3, 1]).filled(Fill::Truths), batch(&[2, 1, 4]), weight(&[3, 4])]));
    problems
}

fn chosen_by(op: Binary) -> Problem {
    let mut assembly = Assembly::new(&format!("chosen by {op:?}"));
    let x = assembly.operand("x", &batch(&[2, 3, 4, 2]));
    let y = assembly.operand("y", &weight(&[3, 1, 1]));
    let condition = assembly.node("condition", Op::Binary(op), &[x, y]);
    let doubled = assembly.node("doubled", Op::Binary(Binary::Add), &[x, x]);
    let chosen = assembly.node("chosen", Op::Where, &[condition, doubled, y]);
    assembly.finish(&[chosen])
}

/// Integers and truth values that are computed with.
fn casts() -> Vec<Problem> {
    let mut assembly = Assembly::new("numbers of places");
    let places = assembly.operand("places", &batch(&[2, 3]).filled(Fill::Labels(9)));
    let two = assembly.node("two", Op::Constant(Tensor::i64(&[], vec![2]).unwrap()), &[]);
    let halves = assembly.node("halves", Op::Binary(Binary::Div), &[places, two]);
    let odd = assembly.node("twice", Op::Binary(Binary::Mul), &[halves, two]);
    let odd = assembly.node("odd", Op::Binary(Binary::Sub), &[places, odd]);
    let truth = assembly.node("truth", Op::Cast(DataType::Bool), &[odd]);
    let factor = assembly.node("factor", Op::Cast(DataType::F32), &[truth]);
    let whole = assembly.node("whole", Op::Cast(DataType::F32), &[halves]);
    let x = assembly.operand("x", &batch(&[2, 3]));
    let kept = assembly.node("kept", Op::Binary(Binary::Mul), &[x, factor]);
    let sum = assembly.node("sum", Op::Binary(Binary::Add), &[kept, whole]);
    vec![assembly.finish(&[sum]), one(Op::Cast(DataType::F32), &[batch(&[3, 2])])]
}
