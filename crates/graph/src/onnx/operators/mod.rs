//! Operators, writing and reading side by side.
//!
//! An operator enters in four places: [`write`], [`read`], the file of its family, and [`attribute_inputs`] if ONNX
//! hands it attributes as inputs.

mod activation;
mod moving;
mod norm;
mod resize;
mod shaping;
mod source;
mod window;
mod written;

pub(super) use moving::{read_cast, read_slice};
pub(super) use norm::{read_dropout, read_loss};
pub(super) use shaping::{read_constant, read_reduce};
pub(super) use source::Source;
pub(super) use window::read_window;
pub(super) use written::Written;

use super::error::{Refusal, unsupported};
use crate::op::{Binary, Gemm, Op, ReduceKind};
use std::ops::Range;

/// The attributes and attribute inputs of an operator.
pub(super) fn write(op: &Op) -> Result<Written, Refusal> {
    Ok(match op {
        Op::Conv(conv) => window::write_conv(conv),
        Op::ConvTranspose(conv) => window::write_conv_transpose(conv),
        Op::Pad(pad) => shaping::write_pad(pad),
        Op::MaxPool(pool) => window::write_max_pool(pool),
        Op::AveragePool(pool) => window::write_average_pool(pool),
        Op::BatchNormalization(norm) => norm::write_batch_norm(norm),
        Op::Lrn(lrn) => norm::write_lrn(lrn),
        Op::Gemm(gemm) => write_gemm(*gemm),
        Op::GlobalAveragePool | Op::GlobalMaxPool | Op::MatMul | Op::Binary(_) | Op::Where | Op::Identity => {
            Written::new()
        }
        Op::Activation(activation) => activation::write(*activation),
        Op::Unary(unary) => activation::write_unary(*unary),
        Op::Cast(dtype) => moving::write_cast(*dtype),
        Op::Softmax { axis } | Op::LogSoftmax { axis } => Written::new().int("axis", *axis),
        Op::Dropout(dropout) => norm::write_dropout(dropout),
        Op::Concat(concat) => Written::new().int("axis", concat.axis),
        Op::Flatten(flatten) => Written::new().int("axis", flatten.axis),
        Op::Reshape(reshape) => shaping::write_reshape(reshape),
        Op::Transpose(transpose) => Written::new().extents("perm", &transpose.perm),
        Op::Squeeze(squeeze) => shaping::write_squeeze(squeeze),
        Op::Unsqueeze(unsqueeze) => shaping::write_unsqueeze(unsqueeze),
        Op::Constant(tensor) => Written::new().tensor("value", tensor),
        Op::Slice(slice) => moving::write_slice(slice),
        Op::Gather { axis } | Op::GatherElements { axis } => Written::new().int("axis", *axis),
        Op::Expand(expand) => moving::write_expand(expand),
        Op::Tile(tile) => moving::write_tile(tile),
        Op::DepthToSpace(op) => moving::write_depth_space(*op, true)?,
        Op::SpaceToDepth(op) => moving::write_depth_space(*op, false)?,
        Op::ArgExtreme(arg) => moving::write_arg_extreme(*arg),
        Op::TopK(top) => moving::write_top_k(*top),
        Op::Reduce(reduce) => shaping::write_reduce(reduce),
        Op::Resize(resize) => resize::write(resize),
        Op::SoftmaxCrossEntropyLoss(loss) => norm::write_loss(loss)?,
        Op::Internal(_) => {
            return unsupported("it exists only inside training programs; write the graph it was made from");
        }
    })
}

/// The operator of a file's node. `weight` is the shape of its second input, if that is known.
pub(super) fn read(op_type: &str, source: &mut Source, weight: Option<&[usize]>) -> Result<Op, Refusal> {
    let kernel = || weight.and_then(|sizes| Some(sizes.get(2..)?.to_vec()));
    let op = match op_type {
        "Conv" => Op::Conv(window::read_conv(source, kernel())?),
        "ConvTranspose" => Op::ConvTranspose(window::read_conv_transpose(source, kernel())?),
        "Pad" => Op::Pad(shaping::read_pad(source)?),
        "MaxPool" => Op::MaxPool(window::read_max_pool(source)?),
        "AveragePool" => Op::AveragePool(window::read_average_pool(source)?),
        "GlobalAveragePool" => flat(source, Op::GlobalAveragePool)?,
        "GlobalMaxPool" => flat(source, Op::GlobalMaxPool)?,
        "BatchNormalization" => Op::BatchNormalization(norm::read_batch_norm(source)?),
        "LRN" => Op::Lrn(norm::read_lrn(source)?),
        "Gemm" => Op::Gemm(read_gemm(source)?),
        "MatMul" => Op::MatMul,
        "Where" => Op::Where,
        "Cast" => Op::Cast(read_cast(source)?),
        "Softmax" => Op::Softmax { axis: source.int("axis")?.unwrap_or(-1) },
        "LogSoftmax" => Op::LogSoftmax { axis: source.int("axis")?.unwrap_or(-1) },
        "Dropout" => Op::Dropout(read_dropout(source)?),
        "Concat" => Op::Concat(shaping::read_concat(source)?),
        "Flatten" => Op::Flatten(shaping::read_flatten(source)?),
        "Reshape" => Op::Reshape(shaping::read_reshape(source)?),
        "Transpose" => Op::Transpose(shaping::read_transpose(source)?),
        "Squeeze" => Op::Squeeze(shaping::read_squeeze(source)?),
        "Unsqueeze" => Op::Unsqueeze(shaping::read_unsqueeze(source)?),
        "Identity" => Op::Identity,
        "Constant" => Op::Constant(read_constant(source)?),
        "Slice" => Op::Slice(read_slice(source)?),
        "Gather" => Op::Gather { axis: source.int("axis")?.unwrap_or(0) },
        "GatherElements" => Op::GatherElements { axis: source.int("axis")?.unwrap_or(0) },
        "Expand" => Op::Expand(moving::read_expand(source)?),
        "Tile" => Op::Tile(moving::read_tile(source)?),
        "DepthToSpace" => Op::DepthToSpace(moving::read_depth_space(source)?),
        "SpaceToDepth" => Op::SpaceToDepth(moving::read_depth_space(source)?),
        "ArgMax" => Op::ArgExtreme(moving::read_arg_extreme(source, true)?),
        "ArgMin" => Op::ArgExtreme(moving::read_arg_extreme(source, false)?),
        "TopK" => Op::TopK(moving::read_top_k(source)?),
        "ReduceMean" => read_reduce(source, ReduceKind::Mean)?,
        "ReduceSum" => read_reduce(source, ReduceKind::Sum)?,
        "ReduceMax" => read_reduce(source, ReduceKind::Max)?,
        "ReduceMin" => read_reduce(source, ReduceKind::Min)?,
        "ReduceProd" => read_reduce(source, ReduceKind::Prod)?,
        "Resize" => Op::Resize(resize::read(source)?),
        "Upsample" => Op::Resize(resize::read_upsample(source)?),
        "SoftmaxCrossEntropyLoss" => Op::SoftmaxCrossEntropyLoss(read_loss(source)?),
        _ => match binary(op_type) {
            Some(binary) => Op::Binary(binary),
            None => activation::read(op_type, source)?,
        },
    };
    source.finish()?;
    Ok(op)
}

/// Functions of two numbers.
const BINARIES: [Binary; 16] = [
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Pow,
    Binary::Min,
    Binary::Max,
    Binary::PRelu,
    Binary::Equal,
    Binary::Greater,
    Binary::Less,
    Binary::GreaterOrEqual,
    Binary::LessOrEqual,
    Binary::And,
    Binary::Or,
    Binary::Xor,
];

/// Every operator that is read, some of them spelled by others.
const KNOWN: [&str; 104] = [
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "LpPool",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "MeanVarianceNormalization",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "NegativeLogLikelihoodLoss",
    "Not",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Size",
    "Slice",
    "Softmax",
    "SoftmaxCrossEntropyLoss",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Upsample",
    "Where",
    "Xor",
];

/// Refuses an operator that is not read.
pub(super) fn check_known(op_type: &str) -> Result<(), Refusal> {
    match op_type {
        "If" | "Loop" | "Scan" => unsupported("control flow is not handled"),
        _ if KNOWN.contains(&op_type) => Ok(()),
        _ => unsupported("this operator is not handled"),
    }
}

/// The function of two numbers of this name.
pub(super) fn binary(op_type: &str) -> Option<Binary> {
    BINARIES.into_iter().find(|binary| binary.name() == op_type)
}

/// Which of ONNX's inputs are attributes here. In older opsets most of them were attributes there as well.
pub(super) fn attribute_inputs(op_type: &str, opset: i64) -> Range<usize> {
    let since =
        |first: i64, inputs: Range<usize>| if opset < first { inputs.start..inputs.start } else { inputs };
    match op_type {
        "Reshape" | "Expand" | "Tile" => 1..2,
        "ReduceSum" | "Squeeze" | "Unsqueeze" | "Split" => since(13, 1..2),
        _ if op_type.starts_with("Reduce") => since(18, 1..2),
        "Clip" => since(11, 1..3),
        "Dropout" => since(12, 1..3),
        "Pad" => since(11, 1..4),
        "Slice" => since(10, 1..5),
        "TopK" => since(10, 1..2),
        "Upsample" => since(9, 1..2),
        "Resize" if opset == 10 => 1..2,
        "Resize" => 1..4,
        "ConstantOfShape" => 0..1,
        "Range" => 0..3,
        _ => usize::MAX..usize::MAX,
    }
}

/// Refuses three spatial axes and more.
fn flat(source: &Source, op: Op) -> Result<Op, Refusal> {
    match source.rank()? {
        0..=4 => Ok(op),
        rank => unsupported(format!("{} spatial axes; one and two are handled", rank - 2)),
    }
}

fn write_gemm(gemm: Gemm) -> Written {
    Written::new()
        .float("alpha", gemm.alpha)
        .float("beta", gemm.beta)
        .flag("transA", gemm.trans_a)
        .flag("transB", gemm.trans_b)
}

fn read_gemm(source: &mut Source) -> Result<Gemm, Refusal> {
    // Until opset 6 a flag said that C may be repeated.
    source.skip("broadcast");
    Ok(Gemm {
        alpha: source.float("alpha", 1.0)?,
        beta: source.float("beta", 1.0)?,
        trans_a: source.flag("transA", false)?,
        trans_b: source.flag("transB", false)?,
    })
}
