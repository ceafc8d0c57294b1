//! Operators that pick, repeat and rearrange elements, and those that change their type.

use super::{Source, Written};
use crate::{
    DataType,
    onnx::{
        error::{Refusal, invalid, unsupported},
        proto::data_type,
        read::Entry,
    },
    op::{ArgExtreme, DepthOrder, DepthSpace, Expand, Slice, Tile, TopK},
};

pub(super) fn write_slice(slice: &Slice) -> Written {
    Written::new()
        .constant_ints("starts", &slice.starts)
        .constant_ints("ends", &slice.ends)
        .constant_ints("axes", &slice.axes)
        .constant_ints("steps", &slice.steps)
}

/// Attributes until opset 9, inputs since.
pub(in crate::onnx) fn read_slice(source: &mut Source) -> Result<Slice, Refusal> {
    let [starts, ends, axes, steps] = if source.opset < 10 {
        [source.ints("starts")?, source.ints("ends")?, source.ints("axes")?, None]
    } else {
        let list = |index, what| source.constant_ints(index, what);
        [list(1, "starts")?, list(2, "ends")?, list(3, "axes")?, list(4, "steps")?]
    };
    let (Some(starts), Some(ends)) = (starts, ends) else { return invalid("`starts` or `ends` are missing") };
    let count = starts.len();
    let axes = axes.unwrap_or((0..count as i64).collect());
    Ok(Slice { starts, ends, axes, steps: steps.unwrap_or(vec![1; count]) })
}

pub(super) fn write_expand(expand: &Expand) -> Written {
    Written::new().constant_ints("shape", &expand.shape)
}

/// An extent that is the input's own, known only when the network runs, is kept.
pub(super) fn read_expand(source: &mut Source) -> Result<Expand, Refusal> {
    let Some(wanted) = source.entries(1, "shape")? else { return invalid("its input `shape` is missing") };
    let input = source.shape.ok_or_else(|| Refusal::Invalid("it has no input".into()))?;
    let extent = |(index, entry): (usize, &Entry)| match entry {
        Entry::Number(size) => Ok(*size),
        Entry::Extent(dim) => {
            let axis = (index + input.rank()).checked_sub(wanted.len());
            let kept = axis.is_some_and(|axis| input[axis] == *dim);
            if kept { Ok(1) } else { Err(super::source::open_extent("shape", dim)) }
        }
    };
    Ok(Expand { shape: wanted.iter().enumerate().map(extent).collect::<Result<_, _>>()? })
}

pub(super) fn write_tile(tile: &Tile) -> Written {
    let repeats: Vec<i64> = tile.repeats.iter().map(|&times| times as i64).collect();
    Written::new().constant_ints("repeats", &repeats)
}

pub(super) fn read_tile(source: &mut Source) -> Result<Tile, Refusal> {
    let Some(repeats) = source.constant_ints(1, "repeats")? else {
        return invalid("its input `repeats` is missing");
    };
    let repeats = repeats.iter().map(|&times| usize::try_from(times)).collect::<Result<_, _>>();
    repeats.map(|repeats| Tile { repeats }).map_err(|_| Refusal::Invalid("`repeats` are negative".into()))
}

pub(super) fn write_depth_space(op: DepthSpace, to_space: bool) -> Result<Written, Refusal> {
    let written = Written::new().int("blocksize", op.block as i64);
    match (to_space, op.order) {
        (true, DepthOrder::DepthLast) => Ok(written.string("mode", "DCR")),
        (true, DepthOrder::DepthFirst) => Ok(written.string("mode", "CRD")),
        (false, DepthOrder::DepthLast) => Ok(written),
        (false, DepthOrder::DepthFirst) => unsupported("ONNX has no SpaceToDepth of this order"),
    }
}

pub(super) fn read_depth_space(source: &mut Source) -> Result<DepthSpace, Refusal> {
    let Some(block) = source.extent("blocksize")? else { return invalid("attribute `blocksize` is missing") };
    let order = match source.string("mode")?.as_deref() {
        None | Some("DCR") => DepthOrder::DepthLast,
        Some("CRD") => DepthOrder::DepthFirst,
        Some(mode) => return invalid(format!("attribute `mode` is `{mode}`, neither DCR nor CRD")),
    };
    Ok(DepthSpace { block, order })
}

pub(super) fn write_arg_extreme(arg: ArgExtreme) -> Written {
    Written::new()
        .int("axis", arg.axis)
        .flag("keepdims", arg.keepdims)
        .flag("select_last_index", arg.select_last)
}

pub(super) fn read_arg_extreme(source: &mut Source, largest: bool) -> Result<ArgExtreme, Refusal> {
    Ok(ArgExtreme {
        largest,
        axis: source.int("axis")?.unwrap_or(0),
        keepdims: source.flag("keepdims", true)?,
        select_last: source.flag("select_last_index", false)?,
    })
}

pub(super) fn write_top_k(top: TopK) -> Written {
    Written::new().int("axis", top.axis).flag("largest", top.largest).constant_ints("k", &[top.k as i64])
}

/// The results are sorted whether the file asks for it or not.
pub(super) fn read_top_k(source: &mut Source) -> Result<TopK, Refusal> {
    source.skip("sorted");
    let k = if source.opset < 10 { source.int("k")? } else { source.constant_int(1, "k")? };
    let k = k
        .and_then(|k| usize::try_from(k).ok())
        .ok_or_else(|| Refusal::Invalid("the number `k` is missing or negative".into()))?;
    Ok(TopK { k, axis: source.int("axis")?.unwrap_or(-1), largest: source.flag("largest", true)? })
}

pub(super) fn write_cast(dtype: DataType) -> Written {
    let code = match dtype {
        DataType::F32 => data_type::FLOAT,
        DataType::I64 => data_type::INT64,
        DataType::Bool => data_type::BOOL,
    };
    Written::new().int("to", i64::from(code))
}

/// All real numbers become f32 and all integers i64.
pub(in crate::onnx) fn read_cast(source: &mut Source) -> Result<DataType, Refusal> {
    source.skip("saturate");
    source.skip("round_mode");
    let code = source.int("to")?.and_then(|code| i32::try_from(code).ok());
    crate::onnx::tensor::element_type(code.unwrap_or_default())
}
