use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use svertka_train::log::losses;

use super::Run;
use crate::cli::configuration::Configuration;
use crate::cli::console::{print, print_json};
use crate::cli::environment::workspace;
use crate::cli::failure::Failure;
use crate::cli::job::Prepared;
use crate::cli::run_folder::{self, LOG_FILE};

/// Replays the beginning of a run and compares its losses, bit by bit, with its log
///
/// The same build on the same instruction set gives the same bits, on any number of threads. The first step that differs
/// ends it with status 1. Nothing is written.
#[derive(Args)]
pub(super) struct Repeat {
    /// Run folder
    run: PathBuf,
    /// Steps to replay
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Threads to compute with; 0: one per core. Changes no result
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Repeated {
    run: PathBuf,
    steps: usize,
    equal: bool,
}

impl Run for Repeat {
    fn run(self) -> Result<(), Failure> {
        let configuration = Configuration::from_layers(&[run_folder::layer(&self.run)?])?;
        let log = self.run.join(LOG_FILE);
        let logged = losses(&log, self.steps as usize);
        let logged = logged.map_err(|error| Failure::from(error).at(log.display()))?;
        if logged.is_empty() {
            return Err(Failure::failed(format!("{}: no step has been logged", log.display())));
        }
        let workspace = workspace(self.threads)?;
        let isa = workspace.machine().isa.name();
        let mut trainer = Prepared::new(&configuration)?.trainer(workspace)?;
        let replayed = trainer.replay(logged.len() as u64)?;
        if let Some(difference) = first_difference(&logged, &replayed) {
            return Err(Failure::failed(format!(
                "{}: {difference}{}",
                self.run.display(),
                run_folder::other_isa(&log, isa)
            )));
        }
        let repeated = Repeated { run: self.run, steps: logged.len(), equal: true };
        if self.json {
            return print_json(&repeated);
        }
        print(&format!("{}: {} steps, the same losses bit by bit\n", repeated.run.display(), repeated.steps))
    }
}

/// What the first step that differs says; steps are numbers and bits of losses.
fn first_difference(logged: &[(u64, u32)], replayed: &[(u64, u32)]) -> Option<String> {
    let loss = |bits: u32| format!("{} ({bits:#010x})", f32::from_bits(bits));
    for (place, &(step, bits)) in logged.iter().enumerate() {
        match replayed.get(place) {
            Some(&(again, same)) if (again, same) == (step, bits) => {}
            Some(&(again, other)) if again == step => {
                return Some(format!("step {step}: loss {} in the log, {} now", loss(bits), loss(other)));
            }
            _ => return Some(format!("step {step} is in the log, but the run does not make it now")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_that_differs_is_named() {
        let steps = [(1, 1f32.to_bits()), (2, 2f32.to_bits())];
        assert_eq!(first_difference(&steps, &steps), None);
        let other = [(1, 1f32.to_bits()), (2, 2.5f32.to_bits())];
        let text = first_difference(&steps, &other).unwrap();
        assert_eq!(text, "step 2: loss 2 (0x40000000) in the log, 2.5 (0x40200000) now");
        assert!(first_difference(&steps, &steps[..1]).unwrap().starts_with("step 2 is in the log"));
    }
}
