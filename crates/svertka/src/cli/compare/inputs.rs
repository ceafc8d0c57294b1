//! What a comparison is run on.

use std::collections::BTreeMap;
use std::path::Path;

use svertka_engine::compare::check_inputs;
use svertka_engine::reference::{Array, Elements};
use svertka_graph::{
    DataType, Dim, Graph, Initialiser, Parameter, Parameters, Role, Shape, Sizes, TensorType,
};
use svertka_image::decode;
use svertka_tasks::inputs::image::{Input, picture_shape};

use super::arrays::{Folder, Format};
use crate::cli::failure::Failure;
use crate::cli::files;

/// An array for each input by name, and where they come from.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(super) arrays: BTreeMap<String, Array>,
    /// Where they come from, for people.
    pub(super) source: String,
}

/// Rows that are drawn where the network takes any number and none is asked for.
const BATCH: usize = 2;
const SEED: u64 = 0;

impl Inputs {
    /// What a file holds: a picture, an array, or a folder with an array for each input.
    pub(super) fn given(graph: &Graph, file: &Path) -> Result<Self, Failure> {
        let arrays = if file.is_dir() {
            let folder = Folder::open(file)?;
            Self::in_folder(graph, &folder)?.map_err(|name| {
                Failure::failed(format!("it holds no values of the input `{name}`")).at(file.display())
            })?
        } else {
            let array = match Format::of(file) {
                Some(format) => format.read(file)?,
                None => picture(graph, file).map_err(|failure| failure.at(file.display()))?,
            };
            [(only_input(graph)?, array)].into()
        };
        Self::checked(graph, arrays, file.display().to_string())
    }

    /// What a folder of another runtime's values holds for the inputs; `None` if it lacks one.
    pub(super) fn dumped(graph: &Graph, folder: &Folder, name: &str) -> Result<Option<Self>, Failure> {
        match Self::in_folder(graph, folder)? {
            Ok(arrays) => Self::checked(graph, arrays, name.to_owned()).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Reads every input; the inner error is the name of the first that is missing.
    fn in_folder(graph: &Graph, folder: &Folder) -> Result<Result<BTreeMap<String, Array>, String>, Failure> {
        let mut arrays = BTreeMap::new();
        for &id in graph.inputs() {
            let name = &graph.value(id).name;
            match folder.get(name)? {
                Some(array) => arrays.insert(name.clone(), array),
                None => return Ok(Err(name.clone())),
            };
        }
        Ok(Ok(arrays))
    }

    /// Real numbers as they are in f32, so that both engines are given the same, in arrays that fit.
    fn checked(graph: &Graph, arrays: BTreeMap<String, Array>, source: String) -> Result<Self, Failure> {
        let mut arrays = arrays;
        for array in arrays.values_mut() {
            array.as_f64_mut().into_iter().flatten().for_each(|value| *value = f64::from(*value as f32));
        }
        check_inputs(graph, &arrays).map_err(|error| Failure::from(error).at(&source))?;
        Ok(Self { arrays, source })
    }

    /// Normal numbers for inputs of real numbers, for others zeros, which are a class, an index and a truth value.
    pub(super) fn drawn(graph: &Graph, batch: Option<usize>) -> Result<Self, Failure> {
        let sizes = sizes(graph, batch)?;
        let mut drawn = Graph::new();
        for &id in graph.inputs() {
            let value = graph.value(id);
            let shape = value.ty.shape.resolve(&sizes);
            let (dtype, initialiser) = match value.ty.dtype {
                DataType::F32 => (DataType::F32, Initialiser::Normal { std: 1.0 }),
                _ => (DataType::I64, Initialiser::Constant(0.0)),
            };
            let parameter = Parameter { role: Role::Constant, initialiser, frozen: false };
            drawn.add_parameter(&value.name, TensorType { dtype, shape }, parameter)?;
        }
        let arrays = Parameters::initialise(&drawn, SEED)?;
        let arrays = arrays.iter().map(|(name, tensor)| (name.to_owned(), Array::from(tensor))).collect();
        let shapes: Vec<String> = drawn.values().iter().map(|value| value.ty.shape.to_string()).collect();
        let source = format!("drawn from seed {SEED}, {}; --on FILE hands in another", shapes.join(", "));
        Self::checked(graph, arrays, source)
    }

    /// The same for a network whose inputs may have other names: then they are taken by their places.
    pub(super) fn of(&self, graph: &Graph, other: &Graph) -> BTreeMap<String, Array> {
        let name = |place: usize| {
            let name = &other.value(other.inputs()[place]).name;
            let same_place = || Some(&graph.value(*graph.inputs().get(place)?).name);
            let array = self.arrays.get(name).or_else(|| self.arrays.get(same_place()?))?;
            Some((name.clone(), array.clone()))
        };
        (0..other.inputs().len()).filter_map(name).collect()
    }
}

/// The numbers of the inputs' symbols: first axes are batches, nothing else is guessed.
fn sizes(graph: &Graph, batch: Option<usize>) -> Result<Sizes, Failure> {
    let mut sizes = Sizes::new();
    for &id in graph.inputs() {
        let (name, shape): (&str, &Shape) = (&graph.value(id).name, graph.shape(id));
        for (axis, dim) in shape.iter().enumerate() {
            match dim {
                Dim::Symbol(symbol) if axis == 0 => sizes = sizes.with(symbol, batch.unwrap_or(BATCH)),
                Dim::Symbol(symbol) if sizes.get(symbol).is_none() => {
                    let open = format!("the input `{name}` is {shape}: {symbol} is open");
                    return Err(Failure::usage(format!("{open}; hand in an input with --on FILE")));
                }
                Dim::Fixed(fixed) if axis == 0 && batch.is_some_and(|batch| batch != *fixed) => {
                    return Err(Failure::usage(format!(
                        "the input `{name}` of this network is fixed: {shape}"
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(sizes)
}

/// The name of the only input.
fn only_input(graph: &Graph) -> Result<String, Failure> {
    let names: Vec<&str> = graph.inputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        _ => Err(Failure::usage(format!(
            "the network has {} inputs ({}): --on has to name a folder of files NAME.npy or NAME.pb",
            names.len(),
            names.join(", ")
        ))),
    }
}

/// A picture as `predict` hands it to the network; as often as a fixed batch wants it.
fn picture(graph: &Graph, file: &Path) -> Result<Array, Failure> {
    let picture = Input::of(graph)?.prepare(decode(&files::read(file)?)?)?;
    let [channels, height, width] = [picture.channels(), picture.height(), picture.width()];
    let expected = picture_shape(graph)?;
    if [channels, height, width] != expected {
        let [c, h, w] = expected;
        return Err(Failure::failed(format!(
            "it becomes {channels}×{height}×{width}, the network reads {c}×{h}×{w}"
        )));
    }
    let mut values = vec![0.0; channels * height * width];
    picture.write_planar(&mut values);
    let rows = crate::cli::model::Model::fixed_batch(graph).unwrap_or(1);
    let values: Vec<f64> = values.repeat(rows).into_iter().map(f64::from).collect();
    let array = Array::new(&[rows, channels, height, width], Elements::F64(values));
    array.ok_or_else(|| Failure::failed("the picture does not fit into memory"))
}
