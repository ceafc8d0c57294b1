use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use svertka_data::{DataSet, Part, Split};
use svertka_image::Preparation;
use svertka_report::write_curves;
use svertka_tasks::{Evaluation, Model, Recipe, evaluate};
use svertka_train::{
    EvaluationOptions, Event, Keep, Log, Observer, Outcome, Position, Settings, Trained, Trainer,
};

use super::Run;
use crate::cli::configuration::{Configuration, Layer, Override};
use crate::cli::console::{note, print, print_json};
use crate::cli::environment::workspace;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::job::Prepared;
use crate::cli::model::MODEL_FILE;
use crate::cli::progress::Display;
use crate::cli::run_folder::{self, LOG_FILE};

/// Trains a network on a data set
///
/// Without arguments: LeNet-5 on the ten thousand handwritten digits inside this program. The network is fitted to the
/// channels, size and classes of the data. Where the data set has no validation part, a tenth of the training part is set
/// aside, by class. The test part, if there is one, is measured once, at the end.
///
/// An .onnx file that was made elsewhere, by PyTorch or Keras say, gets a new last layer for the classes of the data. What it
/// wants done to pictures has to be told with `--preprocess`; without it, the error shows what most such networks want.
///
/// The run folder holds config.toml, metrics.jsonl, curves.svg, model.onnx and checkpoint.safetensors. Ctrl-C writes a
/// checkpoint and ends with status 1; `--resume RUN` goes on with the very bits that the run would have had.
#[derive(Args)]
#[command(after_long_help = keys())]
pub(super) struct Train {
    /// Data set (folder of pictures by class, IDX, CIFAR, CSV or TSV; without it, the digits), and keys of the configuration
    #[arg(value_name = "DATA|key=value")]
    words: Vec<OsString>,
    /// Network of the zoo; a run folder or .onnx file is trained further
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// What is done to pictures, as a list; what a file that was made elsewhere does not say
    #[arg(long, value_name = "LIST")]
    preprocess: Option<String>,
    /// Run folder, new or empty; without it, a new one in runs/
    #[arg(long, value_name = "DIR")]
    out: Option<String>,
    /// TOML file of keys; the command line beats it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run folder of a run to go on with, as it was configured
    #[arg(long, value_name = "RUN", conflicts_with_all = ["model", "preprocess", "out", "config"])]
    resume: Option<PathBuf>,
    /// Threads to compute with; 0: one per core. Changes no result
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// What is printed at the end.
#[derive(Serialize)]
struct Report {
    run: PathBuf,
    model: PathBuf,
    /// The epoch whose weights are in the model, from 1.
    epoch: Option<u64>,
    /// `best` or `last`.
    kept: &'static str,
    split: Option<Split>,
    validation: Option<Score>,
    test: Option<Score>,
}

#[derive(Serialize)]
struct Score {
    accuracy: f64,
    loss: f64,
    samples: usize,
}

impl Run for Train {
    fn run(self) -> Result<(), Failure> {
        let configuration = self.configuration()?;
        let workspace = workspace(self.threads)?;
        let prepared = Prepared::new(&configuration)?;
        let trainer = prepared.trainer(workspace)?;
        let folder = match &self.resume {
            Some(run) => run.clone(),
            None => run_folder::create(&prepared.configuration)?,
        };
        match train(&prepared, trainer, &folder)? {
            Outcome::Finished(trained) => self.finish(prepared, trained, folder),
            Outcome::Stopped(at) => Err(stopped(at, &folder)),
        }
    }
}

impl Train {
    fn configuration(&self) -> Result<Configuration, Failure> {
        let mut layers = Vec::new();
        if let Some(run) = &self.resume {
            layers.push(run_folder::layer(run)?);
        }
        if let Some(file) = &self.config {
            layers.push(Layer::file(file)?);
        }
        layers.push(Layer::Overrides(self.overrides()?));
        Configuration::from_layers(&layers)
    }

    /// What the command line says, as keys.
    fn overrides(&self) -> Result<Vec<Override>, Failure> {
        let (mut overrides, mut data) = (Vec::new(), None);
        for word in &self.words {
            let parsed: Result<Override, String> =
                word.to_str().map_or_else(|| Err(String::new()), str::parse);
            match (parsed, &data) {
                (Ok(parsed), _) => overrides.push(parsed),
                (Err(error), _) if is_slip(word) => return Err(Failure::usage(error)),
                (Err(_), None) => data = Some(word),
                (Err(_), Some(first)) => {
                    let (first, second) = (first.display(), word.display());
                    return Err(Failure::usage(format!("two data sets, {first} and {second}; name one")));
                }
            }
        }
        if let Some(data) = data {
            if self.resume.is_some() {
                return Err(Failure::usage("a run goes on with its own data; leave DATA out"));
            }
            let path = data.to_str().ok_or_else(|| Failure::usage("the path of DATA is not valid UTF-8"))?;
            overrides.push(Override::new("data", path));
        }
        if let Some(list) = &self.preprocess {
            let read = list.parse::<Preparation>().map_err(|error| Failure::usage(error.to_string()))?;
            overrides.push(Override::new("preprocess", Vec::from(read)));
        }
        let named = [("model", &self.model), ("out", &self.out)];
        overrides.extend(named.iter().filter_map(|(key, value)| Some(Override::new(key, value.as_deref()?))));
        Ok(overrides)
    }

    /// Writes the model, measures it on the test part and reports.
    fn finish(&self, prepared: Prepared, trained: Trained, run: PathBuf) -> Result<(), Failure> {
        let Prepared { data, split, task, recipe, network, .. } = prepared;
        let Trained { parameters, epoch, best } = trained;
        let model = task.model(network, parameters, Some(&told(&recipe)))?;
        let file = run.join(MODEL_FILE);
        model.save(&file)?;
        let test = data.test.as_ref().map(|part| self.test(&model, &data, part, &recipe.settings));
        let best = best.filter(|best| Some(best.epoch) == epoch);
        let samples = data.validation.as_ref().map_or(0, Part::len);
        let report = Report {
            run,
            model: file,
            epoch: epoch.map(|epoch| epoch + 1),
            kept: if best.is_some() && recipe.settings.keep == Keep::Best { "best" } else { "last" },
            split,
            validation: best.map(|best| Score { accuracy: best.metric, loss: best.loss, samples }),
            test: test.transpose()?,
        };
        if self.json { print_json(&report) } else { print(&report.text()) }
    }

    fn test(
        &self,
        model: &Model,
        data: &DataSet,
        part: &Part,
        settings: &Settings,
    ) -> Result<Score, Failure> {
        let &Settings { batch, workers, max_broken, .. } = settings;
        let options = EvaluationOptions { batch, workers, max_broken };
        let evaluation = evaluate(model, &data.classes, part, options, workspace(self.threads)?)?;
        evaluation.broken.iter().for_each(|sample| note(&format!("skipped {sample}")));
        let Evaluation { accuracy, loss, samples, .. } = evaluation;
        Ok(Score { accuracy, loss, samples })
    }
}

/// Whether a word was meant as `key=value` but is none.
fn is_slip(word: &OsStr) -> bool {
    word.to_string_lossy().contains('=') && !Path::new(word).exists()
}

/// The recipe as a file tells it: without what changes no result, so that equal runs give equal files.
fn told(recipe: &Recipe) -> Recipe {
    let Settings { workers, checkpoint_steps, checkpoint_seconds, .. } = Settings::default();
    let settings = Settings { workers, checkpoint_steps, checkpoint_seconds, ..recipe.settings.clone() };
    Recipe { settings, ..recipe.clone() }
}

/// Runs the loop in a run folder; its log and its curves are there also if it fails.
fn train(prepared: &Prepared, trainer: Trainer, folder: &Path) -> Result<Outcome, Failure> {
    let begun = Instant::now();
    let mut trainer = trainer.in_folder(folder).with_clock(move || begun.elapsed());
    trainer = trainer.stopped_by(interrupt::requested()?);
    let position = trainer.resume()?;
    if position.is_none() && folder.join(MODEL_FILE).exists() {
        let folder = folder.display();
        return Err(Failure::failed(format!("{folder}: a finished run without a checkpoint cannot go on")));
    }
    note(&format!("run {}", folder.display()));
    if position.is_none() && folder.join(LOG_FILE).exists() {
        note("no checkpoint was written yet: the run begins again");
    }
    let log = Log::resume(folder.join(LOG_FILE), position.map_or(0, |at| at.step));
    let mut log = log.map_err(|error| Failure::from(error).at(folder.join(LOG_FILE).display()))?;
    let mut display = Display::new();
    let mut both = |event: &Event| {
        log.observe(event)?;
        display.observe(event)
    };
    if let (Some(split), None) = (&prepared.split, position) {
        both(&Event::Split(split.clone()))?;
    }
    let outcome = trainer.run(&mut both);
    drop(display);
    let drawn = write_curves(folder);
    let outcome = outcome?;
    drawn?;
    Ok(outcome)
}

fn stopped(at: Position, folder: &Path) -> Failure {
    let Position { step, epoch, .. } = at;
    let resume = format!("svertka train --resume {}", folder.display());
    Failure::failed(format!("stopped after step {step} in epoch {}; go on with `{resume}`", epoch + 1))
}

impl Report {
    fn text(&self) -> String {
        let mut text = format!("model       {}\n", self.model.display());
        if let Some(epoch) = self.epoch {
            text += &format!("weights of  epoch {epoch}, the {}\n", self.kept);
        }
        for (name, score) in [("validation", &self.validation), ("test", &self.test)] {
            let Some(Score { accuracy, loss, samples }) = score else { continue };
            text += &format!(
                "{name:<11} accuracy {:.2} %, loss {loss:.4}, {samples} samples\n",
                100.0 * accuracy
            );
        }
        text
    }
}

/// The end of the manual: every key and its default.
fn keys() -> String {
    let defaults = Configuration::default().to_toml().unwrap_or_default();
    format!("Keys and their defaults, as in a file (docs/configuration.md explains each):\n\n{defaults}")
}
