//! Operators over any number of tensors, and those whose outputs are several.

use super::{Source, Spelling};
use crate::{
    DataType, Op, ValueId,
    infer::normalize_axis,
    onnx::error::{Refusal, invalid, unsupported},
    op::{Binary, Dropout, Expand, Slice},
};

/// The first inputs joined pairwise but for the last one: what is left is one operation on two values.
fn all_but_last(spelling: &mut Spelling, op: Binary) -> Result<(ValueId, ValueId), Refusal> {
    let mut sum = spelling.input(0)?;
    let last = *spelling.inputs.last().unwrap_or(&sum);
    for index in 1..spelling.inputs.len() - 1 {
        let next = spelling.input(index)?;
        sum = spelling.binary(&format!("{index}"), op, sum, next)?;
    }
    Ok((sum, last))
}

/// `Sum`, `Min` and `Max` of any number of tensors.
pub(super) fn fold(spelling: &mut Spelling, _: &mut Source) -> Result<(), Refusal> {
    let op = match spelling.node.op_type.as_str() {
        "Sum" => Binary::Add,
        "Min" => Binary::Min,
        _ => Binary::Max,
    };
    if spelling.inputs.len() == 1 {
        let x = spelling.input(0)?;
        return spelling.output(0, Op::Identity, &[x]).map(drop);
    }
    let (a, b) = all_but_last(spelling, op)?;
    spelling.output(0, Op::Binary(op), &[a, b]).map(drop)
}

pub(super) fn mean(spelling: &mut Spelling, _: &mut Source) -> Result<(), Refusal> {
    let count = spelling.inputs.len();
    let mut sum = spelling.input(0)?;
    if count > 1 {
        let (a, b) = all_but_last(spelling, Binary::Add)?;
        sum = spelling.binary("sum", Binary::Add, a, b)?;
    }
    let count = spelling.number("count", count as f32)?;
    spelling.output(0, Op::Binary(Binary::Div), &[sum, count]).map(drop)
}

/// One slice per output. Sizes are an attribute until opset 12 and an input since; without them the axis is cut into equal
/// parts, of which the last may be smaller.
pub(super) fn split(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let axis =
        normalize_axis(source.int("axis")?.unwrap_or(0), spelling.rank(x)).map_err(Refusal::Invalid)?;
    let parts = spelling.node.output.len();
    if source.extent("num_outputs")?.is_some_and(|wanted| wanted != parts) {
        return invalid(format!("attribute `num_outputs` does not fit its {parts} outputs"));
    }
    let sizes = if source.opset < 13 { source.ints("split")? } else { source.constant_ints(1, "split")? };
    let size = spelling.shape(x)[axis].fixed();
    let sizes = match (sizes, size) {
        (Some(sizes), _) => sizes,
        (None, Some(size)) if parts > 0 => equal_parts(size, parts),
        _ => return unsupported("cutting an axis into equal parts needs its extent, which is not known"),
    };
    let total = sizes.iter().try_fold(0i64, |sum, &size| sum.checked_add(size));
    let Some(total) = total.filter(|_| sizes.len() == parts && sizes.iter().all(|&size| size >= 0)) else {
        return invalid(format!("parts of {sizes:?} do not fit {parts} outputs"));
    };
    if size.is_some_and(|size| size as i64 != total) {
        return invalid(format!("parts of {sizes:?} do not fill an axis of {}", spelling.shape(x)[axis]));
    }
    let mut start = 0;
    for (index, size) in sizes.into_iter().map(|size| size as usize).enumerate() {
        spelling.output(index, Op::Slice(Slice::along(axis as i64, start, start + size)), &[x])?;
        start += size;
    }
    Ok(())
}

fn equal_parts(size: usize, parts: usize) -> Vec<i64> {
    let each = size.div_ceil(parts);
    (0..parts).map(|part| size.saturating_sub(part.saturating_mul(each)).min(each) as i64).collect()
}

pub(super) fn cast_like(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    source.skip("saturate");
    source.skip("round_mode");
    let (x, like) = (spelling.input(0)?, spelling.input(1)?);
    let dtype = spelling.reader.graph.value(like).ty.dtype;
    spelling.output(0, Op::Cast(dtype), &[x]).map(drop)
}

/// Outside training nothing is dropped, and the mask is true everywhere.
pub(super) fn dropout_with_mask(spelling: &mut Spelling, source: &mut Source) -> Result<(), Refusal> {
    let x = spelling.input(0)?;
    let ratio = crate::onnx::operators::read_dropout(source)?.ratio;
    spelling.output(0, Op::Dropout(Dropout { ratio }), &[x])?;
    if spelling.first_outputs(1).is_ok() {
        return Ok(());
    }
    let Some(sizes) = spelling.sizes(x) else {
        return unsupported("its mask is read, and has extents that are known only when the network runs");
    };
    let one = spelling.integer("one", 1)?;
    let shape = sizes.into_iter().map(|size| size as i64).collect();
    let ones = spelling.part("ones", Op::Expand(Expand { shape }), &[one])?;
    spelling.output(1, Op::Cast(DataType::Bool), &[ones]).map(drop)
}

/// Base and exponent may have different types; the result has the base's.
pub(super) fn pow(spelling: &mut Spelling, _: &mut Source) -> Result<(), Refusal> {
    let (base, exponent) = (spelling.input(0)?, spelling.input(1)?);
    let dtype = |id| spelling.reader.graph.value(id).ty.dtype;
    let pow = Op::Binary(Binary::Pow);
    match (dtype(base), dtype(exponent)) {
        (DataType::F32, DataType::I64) => {
            let exponent = spelling.part("exponent", Op::Cast(DataType::F32), &[exponent])?;
            spelling.output(0, pow, &[base, exponent]).map(drop)
        }
        (DataType::I64, DataType::F32) => {
            let base = spelling.part("base", Op::Cast(DataType::F32), &[base])?;
            let power = spelling.part("power", pow, &[base, exponent])?;
            spelling.output(0, Op::Cast(DataType::I64), &[power]).map(drop)
        }
        _ => spelling.output(0, pow, &[base, exponent]).map(drop),
    }
}
