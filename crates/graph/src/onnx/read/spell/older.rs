//! Forms that older opsets had.

use super::{Source, Spelling, target};
use crate::{
    Op,
    infer::normalize_axis,
    onnx::error::Refusal,
    op::{Binary, Flatten, Reshape, Unsqueeze},
};

/// Until opset 12 the axes from `axis` (default 1) on were one.
pub(super) fn softmax(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let shape = spelling.shape(x).to_vec();
    let axis = normalize_axis(source.int("axis")?.unwrap_or(1), shape.len()).map_err(Refusal::Invalid)?;
    let softmax = |axis| match spelling.node.op_type.as_str() {
        "Softmax" => Op::Softmax { axis },
        _ => Op::LogSoftmax { axis },
    };
    if shape[axis + 1..].iter().all(|dim| dim.fixed() == Some(1)) {
        let op = softmax(axis as i64);
        return spelling.output(0, op, &[x]).map(drop);
    }
    let op = softmax(-1);
    let flat = spelling.part("flat", Op::Flatten(Flatten { axis: axis as i64 }), &[x])?;
    let flat = spelling.part("of rows", op, &[flat])?;
    let reshape = Reshape { shape: target(&shape)?, allow_zero: false };
    spelling.output(0, Op::Reshape(reshape), &[flat]).map(drop)
}

/// Until opset 6 the second operand stood along the axes from `axis` on.
pub(super) fn broadcast(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    source.skip("consumed_inputs");
    let (a, mut b) = (spelling.input(0)?, spelling.input(1)?);
    let axis = source.int("axis")?;
    if let (true, Some(axis)) = (source.flag("broadcast", false)?, axis) {
        let axis = normalize_axis(axis, spelling.rank(a)).map_err(Refusal::Invalid)?;
        let (first, rank) = ((axis + spelling.rank(b)) as i64, spelling.rank(a) as i64);
        if first < rank {
            let behind = (spelling.rank(b) as i64..spelling.rank(b) as i64 + rank - first).collect();
            b = spelling.part("aligned", Op::Unsqueeze(Unsqueeze { axes: behind }), &[b])?;
        }
    }
    let op = crate::onnx::operators::binary(&spelling.node.op_type);
    let op = op.ok_or_else(|| Refusal::Invalid("it is no function of two numbers".into()))?;
    spelling.output(0, Op::Binary(op), &[a, b]).map(drop)
}

/// Until opset 6 a slope with one axis was one of channels.
pub(super) fn prelu(spelling: &mut Spelling, _: &mut Source) -> Result<(), Refusal> {
    let (x, mut slope) = (spelling.input(0)?, spelling.input(1)?);
    let channels = spelling.shape(x).get(1).cloned();
    if spelling.rank(slope) == 1
        && channels.is_some_and(|channels| channels.may_equal(&spelling.shape(slope)[0]))
    {
        slope = spelling.per_channel("slope", slope, spelling.rank(x))?;
    }
    spelling.output(0, Op::Binary(Binary::PRelu), &[x, slope]).map(drop)
}
