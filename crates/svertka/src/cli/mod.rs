//! The command: one table of verbs, which dispatch, help, README and tests walk.

mod bench;
mod compare;
mod configuration;
mod console;
mod data;
mod diagram;
mod environment;
mod failure;
mod files;
mod foreign;
mod interrupt;
mod job;
mod memory;
mod model;
mod progress;
mod run_folder;
mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Command, error::ErrorKind};

use failure::Failure;
use verbs::{GROUPS, VERBS, Verb};

/// Runs the verb that the arguments ask for. Status 0: done, 1: failed, 2: wrong use.
pub(crate) fn main() -> ExitCode {
    match environment::guarded(|| run(std::env::args_os())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.status()
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return answer(&error),
    };
    environment::start_log()?;
    let (verb, matches) = chosen(&matches);
    (verb.run)(matches)
}

/// The verb that was chosen, and its arguments.
fn chosen(mut matches: &ArgMatches) -> (&'static Verb, &ArgMatches) {
    let mut path = Vec::new();
    while let Some((name, inner)) = matches.subcommand() {
        path.push(name);
        matches = inner;
    }
    let verb = VERBS.iter().find(|verb| verb.path == path);
    (verb.expect("the parser accepts nothing but the verbs of the table"), matches)
}

/// Help that was asked for is a result; everything else is wrong use, told in one line.
fn answer(error: &clap::Error) -> Result<(), Failure> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => console::print(&text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            console::note(text.trim_end());
            Err(Failure::usage("say what to do: one of the commands above"))
        }
        _ => Err(Failure::usage(one_line(&text))),
    }
}

/// The parser's words up to its usage, on one line.
fn one_line(text: &str) -> String {
    let words = text.trim_start_matches("error: ").lines().map(str::trim);
    let words = words.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let line = words.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{line}; `svertka help` tells what there is")
}

/// The parser of all verbs.
fn command() -> Command {
    let root = Command::new("svertka")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Trains, evaluates and deploys convolutional networks on a CPU")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true);
    let verbs = |group: &'static str| {
        let of_group = move |verb: &&Verb| verb.path.len() == 2 && verb.path[0] == group;
        VERBS.iter().filter(of_group).map(|verb| verb.parser(verb.path[1]))
    };
    let group = |&(name, about): &(&'static str, &'static str)| {
        let group = Command::new(name).about(about).subcommand_required(true).arg_required_else_help(true);
        group.subcommands(verbs(name))
    };
    let alone = VERBS.iter().filter(|verb| verb.path.len() == 1).map(|verb| verb.parser(verb.path[0]));
    root.subcommands(alone).subcommands(GROUPS.iter().map(group))
}

const AFTER_HELP: &str = "\
MODEL is a run folder, an .onnx file or a network of the zoo (`svertka model list`).
DATA is a folder of pictures by class, IDX pairs, CIFAR binaries, or a CSV/TSV of path and label;
without it, the ten thousand handwritten digits inside this program are used.

Results go to standard output, everything else to standard error.
Exit status: 0 done, 1 failed, 2 wrong use.

Environment:
  SVERTKA_CONV  algorithms of convolutions: fastest (default), direct (no fast transforms), winograd (wherever it can)
  SVERTKA_ISA   instruction set to compute with instead of the best (avx2, scalar)
  SVERTKA_LOG   what is logged: error, warn (default), info, debug";

#[cfg(test)]
mod tests;
