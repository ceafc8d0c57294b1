use super::{Source, Written, source::open_extent};
use crate::{
    Dim, Tensor,
    onnx::{
        error::{Refusal, invalid, unsupported},
        read::Entry,
        tensor,
    },
    op::{Concat, Flatten, Op, Pad, PadMode, Reduce, ReduceKind, Reshape, Squeeze, Transpose, Unsqueeze},
};

pub(super) fn write_pad(pad: &Pad) -> Written {
    let (mode, value) = match pad.mode {
        PadMode::Constant(value) => ("constant", Some(value)),
        PadMode::Reflect => ("reflect", None),
        PadMode::Edge => ("edge", None),
        PadMode::Wrap => ("wrap", None),
    };
    let written = Written::new().string("mode", mode).constant_ints("pads", &pad.pads);
    match value {
        Some(value) => written.constant("constant_value", Some(Tensor::scalar(value))),
        None => written,
    }
}

pub(super) fn read_pad(source: &mut Source) -> Result<Pad, Refusal> {
    let older = source.opset < 11;
    let mode = match source.string("mode")?.as_deref() {
        None | Some("constant") if older => PadMode::Constant(source.float("value", 0.0)?),
        None | Some("constant") => {
            PadMode::Constant(source.constant_number(2, "constant_value")?.unwrap_or_default())
        }
        Some("reflect") => PadMode::Reflect,
        Some("edge") => PadMode::Edge,
        Some("wrap") if source.opset >= 19 => PadMode::Wrap,
        Some(mode) => return unsupported(format!("attribute `mode` is `{mode}`")),
    };
    source.skip("value");
    let pads = if older { source.ints("pads")? } else { source.constant_ints(1, "pads")? };
    let Some(pads) = pads else { return invalid("its `pads` are missing") };
    match source.constant_ints(3, "axes")? {
        None => Ok(Pad { mode, pads }),
        Some(axes) => Ok(Pad { mode, pads: spread_pads(&pads, &axes, source.rank()?)? }),
    }
}

/// Pads of some axes as pads of all.
fn spread_pads(pads: &[i64], axes: &[i64], rank: usize) -> Result<Vec<i64>, Refusal> {
    if pads.len() != 2 * axes.len() {
        return invalid(format!("{} `pads` do not fit {} `axes`", pads.len(), axes.len()));
    }
    let mut spread = vec![0; 2 * rank];
    for (index, &axis) in axes.iter().enumerate() {
        let axis = crate::infer::normalize_axis(axis, rank).map_err(Refusal::Invalid)?;
        spread[axis] = pads[index];
        spread[axis + rank] = pads[index + axes.len()];
    }
    Ok(spread)
}

pub(super) fn read_concat(source: &mut Source) -> Result<Concat, Refusal> {
    let axis = source.int("axis")?;
    axis.map(|axis| Concat { axis }).ok_or_else(|| Refusal::Invalid("attribute `axis` is missing".into()))
}

pub(super) fn read_flatten(source: &mut Source) -> Result<Flatten, Refusal> {
    Ok(Flatten { axis: source.int("axis")?.unwrap_or(1) })
}

pub(super) fn write_reshape(reshape: &Reshape) -> Written {
    Written::new().flag("allowzero", reshape.allow_zero).constant_ints("shape", &reshape.shape)
}

/// Extents that are known only when the network runs have to be the input's own, or alone.
pub(super) fn read_reshape(source: &mut Source) -> Result<Reshape, Refusal> {
    let allow_zero = source.flag("allowzero", false)?;
    let Some(entries) = source.entries(1, "shape")? else { return invalid("its input `shape` is missing") };
    let mut inferred = entries.contains(&Entry::Number(-1));
    let mut shape = Vec::with_capacity(entries.len());
    for (axis, entry) in entries.iter().enumerate() {
        let own = |dim: &Dim| source.shape.and_then(|shape| shape.get(axis)) == Some(dim);
        shape.push(match entry {
            Entry::Number(size) => *size,
            Entry::Extent(dim) if own(dim) && !allow_zero => 0,
            Entry::Extent(_) if !inferred => {
                inferred = true;
                -1
            }
            Entry::Extent(dim) => return Err(open_extent("shape", dim)),
        });
    }
    Ok(Reshape { shape, allow_zero })
}

pub(super) fn read_transpose(source: &mut Source) -> Result<Transpose, Refusal> {
    let perm = match source.extents("perm")? {
        Some(perm) => perm,
        None => (0..source.rank()?).rev().collect(),
    };
    Ok(Transpose { perm })
}

/// An empty list means all axes, which ONNX says by leaving it out.
fn write_axes(written: Written, axes: &[i64]) -> Written {
    if axes.is_empty() { written } else { written.constant_ints("axes", axes) }
}

pub(super) fn write_squeeze(squeeze: &Squeeze) -> Written {
    write_axes(Written::new(), &squeeze.axes)
}

pub(super) fn read_squeeze(source: &mut Source) -> Result<Squeeze, Refusal> {
    Ok(Squeeze { axes: source.axes(13)?.unwrap_or_default() })
}

pub(super) fn write_unsqueeze(unsqueeze: &Unsqueeze) -> Written {
    Written::new().constant_ints("axes", &unsqueeze.axes)
}

pub(super) fn read_unsqueeze(source: &mut Source) -> Result<Unsqueeze, Refusal> {
    match source.axes(13)? {
        Some(axes) => Ok(Unsqueeze { axes }),
        None => invalid("its `axes` are missing"),
    }
}

pub(super) fn write_reduce(reduce: &Reduce) -> Written {
    write_axes(Written::new().flag("keepdims", reduce.keepdims), &reduce.axes)
}

/// Axes are an attribute until opset 17 (of `ReduceSum` 12), an input since; none, or an empty list, mean all of them, or
/// with `noop_with_empty_axes` that nothing is reduced.
pub(in crate::onnx) fn read_reduce(source: &mut Source, kind: ReduceKind) -> Result<Op, Refusal> {
    let axes = source.axes(if kind == ReduceKind::Sum { 13 } else { 18 })?.unwrap_or_default();
    let (noop, keepdims) = (source.flag("noop_with_empty_axes", false)?, source.flag("keepdims", true)?);
    Ok(if noop && axes.is_empty() { Op::Identity } else { Op::Reduce(Reduce { kind, axes, keepdims }) })
}

/// `Constant`'s value under any of the attributes that hold numbers.
pub(in crate::onnx) fn read_constant(source: &mut Source) -> Result<Tensor, Refusal> {
    if let Some(value) = source.tensor("value")? {
        return tensor::read(value);
    }
    let (int, ints) = (source.int("value_int")?, source.all_ints("value_ints")?);
    let float = source.attributes.iter().any(|attribute| attribute.name == "value_float");
    let (shape, value) = match (int, ints) {
        (Some(value), _) => return scalar_or_list(Tensor::i64(&[], vec![value])),
        (None, Some(values)) => return scalar_or_list(Tensor::i64(&[values.len()], values)),
        (None, None) if float => (vec![], vec![source.float("value_float", 0.0)?]),
        (None, None) => match source.all_floats("value_floats")? {
            Some(values) => (vec![values.len()], values),
            None => return unsupported("it holds no tensor, integers or floats"),
        },
    };
    scalar_or_list(Tensor::f32(&shape, value))
}

fn scalar_or_list(tensor: Option<Tensor>) -> Result<Tensor, Refusal> {
    tensor.ok_or_else(|| Refusal::Invalid("its value has no shape".into()))
}
