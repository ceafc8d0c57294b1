//! Steps of random networks beyond layers: functions, picks, repetitions, folds.

use super::{
    Random,
    network::{Operands, Step},
};
use svertka_graph::{
    DataType, Op,
    op::{Binary, DepthOrder, DepthSpace, Expand, Reduce, ReduceKind, Slice, Tile, TopK, Unary},
};

/// A step that may fit behind the value `source`, of shape x.
pub fn step(random: &mut Random, source: usize, x: &[usize]) -> Step {
    let axis = random.within(1, x.len() - 1);
    let single = |op| (op, Operands::None);
    let (op, operands) = match random.below(12) {
        0..=2 => single(Op::Unary(unary(random))),
        3 => {
            let op = random.pick(&[Binary::Min, Binary::Max, Binary::PRelu]);
            (Op::Binary(op), Operands::Broadcast(vec![x[x.len() - 1]]))
        }
        4 => single(slice(random, axis, x[axis])),
        5 => {
            let (count, size) = (random.within(1, 3), x[axis]);
            (Op::Gather { axis: axis as i64 }, Operands::Places { shape: vec![count], size, batch: false })
        }
        6 => {
            let mut shape = x.to_vec();
            shape[axis] = random.within(1, 4);
            (Op::GatherElements { axis: axis as i64 }, Operands::Places { shape, size: x[axis], batch: true })
        }
        7 => single(repetition(random, axis, x)),
        8 => {
            let order = random.pick(&[DepthOrder::DepthLast, DepthOrder::DepthFirst]);
            let op = DepthSpace { block: random.within(1, 2), order };
            single(random.pick(&[Op::DepthToSpace(op), Op::SpaceToDepth(op)]))
        }
        9 => {
            let kind = random.pick(&[ReduceKind::Max, ReduceKind::Min, ReduceKind::Prod]);
            single(Op::Reduce(Reduce { kind, axes: vec![axis as i64], keepdims: true }))
        }
        10 => {
            let k = random.within(1, x[axis]);
            single(Op::TopK(TopK { k, axis: axis as i64, largest: random.one_in(2) }))
        }
        _ => single(Op::Cast(DataType::F32)),
    };
    Step { name: String::new(), op, sources: vec![source], operands }
}

/// Functions that take every number and return none that is much larger.
fn unary(random: &mut Random) -> Unary {
    random.pick(&[
        Unary::Elu { alpha: 0.5 },
        Unary::Selu { alpha: 1.5, gamma: 1.25 },
        Unary::Softplus,
        Unary::Softsign,
        Unary::Gelu { tanh: false },
        Unary::Gelu { tanh: true },
        Unary::Mish,
        Unary::Erf,
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
    ])
}

fn slice(random: &mut Random, axis: usize, size: usize) -> Op {
    let (start, end) = (random.below(size) as i64, random.within(1, size) as i64);
    let step = random.pick(&[1, 1, 2, -1]);
    let [start, end] = if step > 0 { [start, end] } else { [end, start - 1] };
    let end = if end < 0 { i64::MIN } else { end };
    Op::Slice(Slice { starts: vec![start], ends: vec![end], axes: vec![axis as i64], steps: vec![step] })
}

fn repetition(random: &mut Random, axis: usize, x: &[usize]) -> Op {
    let times = random.within(1, 3);
    if x[axis] == 1 {
        let mut shape = vec![1; x.len()];
        shape[axis] = times as i64;
        return Op::Expand(Expand { shape });
    }
    let mut repeats = vec![1; x.len()];
    repeats[axis] = times;
    Op::Tile(Tile { repeats })
}
