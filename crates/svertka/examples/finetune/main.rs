//! A network that was made elsewhere gets a new last layer and is trained for twenty steps, on batches from a folder:
//! `reference/finetune.py` writes them, does the same in PyTorch and compares. `make finetune` runs both.
//!
//! ```text
//! cargo run --release --example finetune -- NETWORK.onnx FOLDER PREPROCESS CLASSES RATE
//! ```
//!
//! Reads `images.f32` (pictures of 0 to 255, all batches) and `labels.i64` from the folder; writes `start.onnx`, what is
//! trained, `trained.onnx`, what came of it, and `logits.f32`, its scores of the first batch. Prints the loss of each step.

#![allow(clippy::print_stdout, reason = "an example is a program")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use svertka::engine::cpu::{Input, Plan, Purpose, Workspace, lower};
use svertka::engine::{Machine, Optimiser, RunKey, Sgd, State};
use svertka::graph::op::SoftmaxCrossEntropyLoss;
use svertka::graph::surgery::{cut, replace_head};
use svertka::graph::{Dim, Graph, Parameters, Sizes, Tensor, onnx, with_loss};
use svertka::image::{Preparation, Size};
use svertka::tasks::foreign::{adopt, reads};

/// Steps that are made, each on a batch of its own.
const STEPS: usize = 20;
const MOMENTUM: f64 = 0.9;
/// Of the last layer's first weights.
const SEED: u64 = 1;

const USAGE: &str = "finetune NETWORK.onnx FOLDER PREPROCESS CLASSES RATE";

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [network, folder, preprocess, classes, rate] = &words[..] else { return Err(USAGE.into()) };
    let (folder, classes) = (Path::new(folder), classes.parse()?);
    let (graph, parameters) = start(network, &preprocess.parse()?, classes)?;
    onnx::save(folder.join("start.onnx"), &graph, &parameters)?;
    let images = numbers(&folder.join("images.f32"), f32::from_le_bytes)?;
    let labels = numbers(&folder.join("labels.i64"), i64::from_le_bytes)?;
    let batches = Batches { images, labels };
    let trained = train(&graph, &parameters, &batches, rate.parse()?)?;
    onnx::save(folder.join("trained.onnx"), &graph, &trained)?;
    let logits = infer(&graph, &trained, &batches)?;
    fs::write(
        folder.join("logits.f32"),
        logits.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>(),
    )?;
    Ok(())
}

/// The network with our face and a last layer for other classes, whose weights are drawn.
fn start(network: &str, preparation: &Preparation, classes: usize) -> Result<(Graph, Parameters), Failure> {
    let (foreign, values) = onnx::load(network)?;
    let size = match (preparation.pictures.output_size(None), reads(&foreign)?.1) {
        (Some(Size { width, height }), _) => [height, width],
        (None, [Some(height), Some(width)]) => [height, width],
        _ => return Err("PREPROCESS has to say the size of pictures".into()),
    };
    let model = adopt(&foreign, values, preparation, size)?;
    let graph = replace_head(&model.graph, classes)?;
    let mut parameters = Parameters::initialise(&graph, SEED)?;
    let drawn = parameters.clone();
    for (name, value) in model.parameters.iter() {
        let same = drawn.get(name).is_some_and(|drawn| drawn.shape() == value.shape());
        if same {
            parameters.insert(name, value.clone());
        }
    }
    Ok((graph, parameters))
}

/// The numbers of a file, each of `N` bytes.
fn numbers<T, const N: usize>(file: &Path, number: fn([u8; N]) -> T) -> Result<Vec<T>, Failure> {
    let bytes = fs::read(file)?;
    Ok(bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect())
}

/// What is learnt from.
struct Batches {
    images: Vec<f32>,
    labels: Vec<i64>,
}

impl Batches {
    fn rows(&self) -> usize {
        self.labels.len() / STEPS
    }

    fn get(&self, step: usize) -> (&[f32], &[i64]) {
        let pixels = self.images.len() / STEPS;
        (&self.images[step * pixels..][..pixels], &self.labels[step * self.rows()..][..self.rows()])
    }
}

fn train(
    graph: &Graph,
    parameters: &Parameters,
    batches: &Batches,
    learning_rate: f64,
) -> Result<Parameters, Failure> {
    let graph = cut(&with_loss(graph, "logits", SoftmaxCrossEntropyLoss::default(), None)?, "loss")?;
    let mut state = State::new(&graph, parameters)?;
    let mut workspace = Workspace::new(Machine::new(0));
    let plan: Arc<Plan> = Arc::new(lower(&graph, &Purpose::training())?);
    let program = plan.bind(&sizes(&graph, batches.rows()), &state, &mut workspace)?;
    let mut gradients = program.gradients();
    let rule = Optimiser::Sgd(Sgd { momentum: MOMENTUM, ..Sgd::new(learning_rate) });
    for step in 0..STEPS {
        let (images, labels) = batches.get(step);
        let inputs = [Input::F32(images), Input::I64(labels)];
        program.forward(&mut workspace, &mut state, &inputs, RunKey::default())?;
        println!("{}", program.output(&workspace, "loss")?[0]);
        program.backward(&mut workspace, &state, &inputs, &mut gradients)?;
        rule.update(workspace.machine(), &mut state, &mut gradients, 1.0);
    }
    // What the loss does not need is as it was.
    let mut trained = parameters.clone();
    let learnt = state.parameters();
    learnt.iter().for_each(|(name, value): (&str, &Tensor)| drop(trained.insert(name, value.clone())));
    Ok(trained)
}

/// The scores of the first batch.
fn infer(graph: &Graph, parameters: &Parameters, batches: &Batches) -> Result<Vec<f32>, Failure> {
    let graph = cut(graph, "logits")?;
    let state = State::new(&graph, parameters)?;
    let mut workspace = Workspace::new(Machine::new(0));
    let plan: Arc<Plan> = Arc::new(lower(&graph, &Purpose::Inference)?);
    let program = plan.bind(&sizes(&graph, batches.rows()), &state, &mut workspace)?;
    program.infer(&mut workspace, &state, &[Input::F32(batches.get(0).0)])?;
    Ok(program.output(&workspace, "logits")?.to_vec())
}

/// The number of rows for whatever symbol counts them.
fn sizes(graph: &Graph, rows: usize) -> Sizes {
    let first = graph.inputs().first().and_then(|&input| graph.shape(input).first());
    match first {
        Some(Dim::Symbol(symbol)) => Sizes::new().with(symbol, rows),
        _ => Sizes::new(),
    }
}
