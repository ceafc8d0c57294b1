//! Norms over windows and axes.

use super::{Source, Spelling};
use crate::{
    Op, ValueId,
    onnx::{
        error::{Refusal, invalid, unsupported},
        operators,
    },
    op::{AveragePool, Binary, Reduce, ReduceKind, Squeeze, Unary},
};

/// The p of a norm, default 2.
fn power(source: &mut Source) -> Result<f32, Refusal> {
    match source.int("p")?.unwrap_or(2) {
        p @ 1.. => Ok(p as f32),
        p => invalid(format!("attribute `p` is {p}; the norm of at least 1 is wanted")),
    }
}

/// |x|ᵖ
fn powers(spelling: &mut Spelling, x: ValueId, p: f32) -> Result<ValueId, Refusal> {
    if p == 2.0 {
        return spelling.binary("square", Binary::Mul, x, x);
    }
    let magnitude = spelling.unary("abs", Unary::Abs, x)?;
    let exponent = spelling.number("p", p)?;
    spelling.binary("power", Binary::Pow, magnitude, exponent)
}

/// The p-th root, as the node's output.
fn root(spelling: &mut Spelling, sum: ValueId, p: f32) -> Result<(), Refusal> {
    if p == 2.0 {
        return spelling.output(0, Op::Unary(Unary::Sqrt), &[sum]).map(drop);
    }
    let exponent = spelling.number("1/p", 1.0 / p)?;
    spelling.output(0, Op::Binary(Binary::Pow), &[sum, exponent]).map(drop)
}

/// The p-norm over windows: the mean that counts the padding, times the number of taps, is their sum.
pub(super) fn lp_pool(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let p = power(source)?;
    if source.flag("ceil_mode", false)? {
        return unsupported(
            "attribute `ceil_mode` is 1: a window that reaches beyond the padding has no norm here",
        );
    }
    let window = operators::read_window(source, None)?;
    let taps: f32 = window.kernel_shape.iter().map(|&extent| extent as f32).product();
    let powers = powers(spelling, x, p)?;
    let pool = AveragePool { window, ceil_mode: false, count_include_pad: true };
    let mean = spelling.part("mean", Op::AveragePool(pool), &[powers])?;
    let taps = spelling.number("taps", taps)?;
    let sum = spelling.binary("sum", Binary::Mul, mean, taps)?;
    root(spelling, sum, p)
}

pub(super) fn global_lp_pool(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let p = power(source)?;
    let powers = powers(spelling, x, p)?;
    let axes: Vec<i64> = (2..spelling.rank(x) as i64).collect();
    let sum = spelling.reduce("sum", ReduceKind::Sum, &axes, powers)?;
    root(spelling, sum, p)
}

/// `ReduceL1`, `ReduceL2`, `ReduceSumSquare`, `ReduceLogSum` and `ReduceLogSumExp`.
pub(super) fn norm(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let sum = match operators::read_reduce(source, ReduceKind::Mean)? {
        Op::Reduce(reduce) => Op::Reduce(Reduce { kind: ReduceKind::Sum, ..reduce }),
        nothing => nothing,
    };
    let square = |spelling: &mut Spelling| spelling.binary("square", Binary::Mul, x, x);
    match spelling.node.op_type.as_str() {
        "ReduceL1" => {
            let magnitude = spelling.unary("abs", Unary::Abs, x)?;
            spelling.output(0, sum, &[magnitude]).map(drop)
        }
        "ReduceSumSquare" => {
            let square = square(spelling)?;
            spelling.output(0, sum, &[square]).map(drop)
        }
        "ReduceL2" => {
            let square = square(spelling)?;
            let sum = spelling.part("sum", sum, &[square])?;
            spelling.output(0, Op::Unary(Unary::Sqrt), &[sum]).map(drop)
        }
        "ReduceLogSum" => {
            let sum = spelling.part("sum", sum, &[x])?;
            spelling.output(0, Op::Unary(Unary::Log), &[sum]).map(drop)
        }
        _ => match sum {
            Op::Reduce(sum) => log_sum_exp(spelling, x, sum),
            nothing => spelling.output(0, nothing, &[x]).map(drop),
        },
    }
}

/// The largest is taken out first, so that no exponential overflows.
fn log_sum_exp(spelling: &mut Spelling, x: ValueId, sum: Reduce) -> Result<(), Refusal> {
    let largest = spelling.reduce("largest", ReduceKind::Max, &sum.axes, x)?;
    let below = spelling.binary("below", Binary::Sub, x, largest)?;
    let exponentials = spelling.unary("exp", Unary::Exp, below)?;
    let total = spelling.reduce("sum", ReduceKind::Sum, &sum.axes, exponentials)?;
    let logarithm = spelling.unary("log", Unary::Log, total)?;
    if sum.keepdims {
        return spelling.output(0, Op::Binary(Binary::Add), &[logarithm, largest]).map(drop);
    }
    let whole = spelling.binary("whole", Binary::Add, logarithm, largest)?;
    let all = (0..spelling.rank(x) as i64).collect();
    let axes = if sum.axes.is_empty() { all } else { sum.axes };
    spelling.output(0, Op::Squeeze(Squeeze { axes }), &[whole]).map(drop)
}
