use crate::state::numbers;
use std::fmt;
use svertka_graph::{
    Graph, Op, Origin, ValueId,
    op::{Activation, BatchNormalization, Conv, ConvTranspose, Gemm, Pad, SoftmaxCrossEntropyLoss},
};

/// A value of a plan.
pub(crate) type Slot = usize;

/// In which order a value's axes lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// As in the graph, `[N, C, …]`.
    Planar,
    /// `[N, …, C]`.
    ChannelsLast,
}

impl Layout {
    /// Axes of the graph in the order in which they lie in memory.
    pub(crate) fn order(self, rank: usize) -> Vec<usize> {
        match self {
            Layout::ChannelsLast if rank > 2 => [0].into_iter().chain(2..rank).chain([1]).collect(),
            _ => (0..rank).collect(),
        }
    }

    /// Where the graph's `axis` lies in memory.
    pub(crate) fn axis(self, axis: usize, rank: usize) -> usize {
        self.order(rank).iter().position(|&logical| logical == axis).unwrap_or(axis)
    }
}

/// Where a value lives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Home {
    /// In the scratch arena.
    Arena,
    /// Handed in: the place among the graph's inputs.
    Input(usize),
    /// In the state, under this name.
    Parameter(String),
    /// In the gradients, at this place of their order.
    Gradient(usize),
    /// Part of the structure.
    Constant(Vec<f32>),
}

/// A value as the plan sees it.
#[derive(Clone, Debug)]
pub(crate) struct PlanValue {
    /// For messages and listings.
    pub(crate) name: String,
    /// The value of the graph whose shape this one has.
    pub(crate) value: ValueId,
    pub(crate) rank: usize,
    pub(crate) layout: Layout,
    pub(crate) home: Home,
}

/// A convolution with what was fused around it: `act(conv(pad(normalise(x))) + bias [+ add])`, or with a folded batch
/// normalisation in place of the bias.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FusedConv {
    pub(crate) conv: Conv,
    pub(crate) source: FusedSource,
    pub(crate) bias: Option<Slot>,
    pub(crate) batch_norm: Option<FoldedNorm>,
    pub(crate) add: Option<Slot>,
    pub(crate) activation: Option<Activation>,
}

/// What is done to a convolution's input while it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FusedSource {
    /// The input is divided by `deviation` after `mean` is subtracted, per channel.
    pub(crate) normalise: Option<Normalise>,
    /// The input is padded.
    pub(crate) pad: Option<Pad>,
}

/// Constants of a normalisation `(x − mean) / deviation` per channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Normalise {
    pub(crate) mean: Vec<f32>,
    pub(crate) deviation: Vec<f32>,
}

/// Batch normalisation by fixed statistics, folded into the convolution in front of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FoldedNorm {
    pub(crate) epsilon: f32,
    /// Slots of scale, bias, mean, var.
    pub(crate) parameters: [Slot; 4],
}

/// Batch normalisation with what was fused behind it: `act(norm(x) [+ add])`. Inputs: x, scale, bias, mean, var, [add].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FusedNorm {
    pub(crate) norm: BatchNormalization,
    /// By the batch's statistics (outputs: y, batch mean, inverse deviation) or by the gathered ones (output: y).
    pub(crate) training: bool,
    pub(crate) add: bool,
    pub(crate) activation: Option<Activation>,
}

/// The gradient of [`FusedNorm`]. Inputs: x, dy, scale, mean, inverse deviation or var, and with an activation its y or
/// the norm's bias. Outputs: dx, dscale, dbias, [dadd].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FusedNormGradient {
    /// `Some(epsilon)`: by fixed statistics.
    pub(crate) frozen: Option<f32>,
    /// The activation behind.
    pub(crate) activation: Option<Activation>,
    /// The activation's y is read; else it is computed again from x.
    pub(crate) reads_output: bool,
    /// Also puts out the gradient behind the activation, for the other summand.
    pub(crate) add: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// One operator of the graph, nothing fused.
    Op(Op),
    /// A convolution and its surroundings. Inputs: x, weight.
    Conv(FusedConv),
    /// A transposed convolution and its surroundings. Inputs: x, weight, [bias].
    ConvTranspose(ConvTranspose, Option<Activation>),
    /// The gradient of a convolution's weight. Inputs: x, dy.
    ConvWeightGradient(Conv, FusedSource),
    /// A matrix product and its activation. Inputs: A, B, [C].
    Gemm(Gemm, Option<Activation>),
    /// A matrix product that is the gradient of a weight, and what the optimiser does with it. Inputs: A, B; output: the
    /// weight.
    Update(Gemm),
    /// Batch normalisation and its surroundings.
    Norm(FusedNorm),
    /// The gradient of batch normalisation and its surroundings.
    NormGradient(FusedNormGradient),
    /// Loss and the gradient of the scores at once. Inputs: scores, target, [weights]. Outputs: loss, dscores,
    /// [log-probabilities].
    CrossEntropy(SoftmaxCrossEntropyLoss),
    /// Integers or truth values that were handed in, as numbers.
    Numbers,
    /// The same elements in another layout.
    Convert,
    /// Adds a value to a parameter's gradient. Input: the value; output: the gradient.
    Accumulate,
}

/// One thing that a program does.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) inputs: Vec<Slot>,
    pub(crate) outputs: Vec<Slot>,
    /// Runs in `backward`.
    pub(crate) backward: bool,
}

/// A graph lowered for a purpose: fused and laid out, without sizes. Printing it shows every step.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) graph: Graph,
    pub(crate) values: Vec<PlanValue>,
    pub(crate) steps: Vec<Step>,
    /// Slots of the graph's outputs, planar.
    pub(crate) outputs: Vec<Slot>,
    /// Slots that the outside hands in before `backward`, among the graph's inputs.
    pub(crate) seeds: Vec<Slot>,
    /// Trainable parameters in the order in which `backward` finishes their gradients, with their numbers of elements.
    pub(crate) gradients: Vec<(String, usize)>,
    /// Parameters that `backward` moves without a gradient being stored, likewise.
    pub(crate) updated: Vec<(String, usize)>,
    /// Statistics that `forward` moves: (statistic, next value).
    pub(crate) updates: Vec<(Slot, Slot)>,
}

impl Plan {
    /// One slot per value of the graph, all planar; constants and parameters are at home already.
    pub(crate) fn new(graph: Graph) -> Self {
        let values = graph.value_ids().map(|id| plan_value(&graph, id)).collect();
        let (steps, outputs, seeds) = (Vec::new(), Vec::new(), Vec::new());
        let (gradients, updated, updates) = (Vec::new(), Vec::new(), Vec::new());
        Self { graph, values, steps, outputs, seeds, gradients, updated, updates }
    }

    /// A new slot of the same shape as `like`.
    pub(crate) fn add_value(&mut self, name: String, like: Slot, layout: Layout) -> Slot {
        let value = PlanValue { name, layout, home: Home::Arena, ..self.values[like].clone() };
        self.values.push(value);
        self.values.len() - 1
    }

    /// How many times a slot is read by steps; graph outputs and statistics count as reads.
    pub(crate) fn uses(&self, slot: Slot) -> usize {
        let read = |step: &Step| step.reads().filter(|&input| input == slot).count();
        let kept = self.outputs.iter().chain(self.updates.iter().map(|(_, next)| next));
        self.steps.iter().map(read).sum::<usize>() + kept.filter(|&&output| output == slot).count()
    }

    /// The step that writes a slot.
    pub(crate) fn producer(&self, slot: Slot) -> Option<usize> {
        self.steps.iter().position(|step| step.outputs.contains(&slot))
    }

    /// The known extent of the channel axis of a slot, if it is known.
    pub(crate) fn channels(&self, slot: Slot) -> Option<usize> {
        self.graph.shape(self.values[slot].value).get(1)?.fixed()
    }
}

impl Step {
    /// Every slot whose elements the step reads: its inputs and what was fused in.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Slot> {
        let fused = match &self.kind {
            Kind::Conv(conv) => {
                let folded = conv.batch_norm.iter().flat_map(|norm| norm.parameters);
                conv.bias.into_iter().chain(conv.add).chain(folded).collect()
            }
            _ => Vec::new(),
        };
        self.inputs
            .iter()
            .copied()
            .enumerate()
            .filter(|&(index, _)| !self.shape_only(index))
            .map(|(_, slot)| slot)
            .chain(fused)
    }

    /// Whether input `index` lends its shape only.
    pub(crate) fn shape_only(&self, index: usize) -> bool {
        matches!(&self.kind, Kind::Op(op) if op.reads_shape_only(index))
    }
}

fn plan_value(graph: &Graph, id: ValueId) -> PlanValue {
    let value = graph.value(id);
    let home = match &value.origin {
        Origin::Input => Home::Input(graph.inputs().iter().position(|&input| input == id).unwrap_or(0)),
        Origin::Parameter(_) => Home::Parameter(value.name.clone()),
        Origin::Node { node, .. } => match &graph.node(*node).op {
            Op::Constant(tensor) => numbers(tensor).map_or(Home::Arena, |data| Home::Constant(data.to_vec())),
            _ => Home::Arena,
        },
    };
    let (name, rank) = (value.name.clone(), value.ty.shape.rank());
    PlanValue { name, value: id, rank, layout: Layout::Planar, home }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Op(op) => f.write_str(op.name()),
            Kind::Conv(fused) => {
                write!(f, "{}Conv", fused.source)?;
                write_if(f, fused.bias.is_some(), "bias")?;
                write_if(f, fused.batch_norm.is_some(), "batch norm")?;
                write_if(f, fused.add.is_some(), "add")?;
                write_activation(f, fused.activation)
            }
            Kind::ConvTranspose(_, activation) => {
                f.write_str("ConvTranspose")?;
                write_activation(f, *activation)
            }
            Kind::ConvWeightGradient(_, source) => write!(f, "{source}ConvWeightGradient"),
            Kind::Gemm(_, activation) => {
                f.write_str("Gemm")?;
                write_activation(f, *activation)
            }
            Kind::Update(_) => f.write_str("Gemm + update"),
            Kind::Norm(norm) => {
                f.write_str(if norm.training { "batch norm (training)" } else { "batch norm" })?;
                write_if(f, norm.add, "add")?;
                write_activation(f, norm.activation)
            }
            Kind::NormGradient(gradient) => {
                f.write_str("batch norm gradient")?;
                write_if(f, gradient.add, "add")?;
                write_activation(f, gradient.activation)
            }
            Kind::CrossEntropy(_) => f.write_str("softmax + cross-entropy (loss and gradient)"),
            Kind::Numbers => f.write_str("numbers"),
            Kind::Convert => f.write_str("convert"),
            Kind::Accumulate => f.write_str("accumulate"),
        }
    }
}

impl fmt::Display for FusedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.normalise.is_some() {
            f.write_str("normalise + ")?;
        }
        if self.pad.is_some() {
            f.write_str("pad + ")?;
        }
        Ok(())
    }
}

fn write_if(f: &mut fmt::Formatter<'_>, holds: bool, word: &str) -> fmt::Result {
    if holds { write!(f, " + {word}") } else { Ok(()) }
}

fn write_activation(f: &mut fmt::Formatter<'_>, activation: Option<Activation>) -> fmt::Result {
    activation.map_or(Ok(()), |activation| write!(f, " + {}", activation.name()))
}

/// One line per step: what is done, which values it reads, what it writes and in which layout.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |slots: &[Slot]| {
            let names: Vec<&str> = slots.iter().map(|&slot| self.values[slot].name.as_str()).collect();
            names.join(", ")
        };
        let mut backward = false;
        for step in &self.steps {
            if step.backward && !backward {
                writeln!(f, "backward:")?;
                backward = true;
            }
            let picture = step.outputs.first().is_some_and(|&slot| self.values[slot].rank > 2);
            let layout = match step.outputs.first().map(|&slot| self.values[slot].layout) {
                Some(Layout::ChannelsLast) => " channels-last",
                Some(Layout::Planar) if picture => " planar",
                _ => "",
            };
            writeln!(f, "{}: {} <- {}{layout}", names(&step.outputs), step.kind, names(&step.inputs))?;
        }
        Ok(())
    }
}
