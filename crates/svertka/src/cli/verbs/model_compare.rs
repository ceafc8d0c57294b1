use std::path::PathBuf;

use clap::Args;

use super::Run;
use crate::cli::compare::{Network, Other, Pair};
use crate::cli::console::{print, print_json};
use crate::cli::failure::Failure;

/// Finds the first node at which two ways of computing a network part
///
/// Values are matched by name; outputs that have another name in B, by their place. In A's order the first node is told whose
/// value lies farther from B's than the tolerance, with the errors of all that it reads. NaN where a number is expected, other
/// shapes, and integers that are not equal diverge too. The status is 1 if something diverges.
///
/// Nodes are compared with all values put out, which switches off the fusions around them; then the outputs of the fused
/// program are compared.
#[derive(Args)]
pub(super) struct ModelCompare {
    /// Run folder, .onnx file or network of the zoo
    #[arg(value_name = "A")]
    a: PathBuf,
    /// What it is compared with: another of these; `cpu` or `reference`, the engine that computes A once more; or a folder of
    /// another runtime's values, files NAME.npy or NAME.pb, in NAME percent-encoded what file names cannot hold (`/` is %2F)
    #[arg(value_name = "B")]
    b: PathBuf,
    /// What to run on: a picture, a .npy or .pb file, or for several inputs a folder of files NAME.npy or NAME.pb; else what B
    /// holds, if it is a folder, or drawn numbers
    #[arg(long, value_name = "FILE")]
    on: Option<PathBuf>,
    /// How far values may lie apart, as a share of the largest magnitude of B's
    #[arg(long, value_name = "T", default_value = "1e-4", value_parser = share)]
    tolerance: f64,
    /// Rows of drawn input; the default is 2, or what the network is fixed to
    #[arg(long, value_name = "N", conflicts_with = "on", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Print the nodes with the largest errors
    #[arg(long, conflicts_with = "json")]
    verbose: bool,
    /// Print one JSON object with every node
    #[arg(long)]
    json: bool,
}

impl Run for ModelCompare {
    fn run(self) -> Result<(), Failure> {
        let (network, other) = (Network::open(&self.a)?, Other::open(&self.b)?);
        let batch = self.batch.map(|batch| batch as usize);
        let report = Pair::new(network, other, self.on.as_deref(), batch)?.compare(self.tolerance)?;
        if self.json {
            print_json(&report)?;
        } else {
            print(&report.text(self.verbose))?;
        }
        report.verdict()
    }
}

fn share(text: &str) -> Result<f64, &'static str> {
    let number = text.parse().ok().filter(|&share: &f64| share.is_finite() && share >= 0.0);
    number.ok_or("a number from 0 on, such as 1e-4")
}
