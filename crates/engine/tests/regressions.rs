//! Cases that an engine once got wrong or that stand for a form of an operator, with values of ONNX Runtime: found, shrunk and
//! written by `make fuzz-ort`.

// A panic in a test is its report.
#![allow(clippy::unwrap_used)]

mod recorded;

use recorded::{Outcome, Tolerance, run_case};
use std::{fs, path::Path};

#[test]
fn recorded_cases_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let folders = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    cases.sort();
    let outcomes =
        cases.iter().map(|case| (case.file_name().unwrap(), run_case(case, Tolerance::OfLargest(1e-4))));
    let wrong: Vec<_> = outcomes.filter(|(_, outcome)| *outcome != Outcome::Passed).collect();
    assert!(wrong.is_empty() && cases.len() > 3, "of {} cases: {wrong:#?}", cases.len());
}
