use super::{
    Elements,
    call::{Call, Results},
};
use crate::{
    EngineError,
    words::{kernel_fold, kernel_resize, plane},
};
use svertka_graph::{
    infer::{normalize_axis, reduce_axes},
    op::{self, PadMode, ReduceKind},
};
use svertka_kernels::{
    elementwise::reference as elements,
    layout::{self, reference as layouts},
    resize::{Resize, reference as resizes},
};

/// Padding per axis, its mode and its value.
fn padding(pad: &op::Pad) -> (Vec<(isize, isize)>, layout::PadMode, f64) {
    let (begin, end) = pad.pads.split_at(pad.pads.len() / 2);
    let pads = begin.iter().zip(end).map(|(&begin, &end)| (begin as isize, end as isize)).collect();
    let (mode, value) = match pad.mode {
        PadMode::Constant(value) => (layout::PadMode::Constant, f64::from(value)),
        PadMode::Reflect => (layout::PadMode::Reflect, 0.0),
        PadMode::Edge => (layout::PadMode::Edge, 0.0),
        PadMode::Wrap => (layout::PadMode::Wrap, 0.0),
    };
    (pads, mode, value)
}

pub(super) fn pad(call: &Call<'_>, pad: &op::Pad) -> Results {
    let (pads, mode, value) = padding(pad);
    call.one(layouts::pad(call.shape(0), &pads, mode, value, &call.numbers(0)))
}

/// Inputs: dy, like x.
pub(super) fn pad_gradient(call: &Call<'_>, pad: &op::Pad) -> Results {
    let (pads, mode, _) = padding(pad);
    call.one(layouts::pad_gradient(call.shape(1), &pads, mode, call.real(0)))
}

/// The axis of `shape`, and the numbers of elements before and behind it.
pub(super) fn around(
    call: &Call<'_>,
    axis: i64,
    shape: &[usize],
) -> Result<(usize, usize, usize), EngineError> {
    let axis = normalize_axis(axis, shape.len()).map_err(|reason| call.refuse(reason))?;
    Ok((axis, shape[..axis].iter().product(), shape[axis + 1..].iter().product()))
}

pub(super) fn concat(call: &Call<'_>, concat: op::Concat) -> Results {
    let (axis, outer, inner) = around(call, concat.axis, call.outputs[0])?;
    let parts: Vec<_> =
        (0..call.inputs.len()).map(|part| (call.shape(part)[axis], call.numbers(part))).collect();
    let parts: Vec<(usize, &[f64])> = parts.iter().map(|(size, values)| (*size, &values[..])).collect();
    call.one(layouts::concat(outer, inner, &parts))
}

/// Inputs: dy, like x₀, like x₁, ….
pub(super) fn concat_gradient(call: &Call<'_>, concat: op::Concat) -> Results {
    let (axis, outer, inner) = around(call, concat.axis, call.shape(0))?;
    let sizes: Vec<usize> = (1..call.inputs.len()).map(|part| call.shape(part)[axis]).collect();
    call.all(layouts::split(outer, inner, &sizes, call.real(0)).into_iter().map(Elements::F64))
}

pub(super) fn transpose(call: &Call<'_>, transpose: &op::Transpose) -> Results {
    call.one(layouts::transpose(call.shape(0), &transpose.perm, &call.numbers(0)))
}

pub(super) fn reduce(call: &Call<'_>, reduce: &op::Reduce) -> Results {
    let (shape, x) = (call.shape(0), &call.numbers(0));
    let axes = reduce_axes(reduce, shape.len()).map_err(|reason| call.refuse(reason))?;
    call.one(match (reduce.kind, kernel_fold(reduce.kind)) {
        (_, Some(fold)) => elements::fold(fold, shape, &axes, x),
        (ReduceKind::Mean, _) => elements::reduce_mean(shape, &axes, x),
        _ => elements::reduce_sum(shape, &axes, x),
    })
}

/// Inputs: x, dy.
pub(super) fn fold_gradient(call: &Call<'_>, reduce: &op::Reduce) -> Results {
    let shape = call.shape(0);
    let axes = reduce_axes(reduce, shape.len()).map_err(|reason| call.refuse(reason))?;
    let kind = kernel_fold(reduce.kind).ok_or_else(|| call.refuse("sums have another gradient"))?;
    call.one(elements::fold_gradient(kind, shape, &axes, call.real(0), call.real(1)))
}

/// The resizing of pictures `x` to what the operator asks for.
fn resize_problem(call: &Call<'_>, resize: &op::Resize, x: &[usize]) -> Result<Resize, EngineError> {
    kernel_resize(resize, x[1], plane(&x[2..], 1)).map_err(|error| call.refuse(error))
}

pub(super) fn resize(call: &Call<'_>, resize: &op::Resize) -> Results {
    let x = call.shape(0);
    call.one(resizes::resize(&resize_problem(call, resize, x)?, x[0], call.real(0)))
}

/// Inputs: dy, like x.
pub(super) fn resize_gradient(call: &Call<'_>, resize: &op::Resize) -> Results {
    let x = call.shape(1);
    call.one(resizes::resize_gradient(&resize_problem(call, resize, x)?, x[0], call.real(0)))
}
