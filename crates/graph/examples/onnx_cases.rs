//! Writes one ONNX file per operator and setting, for `reference/onnx_check.py`:
//! `cargo run -p svertka-graph --example onnx_cases -- FOLDER`.

#[path = "../tests/onnx/cases.rs"]
mod cases;

use std::{error::Error, fs, path::PathBuf};
use svertka_graph::onnx;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    fs::create_dir_all(&folder)?;
    for case in cases::all() {
        onnx::save(folder.join(format!("{}.onnx", case.name)), &case.graph, &case.parameters)?;
    }
    Ok(())
}
