//! What an `.onnx` file says of itself, and what its parameters are for.

use std::fs;
use std::path::Path;

use serde::Serialize;
use svertka_graph::Role;
use svertka_graph::onnx::{Description, OnnxError, ReadOptions, describe};
use svertka_report::thousands;

use crate::cli::failure::Failure;
use crate::cli::model::{MODEL_FILE, Model};

/// What is told of a file beside its layers.
#[derive(Serialize)]
pub(super) struct FileFacts {
    producer: String,
    opset: i64,
    ir_version: i64,
    /// Tensors and elements that would be trained, that are gathered while training, and that never change.
    weights: [usize; 2],
    statistics: [usize; 2],
    constants: [usize; 2],
}

impl FileFacts {
    /// The facts of what MODEL names, if it is a file or a run.
    ///
    /// # Errors
    /// All that cannot be honoured, if that is more than one thing; a single one is left to who reads the file.
    pub(super) fn of(model: &Path) -> Result<Option<Self>, Failure> {
        let file = if model.is_dir() { model.join(MODEL_FILE) } else { model.to_path_buf() };
        if !file.is_file() {
            return Ok(None);
        }
        let in_file = |error: OnnxError| Failure::from(error).at(file.display());
        let bytes = fs::read(&file).map_err(|error| in_file(error.into()))?;
        let options = ReadOptions::default();
        let told = describe(&bytes, &options).map_err(in_file)?;
        match told.refusals.len() {
            0 | 1 => Ok(Some(Self::new(&told))),
            count => {
                let lines: Vec<String> =
                    told.refusals.iter().map(|refusal| format!("\n  {refusal}")).collect();
                let head =
                    format!("{}: {}; {count} nodes cannot be honoured:", file.display(), made_by(&told));
                Err(Failure::failed(head + &lines.concat()))
            }
        }
    }

    fn new(told: &Description) -> Self {
        let none = [0; 2];
        let (producer, opset, ir_version) = (told.producer.clone(), told.opset, told.ir_version);
        Self { producer, opset, ir_version, weights: none, statistics: none, constants: none }
    }

    /// With the roles of the parameters.
    pub(super) fn with_roles(mut self, model: &Model) -> Result<Self, Failure> {
        for (_, value, parameter) in model.graph(None)?.parameters() {
            let count = match parameter.role {
                Role::Weight => &mut self.weights,
                Role::Statistic => &mut self.statistics,
                Role::Constant => &mut self.constants,
            };
            count[0] += 1;
            count[1] += value.ty.shape.elements().unwrap_or(0);
        }
        Ok(self)
    }

    /// Two lines.
    pub(super) fn text(&self) -> String {
        let by = if self.producer.is_empty() { "" } else { " by " };
        let part = |[tensors, elements]: [usize; 2], what: &str| {
            format!("{} {what} in {tensors} tensors", thousands(elements as u64))
        };
        format!(
            "file                   opset {}, IR version {}{by}{}\ntrainable              {}; {}, {}\n\n",
            self.opset,
            self.ir_version,
            self.producer,
            part(self.weights, "weights"),
            part(self.statistics, "statistics"),
            part(self.constants, "constants"),
        )
    }
}

fn made_by(told: &Description) -> String {
    let by = if told.producer.is_empty() { "nobody known" } else { &told.producer };
    format!("opset {}, made by {by}", told.opset)
}
