//! Writing and reading ONNX files.
//!
//! Files are written at opset 19, the lowest that holds nearly every operator of this crate and so the one that most runtimes
//! read, with IR version 9, which belongs to it. `Gelu` and extremes of truth values take opset 20; a graph in which `ceil_mode`
//! leaves out a last window is written at opset 22 with IR version 10: ONNX's shape inference counts such windows up to
//! opset 21. Opsets 6 to 28 are read, each with the forms and defaults that its operators had. Operators that are sums of
//! others (normalisations of the sample itself, norms, `Split`, `Sum`, …) are spelled by these on reading; what tails of shapes
//! compute is computed while the file is read.
//!
//! What ONNX hands an operator as a constant input and this crate as an attribute (the shape of `Reshape`, the pads of
//! `Pad`) is written as an initialiser `NODE.INPUT` and folded back on reading. What a graph has and ONNX has not is kept in
//! the model's `metadata_props`, one line per entry, fields separated by tabs:
//!
//! | key | lines |
//! |---|---|
//! | `svertka.roles` | `weight`, `statistic` or `constant`, followed by ` frozen` if so; the parameter's name |
//! | `svertka.initialisers` | such as `kaiming_uniform 2.236068`; the parameter's name |
//! | `svertka.frozen_nodes` | the name of a `BatchNormalization` that keeps its statistics in training |
//! | `svertka.order` | how many nodes stand before it; the name of an input or a parameter. Only where parameters do not stand right before their first use |
//!
//! Lines about things that a file has no more are ignored. Every other key is [`Graph::metadata`]. A file with
//! `svertka.roles`, which is empty where a graph has constants and no parameters, holds no tails: nothing is computed in it
//! but what attributes ask for.
//!
//! Elements that lie in other files (external data) are read by [`load`], from files in the model's folder and below: no
//! absolute paths, no `..`, no links that lead outside. Tensors may share a region of a file as a whole, not overlap in part.
//!
//! A file without these keys gets its roles from its structure: float initialisers at weights, scales and biases of `Conv`,
//! `ConvTranspose`, `Gemm`, `MatMul` and `BatchNormalization` are weights; mean and variance of the latter are statistics; all
//! else is constant. Everything is computed in f32: initialisers and inputs in f16, bf16 or f64 become f32, i32 becomes i64.

mod describe;
mod error;
mod external;
mod metadata;
mod operators;
mod order;
mod proto;
mod read;
mod scan;
mod tensor;
mod write;

pub use describe::{Description, describe};
pub use error::OnnxError;

use crate::{Graph, Parameters, Tensor, files, hash::fnv1a};
use error::{Refusal, invalid, unsupported};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The opset that is written, with the one exception above.
pub const OPSET: i64 = 19;
/// The newest opset that is read.
pub const NEWEST_OPSET: i64 = 28;
/// The oldest opset that is read.
pub const OLDEST_OPSET: i64 = 6;

/// The bytes of a file that holds `graph` and the values of its parameters; values that the graph does not name are left out.
///
/// # Errors
/// [`OnnxError::Invalid`] if a parameter has no values or others than the graph says, or if a name cannot stand in a file
/// (empty, longer than 1024 bytes, with control characters, or one of the metadata's own keys);
/// [`OnnxError::Unsupported`] for operators that ONNX lacks: internal ones, label smoothing, soft targets.
pub fn write(graph: &Graph, parameters: &Parameters) -> Result<Vec<u8>, OnnxError> {
    write::model(graph, parameters).map(|model| prost::Message::encode_to_vec(&model))
}

/// The graph and the values in the bytes of a file. What [`write()`] wrote comes back equal, values bit for bit.
///
/// Whatever the file claims, memory stays within a small multiple of its size and a hundred megabytes: the number of parts
/// (nodes, attributes, tensors, listed names) is limited to 131,072, of the graph's nodes to 65,536, of axes to 16, of names to
/// 1024 bytes, of a tensor's elements to 2⁴⁸, of those that tails of shapes compute to 2²¹ in all, of truth values in
/// initialisers to 2²⁰ in all. The exception are weights that a file makes by `ConstantOfShape`, as ONNX's test networks do: up
/// to 2²⁸ elements in all.
///
/// Elements that lie in other files are refused: [`load`] reads them.
///
/// # Errors
/// [`OnnxError::Decode`] if the bytes are no model, [`OnnxError::Invalid`] if the model breaks ONNX's rules,
/// [`OnnxError::Unsupported`] if it asks for more than this crate knows. Nothing is silently skipped.
pub fn read(bytes: &[u8]) -> Result<(Graph, Parameters), OnnxError> {
    read_with(bytes, &ReadOptions::default())
}

/// What a reader may be told beside the file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Values of inputs that an operator needs before anything runs, such as the target of a `Reshape` or the weight of a
    /// `Conv`: the graph has no such input then. Values of other inputs are not looked at.
    pub inputs: BTreeMap<String, Tensor>,
    /// Where the model lies, if it may read its elements from files there and below; [`load`] says so. Without it, elements in
    /// other files are refused.
    pub folder: Option<PathBuf>,
}

/// [`read()`], told more than the file says.
///
/// # Errors
/// As [`read()`].
pub fn read_with(bytes: &[u8], options: &ReadOptions) -> Result<(Graph, Parameters), OnnxError> {
    scan::check(bytes)?;
    let model = prost::Message::decode(bytes).map_err(|error| OnnxError::Decode(error.to_string()))?;
    read::graph(model, options)
}

/// The name and the elements in the bytes of a lone tensor (`TensorProto`), as ONNX's test data and other runtimes' dumps have
/// them: f32, f16, bf16 and f64 become f32, integers and booleans i64.
///
/// # Errors
/// As [`read()`].
pub fn read_tensor(bytes: &[u8]) -> Result<(String, Tensor), OnnxError> {
    scan::check_tensor(bytes)?;
    let proto: proto::TensorProto =
        prost::Message::decode(bytes).map_err(|error| OnnxError::Decode(error.to_string()))?;
    let name = proto.name.clone();
    match tensor::read(proto) {
        Ok(tensor) => Ok((name, tensor)),
        Err(refusal) => Err(refusal.at(format!("tensor `{name}`"))),
    }
}

/// Writes a file. It appears whole or not at all: it is written beside `path` first and then renamed.
///
/// # Errors
/// [`OnnxError::File`], naming the file, for whatever [`write()`] or the file system refuses.
pub fn save(path: impl AsRef<Path>, graph: &Graph, parameters: &Parameters) -> Result<(), OnnxError> {
    let path = path.as_ref();
    write(graph, parameters)
        .and_then(|bytes| Ok(files::replace(path, |temporary| fs::write(temporary, bytes))?))
        .map_err(|error| in_file(path, error))
}

/// Reads a file, and the elements of its tensors that lie in other files of its folder (see [`ReadOptions::folder`]).
///
/// # Errors
/// [`OnnxError::File`], naming the file, for whatever [`read()`] or the file system refuses.
pub fn load(path: impl AsRef<Path>) -> Result<(Graph, Parameters), OnnxError> {
    let path = path.as_ref();
    let folder = path.parent().map(|folder| if folder == "" { ".".into() } else { folder.to_owned() });
    let options = ReadOptions { folder, ..ReadOptions::default() };
    fs::read(path)
        .map_err(OnnxError::from)
        .and_then(|bytes| read_with(&bytes, &options))
        .map_err(|error| in_file(path, error))
}

fn in_file(path: &Path, error: OnnxError) -> OnnxError {
    OnnxError::File { path: path.to_owned(), source: Box::new(error) }
}

/// Checks a name of a value, node or extent. What is listed in metadata by lines must not break them.
fn check_name(name: &str) -> Result<(), Refusal> {
    match name {
        "" => invalid("its name is empty"),
        _ if name.len() > 1024 => unsupported("its name is longer than 1024 bytes"),
        _ if name.contains(char::is_control) => {
            unsupported(format!("its name {name:?} has control characters"))
        }
        _ => Ok(()),
    }
}

/// A name made of others, which may be too long for one: cut, and told apart by its hash.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 960;
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let start = &name[..name.floor_char_boundary(LONGEST - 20)];
    format!("{start}…{:016x}", fnv1a(name))
}

#[cfg(test)]
mod tests;
