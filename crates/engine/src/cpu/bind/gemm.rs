use super::{Binder, Bound, Packer};
use crate::words::kernel_activation;
use crate::{
    EngineError,
    cpu::{
        context::Context,
        plan::{Home, Slot, Step},
    },
};
use svertka_graph::op;
use svertka_kernels::{
    Store,
    gemm::{Addend, GemmCall, GemmPlan, GemmProblem, Present, Right},
};

/// How the addend of a product reaches its output.
#[derive(Clone, Copy)]
enum Summand {
    None,
    /// One value per column.
    Columns(Slot),
    /// Of the output's shape.
    Full(Slot),
    /// Whatever broadcasts: repeated into the output first.
    Repeated(Slot),
    /// What the output holds, where gradients accumulate.
    Gradient,
}

/// A product of the graph with sizes.
struct Product {
    plan: GemmPlan,
    rows_lead: bool,
    depth_leads: bool,
}

impl Product {
    fn new(binder: &Binder, step: &Step, op: op::Gemm) -> Result<Self, EngineError> {
        let (a, y) = (step.inputs[0], step.outputs[0]);
        let (rows, columns) = (binder.shape(y)[0], binder.shape(y)[1]);
        let depth = binder.shape(a)[if op.trans_a { 0 } else { 1 }];
        let problem = GemmProblem {
            trans_a: op.trans_a,
            trans_b: op.trans_b,
            alpha: op.alpha,
            beta: op.beta,
            ..product(binder, step, rows, columns, depth)?
        };
        Ok(Self {
            plan: GemmPlan::new(problem, binder.machine().isa),
            rows_lead: binder.leads(y),
            depth_leads: op.trans_a && binder.leads(a),
        })
    }

    fn present(&self, rows: usize) -> Present {
        let whole = self.plan.whole();
        Present {
            rows: if self.rows_lead { rows } else { whole.rows },
            depth: if self.depth_leads { rows } else { whole.depth },
            ..whole
        }
    }
}

pub(super) fn gemm(
    binder: &mut Binder,
    step: &Step,
    op: op::Gemm,
    activation: Option<op::Activation>,
) -> Result<Bound, EngineError> {
    let (a, b, y) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let product = Product::new(binder, step, op)?;
    let summand = summand(binder, step, y);
    let packed = pack(binder, &product.plan, b, op.trans_b);
    let activation = activation.map(kernel_activation);
    let scratch = product.plan.scratch_len(binder.threads());
    let GemmProblem { columns, .. } = *product.plan.problem();
    let multiply_adds = product.plan.problem().multiply_adds();
    Ok(Bound::new(move |cx| {
        let b =
            packed.map_or_else(|| Right::Plain(cx.read(b)), |index| Right::Packed(&cx.packed[index].weights));
        let out = cx.write(y);
        let addend = addend(cx, summand, out, columns);
        let call = GemmCall { present: product.present(cx.rows), a: cx.read(a), b, addend, activation };
        product.plan.multiply(cx.machine, &call, out, cx.scratch());
    })
    .costs(multiply_adds)
    .with_scratch(scratch))
}

/// The gradient of a weight, along which the optimiser's rule moves it tile by tile. Of a batch so large that sums are made in
/// several goes, the gradient is in scratch meanwhile.
pub(super) fn update(binder: &mut Binder, step: &Step, op: op::Gemm) -> Result<Bound, EngineError> {
    let (a, b, weight) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let product = Product::new(binder, step, op)?;
    let in_tiles = product.plan.can_update();
    let stored = if in_tiles { 0 } else { binder.len(weight) };
    let workings = product.plan.scratch_len(binder.threads());
    let multiply_adds = product.plan.problem().multiply_adds();
    Ok(Bound::new(move |cx| {
        let (b, addend) = (Right::Plain(cx.read(b)), Addend::None);
        let call = GemmCall { present: product.present(cx.rows), a: cx.read(a), b, addend, activation: None };
        let update = cx.update(weight);
        let (workings, gradient) = cx.scratch().split_at_mut(workings);
        if in_tiles {
            product.plan.update(cx.machine, &call, update, workings);
        } else {
            product.plan.multiply(cx.machine, &call, gradient, workings);
            update.run(cx.machine, gradient);
        }
    })
    .costs(multiply_adds)
    .by(if in_tiles { "tile by tile" } else { "whole gradient" })
    .with_scratch(workings + stored))
}

fn product(
    binder: &Binder,
    step: &Step,
    rows: usize,
    columns: usize,
    depth: usize,
) -> Result<GemmProblem, EngineError> {
    GemmProblem::new(rows, columns, depth).map_err(|error| binder.unsupported(step, error))
}

fn summand(binder: &Binder, step: &Step, y: Slot) -> Summand {
    if matches!(binder.plan.values[y].home, Home::Gradient(_)) {
        return Summand::Gradient;
    }
    let Some(&c) = step.inputs.get(2) else { return Summand::None };
    let (shape, wanted) = (binder.shape(c), binder.shape(y));
    let padded: Vec<usize> =
        std::iter::repeat_n(1, 2 - shape.len().min(2)).chain(shape.iter().copied()).collect();
    match padded[..] {
        [1, columns] if columns == wanted[1] => Summand::Columns(c),
        [rows, columns] if rows == wanted[0] && columns == wanted[1] => Summand::Full(c),
        _ => Summand::Repeated(c),
    }
}

fn addend<'a>(cx: &'a Context<'_>, summand: Summand, out: &mut [f32], columns: usize) -> Addend<'a> {
    match summand {
        Summand::None => Addend::None,
        Summand::Columns(slot) => Addend::Columns(cx.read(slot)),
        Summand::Full(slot) => Addend::Full(cx.read(slot)),
        Summand::Gradient if cx.store == Store::Overwrite => Addend::None,
        Summand::Gradient => Addend::Output,
        Summand::Repeated(slot) => {
            // One value in all, or one per row.
            let values = cx.read(slot);
            for (row, out) in out.chunks_mut(columns).enumerate() {
                out.fill(values[row % values.len()]);
            }
            Addend::Output
        }
    }
}

/// Packs B ahead of the call where it is a parameter: every call of a version of the state shares it.
fn pack(binder: &mut Binder, plan: &GemmPlan, b: Slot, trans_b: bool) -> Option<usize> {
    let Home::Parameter(name) = binder.plan.values[b].home.clone() else { return None };
    if binder.packs_late(plan.packed_len()) && !plan.shares_packing() {
        return None;
    }
    let GemmProblem { columns, depth, .. } = *plan.problem();
    let index =
        binder.workspace.packed_index(format!("{name} gemm {columns} x {depth} transposed {trans_b}"));
    let (plan, len) = (plan.clone(), plan.packed_len());
    let pack = move |machine: &svertka_kernels::Machine, state: &crate::State, packed: &mut super::Packed| {
        packed.weights.resize(len, 0.0);
        plan.pack(machine, state.values(&name).unwrap_or_default(), &mut packed.weights);
    };
    binder.packers.push(Packer { index, len, pack: Box::new(pack) });
    Some(index)
}

/// Matrix products of any rank: one product per matrix of the broadcast batch.
pub(super) fn matmul(binder: &mut Binder, step: &Step) -> Result<Bound, EngineError> {
    let (a, b, y) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let (a_shape, b_shape) = (binder.shape(a).to_vec(), binder.shape(b).to_vec());
    // NumPy: a vector on the left is a row, on the right a column.
    let (rows, depth) =
        (if a_shape.len() > 1 { a_shape[a_shape.len() - 2] } else { 1 }, a_shape[a_shape.len() - 1]);
    let columns = if b_shape.len() > 1 { b_shape[b_shape.len() - 1] } else { 1 };
    let problem = product(binder, step, rows, columns, depth)?;
    let (a_batch, b_batch) = (matrices(&a_shape), matrices(&b_shape));
    let offsets = broadcast_offsets(a_batch, b_batch);
    let multiply_adds = problem.multiply_adds().saturating_mul(offsets.len());
    let plan = GemmPlan::new(problem, binder.machine().isa);
    let scratch = plan.scratch_len(binder.threads());
    // Rows of the batch are rows of one matrix, or matrices.
    let (rows_lead, batch) = (binder.leads(a) && a_shape.len() == 2, binder.batch.size);
    Ok(Bound::new(move |cx| {
        let (whole, left, right) = (plan.whole(), cx.read(a), cx.read(b));
        let present = if rows_lead { Present { rows: cx.rows, ..whole } } else { whole };
        let out = cx.write(y);
        let count = if rows_lead || cx.rows == batch { offsets.len() } else { out.len() / (rows * columns) };
        for (index, &(i, j)) in offsets[..count].iter().enumerate() {
            let (a, b) = (&left[i * rows * depth..], Right::Plain(&right[j * depth * columns..]));
            let call = GemmCall { present, a, b, addend: Addend::None, activation: None };
            plan.multiply(cx.machine, &call, &mut out[index * rows * columns..], cx.scratch());
        }
    })
    .costs(multiply_adds)
    .with_scratch(scratch))
}

/// The batch axes of an operand.
fn matrices(shape: &[usize]) -> &[usize] {
    &shape[..shape.len().saturating_sub(2)]
}

/// For every matrix of the result, which matrix of each operand makes it.
fn broadcast_offsets(a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
    let rank = a.len().max(b.len());
    let extent =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let mut offsets = vec![(0, 0)];
    for axis in 0..rank {
        let (left, right) = (extent(a, axis), extent(b, axis));
        let next = |&(i, j): &(usize, usize)| {
            (0..left.max(right))
                .map(move |k| (i * left + k % left, j * right + k % right))
                .collect::<Vec<_>>()
        };
        offsets = offsets.iter().flat_map(next).collect();
    }
    offsets
}
