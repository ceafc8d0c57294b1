//! Runs every case of `crates/graph/tests/onnx/cases.rs` in the compiling engine and writes file, inputs and outputs, for
//! `reference/onnx_check.py`: `cargo run -p svertka-engine --example onnx_values -- FOLDER`.

#![expect(clippy::print_stdout, reason = "a program for a person")]

#[path = "../../graph/tests/onnx/cases.rs"]
mod cases;

use cases::Case;
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use svertka_engine::{
    Machine, State,
    cpu::{Input, Purpose, Workspace, lower},
};
use svertka_graph::{DataType, Sizes, ValueId, onnx};

/// What every symbol is.
const SIZE: usize = 2;

enum Values {
    Real(Vec<f32>),
    Integers(Vec<i64>),
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    for case in cases::all() {
        if uses_integers(&case) {
            println!("{}: left out, programs compute with f32", case.name);
            continue;
        }
        write(&case, &folder.join(&case.name)).map_err(|error| format!("{}: {error}", case.name))?;
    }
    Ok(())
}

/// Whether parameters or outputs are integers.
fn uses_integers(case: &Case) -> bool {
    let graph = &case.graph;
    let mut ids = graph.parameters().map(|(id, ..)| id).chain(graph.outputs().iter().copied());
    ids.any(|id| graph.value(id).ty.dtype != DataType::F32)
}

fn write(case: &Case, path: &Path) -> Result<(), Box<dyn Error>> {
    let [inputs, outputs] = ["inputs", "outputs"].map(|kind| path.with_extension(kind));
    fs::create_dir_all(&inputs)?;
    fs::create_dir_all(&outputs)?;
    onnx::save(path.with_extension("onnx"), &case.graph, &case.parameters)?;
    let graph = &case.graph;
    let symbols = graph.inputs().iter().flat_map(|&id| graph.shape(id).iter().cloned().collect::<Vec<_>>());
    let sizes = symbols
        .filter(|dim| dim.fixed().is_none())
        .fold(Sizes::new(), |sizes, dim| sizes.with(&dim.to_string(), SIZE));
    let shapes = graph.concrete_shapes(&sizes)?;
    let values: Vec<Values> = graph.inputs().iter().map(|&id| draw(case, id, &shapes[id.index()])).collect();
    for (&id, values) in graph.inputs().iter().zip(&values) {
        save(&inputs, &graph.value(id).name, &shapes[id.index()], values)?;
    }
    let plan = Arc::new(lower(graph, &Purpose::Inference)?);
    let state = State::new(graph, &case.parameters)?;
    let mut workspace = Workspace::new(Machine::new(2));
    let program = plan.bind(&sizes, &state, &mut workspace)?;
    let slices: Vec<Input> = values.iter().map(Values::input).collect();
    program.infer(&mut workspace, &state, &slices)?;
    for &id in graph.outputs() {
        let name = &graph.value(id).name;
        let found = Values::Real(program.output(&workspace, name)?.to_vec());
        save(&outputs, name, &shapes[id.index()], &found)?;
    }
    Ok(())
}

impl Values {
    fn input(&self) -> Input<'_> {
        match self {
            Values::Real(values) => Input::F32(values),
            Values::Integers(values) => Input::I64(values),
        }
    }
}

/// Real numbers from −2 to 2; labels 0, 1, 2, 0, ….
fn draw(case: &Case, id: ValueId, shape: &[usize]) -> Values {
    let count: usize = shape.iter().product();
    if case.graph.value(id).ty.dtype == DataType::I64 {
        return Values::Integers((0..count as i64).map(|i| i % 3).collect());
    }
    Values::Real((0..count).map(|i| (i * 7919 % 4001) as f32 / 1000.0 - 2.0).collect())
}

/// NumPy's format, version 1.0.
fn save(folder: &Path, name: &str, shape: &[usize], values: &Values) -> Result<(), Box<dyn Error>> {
    let (kind, data): (&str, Vec<u8>) = match values {
        Values::Real(values) => ("<f4", values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::Integers(values) => ("<i8", values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    };
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padded = format!("{header:<len$}\n", len = (header.len() + 11).next_multiple_of(64) - 11);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.bytes());
    bytes.extend(data);
    Ok(fs::write(folder.join(format!("{name}.npy")), bytes)?)
}
