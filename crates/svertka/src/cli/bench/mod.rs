//! The same step of a network again and again, on a batch that stays in memory.

mod peak;
mod profile;

pub(crate) use peak::{bandwidth, flops};
pub(crate) use profile::{Peak, Profile, Row, median, planned_table, rows, timed_table};

use std::sync::Arc;
use std::time::Instant;

use svertka_engine::cpu::{Input, Program, Purpose, Workspace, lower};
use svertka_engine::{Gradients, Machine, Optimiser, RunKey, Sgd, State};
use svertka_graph::op::SoftmaxCrossEntropyLoss;
use svertka_graph::surgery::cut;
use svertka_graph::{DataType, Dim, Graph, Parameters, Sizes, ValueId, with_loss};

use super::failure::Failure;

/// A network with everything that a step needs.
///
/// In training a step is forward, cross-entropy, backward and SGD with momentum 0.9 and weight decay 1e-4 on all weights that
/// are not frozen; statistics move. Else it is inference.
pub(crate) struct Bench {
    program: Program,
    state: State,
    workspace: Workspace,
    images: Vec<f32>,
    labels: Vec<i64>,
    /// In training.
    gradients: Option<Gradients>,
    /// Numbers of pixels, of labels, and of classes.
    counts: [usize; 3],
}

impl Bench {
    /// Compiles a step for these sizes; the batch is empty yet.
    pub(crate) fn new(
        graph: &Graph,
        parameters: &Parameters,
        sizes: &Sizes,
        train: bool,
        mut workspace: Workspace,
    ) -> Result<Self, Failure> {
        let image = picture(graph)?;
        let (scores, classes) = scores(graph)?;
        let run = if train { training_graph(graph, scores)? } else { graph.clone() };
        let purpose = if train { Purpose::training_at_once() } else { Purpose::Inference };
        let state = State::new(&run, parameters)?;
        let program = Arc::new(lower(&run, &purpose)?).bind(sizes, &state, &mut workspace)?;
        let shapes = run.concrete_shapes(sizes)?;
        let len = |id: ValueId| shapes[id.index()].iter().product();
        let labels = run.find("target").map_or(0, len);
        let counts = [len(image), labels, classes];
        let gradients = train.then(|| program.gradients());
        Ok(Self { program, state, workspace, images: Vec::new(), labels: Vec::new(), gradients, counts })
    }

    /// Makes the batch.
    pub(crate) fn fill(&mut self) {
        let [pixels, labels, classes] = self.counts;
        self.images = (0..pixels).map(|index| (index * 7919 % 256) as f32).collect();
        self.labels = (0..labels).map(|index| (index % classes) as i64).collect();
    }

    /// Makes a step; the seconds that it took.
    pub(crate) fn step(&mut self) -> Result<f64, Failure> {
        let Self { program, state, workspace, images, labels, gradients, .. } = self;
        let start = Instant::now();
        let Some(gradients) = gradients else {
            program.infer(workspace, state, &[Input::F32(images)])?;
            return Ok(start.elapsed().as_secs_f64());
        };
        let inputs = [Input::F32(images), Input::I64(labels)];
        program.forward(workspace, state, &inputs, RunKey { seed: 1, step: state.step })?;
        program.backward_and_update(workspace, state, &inputs, gradients, &RULE, 1.0)?;
        Ok(start.elapsed().as_secs_f64())
    }

    pub(crate) fn machine(&self) -> &Machine {
        self.workspace.machine()
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    pub(crate) fn trains(&self) -> bool {
        self.gradients.is_some()
    }

    /// Bytes that everything takes which is held during a step.
    pub(crate) fn memory_bytes(&self) -> u128 {
        self.program.memory_bytes(&self.state)
    }

    /// Bytes that the update behind all gradients moves: weights, gradients and momenta are read, weights and momenta
    /// written.
    pub(crate) fn update_bytes(&self) -> u64 {
        let gradients = self.gradients.iter().flat_map(Gradients::iter);
        5 * 4 * gradients.map(|(_, values)| values.len() as u64).sum::<u64>()
    }

    /// Measures every step of the program from here on.
    pub(crate) fn watch(&mut self, profile: &Profile) {
        self.workspace.set_observer(Some(profile.observer()));
    }
}

/// A small rate keeps the loss of a batch that never changes from vanishing within a few steps.
const RULE: Optimiser = Optimiser::Sgd(Sgd {
    learning_rate: 0.001,
    momentum: 0.9,
    dampening: 0.0,
    weight_decay: 1e-4,
    nesterov: false,
});

/// The network's one input.
fn picture(graph: &Graph) -> Result<ValueId, Failure> {
    let inputs: Vec<&str> = graph.inputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
    match graph.inputs() {
        [input] if graph.value(*input).ty.dtype == DataType::F32 => Ok(*input),
        _ => Err(Failure::failed(format!(
            "a network with one input of type f32 can be measured; this one has {}",
            if inputs.is_empty() { "none".into() } else { inputs.join(", ") }
        ))),
    }
}

/// What is compared with the classes (`logits`, else the first output), and how many there are.
fn scores(graph: &Graph) -> Result<(ValueId, usize), Failure> {
    let scores = graph.find("logits").or_else(|| graph.outputs().first().copied());
    let scores = scores.ok_or_else(|| Failure::failed("the network puts nothing out"))?;
    let (name, shape) = (&graph.value(scores).name, graph.shape(scores));
    match shape.get(1).and_then(Dim::fixed) {
        Some(classes) if classes > 0 => Ok((scores, classes)),
        _ => Err(Failure::failed(format!(
            "not a classifier: its output `{name}` has shape {shape}, scores of classes are [N, classes, …]"
        ))),
    }
}

fn training_graph(graph: &Graph, scores: ValueId) -> Result<Graph, Failure> {
    let name = &graph.value(scores).name;
    Ok(cut(&with_loss(graph, name, SoftmaxCrossEntropyLoss::default(), None)?, "loss")?)
}
