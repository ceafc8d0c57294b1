//! What a file says of itself, and what of it cannot be honoured.

use super::{
    OnnxError, ReadOptions, operators,
    proto::{ModelProto, NodeProto},
    read, scan,
};
use std::collections::BTreeMap;

/// What a file says of itself.
#[derive(Debug)]
pub struct Description {
    /// Who made it, with the version, or nothing.
    pub producer: String,
    /// The version of ONNX's file format.
    pub ir_version: i64,
    /// The opset of ONNX's own operators; 0 if the file names none.
    pub opset: i64,
    /// How often each operator stands in it.
    pub operators: BTreeMap<String, usize>,
    /// What cannot be honoured: every node whose operator is not handled; if there is none, whatever else the reader refuses.
    pub refusals: Vec<OnnxError>,
}

/// Describes the bytes of a file, whether it can be read or not.
///
/// # Errors
/// [`OnnxError::Decode`] if the bytes are no model.
pub fn describe(bytes: &[u8], options: &ReadOptions) -> Result<Description, OnnxError> {
    scan::check(bytes)?;
    let model: ModelProto =
        prost::Message::decode(bytes).map_err(|error| OnnxError::Decode(error.to_string()))?;
    let opset = read::opset_of(&model.opset_import).unwrap_or(0);
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    let mut operators = BTreeMap::new();
    nodes.clone().for_each(|node| *operators.entry(node.op_type.clone()).or_insert(0) += 1);
    let mut refusals: Vec<OnnxError> = nodes.filter_map(|node| unhandled(node, opset)).collect();
    let producer =
        [model.producer_name.as_str(), model.producer_version.as_str()].join(" ").trim().to_owned();
    let ir_version = model.ir_version.unwrap_or(0);
    if refusals.is_empty() {
        refusals.extend(read::graph(model, options).err());
    }
    Ok(Description { producer, ir_version, opset, operators, refusals })
}

fn unhandled(node: &NodeProto, opset: i64) -> Option<OnnxError> {
    read::check_domain(node).and_then(|()| operators::check_known(&node.op_type)).err().map(|refusal| {
        let name = [&node.name].into_iter().chain(&node.output).find(|name| !name.is_empty());
        let name = name.map_or("", String::as_str);
        refusal.at(format!("node `{name}` ({}, opset {opset})", node.op_type))
    })
}
