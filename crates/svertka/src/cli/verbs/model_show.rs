use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use svertka_engine::State;
use svertka_engine::cpu::{Cost, Plan, Purpose, Workspace, lower};
use svertka_graph::op::SoftmaxCrossEntropyLoss;
use svertka_graph::surgery::cut;
use svertka_graph::{Graph, LayerSummary, Parameters, Sizes, Summary, with_loss};
use svertka_report::{Column, table, thousands};

use super::Run;
use super::file_facts::FileFacts;
use crate::cli::console::{print, print_json};
use crate::cli::environment::{check_parameters, machine};
use crate::cli::failure::Failure;
use crate::cli::model::{Model, Side};

/// Tells what a network is and costs, layer by layer
///
/// Of a file it tells who made it, its opset, and what would be trainable; of one that cannot be read, every node that cannot be
/// honoured.
/// For each layer: the shape of its output, learnt numbers, multiply-adds of convolutions and matrix products, and the bytes
/// of its output. `--train` compiles a training step on top of it and tells its peak scratch memory and the lower bound of
/// it, the largest sum of bytes that are alive at once.
#[derive(Args)]
pub(super) struct ModelShow {
    /// Run folder, .onnx file or network of the zoo
    model: PathBuf,
    /// Compile a training step rather than inference, and tell its cost
    #[arg(long)]
    train: bool,
    /// Print the steps of the compiled program rather than the layers
    #[arg(long)]
    plan: bool,
    /// Pictures in a batch; with --train the default is 16
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Height and width of the pictures, instead of those the network was made for: 64 or 48x64
    #[arg(long, value_name = "PX")]
    size: Option<Side>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    model: String,
    batch: usize,
    parameters: u64,
    statistics: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileFacts>,
    multiply_adds: Option<u64>,
    bytes: Option<u64>,
    layers: Vec<Layer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<Training>,
}

#[derive(Serialize)]
struct Layer<'a> {
    name: &'a str,
    op: &'a str,
    output: Vec<usize>,
    parameters: u64,
    multiply_adds: Option<u64>,
    bytes: Option<u64>,
}

impl<'a> Layer<'a> {
    fn new(layer: &'a LayerSummary) -> Self {
        Self {
            name: &layer.name,
            op: layer.op,
            output: layer.output.sizes().unwrap_or_default(),
            parameters: layer.parameters,
            multiply_adds: layer.multiply_adds,
            bytes: layer.bytes,
        }
    }
}

#[derive(Serialize)]
struct Training {
    multiply_adds: u64,
    scratch_bytes: usize,
    scratch_lower_bound: usize,
}

impl Run for ModelShow {
    fn run(self) -> Result<(), Failure> {
        let file = FileFacts::of(&self.model)?;
        let model = Model::open(&self.model)?;
        let file = file.map(|file| file.with_roles(&model)).transpose()?;
        let graph = model.graph(self.size)?;
        let told = self.batch.map(|batch| batch as usize);
        let usual = || Model::fixed_batch(&graph).unwrap_or(if self.train { 16 } else { 1 });
        let batch = told.unwrap_or_else(usual);
        let sizes = Model::sizes(&graph, Some(batch), self.size)?;
        let purpose = if self.train { Purpose::training_at_once() } else { Purpose::Inference };
        let graph_to_run = if self.train { training_graph(&graph)? } else { graph.clone() };
        if self.plan {
            return print(&lower(&graph_to_run, &purpose)?.to_string());
        }
        let cost = if self.train {
            Some(cost(&graph_to_run, lower(&graph_to_run, &purpose)?, &sizes)?)
        } else {
            None
        };
        let summary = graph.summary_at(&sizes)?;
        if self.json {
            print_json(&Shown { file, ..shown(model.name(), batch, &summary, cost) })
        } else {
            let head = file.map_or_else(String::new, |file| file.text());
            print(&(head + &text(&summary, cost)))
        }
    }
}

fn training_graph(graph: &Graph) -> Result<Graph, Failure> {
    Ok(cut(&with_loss(graph, "logits", SoftmaxCrossEntropyLoss::default(), None)?, "loss")?)
}

fn cost(graph: &Graph, plan: Plan, sizes: &Sizes) -> Result<Cost, Failure> {
    check_parameters(graph)?;
    let state = State::new(graph, &Parameters::initialise(graph, 0)?)?;
    let mut workspace = Workspace::new(machine(0)?);
    Ok(Arc::new(plan).bind(sizes, &state, &mut workspace)?.cost())
}

fn shown(model: String, batch: usize, summary: &Summary, cost: Option<Cost>) -> Shown<'_> {
    Shown {
        model,
        batch,
        parameters: summary.parameters,
        statistics: summary.statistics,
        file: None,
        multiply_adds: summary.multiply_adds,
        bytes: summary.bytes,
        layers: summary.layers.iter().map(Layer::new).collect(),
        training: cost.map(|cost| Training {
            multiply_adds: cost.multiply_adds,
            scratch_bytes: cost.scratch_bytes,
            scratch_lower_bound: cost.scratch_lower_bound,
        }),
    }
}

fn text(summary: &Summary, cost: Option<Cost>) -> String {
    let numbers = ["parameters", "multiply-adds", "bytes"].map(Column::right);
    let names = ["layer", "operator", "output"].map(Column::left);
    let mut rows: Vec<Vec<String>> = summary.layers.iter().map(cells).collect();
    rows.push(Vec::new());
    let totals = [summary.multiply_adds, summary.bytes].map(known);
    rows.push(
        [vec!["total".into(), String::new(), String::new(), thousands(summary.parameters)], totals.into()]
            .concat(),
    );
    let mut text = table(&[names, numbers].concat(), &rows);
    if summary.statistics > 0 {
        text += &format!("statistics             {}\n", thousands(summary.statistics));
    }
    if let Some(cost) = cost {
        text += &training(cost);
    }
    text
}

fn cells(layer: &LayerSummary) -> Vec<String> {
    let count = |number| if number == 0 { String::new() } else { thousands(number) };
    vec![
        layer.name.clone(),
        layer.op.into(),
        layer.output.to_string(),
        count(layer.parameters),
        layer.multiply_adds.map_or_else(|| "?".into(), count),
        known(layer.bytes),
    ]
}

fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "?".into(), thousands)
}

fn training(cost: Cost) -> String {
    let (peak, bound) = (cost.scratch_bytes as u64, cost.scratch_lower_bound as u64);
    format!(
        "\ntraining step\nmultiply-adds          {}\npeak scratch, bytes    {}\nlower bound, bytes     {} (peak is {:.3} times it)\n",
        thousands(cost.multiply_adds),
        thousands(peak),
        thousands(bound),
        peak as f64 / bound as f64
    )
}
