//! A case in the form of ONNX's backend tests: a model with recorded inputs and outputs.

#![allow(dead_code, unreachable_pub, reason = "every program that includes this uses its own part")]

mod types;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};
use svertka_engine::{
    EngineError, RunKey, State,
    compare::check_inputs,
    cpu::{Input, Purpose, Workspace, lower},
    reference::{Array, Elements, evaluate},
};
use svertka_graph::{
    DataType, Graph, Op, Parameters, Sizes, Tensor,
    onnx::{OnnxError, ReadOptions, read_tensor, read_with},
};
use svertka_kernels::Machine;

/// What came of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// How far real numbers may lie from the recorded ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// By 1e-7 and a thousandth of the recorded number, as in `onnx.backend.test.runner`.
    Onnx,
    /// By this share of the largest magnitude of the output, or of a tenth if that is larger: what cancels is not exact.
    OfLargest(f64),
}

type Failure = Box<dyn Error>;

/// Runs every data set of the case in `folder` on both engines.
pub fn run_case(folder: &Path, tolerance: Tolerance) -> Outcome {
    let run = || check_case(folder, tolerance);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(error)) => outcome_of(&*error),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::Failed(format!("panic: {}", text.unwrap_or("without a message")))
        }
    }
}

/// What cannot be honoured is skipped, everything else failed.
fn outcome_of(error: &(dyn Error + 'static)) -> Outcome {
    let text = error.to_string();
    let unsupported = match (error.downcast_ref::<OnnxError>(), error.downcast_ref::<EngineError>()) {
        (Some(error), _) => matches!(error, OnnxError::Unsupported { .. }),
        (_, Some(error)) => matches!(error, EngineError::Unsupported { .. }),
        _ => error.is::<types::Unlike>(),
    };
    if unsupported { Outcome::Skipped(text) } else { Outcome::Failed(text) }
}

fn check_case(folder: &Path, tolerance: Tolerance) -> Result<(), Failure> {
    let bytes = fs::read(folder.join("model.onnx"))?;
    let declared = types::declared(&bytes)?;
    let sets = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<PathBuf, Failure>| path.as_ref().is_ok_and(|path| path.is_dir()))
        .collect::<Result<Vec<_>, _>>()?;
    if sets.is_empty() {
        return Err("nothing was recorded".into());
    }
    for set in sets {
        let inputs = tensors(&set, "input", &declared.inputs)?;
        let outputs = tensors(&set, "output", &declared.outputs)?;
        if outputs.len() != declared.outputs.len() {
            return Err("not every output was recorded".into());
        }
        check_set(&bytes, &inputs, &outputs, tolerance)?;
    }
    Ok(())
}

/// The recorded tensors `KIND_0.pb`, `KIND_1.pb`, …, by the names that the model gives them.
fn tensors(set: &Path, kind: &str, names: &[String]) -> Result<BTreeMap<String, Tensor>, Failure> {
    let mut found = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let path = set.join(format!("{kind}_{index}.pb"));
        if path.is_file() {
            found.insert(name.clone(), read_tensor(&fs::read(path)?)?.1);
        }
    }
    Ok(found)
}

fn check_set(
    bytes: &[u8],
    inputs: &BTreeMap<String, Tensor>,
    outputs: &BTreeMap<String, Tensor>,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    let (graph, parameters) =
        read_with(bytes, &ReadOptions { inputs: inputs.clone(), ..ReadOptions::default() })?;
    let arrays: BTreeMap<String, Array> = graph
        .inputs()
        .iter()
        .filter_map(|&id| inputs.get_key_value(&graph.value(id).name))
        .map(|(name, tensor)| (name.clone(), Array::from(tensor)))
        .collect();
    check_inputs(&graph, &arrays)?;
    let found = [
        ("reference", by_reference(&graph, &parameters, &arrays)),
        ("cpu", by_cpu(&graph, &parameters, inputs)),
    ];
    // What one engine refuses must not hide what the other gets wrong.
    let checked = found.map(|(engine, found)| {
        found.and_then(|found| {
            outputs.iter().try_for_each(|output| check_output(engine, &graph, &found, output, tolerance))
        })
    });
    let failed = |result: &Result<(), Failure>| {
        result.as_ref().is_err_and(|error| matches!(outcome_of(&**error), Outcome::Failed(_)))
    };
    let [reference, cpu] = checked;
    if failed(&cpu) { cpu } else { reference.and(cpu) }
}

type Outputs = BTreeMap<String, Array>;

fn by_reference(graph: &Graph, parameters: &Parameters, inputs: &Outputs) -> Result<Outputs, Failure> {
    let values = evaluate(graph, parameters, inputs, RunKey::default())?;
    let outputs = graph.outputs().iter().map(|&id| (graph.value(id).name.clone(), values.of(id).clone()));
    Ok(outputs.collect())
}

fn check_output(
    engine: &str,
    graph: &Graph,
    found: &Outputs,
    (name, expected): (&String, &Tensor),
    tolerance: Tolerance,
) -> Result<(), Failure> {
    let id = graph.find(name).ok_or_else(|| format!("there is no output `{name}`"))?;
    let dtype = graph.value(id).ty.dtype;
    if (dtype == DataType::F32) != expected.as_f32().is_some() {
        return Err(format!("`{name}` is {dtype}, which is not what was recorded").into());
    }
    let found = found.get(name).ok_or_else(|| format!("{engine} puts out no `{name}`"))?;
    compare(engine, name, found, expected, tolerance)
}

fn by_cpu(
    graph: &Graph,
    parameters: &Parameters,
    inputs: &BTreeMap<String, Tensor>,
) -> Result<Outputs, Failure> {
    let state = State::new(graph, parameters)?;
    let mut sizes = Sizes::new();
    let mut given = Vec::new();
    for &id in graph.inputs() {
        let value = graph.value(id);
        let tensor =
            inputs.get(&value.name).ok_or_else(|| format!("input `{}` is not recorded", value.name))?;
        for (dim, &size) in value.ty.shape.iter().zip(tensor.shape()) {
            if dim.fixed().is_none() {
                sizes = sizes.with(&dim.to_string(), size);
            }
        }
        given.push(match tensor.as_f32() {
            Some(values) => Input::F32(values),
            None => Input::I64(tensor.as_i64().unwrap_or_default()),
        });
    }
    let mut workspace = Workspace::new(Machine::single());
    let plan = Arc::new(lower(graph, &Purpose::Inference)?);
    let program = plan.bind(&sizes, &state, &mut workspace)?;
    program.infer(&mut workspace, &state, &given)?;
    let shapes = graph.concrete_shapes(&sizes)?;
    let mut outputs = Outputs::new();
    for &id in graph.outputs() {
        let name = &graph.value(id).name;
        let values = match graph.producer(id).map(|node| &node.op) {
            Some(Op::Constant(tensor)) => Array::from(tensor),
            _ => {
                let values = program.output(&workspace, name)?.iter().copied().map(f64::from).collect();
                Array::real(&shapes[id.index()], values)
                    .ok_or("an output has another length than its shape")?
            }
        };
        outputs.insert(name.clone(), values);
    }
    Ok(outputs)
}

fn numbers(array: &Array) -> Vec<f64> {
    match array.elements() {
        Elements::F64(values) => values.clone(),
        Elements::I64(values) => values.iter().map(|&value| value as f64).collect(),
    }
}

fn compare(
    engine: &str,
    name: &str,
    found: &Array,
    expected: &Tensor,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    if found.shape() != expected.shape() {
        return Err(
            format!("{engine}: `{name}` has shape {:?}, not {:?}", found.shape(), expected.shape()).into()
        );
    }
    let integers = expected.as_i64().is_some();
    let (found, expected) = (numbers(found), numbers(&Array::from(expected)));
    let largest =
        expected.iter().filter(|value| value.is_finite()).fold(0.1, |most: f64, value| most.max(value.abs()));
    let near = |a: f64, b: f64| match tolerance {
        _ if integers => a == b,
        _ if a.is_nan() || b.is_nan() => a.is_nan() && b.is_nan(),
        _ if a == b => true,
        Tolerance::Onnx => (a - b).abs() <= 1e-7 + 1e-3 * b.abs(),
        Tolerance::OfLargest(share) => (a - b).abs() <= share * largest,
    };
    let apart = |(_, (a, b)): &(usize, (&f64, &f64))| !near(**a, **b);
    match found.iter().zip(&expected).enumerate().find(apart) {
        None => Ok(()),
        Some((place, (a, b))) => Err(format!("{engine}: `{name}` has {a} at {place}, not {b}").into()),
    }
}
