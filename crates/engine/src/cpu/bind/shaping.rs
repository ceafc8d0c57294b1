use super::{Binder, Bound};
use crate::{
    EngineError,
    cpu::plan::{Layout, Slot, Step},
    words::kernel_resize,
};
use svertka_graph::op;
use svertka_kernels::{
    layout::{BlockCopy, Gather, Pad, PadMode},
    resize::Resize,
};

/// The same elements in another layout; where there is one channel or one pixel nothing moves.
pub(super) fn convert(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    if binder.views(step) {
        return Ok(binder.view(step));
    }
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (from, to) = (binder.plan.values[x].layout, binder.plan.values[y].layout);
    let rank = binder.shape(x).len();
    let order: Vec<usize> = to.order(rank).into_iter().map(|axis| from.axis(axis, rank)).collect();
    permute(binder, step, x, &binder.shape_in(x, from), &order)
}

/// From any layout to the planar order of the permuted axes.
pub(super) fn transpose(binder: &Binder, step: &Step, op: &op::Transpose) -> Result<Bound, EngineError> {
    let x = step.inputs[0];
    let layout = binder.plan.values[x].layout;
    let order: Vec<usize> = op.perm.iter().map(|&axis| layout.axis(axis, op.perm.len())).collect();
    permute(binder, step, x, &binder.shape_in(x, layout), &order)
}

fn permute(
    binder: &Binder,
    step: &Step,
    x: Slot,
    shape: &[usize],
    order: &[usize],
) -> Result<Bound, EngineError> {
    let y = step.outputs[0];
    let kernel = Gather::transpose(shape, order).map_err(|error| binder.unsupported(step, error))?;
    let rows = binder.rows(y);
    Ok(Bound::new(move |cx| kernel.copy_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

pub(super) fn pad(binder: &Binder, step: &Step, op: &op::Pad) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let kernel = pad_kernel(binder, step, x, op)?;
    let value = if let op::PadMode::Constant(value) = op.mode { value } else { 0.0 };
    let rows = binder.rows(x);
    Ok(Bound::new(move |cx| kernel.pad_into(cx.machine, rows.of(cx), value, cx.read(x), cx.write(y))))
}

pub(super) fn pad_gradient(binder: &Binder, step: &Step, op: &op::Pad) -> Result<Bound, EngineError> {
    let (dy, dx) = (step.inputs[0], step.outputs[0]);
    let kernel = pad_kernel(binder, step, dx, op)?;
    let rows = binder.rows(dx);
    Ok(Bound::new(move |cx| kernel.gradient_into(cx.machine, rows.of(cx), cx.read(dy), cx.write(dx))))
}

fn pad_kernel(binder: &Binder, step: &Step, x: Slot, op: &op::Pad) -> Result<Pad, EngineError> {
    let (rank, layout) = (op.pads.len() / 2, binder.layout(step));
    let along = |axis: usize| (op.pads[axis] as isize, op.pads[axis + rank] as isize);
    let pads: Vec<(isize, isize)> = layout.order(rank).into_iter().map(along).collect();
    let mode = match op.mode {
        op::PadMode::Constant(_) => PadMode::Constant,
        op::PadMode::Reflect => PadMode::Reflect,
        op::PadMode::Edge => PadMode::Edge,
        op::PadMode::Wrap => PadMode::Wrap,
    };
    Pad::new(&binder.shape_in(x, layout), &pads, mode).map_err(|error| binder.unsupported(step, error))
}

/// Where each part of a concatenation lies along the joined axis.
struct Parts {
    inner: usize,
    total: usize,
    /// Extents along the axis.
    sizes: Vec<usize>,
}

impl Parts {
    fn new(binder: &Binder, joined: Slot, parts: &[Slot], axis: i64, layout: Layout) -> Self {
        let rank = binder.shape(joined).len();
        let logical = if axis < 0 { axis + rank as i64 } else { axis } as usize;
        let axis = layout.axis(logical, rank);
        let shape = binder.shape_in(joined, layout);
        let sizes = parts.iter().map(|&part| binder.shape(part)[logical]).collect();
        Self { inner: shape[axis + 1..].iter().product(), total: shape[axis], sizes }
    }

    /// Size and start of every part.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sizes.iter().scan(0, |end, &size| {
            *end += size;
            Some((size, *end - size))
        })
    }
}

pub(super) fn concat(binder: &Binder, step: &Step, op: op::Concat) -> Result<Bound, EngineError> {
    let y = step.outputs[0];
    let parts = Parts::new(binder, y, &step.inputs, op.axis, binder.layout(step));
    let block = parts.total * parts.inner;
    let copy = |(size, at)| BlockCopy::concat(size, at, parts.total, parts.inner);
    let copies: Vec<(Slot, BlockCopy)> = step.inputs.iter().copied().zip(parts.places().map(copy)).collect();
    Ok(Bound::new(move |cx| {
        let out = cx.write(y);
        for (x, copy) in &copies {
            copy.copy(cx.machine, out.len() / block, cx.read(*x), out);
        }
    }))
}

pub(super) fn concat_gradient(binder: &Binder, step: &Step, op: op::Concat) -> Result<Bound, EngineError> {
    let dy = step.inputs[0];
    let parts = Parts::new(binder, dy, &step.outputs, op.axis, binder.layout(step));
    let block = parts.total * parts.inner;
    let copy = |(size, at)| BlockCopy::split(size, at, parts.total, parts.inner);
    let copies: Vec<(Slot, BlockCopy)> = step.outputs.iter().copied().zip(parts.places().map(copy)).collect();
    Ok(Bound::new(move |cx| {
        let dy = cx.read(dy);
        for (dx, copy) in &copies {
            copy.copy(cx.machine, dy.len() / block, dy, cx.write(*dx));
        }
    }))
}

pub(super) fn resize(binder: &Binder, step: &Step, op: &op::Resize) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let kernel = resize_kernel(binder, step, x, op)?;
    let rows = binder.rows(x);
    Ok(Bound::new(move |cx| kernel.resize_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

pub(super) fn resize_gradient(binder: &Binder, step: &Step, op: &op::Resize) -> Result<Bound, EngineError> {
    let (dy, dx) = (step.inputs[0], step.outputs[0]);
    let kernel = resize_kernel(binder, step, dx, op)?;
    let rows = binder.rows(dx);
    Ok(Bound::new(move |cx| kernel.gradient_into(cx.machine, rows.of(cx), cx.read(dy), cx.write(dx))))
}

fn resize_kernel(binder: &Binder, step: &Step, x: Slot, op: &op::Resize) -> Result<Resize, EngineError> {
    let input = binder.pictures(x);
    kernel_resize(op, input.channels, input.size).map_err(|error| binder.unsupported(step, error))
}
