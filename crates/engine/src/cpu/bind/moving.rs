//! Operators that pick, repeat and rearrange elements. All of them are planar.

use super::{Binder, Bound};
use crate::{
    EngineError,
    cpu::{
        context::Context,
        plan::{Slot, Step},
    },
};
use svertka_graph::{
    infer::normalize_axis,
    op::{self, DepthOrder, DepthSpace},
};
use svertka_kernels::{
    elementwise::{ArgExtreme, Reduce, TopK},
    layout::{Gather, Take, TakeElements},
};

fn slice_kernel(binder: &Binder, step: &Step, op: &op::Slice, x: Slot) -> Result<Gather, EngineError> {
    let shape = binder.shape(x);
    let places = op.places(shape).map_err(|reason| binder.unsupported(step, reason))?;
    let starts: Vec<usize> = places.iter().map(|place| place.0).collect();
    let steps: Vec<isize> = places.iter().map(|place| place.1).collect();
    let counts: Vec<usize> = places.iter().map(|place| place.2).collect();
    Gather::slice(shape, &starts, &steps, &counts).map_err(|error| binder.unsupported(step, error))
}

pub(super) fn slice(binder: &Binder, step: &Step, op: &op::Slice) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (kernel, rows) = (slice_kernel(binder, step, op, x)?, binder.rows(y));
    Ok(Bound::new(move |cx| kernel.copy_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

pub(super) fn slice_gradient(binder: &Binder, step: &Step, op: &op::Slice) -> Result<Bound, EngineError> {
    let (dy, dx) = (step.inputs[0], step.outputs[0]);
    let (kernel, rows) = (slice_kernel(binder, step, op, dx)?, binder.rows(dy));
    Ok(Bound::new(move |cx| kernel.scatter_into(cx.machine, rows.of(cx), cx.read(dy), cx.write(dx))))
}

/// An axis of a slot and the number of elements behind it.
fn along(binder: &Binder, step: &Step, slot: Slot, axis: i64) -> Result<(usize, usize), EngineError> {
    let shape = binder.shape(slot);
    let axis = normalize_axis(axis, shape.len()).map_err(|reason| binder.unsupported(step, reason))?;
    Ok((axis, shape[axis + 1..].iter().product()))
}

/// A step that may meet an index which an axis of `size` does not have.
fn indexing(
    step: &Step,
    size: usize,
    run: impl Fn(&Context<'_>) -> Result<(), i64> + Send + Sync + 'static,
) -> Bound {
    let node = step.name.clone();
    Bound::fallible(move |cx| run(cx).map_err(|index| EngineError::Index { node: node.clone(), index, size }))
}

pub(super) fn gather(binder: &Binder, step: &Step, axis: i64) -> Result<Bound, EngineError> {
    let (x, indices, y) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (axis, inner) = along(binder, step, x, axis)?;
    let size = binder.shape(x)[axis];
    let kernel = Take::new(size, inner);
    Ok(indexing(step, size, move |cx| {
        kernel.take_into(cx.machine, cx.read(x), cx.read(indices), cx.write(y))
    }))
}

/// Inputs: dy, indices, like x.
pub(super) fn gather_gradient(binder: &Binder, step: &Step, axis: i64) -> Result<Bound, EngineError> {
    let (dy, indices, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (axis, inner) = along(binder, step, dx, axis)?;
    let size = binder.shape(dx)[axis];
    let kernel = Take::new(size, inner);
    Ok(indexing(step, size, move |cx| {
        kernel.gradient_into(cx.machine, cx.read(indices), cx.read(dy), cx.write(dx))
    }))
}

fn elements_kernel(
    binder: &Binder,
    step: &Step,
    axis: i64,
    [x, indices]: [Slot; 2],
) -> Result<(TakeElements, usize), EngineError> {
    let (axis, _) = along(binder, step, x, axis)?;
    let kernel = TakeElements::new(binder.shape(x), binder.shape(indices), axis);
    Ok((kernel.map_err(|error| binder.unsupported(step, error))?, binder.shape(x)[axis]))
}

pub(super) fn gather_elements(binder: &Binder, step: &Step, axis: i64) -> Result<Bound, EngineError> {
    let (x, indices, y) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (kernel, size) = elements_kernel(binder, step, axis, [x, indices])?;
    Ok(indexing(step, size, move |cx| {
        kernel.take_into(cx.machine, cx.read(x), cx.read(indices), cx.write(y))
    }))
}

/// Inputs: dy, indices, like x.
pub(super) fn gather_elements_gradient(
    binder: &Binder,
    step: &Step,
    axis: i64,
) -> Result<Bound, EngineError> {
    let (dy, indices, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (kernel, size) = elements_kernel(binder, step, axis, [dx, indices])?;
    Ok(indexing(step, size, move |cx| {
        kernel.gradient_into(cx.machine, cx.read(indices), cx.read(dy), cx.write(dx))
    }))
}

pub(super) fn expand(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let kernel = Gather::expand(binder.shape(x), binder.shape(y));
    let (kernel, rows) = (kernel.map_err(|error| binder.unsupported(step, error))?, binder.rows(y));
    Ok(Bound::new(move |cx| kernel.copy_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

/// The axes of a tile, repeated ones as one of repetitions before one of extents: shapes before and behind.
fn tiles(shape: &[usize], repeats: &[usize]) -> [Vec<usize>; 2] {
    let [mut once, mut all] = [Vec::new(), Vec::new()];
    for (&size, &times) in shape.iter().zip(repeats) {
        if times != 1 {
            once.push(1);
            all.push(times);
        }
        once.push(size);
        all.push(size);
    }
    [once, all]
}

pub(super) fn tile(binder: &Binder, step: &Step, op: &op::Tile) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let [once, all] = tiles(binder.shape(x), &op.repeats);
    let kernel = Gather::expand(&once, &all).map_err(|error| binder.unsupported(step, error))?;
    let (whole, rows) = (all.first().copied().unwrap_or(1), binder.rows(y));
    let repeats_rows = op.repeats.first().is_some_and(|&times| times != 1);
    Ok(Bound::new(move |cx| {
        let rows = if repeats_rows { whole } else { rows.of(cx) };
        kernel.copy_into(cx.machine, rows, cx.read(x), cx.write(y));
    }))
}

/// Inputs: dy, like x.
pub(super) fn tile_gradient(binder: &Binder, step: &Step, op: &op::Tile) -> Result<Bound, EngineError> {
    let (dy, dx) = (step.inputs[0], step.outputs[0]);
    let [once, all] = tiles(binder.shape(dx), &op.repeats);
    let kernel = Reduce::to_shape(&all, &once).map_err(|error| binder.unsupported(step, error))?;
    let (whole, rows) = (all.first().copied().unwrap_or(1), binder.rows(dx));
    let repeats_rows = op.repeats.first().is_some_and(|&times| times != 1);
    let scratch = kernel.scratch_len();
    Ok(Bound::new(move |cx| {
        let rows = if repeats_rows { whole } else { rows.of(cx) };
        kernel.apply_into(cx.machine, rows, cx.read(dy), cx.write(dx), cx.scratch());
    })
    .with_scratch(scratch))
}

/// Channels as blocks of pixels, or back: a permutation of six axes.
pub(super) fn depth_space(
    binder: &Binder,
    step: &Step,
    op: DepthSpace,
    to_space: bool,
) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let wide = binder.shape(if to_space { y } else { x });
    let [batch, depth, height, width] = [wide[0], wide[1], wide[2] / op.block, wide[3] / op.block];
    let (deep, to_wide) = match op.order {
        DepthOrder::DepthLast => ([batch, op.block, op.block, depth, height, width], [0, 3, 4, 1, 5, 2]),
        DepthOrder::DepthFirst => ([batch, depth, op.block, op.block, height, width], [0, 1, 4, 2, 5, 3]),
    };
    let kernel = if to_space {
        Gather::transpose(&deep, &to_wide)
    } else {
        let mut to_deep = [0; 6];
        to_wide.iter().enumerate().for_each(|(to, &from)| to_deep[from] = to);
        Gather::transpose(&[batch, depth, height, op.block, width, op.block], &to_deep)
    };
    let (kernel, rows) = (kernel.map_err(|error| binder.unsupported(step, error))?, binder.rows(y));
    Ok(Bound::new(move |cx| kernel.copy_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

pub(super) fn arg_extreme(binder: &Binder, step: &Step, op: op::ArgExtreme) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (axis, inner) = along(binder, step, x, op.axis)?;
    let kernel = ArgExtreme::new(binder.shape(x)[axis], inner, op.largest, op.select_last);
    let kernel = kernel.map_err(|error| binder.unsupported(step, error))?;
    Ok(Bound::new(move |cx| kernel.index_into(cx.machine, cx.read(x), cx.write(y))))
}

pub(super) fn top_k(binder: &Binder, step: &Step, op: op::TopK) -> Result<Bound, EngineError> {
    let (x, values, indices) = (step.inputs[0], step.outputs[0], step.outputs[1]);
    let (axis, inner) = along(binder, step, x, op.axis)?;
    let shape = binder.shape(x);
    let kernel = TopK::new(shape[axis], inner, op.k, op.largest);
    let kernel = kernel.map_err(|error| binder.unsupported(step, error))?;
    let scratch = kernel.scratch_len(shape[..axis].iter().product());
    Ok(Bound::new(move |cx| {
        kernel.top_into(cx.machine, cx.read(x), cx.write(values), cx.write(indices), cx.scratch());
    })
    .with_scratch(scratch))
}
