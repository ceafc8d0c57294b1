use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use svertka_data::{DataSet, Part};
use svertka_report::{Column, table};
use svertka_tasks::{ClassScore, Evaluation, evaluate};
use svertka_train::EvaluationOptions;

use super::Run;
use crate::cli::configuration::Configuration;
use crate::cli::console::{note, print, print_json};
use crate::cli::data;
use crate::cli::environment::workspace;
use crate::cli::failure::Failure;
use crate::cli::model::Model;
use crate::cli::run_folder;

/// Measures a trained network on a data set
///
/// Without DATA: a run is measured on its own data, a file on the digits inside this program. The part is the test part; where
/// there is none, the validation part; else all there is. Classes are matched by their names.
#[derive(Args)]
pub(super) struct Eval {
    /// Run folder or .onnx file
    model: PathBuf,
    /// Data set: folder of pictures by class, IDX, CIFAR, CSV or TSV
    data: Option<PathBuf>,
    /// Part to measure on
    #[arg(long)]
    part: Option<PartChoice>,
    /// Samples in a batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Broken samples that are skipped, by name, before it is given up
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_broken: usize,
    /// Threads to compute with; 0: one per core. Changes no result
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartChoice {
    Train,
    Validation,
    Test,
}

impl PartChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// What was measured, where.
#[derive(Serialize)]
struct Measured {
    model: String,
    data: String,
    part: &'static str,
    #[serde(flatten)]
    evaluation: Evaluation,
}

impl Run for Eval {
    fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        let (name, data) = (model.name(), self.open(model.run())?);
        let (part, samples) = chosen(&data, self.part)?;
        let options = EvaluationOptions {
            batch: self.batch as usize,
            max_broken: self.max_broken,
            ..EvaluationOptions::default()
        };
        let evaluation =
            evaluate(&model.trained()?, &data.classes, samples, options, workspace(self.threads)?);
        let evaluation = evaluation.map_err(|error| Failure::from(error).at(&data.name))?;
        evaluation.broken.iter().for_each(|sample| note(&format!("skipped {sample}")));
        let measured = Measured { model: name, data: data.name.clone(), part, evaluation };
        if self.json { print_json(&measured) } else { print(&measured.text()) }
    }
}

impl Eval {
    /// The data set, a run's own with the split that it was trained with.
    fn open(&self, run: Option<&Path>) -> Result<DataSet, Failure> {
        match (&self.data, run) {
            (None, Some(run)) => {
                let configuration = Configuration::from_layers(&[run_folder::layer(run)?])?;
                let mut data = data::open(Some(Path::new(&configuration.data)))?;
                data.split_validation(configuration.validation, configuration.settings.seed);
                Ok(data)
            }
            (given, _) => data::open(given.as_deref()),
        }
    }
}

fn chosen(data: &DataSet, choice: Option<PartChoice>) -> Result<(&'static str, &Part), Failure> {
    let Some(choice) = choice else { return Ok(data.evaluation()) };
    let found = data.parts().find(|(name, _)| *name == choice.name());
    found.ok_or_else(|| {
        let parts: Vec<&str> = data.parts().map(|(name, _)| name).collect();
        Failure::failed(format!("{}: no {} part; there is {}", data.name, choice.name(), parts.join(", ")))
    })
}

impl Measured {
    fn text(&self) -> String {
        let Self { model, data, part, evaluation } = self;
        let Evaluation { accuracy, loss, samples, .. } = evaluation;
        let score = format!("accuracy {:.2} %, loss {loss:.4}, {samples} samples", 100.0 * accuracy);
        let names = ["samples", "recall", "precision"].map(Column::right);
        let rows: Vec<Vec<String>> = evaluation.classes.iter().map(cells).collect();
        let columns = [vec![Column::left("class")], names.into()].concat();
        format!("{model} on the {part} part of {data}: {score}\n\n{}", table(&columns, &rows))
    }
}

fn cells(class: &ClassScore) -> Vec<String> {
    let percent = |share: f64| if share.is_nan() { "–".into() } else { format!("{:.2} %", 100.0 * share) };
    vec![class.name.clone(), class.samples.to_string(), percent(class.recall), percent(class.precision)]
}
