//! The network as programs: what a batch does to the state, and what the state is worth.

use crate::{Metric, TrainError};
use std::{collections::BTreeMap, sync::Arc};
use svertka_data::{Batch, Examples, Loader, TargetKind, Targets};
use svertka_engine::{
    EngineError, Gradients, Machine, Optimiser, RunKey, State,
    cpu::{Input, Plan, Program, Purpose, Workspace, lower},
};
use svertka_graph::{
    DataType, Dim, Graph, GraphError, Node, Op, Parameters, Sizes, op::SoftmaxCrossEntropyLoss, surgery,
};

/// Values, and what programs run on.
pub struct Network {
    /// The values.
    pub state: State,
    /// What all programs of the network share.
    pub workspace: Workspace,
}

impl Network {
    /// The values of a graph's parameters, to be run on a workspace (a [`Machine`] is an empty one).
    ///
    /// # Errors
    /// As [`State::new`].
    pub fn new(
        graph: &Graph,
        parameters: &Parameters,
        workspace: impl Into<Workspace>,
    ) -> Result<Self, EngineError> {
        Ok(Self { state: State::new(graph, parameters)?, workspace: workspace.into() })
    }
}

/// A plan and its programs by number of rows: one for full batches, and where it does not accept fewer rows, others for
/// the batches that are not full.
pub struct Programs {
    plan: Arc<Plan>,
    batch: usize,
    /// The symbol of the rows; none where their number is fixed.
    rows: Option<Arc<str>>,
    bound: BTreeMap<usize, Program>,
}

impl Programs {
    /// Lowers a graph; `batch` is the number of rows of a full batch. Rows are the first extent of the first input, whatever
    /// its symbol is called.
    ///
    /// # Errors
    /// As [`lower`].
    pub fn new(graph: &Graph, purpose: &Purpose, batch: usize) -> Result<Self, EngineError> {
        let rows = match rows(graph) {
            Some(Dim::Symbol(symbol)) => Some(Arc::clone(symbol)),
            Some(Dim::Fixed(_)) | None => None,
        };
        Ok(Self { plan: Arc::new(lower(graph, purpose)?), batch, rows, bound: BTreeMap::new() })
    }

    /// The program that takes `rows` rows, at most a full batch.
    ///
    /// # Errors
    /// As [`Plan::bind`].
    pub fn for_rows(&mut self, rows: usize, network: &mut Network) -> Result<&Program, EngineError> {
        let full = self.bound.get(&self.batch);
        let rows = if full.is_some_and(Program::accepts_fewer_rows) { self.batch } else { rows };
        let sizes = self.rows.iter().fold(Sizes::new(), |sizes, symbol| sizes.with(symbol, rows));
        match self.bound.entry(rows) {
            std::collections::btree_map::Entry::Occupied(program) => Ok(program.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                Ok(place.insert(self.plan.bind(&sizes, &network.state, &mut network.workspace)?))
            }
        }
    }
}

/// The first extent of the first input.
pub(crate) fn rows(graph: &Graph) -> Option<&Dim> {
    graph.inputs().first().and_then(|&id| graph.shape(id).first())
}

/// Inputs of a batch in the order that [`check_inputs`] has seen to.
fn inputs(batch: &Batch) -> [Input<'_>; 2] {
    let target = match &batch.target {
        Targets::Class(classes) => Input::I64(classes),
        Targets::Dense(values) => Input::F32(values),
    };
    [Input::F32(&batch.input), target]
}

/// Checks that a graph takes samples and their targets, in this order, and puts out a loss.
pub(crate) fn check_inputs(graph: &Graph, examples: &dyn Examples) -> Result<(), TrainError> {
    let &[input, target] = graph.inputs() else {
        let message = "a network that is trained has two inputs, the samples and `target`; add a loss first";
        return Err(TrainError::Mismatch(message.into()));
    };
    graph.expect("loss")?;
    let sizes: Option<Vec<usize>> = graph.shape(input).iter().skip(1).map(Dim::fixed).collect();
    if sizes.is_some_and(|sizes| sizes != examples.input_shape()) {
        return Err(TrainError::Mismatch(format!(
            "the network reads `{}` of shape {}, the samples have {:?}",
            graph.value(input).name,
            graph.shape(input),
            examples.input_shape()
        )));
    }
    let wanted = match examples.target_kind() {
        TargetKind::Class => DataType::I64,
        TargetKind::Dense(_) => DataType::F32,
    };
    let found = graph.value(target).ty.dtype;
    if found == wanted {
        Ok(())
    } else {
        Err(TrainError::Mismatch(format!(
            "the loss takes targets of type {found}, the samples have {wanted}"
        )))
    }
}

/// The part of a graph that computes these values.
pub(crate) fn computing(graph: &Graph, names: &[&str]) -> Result<Graph, GraphError> {
    let outputs = names.iter().map(|name| graph.expect(name)).collect::<Result<Vec<_>, _>>()?;
    surgery::extract(graph, &outputs)
}

/// A class that the network does not know, by the sample's name; other errors as they are.
fn name_sample(error: EngineError, batch: &Batch, examples: &dyn Examples) -> TrainError {
    match error {
        EngineError::Label { sample, label, classes } => {
            let sample = examples.name(batch.indices[sample]);
            TrainError::Label { sample, label, classes }
        }
        other => other.into(),
    }
}

/// The state of a network with the program that moves it.
pub(crate) struct Learner {
    programs: Programs,
    /// Every batch is a step of its own.
    at_once: bool,
    trainable: usize,
    gradients: Gradients,
    gathered: Gathered,
}

/// What the batches since the last step have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gathered {
    /// Samples of the last batch: the gradients are of the mean over so many.
    last: usize,
    /// Samples of all batches.
    pub(crate) samples: usize,
    /// Sum of the losses of all samples.
    pub(crate) loss: f64,
}

impl Gathered {
    /// Mean loss over the samples. Of a single batch, its bits.
    pub(crate) fn mean_loss(&self) -> f32 {
        (self.loss / self.samples as f64) as f32
    }
}

impl Learner {
    /// Binds the program of full batches right now, so that what cannot be run is known before anything is. `at_once`: a
    /// step is made on every batch alone, and nobody asks for the norm.
    pub(crate) fn new(
        graph: &Graph,
        batch: usize,
        at_once: bool,
        network: &mut Network,
    ) -> Result<Self, EngineError> {
        let purpose = if at_once { Purpose::training_at_once() } else { Purpose::training() };
        let mut programs = Programs::new(&computing(graph, &["loss"])?, &purpose, batch)?;
        let program = programs.for_rows(batch, network)?;
        let (gradients, trainable) = (program.gradients(), program.trainable());
        Ok(Self { programs, at_once, trainable, gradients, gathered: Gathered::default() })
    }

    /// Numbers that are learnt.
    pub(crate) fn trainable(&self) -> usize {
        self.trainable
    }

    /// Adds a batch's gradients, or makes the step where every batch is one; returns its loss. Where that is not finite,
    /// nothing is changed.
    ///
    /// Gradients of a batch are of the mean over its samples. Batches of unequal size are made comparable by scaling what
    /// was gathered: with equal ones nothing is done.
    pub(crate) fn learn(
        &mut self,
        batch: &Batch,
        examples: &dyn Examples,
        network: &mut Network,
        (key, rule): (RunKey, &Optimiser),
    ) -> Result<f32, TrainError> {
        let inputs = inputs(batch);
        let program = self.programs.for_rows(batch.rows, network)?;
        let Network { state, workspace } = network;
        let name = |error| name_sample(error, batch, examples);
        program.forward(workspace, state, &inputs, key).map_err(name)?;
        let loss = program.output(workspace, "loss")?[0];
        if !loss.is_finite() {
            return Ok(loss);
        }
        let Gathered { last, samples, .. } = self.gathered;
        if samples > 0 && last != batch.rows {
            let factor = last as f32 / batch.rows as f32;
            self.gradients.values_mut().iter_mut().for_each(|value| *value *= factor);
        }
        if self.at_once {
            program.backward_and_update(workspace, state, &inputs, &mut self.gradients, rule, 1.0)?;
        } else {
            program.backward(workspace, state, &inputs, &mut self.gradients)?;
        }
        self.gathered.last = batch.rows;
        self.gathered.samples += batch.rows;
        self.gathered.loss += f64::from(loss) * batch.rows as f64;
        Ok(loss)
    }

    /// The factor that makes the gathered gradients those of the mean over all samples.
    fn mean_scale(&self) -> f32 {
        self.gathered.last as f32 / self.gathered.samples as f32
    }

    /// The norm of the gradient of the mean over all samples.
    pub(crate) fn norm(&self, machine: &Machine) -> f32 {
        self.gradients.norm(machine) * self.mean_scale()
    }

    /// Makes a step, shortened to `share` of its gradient, unless it is made already; begins to gather anew.
    pub(crate) fn update(&mut self, rule: &Optimiser, share: f32, network: &mut Network) -> Gathered {
        if !self.at_once {
            let scale = self.mean_scale() * share;
            rule.update(network.workspace.machine(), &mut network.state, &mut self.gradients, scale);
        }
        std::mem::take(&mut self.gathered)
    }
}

/// Measures a state on samples, without changing it.
pub(crate) struct Evaluator {
    programs: Programs,
    /// The rows of every batch, where the network takes so many and no other number.
    fixed: Option<usize>,
}

/// The graph with a loss to be measured: label smoothing is for training.
fn measuring(graph: &Graph) -> Result<Graph, GraphError> {
    surgery::map_nodes(graph, |rewrite, node| match node.op {
        Op::SoftmaxCrossEntropyLoss(loss) => {
            let op = Op::SoftmaxCrossEntropyLoss(SoftmaxCrossEntropyLoss { label_smoothing: 0.0, ..loss });
            rewrite.copy(&Node { op, ..node.clone() })
        }
        _ => rewrite.copy(node),
    })
}

impl Evaluator {
    /// For a metric that looks at `output`.
    pub(crate) fn new(graph: &Graph, output: &str, batch: usize) -> Result<Self, EngineError> {
        let graph = measuring(&computing(graph, &[output, "loss"])?)?;
        let fixed = rows(&graph).and_then(Dim::fixed);
        Ok(Self { programs: Programs::new(&graph, &Purpose::Inference, batch)?, fixed })
    }

    /// The mean loss over all samples of a loader; `metric` gathers the rest.
    pub(crate) fn run(
        &mut self,
        loader: &Loader,
        network: &mut Network,
        metric: &mut dyn Metric,
    ) -> Result<Measured, TrainError> {
        metric.clear();
        let mut gathered = Gathered::default();
        for batch in loader.epoch(0, 0) {
            let mut batch = batch?;
            let kept = batch.rows;
            if kept == 0 {
                continue;
            }
            let rows = self.fixed.map_or(kept, |fixed| fixed.max(kept));
            pad(&mut batch, kept, rows);
            gathered.samples += kept;
            gathered.loss += self.loss(&batch, loader.examples(), network)? * rows as f64;
            let output =
                self.programs.for_rows(rows, network)?.output(&network.workspace, metric.output())?;
            metric.add(kept, &output[..output.len() / rows * kept], &batch.target);
            if rows > kept {
                // The loss is a mean over all rows. A batch of nothing but the padding's row tells that row's share.
                pad(&mut batch, 1, rows);
                gathered.loss -= self.loss(&batch, loader.examples(), network)? * (rows - kept) as f64;
            }
        }
        if gathered.samples == 0 {
            return Err(TrainError::NoSamples("evaluate on"));
        }
        let loss = gathered.loss / gathered.samples as f64;
        Ok(Measured { loss, metric: metric.value(), samples: gathered.samples })
    }

    /// Runs a batch; its mean loss.
    fn loss(
        &mut self,
        batch: &Batch,
        examples: &Arc<dyn Examples>,
        network: &mut Network,
    ) -> Result<f64, TrainError> {
        let program = self.programs.for_rows(batch.rows, network)?;
        let Network { state, workspace } = network;
        let name = |error| name_sample(error, batch, &**examples);
        program.infer(workspace, state, &inputs(batch)).map_err(name)?;
        Ok(f64::from(program.output(workspace, "loss")?[0]))
    }
}

/// Makes the rows behind the first `kept`, up to `rows`, copies of the first one.
fn pad(batch: &mut Batch, kept: usize, rows: usize) {
    fn repeat_first<T: Copy>(values: &mut Vec<T>, (found, kept, rows): (usize, usize, usize)) {
        let width = values.len() / found;
        values.truncate(kept * width);
        (kept..rows).for_each(|_| values.extend_from_within(..width));
    }
    let counts = (batch.rows, kept, rows);
    repeat_first(&mut batch.input, counts);
    match &mut batch.target {
        Targets::Class(classes) => repeat_first(classes, counts),
        Targets::Dense(values) => repeat_first(values, counts),
    }
    repeat_first(&mut batch.indices, counts);
    batch.rows = rows;
}

/// What an evaluation found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Mean loss over the samples.
    pub loss: f64,
    /// The metric's value.
    pub metric: f64,
    /// Samples that were measured; broken ones are not.
    pub samples: usize,
}
