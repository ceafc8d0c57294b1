//! Operators, writing and reading side by side.
//!
//! An operator enters in four places: [`write`], [`read`], the file of its family, and [`attribute_inputs`] if ONNX
//! hands it attributes as inputs.

mod norm;
mod resize;
mod shaping;
mod source;
mod window;
mod written;

pub(super) use shaping::read_constant;
pub(super) use source::Source;
pub(super) use written::Written;

use super::error::{Refusal, unsupported};
use crate::{
    Tensor,
    op::{Activation, Binary, Gemm, Op, ReduceKind},
};
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
        Op::GlobalAveragePool | Op::GlobalMaxPool | Op::MatMul | Op::Binary(_) | Op::Identity => {
            Written::new()
        }
        Op::Activation(activation) => write_activation(*activation),
        Op::Softmax { axis } | Op::LogSoftmax { axis } => Written::new().int("axis", *axis),
        Op::Dropout(dropout) => norm::write_dropout(dropout),
        Op::Concat(concat) => Written::new().int("axis", concat.axis),
        Op::Flatten(flatten) => Written::new().int("axis", flatten.axis),
        Op::Reshape(reshape) => shaping::write_reshape(reshape),
        Op::Transpose(transpose) => Written::new().extents("perm", &transpose.perm),
        Op::Squeeze(squeeze) => shaping::write_squeeze(squeeze),
        Op::Unsqueeze(unsqueeze) => shaping::write_unsqueeze(unsqueeze),
        Op::Constant(tensor) => Written::new().tensor("value", tensor),
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
        "Add" => Op::Binary(Binary::Add),
        "Sub" => Op::Binary(Binary::Sub),
        "Mul" => Op::Binary(Binary::Mul),
        "Div" => Op::Binary(Binary::Div),
        "Softmax" => Op::Softmax { axis: source.int("axis")?.unwrap_or(-1) },
        "LogSoftmax" => Op::LogSoftmax { axis: source.int("axis")?.unwrap_or(-1) },
        "Dropout" => Op::Dropout(norm::read_dropout(source)?),
        "Concat" => Op::Concat(shaping::read_concat(source)?),
        "Flatten" => Op::Flatten(shaping::read_flatten(source)?),
        "Reshape" => Op::Reshape(shaping::read_reshape(source)?),
        "Transpose" => Op::Transpose(shaping::read_transpose(source)?),
        "Squeeze" => Op::Squeeze(shaping::read_squeeze(source)?),
        "Unsqueeze" => Op::Unsqueeze(shaping::read_unsqueeze(source)?),
        "Identity" => Op::Identity,
        "Constant" => Op::Constant(read_constant(source)?),
        "ReduceMean" => Op::Reduce(shaping::read_reduce(source, ReduceKind::Mean)?),
        "ReduceSum" => Op::Reduce(shaping::read_reduce(source, ReduceKind::Sum)?),
        "Resize" => Op::Resize(resize::read(source)?),
        "SoftmaxCrossEntropyLoss" => Op::SoftmaxCrossEntropyLoss(norm::read_loss(source)?),
        "If" | "Loop" | "Scan" => return unsupported("control flow is not handled"),
        _ => Op::Activation(read_activation(op_type, source)?),
    };
    source.finish()?;
    Ok(op)
}

/// Which of ONNX's inputs are attributes here.
pub(super) fn attribute_inputs(op_type: &str, opset: i64) -> Range<usize> {
    match op_type {
        "ReduceMean" if opset < 18 => 1..1,
        "ReduceMean" | "ReduceSum" | "Reshape" | "Squeeze" | "Unsqueeze" => 1..2,
        "Clip" | "Dropout" => 1..3,
        "Pad" | "Resize" => 1..4,
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
    Ok(Gemm {
        alpha: source.float("alpha", 1.0)?,
        beta: source.float("beta", 1.0)?,
        trans_a: source.flag("transA", false)?,
        trans_b: source.flag("transB", false)?,
    })
}

fn write_activation(activation: Activation) -> Written {
    match activation {
        Activation::LeakyRelu { alpha } => Written::new().float("alpha", alpha),
        Activation::HardSigmoid { alpha, beta } => Written::new().float("alpha", alpha).float("beta", beta),
        Activation::Clip { min, max } => write_clip(min, max),
        Activation::Relu | Activation::Sigmoid | Activation::Tanh | Activation::HardSwish => Written::new(),
    }
}

/// A bound at infinity is left out.
fn write_clip(min: f32, max: f32) -> Written {
    let bound = |value: f32, absent: f32| (value != absent).then(|| Tensor::scalar(value));
    let written = Written::new();
    match (bound(min, f32::NEG_INFINITY), bound(max, f32::INFINITY)) {
        (None, None) => written,
        (min, None) => written.constant("min", min),
        (min, max) => written.constant("min", min).constant("max", max),
    }
}

fn read_activation(op_type: &str, source: &mut Source) -> Result<Activation, Refusal> {
    Ok(match op_type {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu { alpha: source.float("alpha", 0.01)? },
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "HardSigmoid" => {
            Activation::HardSigmoid { alpha: source.float("alpha", 0.2)?, beta: source.float("beta", 0.5)? }
        }
        "HardSwish" if source.opset >= 14 => Activation::HardSwish,
        "Clip" => Activation::Clip {
            min: source.constant_float(1, "min")?.unwrap_or(f32::NEG_INFINITY),
            max: source.constant_float(2, "max")?.unwrap_or(f32::INFINITY),
        },
        _ => return unsupported("this operator is not handled"),
    })
}
