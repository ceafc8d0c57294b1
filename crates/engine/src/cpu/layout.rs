//! Chooses in which order every value lies in memory and inserts conversions where steps disagree.
//!
//! Pictures are channels-last wherever an operator slides over them; operators that treat elements or axes alike follow
//! their input; whatever depends on the graph's own order (reshapes, matrix products) is planar. The network's first
//! convolution reads planar pictures itself.

use super::{
    fuse,
    plan::{Home, Kind, Layout, Plan, Slot, Step},
};
use std::collections::HashMap;
use svertka_graph::{
    Op,
    op::{Internal, Reduce},
};

/// Parameters and their gradients lie as in the graph.
pub(super) const PARAMETERS: Layout = Layout::Planar;

/// Up to this many channels a convolution reads planar pictures as fast as channels-last ones.
const FEW_CHANNELS: usize = 4;

pub(super) fn run(plan: &mut Plan) {
    let steps = std::mem::take(&mut plan.steps);
    let mut pass = Pass { plan, converted: HashMap::new(), steps: Vec::new() };
    let (forward, backward): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| !step.backward);
    forward.into_iter().for_each(|step| pass.lay_out(step));
    for index in 0..pass.plan.outputs.len() {
        pass.plan.outputs[index] = pass.convert(pass.plan.outputs[index], Layout::Planar, false);
    }
    backward.into_iter().for_each(|step| pass.lay_out(step));
    let steps = pass.steps;
    plan.steps = steps;
}

/// What a step asks of its pictures.
enum Wanted {
    /// Inputs at these places channels-last, and every picture it puts out.
    ChannelsLast(Vec<usize>),
    /// All inputs alike; outputs as they are.
    Alike,
    /// The first input as it is; outputs planar.
    AnyToPlanar,
    /// Everything planar.
    Planar,
}

struct Pass<'a> {
    plan: &'a mut Plan,
    /// What a slot has already been converted to.
    converted: HashMap<(Slot, Layout), Slot>,
    steps: Vec<Step>,
}

impl Pass<'_> {
    fn lay_out(&mut self, mut step: Step) {
        let output = match wanted(self.plan, &step) {
            Wanted::ChannelsLast(pictures) => {
                for index in pictures {
                    self.convert_input(&mut step, index, Layout::ChannelsLast);
                }
                Layout::ChannelsLast
            }
            Wanted::Alike => {
                let layout = self.common(&step);
                for index in 0..step.inputs.len() {
                    self.convert_input(&mut step, index, layout);
                }
                layout
            }
            Wanted::AnyToPlanar => Layout::Planar,
            Wanted::Planar => {
                for index in 0..step.inputs.len() {
                    self.convert_input(&mut step, index, Layout::Planar);
                }
                Layout::Planar
            }
        };
        if let Kind::Conv(conv) = &mut step.kind {
            conv.add = conv.add.map(|slot| self.convert(slot, Layout::ChannelsLast, step.backward));
        }
        // It is made of pictures, but is none.
        let output = if matches!(step.kind, Kind::ConvWeightGradient(..)) { PARAMETERS } else { output };
        for &slot in &step.outputs {
            let value = &mut self.plan.values[slot];
            if value.home == Home::Arena && value.rank > 2 {
                value.layout = output;
            }
        }
        self.steps.push(step);
    }

    /// Channels-last if any picture among the inputs is.
    fn common(&self, step: &Step) -> Layout {
        let read = step.inputs.iter().enumerate().filter(|&(index, _)| !step.shape_only(index));
        let last = read.into_iter().any(|(_, &slot)| self.plan.values[slot].layout == Layout::ChannelsLast);
        if last { Layout::ChannelsLast } else { Layout::Planar }
    }

    fn convert_input(&mut self, step: &mut Step, index: usize, layout: Layout) {
        let slot = step.inputs[index];
        let planar_read = index == 0 && self.reads_planar(step, slot);
        if !step.shape_only(index) && !planar_read {
            step.inputs[index] = self.convert(slot, layout, step.backward);
        }
    }

    /// The network's input, read by a convolution, with few channels.
    fn reads_planar(&self, step: &Step, slot: Slot) -> bool {
        let convolution = matches!(step.kind, Kind::Conv(_) | Kind::ConvWeightGradient(..));
        let few = self.plan.channels(slot).is_some_and(|channels| channels <= FEW_CHANNELS);
        convolution && few && matches!(self.plan.values[slot].home, Home::Input(_))
    }

    fn convert(&mut self, slot: Slot, layout: Layout, backward: bool) -> Slot {
        let value = &self.plan.values[slot];
        if value.layout == layout || value.rank <= 2 || order_is_immaterial(self.plan, slot) {
            return slot;
        }
        if let Some(&known) = self.converted.get(&(slot, layout)) {
            return known;
        }
        let suffix = if layout == Layout::Planar { "planar" } else { "channels-last" };
        let name = format!("{} ({suffix})", value.name);
        let output = self.plan.add_value(name.clone(), slot, layout);
        self.converted.insert((slot, layout), output);
        self.steps.push(Step {
            name,
            kind: Kind::Convert,
            inputs: vec![slot],
            outputs: vec![output],
            backward,
        });
        output
    }
}

/// Whether both layouts are the same bytes: constants and parameters that vary along channels only, or not at all.
fn order_is_immaterial(plan: &Plan, slot: Slot) -> bool {
    let value = &plan.values[slot];
    let handed_in = matches!(value.home, Home::Constant(_) | Home::Parameter(_));
    handed_in && plan.graph.shape(value.value).iter().filter(|dim| dim.fixed() != Some(1)).count() <= 1
}

fn wanted(plan: &Plan, step: &Step) -> Wanted {
    match &step.kind {
        Kind::Conv(_) | Kind::ConvTranspose(..) => Wanted::ChannelsLast(vec![0]),
        Kind::ConvWeightGradient(..) => Wanted::ChannelsLast(vec![0, 1]),
        Kind::Norm(norm) => Wanted::ChannelsLast(if norm.add { vec![0, 5] } else { vec![0] }),
        Kind::NormGradient(_) => {
            Wanted::ChannelsLast([0, 1].into_iter().chain(5..step.inputs.len()).collect())
        }
        Kind::Op(op) => wanted_of_op(plan, step, op),
        Kind::Gemm(..)
        | Kind::Update(_)
        | Kind::CrossEntropy(_)
        | Kind::Accumulate
        | Kind::Numbers
        | Kind::Convert => Wanted::Planar,
    }
}

fn wanted_of_op(plan: &Plan, step: &Step, op: &Op) -> Wanted {
    match op {
        Op::MaxPool(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::GlobalMaxPool
        | Op::Lrn(_)
        | Op::Resize(_) => Wanted::ChannelsLast(vec![0]),
        Op::Activation(_)
        | Op::Unary(_)
        | Op::Cast(_)
        | Op::Dropout(_)
        | Op::Identity
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. } => Wanted::Alike,
        Op::Concat(_) | Op::Pad(_) => Wanted::Alike,
        Op::Binary(_) | Op::Where if broadcasts_in_any_order(plan, step) => Wanted::Alike,
        Op::Reduce(reduce) if reduce.keepdims => Wanted::Alike,
        Op::Reduce(reduce) if fuse::is_column_sum(reduce, plan.values[step.inputs[0]].rank) => {
            Wanted::ChannelsLast(vec![0])
        }
        Op::Reduce(reduce) if keeps_order(plan, step, reduce) => Wanted::AnyToPlanar,
        Op::Transpose(_) => Wanted::AnyToPlanar,
        Op::Internal(internal) => wanted_of_internal(plan, step, internal),
        _ => Wanted::Planar,
    }
}

fn wanted_of_internal(plan: &Plan, step: &Step, internal: &Internal) -> Wanted {
    match internal {
        // Dropout's random numbers count elements in channels-last order.
        Internal::DropoutTraining { .. }
        | Internal::MaxPoolTraining(_)
        | Internal::AveragePoolGradient(_)
        | Internal::ConvInputGradient(_)
        | Internal::ResizeGradient(_) => Wanted::ChannelsLast(vec![0]),
        Internal::MaxPoolGradient(_) | Internal::GlobalMaxPoolGradient | Internal::LrnGradient(_) => {
            Wanted::ChannelsLast(vec![0, 1])
        }
        Internal::ActivationGradient(_)
        | Internal::UnaryGradient(_)
        | Internal::SoftmaxGradient { .. }
        | Internal::LogSoftmaxGradient { .. }
        | Internal::ConcatGradient(_)
        | Internal::PadGradient(_) => Wanted::Alike,
        Internal::ExpandLike { axes, .. } if axes.is_empty() && is_per_channel(plan, step.inputs[0]) => {
            Wanted::ChannelsLast(vec![0])
        }
        Internal::SumTo if broadcasts_in_any_order(plan, step) => Wanted::Alike,
        _ => Wanted::Planar,
    }
}

/// Whether all inputs have the same rank, or those of lower rank vary along one axis at most, so that permuting the axes
/// of all of them alike is sound.
fn broadcasts_in_any_order(plan: &Plan, step: &Step) -> bool {
    let rank = step.inputs.iter().map(|&slot| plan.values[slot].rank).max().unwrap_or(0);
    step.inputs.iter().all(|&slot| {
        plan.values[slot].rank == rank || plan.graph.shape(plan.values[slot].value).elements() == Some(1)
    })
}

/// `[N, C, 1…]`.
fn is_per_channel(plan: &Plan, slot: Slot) -> bool {
    let shape = plan.graph.shape(plan.values[slot].value);
    shape.rank() > 2 && shape[2..].iter().all(|dim| dim.fixed() == Some(1))
}

/// Whether what a reduction leaves lies in the graph's order whatever the layout of its input: all spatial axes go.
fn keeps_order(plan: &Plan, step: &Step, reduce: &Reduce) -> bool {
    let rank = plan.values[step.inputs[0]].rank;
    let spatial = (2..rank as i64)
        .all(|axis| reduce.axes.contains(&axis) || reduce.axes.contains(&(axis - rank as i64)));
    reduce.axes.is_empty() || spatial
}
