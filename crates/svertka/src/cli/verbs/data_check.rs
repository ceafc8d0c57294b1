use std::path::PathBuf;

use clap::Args;
use svertka_data::check_data_set;

use super::Run;
use crate::cli::console::{print, print_json};
use crate::cli::data::open;
use crate::cli::failure::Failure;

/// Reads every sample of a data set and tells what it holds and what is wrong with it
///
/// Counts the samples of each class and part, their sizes and channels; finds files that cannot be read, samples that
/// stand in two parts, and classes with far fewer samples than others. The status is 1 if a sample is broken or if the set
/// cannot be trained on.
#[derive(Args)]
pub(super) struct DataCheck {
    /// Folder of pictures by class, IDX pairs, CIFAR binaries, CSV or TSV; without it, the digits
    data: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Run for DataCheck {
    fn run(self) -> Result<(), Failure> {
        let report = check_data_set(&open(self.data.as_deref())?);
        if self.json {
            print_json(&report)?;
        } else {
            print(&report.to_string())?;
        }
        let broken: usize = report.parts.iter().map(|part| part.broken.len()).sum();
        match (&report.untrainable, broken) {
            (Some(cause), _) => {
                Err(Failure::failed(format!("{cause}; give each class its own folder or label")))
            }
            (None, 0) => Ok(()),
            (None, broken) => {
                let words = if broken == 1 { "sample is" } else { "samples are" };
                let advice = "remove them, or let training skip them with max_broken";
                Err(Failure::failed(format!("{}: {broken} {words} broken; {advice}", report.name)))
            }
        }
    }
}
