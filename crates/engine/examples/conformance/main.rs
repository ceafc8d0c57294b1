//! Runs test cases in the form of ONNX's backend tests: folders with `model.onnx` and `test_data_set_*` of recorded inputs and
//! outputs, on both engines.
//!
//! `conformance [--tolerance T] [--list FILE [--write]] ROOT...` prints a line per case and the counts. A case is skipped
//! where the reader or an engine says that it cannot honour something. Without `--tolerance`, real numbers may differ as
//! ONNX's own runner lets them: by 1e-7 and a thousandth of what is recorded; with it, by this share of the output's largest
//! magnitude. With `--list`, the outcome has to be the list's; `--write` writes it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../../tests/recorded/mod.rs"]
mod recorded;

use recorded::{Outcome, Tolerance, run_case};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Recordings of ONNX 1.6 that do not belong to their models, which lack the attribute `nearest_mode`.
const FAULTY: [(&str, &str); 3] = [
    (
        "test_resize_upsample_sizes_nearest_ceil_half_pixel",
        "recorded with another nearest_mode than the model has",
    ),
    (
        "test_resize_upsample_sizes_nearest_floor_align_corners",
        "recorded with another nearest_mode than the model has",
    ),
    (
        "test_resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric",
        "recorded with another nearest_mode than the model has",
    ),
];

struct Arguments {
    tolerance: Tolerance,
    list: Option<PathBuf>,
    write: bool,
    roots: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut found = Arguments { tolerance: Tolerance::Onnx, list: None, write: false, roots: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--tolerance" => found.tolerance = Tolerance::OfLargest(value()?.parse()?),
            "--list" => found.list = Some(value()?.into()),
            "--write" => found.write = true,
            _ if word.starts_with('-') => return Err(format!("there is no option {word}").into()),
            _ => found.roots.push(word.into()),
        }
    }
    match found.roots.is_empty() {
        true => Err("name at least one folder of test cases".into()),
        false => Ok(found),
    }
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut lines, mut counts) = (Vec::new(), [0; 3]);
    for root in &arguments.roots {
        let mut cases = Vec::new();
        find_cases(root, &mut cases)?;
        cases.sort();
        for case in cases {
            let name = case.strip_prefix(root)?.display().to_string();
            let name = if name.is_empty() { case.display().to_string() } else { name };
            let faulty = FAULTY.iter().find(|(faulty, _)| case.ends_with(faulty) && root.ends_with("1.6"));
            let outcome = match faulty {
                Some((_, why)) => Outcome::Skipped((*why).to_owned()),
                None => run_case(&case, arguments.tolerance),
            };
            counts[outcome.place()] += 1;
            let line = outcome.line(&name);
            println!("{line}");
            lines.push(line);
        }
    }
    let [passed, failed, skipped] = counts;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let listed =
        arguments.list.as_deref().map_or(Ok(true), |list| check_list(list, arguments.write, &lines))?;
    Ok(failed == 0 && listed)
}

/// Every folder below `root` that holds a model.
fn find_cases(root: &Path, cases: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if root.join("model.onnx").is_file() {
        cases.push(root.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(root).map_err(|error| format!("{}: {error}", root.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_cases(&path, cases)?;
        }
    }
    Ok(())
}

fn check_list(list: &Path, write: bool, lines: &[String]) -> Result<bool, Box<dyn Error>> {
    if write {
        fs::write(list, lines.join("\n") + "\n").map_err(|error| format!("{}: {error}", list.display()))?;
        return Ok(true);
    }
    let listed = fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let listed: Vec<&str> = listed.lines().collect();
    let new = lines.iter().filter(|line| !listed.contains(&line.as_str()));
    let gone = listed.iter().filter(|line| !lines.iter().any(|found| found == *line));
    let differences: Vec<String> = new
        .map(|line| format!("not listed: {line}"))
        .chain(gone.map(|line| format!("only listed: {line}")))
        .collect();
    differences.iter().for_each(|line| println!("{line}"));
    Ok(differences.is_empty())
}

impl Outcome {
    /// The place of its count.
    fn place(&self) -> usize {
        match self {
            Outcome::Passed => 0,
            Outcome::Failed(_) => 1,
            Outcome::Skipped(_) => 2,
        }
    }

    fn line(&self, name: &str) -> String {
        match self {
            Outcome::Passed => format!("passed {name}"),
            Outcome::Failed(what) => format!("failed {name}: {what}"),
            Outcome::Skipped(why) => format!("skipped {name}: {why}"),
        }
    }
}
