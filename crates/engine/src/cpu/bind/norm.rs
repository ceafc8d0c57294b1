use super::{Binder, Bound, elementwise::Rows};
use crate::words::kernel_activation;
use crate::{
    EngineError,
    cpu::plan::{FusedNorm, FusedNormGradient, Slot, Step},
};
use svertka_graph::op;
use svertka_kernels::norm::{BatchNorm, BatchStatistics, Gradients, Inputs, Lrn, OutputGradient, Running};

fn problem(binder: &Binder, step: &Step, x: Slot, epsilon: f32) -> Result<BatchNorm, EngineError> {
    let shape = binder.shape(x);
    let pixels = shape[2..].iter().product();
    BatchNorm::new(shape[0], pixels, shape[1], epsilon).map_err(|error| binder.unsupported(step, error))
}

pub(super) fn forward(binder: &Binder, step: &Step, fused: &FusedNorm) -> Result<Bound, EngineError> {
    let activation = fused.activation.map(kernel_activation);
    let norm = problem(binder, step, step.inputs[0], fused.norm.epsilon)?.with_activation(activation);
    let rows = binder.rows(step.inputs[0]);
    Ok(if fused.training { training(step, norm, fused, rows) } else { inference(step, norm, fused, rows) })
}

fn training(step: &Step, norm: BatchNorm, fused: &FusedNorm, rows: Rows) -> Bound {
    let [x, scale, bias, mean, var] = five(&step.inputs);
    let [y, batch_mean, inv_std] = [step.outputs[0], step.outputs[1], step.outputs[2]];
    let residual = fused.add.then(|| step.inputs[5]);
    let weight = 1.0 - fused.norm.momentum;
    Bound::new(move |cx| {
        let saved = &mut BatchStatistics { mean: cx.write(batch_mean), inv_std: cx.write(inv_std) };
        let running = Some(Running { mean: cx.write(mean), variance: cx.write(var), weight });
        norm.statistics_into(cx.machine, rows.of(cx), cx.read(x), saved, running, cx.scratch());
        let inputs = Inputs {
            x: cx.read(x),
            residual: residual.map(|slot| cx.read(slot)),
            scale: cx.read(scale),
            bias: cx.read(bias),
            mean: saved.mean,
            inv_std: saved.inv_std,
        };
        norm.normalise_into(cx.machine, rows.of(cx), &inputs, cx.write(y));
    })
    .with_scratch(norm.scratch_len())
}

fn inference(step: &Step, norm: BatchNorm, fused: &FusedNorm, rows: Rows) -> Bound {
    let [x, scale, bias, mean, var] = five(&step.inputs);
    let y = step.outputs[0];
    let residual = fused.add.then(|| step.inputs[5]);
    Bound::new(move |cx| {
        let inv_std = &mut cx.scratch()[..norm.channels()];
        norm.inverse_std_into(cx.read(var), inv_std);
        let inputs = Inputs {
            x: cx.read(x),
            residual: residual.map(|slot| cx.read(slot)),
            scale: cx.read(scale),
            bias: cx.read(bias),
            mean: cx.read(mean),
            inv_std,
        };
        norm.normalise_into(cx.machine, rows.of(cx), &inputs, cx.write(y));
    })
    .with_scratch(norm.channels())
}

fn five(inputs: &[Slot]) -> [Slot; 5] {
    [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]]
}

pub(super) fn gradient(
    binder: &Binder,
    step: &Step,
    fused: &FusedNormGradient,
) -> Result<Bound, EngineError> {
    let [x, dy, scale, mean, deviation] = five(&step.inputs);
    let activation = fused.activation.map(kernel_activation);
    let norm = problem(binder, step, x, fused.frozen.unwrap_or_default())?
        .with_activation(activation)
        .with_frozen_statistics(fused.frozen.is_some());
    let y = step.inputs.get(5).copied().filter(|_| fused.reads_output);
    // Read only where the activation's input is computed again.
    let bias = step.inputs.get(5).copied().filter(|_| !fused.reads_output).unwrap_or(scale);
    let [dx, dscale, dbias] = [step.outputs[0], step.outputs[1], step.outputs[2]];
    let dx = binder.wanted(dx).then_some(dx);
    let dresidual = fused.add.then(|| step.outputs[3]);
    let frozen = fused.frozen.is_some();
    let (dscale_store, dbias_store) = (binder.store(dscale), binder.store(dbias));
    let (own, rows) = (norm.scratch_len(), binder.rows(x));
    Ok(Bound::new(move |cx| {
        let (scratch, inverse) = cx.scratch().split_at_mut(own);
        let inv_std = if frozen {
            norm.inverse_std_into(cx.read(deviation), inverse);
            &*inverse
        } else {
            cx.read(deviation)
        };
        // The kernel adds to both.
        let (dscale_out, dbias_out) = (cx.write(dscale), cx.write(dbias));
        dscale_store.clear(cx, dscale_out);
        dbias_store.clear(cx, dbias_out);
        let over_x = dx.is_some_and(|dx| cx.same(x, dx));
        let inputs = Inputs {
            x: if over_x { &[] } else { cx.read(x) },
            residual: None,
            scale: cx.read(scale),
            bias: cx.read(bias),
            mean: cx.read(mean),
            inv_std,
        };
        let output = OutputGradient { y: y.map_or(&[], |slot| cx.read(slot)), dy: cx.read(dy) };
        let gradients = Gradients {
            dx: dx.map(|slot| cx.write(slot)),
            dresidual: dresidual.map(|slot| cx.write(slot)),
            dscale: dscale_out,
            dbias: dbias_out,
        };
        norm.gradient_into(cx.machine, rows.of(cx), &inputs, output, gradients, scratch);
    })
    .with_scratch(own + norm.channels())
    .in_place_of(&[0]))
}

fn lrn_problem(binder: &Binder, step: &Step, lrn: &op::Lrn) -> Result<Lrn, EngineError> {
    let shape = binder.shape(step.inputs[0]);
    let pixels = shape[2..].iter().product();
    let op::Lrn { size, alpha, beta, bias } = *lrn;
    Lrn::new(pixels, shape[1], size, [alpha, beta, bias]).map_err(|error| binder.unsupported(step, error))
}

pub(super) fn lrn(binder: &Binder, step: &Step, lrn: &op::Lrn) -> Result<Bound, EngineError> {
    let (x, y, lrn) = (step.inputs[0], step.outputs[0], lrn_problem(binder, step, lrn)?);
    let rows = binder.rows(x);
    Ok(Bound::new(move |cx| lrn.apply_into(cx.machine, rows.of(cx), cx.read(x), cx.write(y))))
}

pub(super) fn lrn_gradient(binder: &Binder, step: &Step, lrn: &op::Lrn) -> Result<Bound, EngineError> {
    let (x, dy, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let lrn = lrn_problem(binder, step, lrn)?;
    let (scratch, rows) = (lrn.scratch_len(binder.machine()), binder.rows(x));
    Ok(Bound::new(move |cx| {
        lrn.gradient_into(cx.machine, rows.of(cx), cx.read(x), cx.read(dy), cx.write(dx), cx.scratch());
    })
    .with_scratch(scratch))
}
