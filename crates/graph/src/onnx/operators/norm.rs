use super::{Source, Written};
use crate::{
    Tensor,
    onnx::error::{Refusal, invalid, unsupported},
    op::{BatchNormalization, Dropout, Lrn, Reduction, SoftmaxCrossEntropyLoss, Target},
};

/// Frozen or not travels in the model's metadata.
pub(super) fn write_batch_norm(norm: &BatchNormalization) -> Written {
    Written::new().float("epsilon", norm.epsilon).float("momentum", norm.momentum)
}

pub(super) fn read_batch_norm(source: &mut Source) -> Result<BatchNormalization, Refusal> {
    source.refuse_flag("training_mode")?;
    source.skip("is_test");
    if source.int("spatial")?.is_some_and(|spatial| spatial != 1) {
        return unsupported(
            "attribute `spatial` is 0: statistics per element; only those per channel are handled",
        );
    }
    let default = BatchNormalization::default();
    Ok(BatchNormalization {
        epsilon: source.float("epsilon", default.epsilon)?,
        momentum: source.float("momentum", default.momentum)?,
        frozen: false,
    })
}

pub(super) fn write_lrn(lrn: &Lrn) -> Written {
    Written::new()
        .int("size", lrn.size as i64)
        .float("alpha", lrn.alpha)
        .float("beta", lrn.beta)
        .float("bias", lrn.bias)
}

pub(super) fn read_lrn(source: &mut Source) -> Result<Lrn, Refusal> {
    let Some(size) = source.extent("size")? else { return invalid("attribute `size` is missing") };
    Ok(Lrn {
        size,
        alpha: source.float("alpha", 1e-4)?,
        beta: source.float("beta", 0.75)?,
        bias: source.float("bias", 1.0)?,
    })
}

pub(super) fn write_dropout(dropout: &Dropout) -> Written {
    Written::new().constant("ratio", Some(Tensor::scalar(dropout.ratio)))
}

pub(in crate::onnx) fn read_dropout(source: &mut Source) -> Result<Dropout, Refusal> {
    // Randomness is handed in when training, never kept in a file.
    source.skip("seed");
    source.skip("is_test");
    if source.opset < 12 {
        return Ok(Dropout { ratio: source.float("ratio", 0.5)? });
    }
    if source.constant_ints(2, "training_mode")?.is_some_and(|mode| mode != [0]) {
        return unsupported("its input `training_mode` is true; a file holds the network as it predicts");
    }
    Ok(Dropout { ratio: source.constant_number(1, "ratio")?.unwrap_or(0.5) })
}

pub(super) fn write_loss(loss: &SoftmaxCrossEntropyLoss) -> Result<Written, Refusal> {
    if loss.label_smoothing != 0.0 {
        return unsupported(format!(
            "label_smoothing {} has no place in ONNX; write the network without its loss",
            loss.label_smoothing
        ));
    }
    if loss.target == Target::Probabilities {
        return unsupported(
            "targets that are probabilities have no place in ONNX; write the network without its loss",
        );
    }
    let reduction = match loss.reduction {
        Reduction::Mean => "mean",
        Reduction::Sum => "sum",
        Reduction::None => "none",
    };
    let written = Written::new().string("reduction", reduction);
    Ok(match loss.ignore_index {
        Some(class) => written.int("ignore_index", class),
        None => written,
    })
}

pub(in crate::onnx) fn read_loss(source: &mut Source) -> Result<SoftmaxCrossEntropyLoss, Refusal> {
    let reduction = match source.string("reduction")?.as_deref() {
        None | Some("mean") => Reduction::Mean,
        Some("sum") => Reduction::Sum,
        Some("none") => Reduction::None,
        Some(other) => {
            return invalid(format!("attribute `reduction` is `{other}`, which ONNX does not know"));
        }
    };
    let ignore_index = source.int("ignore_index")?;
    Ok(SoftmaxCrossEntropyLoss { reduction, ignore_index, ..Default::default() })
}
