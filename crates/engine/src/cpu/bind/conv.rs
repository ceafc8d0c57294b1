use super::{Binder, Bound, Packer, Pictures, elementwise::Rows};
use crate::words::kernel_activation;
use crate::{
    EngineError, State,
    cpu::{
        context::Context,
        memory::LINE,
        plan::{FoldedNorm, FusedConv, FusedSource, Home, Layout, Slot, Step},
        workspace::Packed,
    },
};
use svertka_graph::op::{self, PadMode};
use svertka_kernels::{
    Epilogue,
    activation::Activation,
    conv::{
        Border, BorderMode, ConvInputGradientPlan, ConvPlan, ConvProblem, ConvShape, ConvWeightGradientPlan,
        Layout as SourceLayout, Packing, Pictures as Batch, Source,
    },
};

/// Sizes of a convolution from `x` (as the convolution itself sees it, already padded) to `channels` outputs.
fn problem(
    binder: &Binder,
    step: &Step,
    conv: &op::Conv,
    x: Pictures,
    out_channels: usize,
) -> Result<ConvProblem, EngineError> {
    let shape = ConvShape {
        batch: x.batch,
        in_channels: x.channels,
        out_channels,
        input: x.size,
        kernel: two(&conv.window.kernel_shape),
        groups: conv.group,
        strides: two(&conv.window.strides),
        dilations: two(&conv.window.dilations),
        pads: four(&conv.window.pads),
    };
    ConvProblem::new(shape).map_err(|error| binder.unsupported(step, error))
}

/// One spatial axis becomes the width of a picture of height 1.
fn two(values: &[usize]) -> [usize; 2] {
    if let [height, width] = values { [*height, *width] } else { [1, values[0]] }
}

/// Begins and ends.
fn four(pads: &[usize]) -> [usize; 4] {
    if let [top, left, bottom, right] = pads {
        [*top, *left, *bottom, *right]
    } else {
        [0, pads[0], 0, pads[1]]
    }
}

/// How the kernel reads its input, and the input as the convolution sees it.
struct Reading {
    source: Source,
    pictures: Pictures,
    /// Factor and summand per channel of a fused normalisation.
    affine: Option<(Vec<f32>, Vec<f32>)>,
}

impl Reading {
    fn new(binder: &Binder, x: Slot, fused: &FusedSource) -> Self {
        let mut pictures = binder.pictures(x);
        let planar =
            binder.plan.values[x].layout == Layout::Planar && pictures.channels > 1 && pictures.pixels() > 1;
        let layout = if planar { SourceLayout::Planar } else { SourceLayout::ChannelsLast };
        let border = fused.pad.as_ref().map(border);
        if let Some(Border { pads: [top, left, bottom, right], .. }) = border {
            pictures.size = [pictures.size[0] + top + bottom, pictures.size[1] + left + right];
        }
        let affine = fused.normalise.as_ref().map(|normalise| {
            let scale: Vec<f32> = normalise.deviation.iter().map(|deviation| 1.0 / deviation).collect();
            let shift = normalise.mean.iter().zip(&scale).map(|(mean, scale)| -mean * scale).collect();
            (scale, shift)
        });
        Self { source: Source { layout, affine: affine.is_some(), border }, pictures, affine }
    }
}

fn border(pad: &op::Pad) -> Border {
    let rank = pad.pads.len() / 2;
    let by = |axis: usize| usize::try_from(pad.pads[axis]).unwrap_or(0);
    let pads = if rank == 4 { [by(2), by(3), by(6), by(7)] } else { [0, by(2), 0, by(5)] };
    let mode = match pad.mode {
        PadMode::Constant(value) => BorderMode::Constant(value),
        PadMode::Reflect => BorderMode::Reflect,
        PadMode::Edge => BorderMode::Edge,
        PadMode::Wrap => BorderMode::Wrap,
    };
    Border { pads, mode }
}

fn batch<'a>(
    cx: &'a Context<'_>,
    x: Slot,
    rows: Rows,
    affine: Option<&'a (Vec<f32>, Vec<f32>)>,
) -> Batch<'a> {
    match affine {
        Some((scale, shift)) => Batch::with_affine(rows.of(cx), cx.read(x), scale, shift),
        None => Batch::new(rows.of(cx), cx.read(x)),
    }
}

pub(super) fn forward(binder: &mut Binder, step: &Step, fused: &FusedConv) -> Result<Bound, EngineError> {
    let (x, weight, y) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let reading = Reading::new(binder, x, &fused.source);
    let problem = problem(binder, step, &fused.conv, reading.pictures, binder.shape(weight)[0])?;
    let plan = ConvPlan::new(problem, reading.source, binder.machine().choice())
        .map_err(|error| binder.unsupported(step, error))?;
    let norm = fused.batch_norm.as_ref().map(|norm| binder.fold(step, norm, fused.bias)).transpose()?;
    let weights = binder.weights(step, weight, plan.packing(), norm)?;
    let (algorithm, scratch) = (plan.algorithm(), weights.len() + plan.scratch_len(binder.threads()));
    let rows = binder.rows(x);
    let (bias, add, folded) = (fused.bias, fused.add, fused.batch_norm.is_some());
    let (affine, activation) = (reading.affine, fused.activation.map(kernel_activation));
    Ok(Bound::new(move |cx| {
        let (packed, scratch) = weights.of(cx);
        let bias = if folded { Some(weights.bias(cx)) } else { bias.map(|slot| cx.read(slot)) };
        let epilogue =
            Epilogue { bias, add: add.map(|slot| cx.read(slot)), activation, ..Epilogue::default() };
        let input = batch(cx, x, rows, affine.as_ref());
        plan.forward(cx.machine, input, packed, &epilogue, cx.write(y), scratch);
    })
    .by(algorithm)
    .costs(problem.batch.saturating_mul(problem.multiply_adds()))
    .with_scratch(scratch))
}

pub(super) fn transposed(
    binder: &mut Binder,
    step: &Step,
    conv: &op::ConvTranspose,
    activation: Option<op::Activation>,
) -> Result<Bound, EngineError> {
    let (x, weight, y) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let bias = step.inputs.get(2).copied();
    let forward = op::Conv { window: conv.window.clone(), group: conv.group };
    let problem = problem(binder, step, &forward, binder.pictures(y), binder.pictures(x).channels)?;
    if problem.output() != binder.pictures(x).size {
        return Err(binder.unsupported(step, "output_padding has to be smaller than the stride"));
    }
    backwards(binder, step, problem, [x, weight, y], bias, activation.map(kernel_activation))
}

pub(super) fn input_gradient(
    binder: &mut Binder,
    step: &Step,
    conv: &op::Conv,
) -> Result<Bound, EngineError> {
    let (dy, weight, dx) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let problem = problem(binder, step, conv, binder.pictures(dx), binder.pictures(dy).channels)?;
    backwards(binder, step, problem, [dy, weight, dx], None, None)
}

/// A convolution read from its output to its input.
fn backwards(
    binder: &mut Binder,
    step: &Step,
    problem: ConvProblem,
    [x, weight, y]: [Slot; 3],
    bias: Option<Slot>,
    activation: Option<Activation>,
) -> Result<Bound, EngineError> {
    let plan = ConvInputGradientPlan::new(problem, binder.machine().choice());
    let weights = binder.weights(step, weight, plan.packing(), None)?;
    let (algorithm, scratch) = (plan.algorithm(), weights.len() + plan.scratch_len(binder.threads()));
    let rows = binder.rows(x);
    Ok(Bound::new(move |cx| {
        let epilogue = Epilogue { bias: bias.map(|slot| cx.read(slot)), activation, ..Epilogue::default() };
        let input = Batch::new(rows.of(cx), cx.read(x));
        let (packed, scratch) = weights.of(cx);
        plan.run(cx.machine, input, packed, &epilogue, cx.write(y), scratch);
    })
    .by(algorithm)
    .costs(problem.batch.saturating_mul(problem.multiply_adds()))
    .with_scratch(scratch))
}

pub(super) fn weight_gradient(
    binder: &mut Binder,
    step: &Step,
    conv: &op::Conv,
    fused: &FusedSource,
) -> Result<Bound, EngineError> {
    let (x, dy, dw) = (step.inputs[0], step.inputs[1], step.outputs[0]);
    let reading = Reading::new(binder, x, fused);
    let problem = problem(binder, step, conv, reading.pictures, binder.pictures(dy).channels)?;
    let plan = ConvWeightGradientPlan::new(problem, reading.source, binder.machine().choice())
        .map_err(|error| binder.unsupported(step, error))?;
    let (algorithm, rows) = (plan.algorithm(), binder.rows(x));
    let (scratch, affine, store) = (plan.scratch_len(binder.threads()), reading.affine, binder.store(dw));
    Ok(Bound::new(move |cx| {
        let input = batch(cx, x, rows, affine.as_ref());
        plan.run(cx.machine, input, cx.read(dy), cx.write(dw), store.of(cx), cx.scratch());
    })
    .by(algorithm)
    .costs(problem.batch.saturating_mul(problem.multiply_adds()))
    .with_scratch(scratch))
}

/// Weights in the order of a plan, and who packs them.
enum Weights {
    /// The program, before its steps, once for each version of the state: which of the workspace's.
    Ahead(usize),
    /// The step itself, in its scratch: nobody else would read them before they change.
    Here { packing: Packing, weight: Slot },
    /// Nobody: the plan reads them as they lie.
    Plain(Slot),
}

impl Weights {
    /// How much of the step's scratch they take.
    fn len(&self) -> usize {
        match self {
            Weights::Ahead(_) | Weights::Plain(_) => 0,
            Weights::Here { packing, .. } => packing.packed_len().next_multiple_of(LINE),
        }
    }

    /// The packed weights, and the rest of the step's scratch.
    fn of<'a>(&self, cx: &'a Context<'_>) -> (&'a [f32], &'a mut [f32]) {
        match self {
            Weights::Ahead(index) => (&cx.packed[*index].weights, cx.scratch()),
            Weights::Plain(weight) => (cx.read(*weight), cx.scratch()),
            Weights::Here { packing, weight } => {
                let (packed, scratch) = cx.scratch().split_at_mut(self.len());
                packing.pack(cx.machine, cx.read(*weight), packed);
                (packed, scratch)
            }
        }
    }

    /// The bias that a folded normalisation makes.
    fn bias<'a>(&self, cx: &'a Context<'_>) -> &'a [f32] {
        match self {
            Weights::Ahead(index) => &cx.packed[*index].bias,
            Weights::Here { .. } | Weights::Plain(_) => &[],
        }
    }
}

impl Binder<'_> {
    /// A parameter's weights in the order of `packing`, with a batch normalisation folded in.
    fn weights(
        &mut self,
        step: &Step,
        weight: Slot,
        packing: Packing,
        folded: Option<Fold>,
    ) -> Result<Weights, EngineError> {
        self.parameter(step, weight)?;
        Ok(match folded {
            None if packing.is_none() => Weights::Plain(weight),
            None if self.packs_late(packing.packed_len()) => Weights::Here { packing, weight },
            _ => Weights::Ahead(self.packed(step, weight, packing, folded)?),
        })
    }

    /// The place of a parameter's weights in the order of `packing`, with a batch normalisation folded in.
    fn packed(
        &mut self,
        step: &Step,
        weight: Slot,
        packing: Packing,
        folded: Option<Fold>,
    ) -> Result<usize, EngineError> {
        let name = self.parameter(step, weight)?;
        let index = self.workspace.packed_index(format!("{name} {packing:?} {folded:?}"));
        let pack = move |machine: &svertka_kernels::Machine, state: &State, packed: &mut Packed| {
            let weights = state.values(&name).unwrap_or_default();
            packed.weights.resize(packing.packed_len(), 0.0);
            match &folded {
                Some(fold) => {
                    fold.apply(state, weights, packed);
                    packing.pack(machine, &packed.folded, &mut packed.weights);
                }
                None => packing.pack(machine, weights, &mut packed.weights),
            }
        };
        self.packers.push(Packer { index, len: packing.packed_len(), pack: Box::new(pack) });
        Ok(index)
    }

    pub(super) fn parameter(&self, step: &Step, slot: Slot) -> Result<String, EngineError> {
        match &self.plan.values[slot].home {
            Home::Parameter(name) => Ok(name.clone()),
            _ => Err(self.unsupported(step, "the weight has to be a parameter, not a computed value")),
        }
    }

    /// The normalisation behind a convolution with this bias.
    fn fold(&self, step: &Step, norm: &FoldedNorm, bias_of_conv: Option<Slot>) -> Result<Fold, EngineError> {
        let [scale, bias, mean, var] = norm.parameters;
        let name = |slot| self.parameter(step, slot);
        let bias_of_conv = bias_of_conv.map(name).transpose()?;
        Ok(Fold {
            epsilon: norm.epsilon,
            names: [name(scale)?, name(bias)?, name(mean)?, name(var)?],
            bias_of_conv,
        })
    }
}

/// A batch normalisation by fixed statistics as a factor of the weights and a bias.
#[derive(Debug)]
struct Fold {
    epsilon: f32,
    /// Scale, bias, mean, var.
    names: [String; 4],
    bias_of_conv: Option<String>,
}

impl Fold {
    /// `factor = scale/√(var + ε)` times the weights of each output channel; `bias + (bias of conv − mean)·factor`
    /// as the bias.
    fn apply(&self, state: &State, weights: &[f32], packed: &mut Packed) {
        let [scale, bias, mean, var] =
            self.names.each_ref().map(|name| state.values(name).unwrap_or_default());
        let factor = |channel: usize| {
            f64::from(scale[channel]) / (f64::from(var[channel]) + f64::from(self.epsilon)).sqrt()
        };
        let per_channel = weights.len() / scale.len().max(1);
        packed.folded.clear();
        packed.folded.extend(
            weights
                .iter()
                .enumerate()
                .map(|(index, &weight)| (f64::from(weight) * factor(index / per_channel)) as f32),
        );
        let own = self.bias_of_conv.as_ref().and_then(|name| state.values(name));
        let centre =
            |channel: usize| own.map_or(0.0, |own| f64::from(own[channel])) - f64::from(mean[channel]);
        let shift = |channel: usize| (f64::from(bias[channel]) + centre(channel) * factor(channel)) as f32;
        packed.bias.clear();
        packed.bias.extend((0..scale.len()).map(shift));
    }
}
