use super::{Binder, Bound};
use crate::{EngineError, cpu::plan::Step, words::kernel_activation};
use svertka_graph::op;
use svertka_kernels::{
    dropout::{Dropout, Mask},
    softmax::Softmax,
};

pub(super) fn forward(_: &Binder, step: &Step, activation: op::Activation) -> Result<Bound, EngineError> {
    let (x, y, activation) = (step.inputs[0], step.outputs[0], kernel_activation(activation));
    Ok(Bound::new(move |cx| {
        if cx.same(x, y) {
            activation.apply_in_place(cx.machine, cx.write(y));
        } else {
            activation.apply_into(cx.machine, cx.read(x), cx.write(y));
        }
    })
    .in_place_of(&[0]))
}

/// Overwrites dy, never the saved value.
pub(super) fn gradient(_: &Binder, step: &Step, activation: op::Activation) -> Result<Bound, EngineError> {
    let (saved, dy, dx, activation) =
        (step.inputs[0], step.inputs[1], step.outputs[0], kernel_activation(activation));
    Ok(Bound::new(move |cx| {
        if cx.same(dy, dx) {
            activation.gradient_in_place(cx.machine, cx.read(saved), cx.write(dx));
        } else {
            activation.gradient_into(cx.machine, cx.read(saved), cx.read(dy), cx.write(dx));
        }
    })
    .in_place_of(&[1]))
}

pub(super) fn dropout(binder: &Binder, step: &Step, ratio: f32, stream: u64) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let dropout = Dropout::new(ratio, Mask::Elements).map_err(|error| binder.unsupported(step, error))?;
    let per_row = binder.len(y) / binder.batch.size;
    Ok(Bound::new(move |cx| {
        let (key, dropout) = (cx.key.of_stream(stream), dropout.starting_at(cx.first_row * per_row));
        if cx.same(x, y) {
            dropout.apply_in_place(cx.machine, key, cx.write(y));
        } else {
            dropout.apply_into(cx.machine, key, cx.read(x), cx.write(y));
        }
    })
    .in_place_of(&[0]))
}

/// The kernel for an axis of a step's operands as they lie in memory.
fn along(binder: &Binder, step: &Step, axis: i64) -> Result<Softmax, EngineError> {
    let (shape, layout) = (binder.shape(step.outputs[0]), binder.layout(step));
    let logical = if axis < 0 { axis + shape.len() as i64 } else { axis } as usize;
    let physical = binder.shape_in(step.outputs[0], layout);
    let axis = layout.axis(logical, shape.len());
    Softmax::new(physical[axis], physical[axis + 1..].iter().product())
        .map_err(|error| binder.unsupported(step, error))
}

pub(super) fn softmax(binder: &Binder, step: &Step, axis: i64, log: bool) -> Result<Bound, EngineError> {
    let (x, y, kernel) = (step.inputs[0], step.outputs[0], along(binder, step, axis)?);
    Ok(Bound::new(move |cx| {
        let x = cx.read(x);
        let outer = x.len() / kernel.len(1);
        if log {
            kernel.log_softmax_into(cx.machine, outer, x, cx.write(y));
        } else {
            kernel.softmax_into(cx.machine, outer, x, cx.write(y));
        }
    }))
}

pub(super) fn softmax_gradient(
    binder: &Binder,
    step: &Step,
    axis: i64,
    log: bool,
) -> Result<Bound, EngineError> {
    let (y, dy, dx, kernel) = (step.inputs[0], step.inputs[1], step.outputs[0], along(binder, step, axis)?);
    Ok(Bound::new(move |cx| {
        let (y, dy) = (cx.read(y), cx.read(dy));
        let outer = y.len() / kernel.len(1);
        if log {
            kernel.log_softmax_gradient_into(cx.machine, outer, y, dy, cx.write(dx));
        } else {
            kernel.softmax_gradient_into(cx.machine, outer, y, dy, cx.write(dx));
        }
    }))
}
