//! Functions applied to every element.

use super::{Source, Written};
use crate::{
    Tensor,
    onnx::error::{Refusal, invalid, unsupported},
    op::{Activation, Op, Unary},
};

pub(super) fn write(activation: Activation) -> Written {
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

pub(super) fn write_unary(unary: Unary) -> Written {
    match unary {
        Unary::Elu { alpha } => Written::new().float("alpha", alpha),
        Unary::Selu { alpha, gamma } => Written::new().float("alpha", alpha).float("gamma", gamma),
        Unary::Gelu { tanh } => Written::new().string("approximate", if tanh { "tanh" } else { "none" }),
        _ => Written::new(),
    }
}

/// The function called `op_type`, if there is one.
pub(super) fn read(op_type: &str, source: &mut Source) -> Result<Op, Refusal> {
    if let Some(unary) = read_unary(op_type, source)? {
        return Ok(Op::Unary(unary));
    }
    Ok(Op::Activation(match op_type {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu { alpha: source.float("alpha", 0.01)? },
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "HardSigmoid" => {
            Activation::HardSigmoid { alpha: source.float("alpha", 0.2)?, beta: source.float("beta", 0.5)? }
        }
        "HardSwish" if source.opset >= 14 => Activation::HardSwish,
        "Clip" => read_clip(source)?,
        _ => return unsupported("this operator is not handled"),
    }))
}

/// Attributes until opset 10, inputs since.
fn read_clip(source: &mut Source) -> Result<Activation, Refusal> {
    let (lowest, highest) = (f32::NEG_INFINITY, f32::INFINITY);
    let [min, max] = if source.opset < 11 {
        [source.float("min", lowest)?, source.float("max", highest)?]
    } else {
        let [min, max] = [source.constant_number(1, "min")?, source.constant_number(2, "max")?];
        [min.unwrap_or(lowest), max.unwrap_or(highest)]
    };
    Ok(Activation::Clip { min, max })
}

fn read_unary(op_type: &str, source: &mut Source) -> Result<Option<Unary>, Refusal> {
    Ok(Some(match op_type {
        "Elu" => Unary::Elu { alpha: source.float("alpha", 1.0)? },
        "Selu" => Unary::Selu {
            alpha: source.float("alpha", 1.673_263_2)?,
            gamma: source.float("gamma", 1.050_701)?,
        },
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Gelu" => Unary::Gelu { tanh: reads_tanh(source)? },
        "Mish" => Unary::Mish,
        "Erf" => Unary::Erf,
        "Sqrt" => Unary::Sqrt,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Reciprocal" => Unary::Reciprocal,
        "Sign" => Unary::Sign,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        "Not" => Unary::Not,
        _ => return Ok(None),
    }))
}

fn reads_tanh(source: &mut Source) -> Result<bool, Refusal> {
    match source.string("approximate")?.as_deref() {
        None | Some("none") => Ok(false),
        Some("tanh") => Ok(true),
        Some(other) => invalid(format!("attribute `approximate` is `{other}`, neither none nor tanh")),
    }
}
