//! Names and element types of a model's inputs and outputs, read from its own messages.

use prost::Message;
use std::{error::Error, fmt};

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, boxed, tag = "7")]
    graph: Option<Box<GraphProto>>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(string, tag = "8")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
}

/// What a model takes and gives, in order.
pub(super) struct Declared {
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
}

/// A value that is no tensor of numbers or truth values.
#[derive(Debug)]
pub(super) struct Unlike(String);

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no tensor of numbers or truth values of a common width", self.0)
    }
}

impl Error for Unlike {}

pub(super) fn declared(bytes: &[u8]) -> Result<Declared, Box<dyn Error>> {
    let mut graph = ModelProto::decode(bytes)?.graph.ok_or("the model has no graph")?;
    // Until IR version 3 every initialiser was listed as an input.
    graph.input.retain(|input| !graph.initializer.iter().any(|tensor| tensor.name == input.name));
    Ok(Declared { inputs: names(graph.input)?, outputs: names(graph.output)? })
}

fn names(values: Vec<ValueInfoProto>) -> Result<Vec<String>, Box<dyn Error>> {
    let name = |value: ValueInfoProto| {
        let code = value.r#type.and_then(|ty| ty.tensor_type).map_or(0, |tensor| tensor.elem_type);
        // Not strings, complex numbers, bfloat16, nor numbers of 4 and 8 bits.
        let numbers = matches!(code, 1..=7 | 9..=13);
        if numbers { Ok(value.name) } else { Err(Unlike(value.name).into()) }
    };
    values.into_iter().map(name).collect()
}
