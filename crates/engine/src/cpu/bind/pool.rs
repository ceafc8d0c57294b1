use super::{Binder, Bound};
use crate::{
    EngineError,
    cpu::plan::{Slot, Step},
};
use svertka_graph::op;
use svertka_kernels::pool::{GlobalPool, Pool, Window};

/// The windows of both axes; a signal has one tap along the height.
fn windows(window: &op::Window) -> [Window; 2] {
    let axes = window.axes();
    let along = |axis: usize| Window {
        kernel: window.kernel_shape[axis],
        stride: window.strides[axis],
        dilation: window.dilations[axis],
        pad_begin: window.pads[axis],
        pad_end: window.pads[axis + axes],
    };
    if axes == 1 { [Window::new(1), along(0)] } else { [along(0), along(1)] }
}

fn problem(
    binder: &Binder,
    step: &Step,
    x: Slot,
    window: &op::Window,
    ceil: bool,
) -> Result<Pool, EngineError> {
    let pictures = binder.pictures(x);
    Pool::new(pictures.batch, pictures.channels, pictures.size, windows(window), ceil)
        .map_err(|error| binder.unsupported(step, error))
}

fn global(binder: &Binder, step: &Step, x: Slot) -> Result<GlobalPool, EngineError> {
    let pictures = binder.pictures(x);
    GlobalPool::new(pictures.batch, pictures.pixels(), pictures.channels)
        .map_err(|error| binder.unsupported(step, error))
}

pub(super) fn max(binder: &Binder, step: &Step, op: &op::MaxPool) -> Result<Bound, EngineError> {
    let (x, y, places) = (step.inputs[0], step.outputs[0], step.outputs.get(1).copied());
    let (pool, rows) = (problem(binder, step, x, &op.window, op.ceil_mode)?, binder.rows(x));
    let places = places.filter(|&slot| binder.wanted(slot));
    Ok(Bound::new(move |cx| {
        pool.max_into(
            cx.machine,
            rows.of(cx),
            cx.read(x),
            cx.write(y),
            places.map(|slot| cx.places_mut(slot)),
        );
    }))
}

pub(super) fn max_gradient(binder: &Binder, step: &Step, op: &op::MaxPool) -> Result<Bound, EngineError> {
    let (dy, places, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (pool, rows) = (problem(binder, step, dx, &op.window, op.ceil_mode)?, binder.rows(dx));
    Ok(Bound::new(move |cx| {
        pool.max_gradient_into(cx.machine, rows.of(cx), cx.places(places), cx.read(dy), cx.write(dx));
    }))
}

pub(super) fn average(binder: &Binder, step: &Step, op: &op::AveragePool) -> Result<Bound, EngineError> {
    let (x, y, count_include_pad) = (step.inputs[0], step.outputs[0], op.count_include_pad);
    let (pool, rows) = (problem(binder, step, x, &op.window, op.ceil_mode)?, binder.rows(x));
    Ok(Bound::new(move |cx| {
        pool.average_into(cx.machine, count_include_pad, rows.of(cx), cx.read(x), cx.write(y));
    }))
}

pub(super) fn average_gradient(
    binder: &Binder,
    step: &Step,
    op: &op::AveragePool,
) -> Result<Bound, EngineError> {
    let (dy, dx, count_include_pad) = (step.inputs[0], step.outputs[0], op.count_include_pad);
    let (pool, rows) = (problem(binder, step, dx, &op.window, op.ceil_mode)?, binder.rows(dx));
    Ok(Bound::new(move |cx| {
        pool.average_gradient_into(cx.machine, count_include_pad, rows.of(cx), cx.read(dy), cx.write(dx));
    }))
}

pub(super) fn global_average(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (pool, rows) = (global(binder, step, x)?, binder.rows(x));
    Ok(Bound::new(move |cx| pool.average_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

pub(super) fn global_max(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (pool, rows) = (global(binder, step, x)?, binder.rows(x));
    let scratch = binder.len(y);
    Ok(Bound::new(move |cx| {
        pool.max_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y), cx.scratch_places());
    })
    .with_scratch(scratch))
}

/// Finds the maxima again: remembering them would cost more than it saves.
pub(super) fn global_max_gradient(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (x, dy, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (pool, rows) = (global(binder, step, x)?, binder.rows(x));
    let maxima = binder.len(dy);
    Ok(Bound::new(move |cx| {
        let (places, y) = cx.scratch_places_and_values(maxima);
        pool.max_into(cx.machine, rows.of(cx), cx.read(x), y, places);
        pool.max_gradient_into(cx.machine, rows.of(cx), places, cx.read(dy), cx.write(dx));
    })
    .with_scratch(2 * maxima))
}
