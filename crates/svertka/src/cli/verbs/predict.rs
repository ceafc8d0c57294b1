use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use svertka_image::decode;
use svertka_tasks::Predictor;

use super::Run;
use crate::cli::console::{print, print_json};
use crate::cli::environment::workspace;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::model::Model;

/// Tells the classes of pictures
///
/// A line per file, the likeliest class first. A file that cannot be read is named on standard error and left out; the status
/// is 1 then.
#[derive(Args)]
pub(super) struct Predict {
    /// Run folder or .onnx file
    model: PathBuf,
    /// Pictures: PNG, JPEG, WebP, BMP, TIFF
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many classes to name; --json names all unless told
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Threads to compute with; 0: one per core. Changes no result
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object per file
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Prediction {
    file: String,
    classes: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    name: String,
    probability: f32,
}

/// Classes that are named to people.
const TOP: u32 = 3;

/// Pictures that are held at once, as large as they are in their files.
const BATCH: usize = 16;

impl Run for Predict {
    fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?.trained()?;
        let at = |failure: Failure| failure.at(self.model.display());
        let predictor = Predictor::new(model, BATCH, workspace(self.threads)?);
        let mut predictor = predictor.map_err(|error| at(error.into()))?;
        let top = self.top.unwrap_or(if self.json { u32::MAX } else { TOP }) as usize;
        let mut failed = 0;
        for files in self.files.chunks(BATCH) {
            for (file, classes) in files.iter().zip(classify(&mut predictor, files).map_err(at)?) {
                match classes {
                    Ok(classes) => self.tell(&Prediction::new(file, classes, top))?,
                    Err(failure) => {
                        failed += 1;
                        failure.at(file.display()).report();
                    }
                }
            }
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::failed(format!("{failed} of {} files could not be classified", self.files.len())))
    }
}

impl Predict {
    fn tell(&self, prediction: &Prediction) -> Result<(), Failure> {
        if self.json { print_json(prediction) } else { print(&prediction.text()) }
    }
}

/// Classes with their probabilities, the likeliest first.
type Classes = Vec<(String, f32)>;

/// The classes of each file, or why it has none.
fn classify(predictor: &mut Predictor, paths: &[PathBuf]) -> Result<Vec<Result<Classes, Failure>>, Failure> {
    let (mut pictures, mut failures) = (Vec::new(), Vec::new());
    for path in paths {
        match files::read(path).and_then(|bytes| Ok(decode(&bytes)?)) {
            Ok(picture) => {
                pictures.push(picture);
                failures.push(None);
            }
            Err(failure) => failures.push(Some(failure)),
        }
    }
    let mut predictions = predictor.predict(pictures)?.into_iter();
    let mut next = || predictions.next().expect("there is a prediction for each picture");
    let classes = |failure: Option<Failure>| match failure {
        Some(failure) => Err(failure),
        None => next().map(|prediction| prediction.classes).map_err(Failure::from),
    };
    Ok(failures.into_iter().map(classes).collect())
}

impl Prediction {
    fn new(file: &Path, classes: Classes, top: usize) -> Self {
        let class = |(name, probability)| Class { name, probability };
        let classes = classes.into_iter().take(top).map(class).collect();
        Self { file: file.display().to_string(), classes }
    }

    fn text(&self) -> String {
        let class = |class: &Class| format!("{} {:.2} %", class.name, 100.0 * class.probability);
        format!("{}: {}\n", self.file, self.classes.iter().map(class).collect::<Vec<_>>().join(", "))
    }
}
