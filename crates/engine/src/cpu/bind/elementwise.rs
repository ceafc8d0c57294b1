use super::{Binder, Bound};
use crate::{
    EngineError,
    cpu::{
        context::Context,
        fuse::is_column_sum,
        plan::{Home, Slot, Step},
    },
    words::{kernel_binary, kernel_fold, kernel_unary},
};
use svertka_graph::{DataType, infer::reduce_axes, op};
use svertka_kernels::{
    ProblemError, Store,
    elementwise::{self, Binary, Fold, Reduce, Select},
    gemm::ColumnSumPlan,
    layout::Gather,
};

/// Whether a step's output is a gradient that accumulates.
#[derive(Clone, Copy)]
pub(super) struct Accumulation(bool);

impl Accumulation {
    /// What a kernel does with what the output holds.
    pub(super) fn of(self, cx: &Context<'_>) -> Store {
        if self.0 { cx.store } else { Store::Overwrite }
    }

    /// Prepares an output that a kernel adds to.
    pub(super) fn clear(self, cx: &Context<'_>, output: &mut [f32]) {
        if self.of(cx) == Store::Overwrite {
            output.fill(0.0);
        }
    }
}

impl Binder<'_> {
    pub(super) fn store(&self, slot: Slot) -> Accumulation {
        Accumulation(matches!(self.plan.values[slot].home, Home::Gradient(_)))
    }

    /// How many rows of a slot's outermost axis are present in a call.
    pub(super) fn rows(&self, slot: Slot) -> Rows {
        if self.leads(slot) {
            Rows::Batch
        } else {
            Rows::Fixed(self.shape(slot).first().copied().unwrap_or(1))
        }
    }
}

/// The rows of a value that a call sees.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    Batch,
    Fixed(usize),
}

impl Rows {
    pub(super) fn of(self, cx: &Context<'_>) -> usize {
        match self {
            Rows::Batch => cx.rows,
            Rows::Fixed(rows) => rows,
        }
    }
}

pub(super) fn accumulate(_: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (value, gradient) = (step.inputs[0], step.outputs[0]);
    Ok(Bound::new(move |cx| match cx.store {
        Store::Overwrite => elementwise::copy_into(cx.machine, cx.read(value), cx.write(gradient)),
        Store::Accumulate => elementwise::accumulate(cx.machine, 1.0, cx.read(value), cx.write(gradient)),
    }))
}

pub(super) fn binary(binder: &Binder, step: &Step, op: op::Binary) -> Result<Bound, EngineError> {
    let op = kernel_binary(op, binder.dtype(step.inputs[0]) != DataType::F32);
    let (a, b, y, layout) = (step.inputs[0], step.inputs[1], step.outputs[0], binder.layout(step));
    let kernel = Binary::new(op, &binder.shape_in(a, layout), &binder.shape_in(b, layout))
        .map_err(|error| binder.unsupported(step, error))?;
    let rows = binder.rows(y);
    let bound = Bound::new(move |cx| {
        if cx.same(a, y) {
            op.apply_in_place(cx.machine, cx.write(y), cx.read(b));
        } else {
            kernel.apply_into(cx.machine, rows.of(cx), cx.read(a), cx.read(b), cx.write(y));
        }
    });
    let same_shape = binder.shape(a) == binder.shape(b);
    Ok(if same_shape { bound.in_place_of(&[0]) } else { bound })
}

pub(super) fn reduce(binder: &Binder, step: &Step, op: &op::Reduce) -> Result<Bound, EngineError> {
    if is_column_sum(op, binder.shape(step.inputs[0]).len()) {
        return Ok(column_sum(binder, step));
    }
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let layout = binder.plan.values[x].layout;
    let rank = binder.shape(x).len();
    let named = |&axis: &i64| if axis < 0 { (axis + rank as i64) as usize } else { axis as usize };
    let axes: Vec<usize> =
        if op.axes.is_empty() { (0..rank).collect() } else { op.axes.iter().map(named).collect() };
    let axes: Vec<usize> = axes.into_iter().map(|axis| layout.axis(axis, rank)).collect();
    let shape = binder.shape_in(x, layout);
    let kernel = match (op.kind, kernel_fold(op.kind)) {
        (_, Some(fold)) => return folding(binder, step, Fold::new(fold, &shape, &axes)),
        (op::ReduceKind::Mean, _) => Reduce::mean(&shape, &axes),
        _ => Reduce::sum(&shape, &axes),
    };
    Ok(reduction(binder, x, y, kernel.map_err(|error| binder.unsupported(step, error))?))
}

/// A maximum, minimum or product.
fn folding(binder: &Binder, step: &Step, kernel: Result<Fold, ProblemError>) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (kernel, rows) = (kernel.map_err(|error| binder.unsupported(step, error))?, binder.rows(x));
    Ok(Bound::new(move |cx| kernel.apply_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

/// Inputs: x, dy.
pub(super) fn fold_gradient(binder: &Binder, step: &Step, op: &op::Reduce) -> Result<Bound, EngineError> {
    let (x, dy, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let shape = binder.shape(x);
    let axes = reduce_axes(op, shape.len()).map_err(|reason| binder.unsupported(step, reason))?;
    let Some(kind) = kernel_fold(op.kind) else {
        return Err(binder.unsupported(step, "sums have another gradient"));
    };
    let kernel = Fold::new(kind, shape, &axes).map_err(|error| binder.unsupported(step, error))?;
    let rows = binder.rows(x);
    Ok(Bound::new(move |cx| {
        kernel.gradient_into(cx.machine, rows.of(cx), cx.read(x), cx.read(dy), cx.write(dx));
    }))
}

/// Inputs: condition, a, b.
pub(super) fn choose(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (y, layout) = (step.outputs[0], binder.layout(step));
    let slots = [step.inputs[0], step.inputs[1], step.inputs[2]];
    let shapes = slots.map(|slot| binder.shape_in(slot, layout));
    let kernel = Select::new([&shapes[0], &shapes[1], &shapes[2]]);
    let (kernel, rows) = (kernel.map_err(|error| binder.unsupported(step, error))?, binder.rows(y));
    Ok(Bound::new(move |cx| {
        kernel.apply_into(cx.machine, rows.of(cx), slots.map(|slot| cx.read(slot)), cx.write(y));
    }))
}

pub(super) fn unary(_: &Binder, step: &Step, unary: op::Unary) -> Result<Bound, EngineError> {
    let (x, y, unary) = (step.inputs[0], step.outputs[0], kernel_unary(unary));
    Ok(Bound::new(move |cx| {
        if cx.same(x, y) {
            unary.apply_in_place(cx.machine, cx.write(y));
        } else {
            unary.apply_into(cx.machine, cx.read(x), cx.write(y));
        }
    })
    .in_place_of(&[0]))
}

/// Inputs: x, dy.
pub(super) fn unary_gradient(_: &Binder, step: &Step, unary: op::Unary) -> Result<Bound, EngineError> {
    let (x, dy, dx, unary) = (step.inputs[0], step.inputs[1], step.outputs[0], kernel_unary(unary));
    Ok(Bound::new(move |cx| unary.gradient_into(cx.machine, cx.read(x), cx.read(dy), cx.write(dx))))
}

/// Numbers of one type as those of another: integers are cut off, truth values are what is other than 0.
pub(super) fn cast(_: &Binder, step: &Step, dtype: DataType) -> Result<Bound, EngineError> {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let cast: fn(f32) -> f32 = match dtype {
        DataType::F32 => |value| value,
        DataType::I64 => f32::trunc,
        DataType::Bool => |value| f32::from(u8::from(value != 0.0)),
    };
    Ok(Bound::new(move |cx| cx.write(y).iter_mut().zip(cx.read(x)).for_each(|(y, &x)| *y = cast(x))))
}

/// Integers or truth values that were handed in.
pub(super) fn numbers(step: &Step) -> Bound {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    Bound::new(move |cx| cx.write(y).iter_mut().zip(cx.labels(x)).for_each(|(y, &x)| *y = x as f32))
}

fn reduction(binder: &Binder, x: Slot, y: Slot, kernel: Reduce) -> Bound {
    let (rows, scratch) = (binder.rows(x), kernel.scratch_len());
    Bound::new(move |cx| kernel.apply_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y), cx.scratch()))
        .with_scratch(scratch)
}

/// The gradient of a bias; adds to what accumulates.
fn column_sum(binder: &Binder, step: &Step) -> Bound {
    let (x, y) = (step.inputs[0], step.outputs[0]);
    let (columns, store) = (binder.len(y), binder.store(y));
    let plan = ColumnSumPlan::new(binder.len(x) / columns.max(1), columns, binder.machine().isa);
    let scratch = plan.scratch_len();
    Bound::new(move |cx| {
        let x = cx.read(x);
        plan.run(cx.machine, x.len() / columns, x, cx.write(y), store.of(cx), cx.scratch());
    })
    .with_scratch(scratch)
}

pub(super) fn sum_to(binder: &Binder, step: &Step) -> Result<Bound, EngineError> {
    let (dy, dx, layout) = (step.inputs[0], step.outputs[0], binder.plan.values[step.inputs[0]].layout);
    let kernel = Reduce::to_shape(&binder.shape_in(dy, layout), &binder.shape_in(dx, layout));
    Ok(reduction(binder, dy, dx, kernel.map_err(|error| binder.unsupported(step, error))?))
}

pub(super) fn expand_like(
    binder: &Binder,
    step: &Step,
    axes: &[usize],
    mean: bool,
) -> Result<Bound, EngineError> {
    let (dy, dx, layout) = (step.inputs[0], step.outputs[0], binder.layout(step));
    let mut from = binder.shape(dy).to_vec();
    for &axis in axes {
        from.insert(axis, 1);
    }
    let from: Vec<usize> = layout.order(from.len()).into_iter().map(|axis| from[axis]).collect();
    let to = binder.shape_in(dx, layout);
    let kernel = Gather::expand(&from, &to).map_err(|error| binder.unsupported(step, error))?;
    let (batch_repeats, rows) = (binder.leads(dx) && from.first() == Some(&1), binder.rows(dx));
    let repeats = binder.len(dx) / binder.len(dy).max(1);
    let (batch, leads_both) = (binder.batch.size, binder.leads(dy));
    Ok(Bound::new(move |cx| {
        let out = cx.write(dx);
        kernel.copy_into(cx.machine, rows.of(cx), cx.read(dy), out);
        if mean {
            // Rows that are absent were not averaged over.
            let rows = if batch_repeats && !leads_both { repeats / batch * cx.rows } else { repeats };
            elementwise::scale_in_place(cx.machine, 1.0 / rows as f32, out);
        }
    }))
}
