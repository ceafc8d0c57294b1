use super::{Array, Elements};
use crate::{EngineError, RunKey};
use std::{borrow::Cow, fmt::Display};
use svertka_graph::{DataType, Node};

/// What one node is run with.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) inputs: Vec<&'a Array>,
    /// Shapes of the outputs, from shape inference.
    pub(super) outputs: Vec<&'a [usize]>,
    /// Types of the outputs.
    pub(super) dtypes: Vec<DataType>,
    pub(super) key: RunKey,
}

pub(super) type Results = Result<Vec<Array>, EngineError>;

impl<'a> Call<'a> {
    pub(super) fn shape(&self, input: usize) -> &'a [usize] {
        self.inputs[input].shape()
    }

    pub(super) fn real(&self, input: usize) -> &'a [f64] {
        self.inputs[input].as_f64().expect("shape inference has checked the type of every input")
    }

    /// The elements of an input as numbers: integers are exact up to 2^53.
    pub(super) fn numbers(&self, input: usize) -> Cow<'a, [f64]> {
        match self.inputs[input].elements() {
            Elements::F64(values) => Cow::Borrowed(values),
            Elements::I64(values) => Cow::Owned(values.iter().map(|&value| value as f64).collect()),
        }
    }

    pub(super) fn integers(&self, input: usize) -> &'a [i64] {
        self.inputs[input].as_i64().expect("shape inference has checked the type of every input")
    }

    /// Batch, channels and the pixels of a channel of an input `[N, C, …]`; missing axes count as 1.
    pub(super) fn planes(&self, input: usize) -> [usize; 3] {
        let shape = self.shape(input);
        let extent = |axis: usize| shape.get(axis).copied().unwrap_or(1);
        [extent(0), extent(1), shape.iter().skip(2).product()]
    }

    /// The output of a node that has one; integers are cut off toward 0.
    pub(super) fn one(&self, values: Vec<f64>) -> Results {
        self.all([self.typed(values)])
    }

    /// Numbers as elements of the first output.
    pub(super) fn typed(&self, values: Vec<f64>) -> Elements {
        match self.dtypes[0] {
            DataType::F32 => Elements::F64(values),
            DataType::I64 | DataType::Bool => {
                Elements::I64(values.into_iter().map(|value| value as i64).collect())
            }
        }
    }

    /// All outputs, in order.
    pub(super) fn all(&self, outputs: impl IntoIterator<Item = Elements>) -> Results {
        let fit = |(elements, shape): (Elements, &&[usize])| {
            Array::new(shape, elements).ok_or_else(|| self.refuse("its twin and shape inference disagree"))
        };
        outputs.into_iter().zip(&self.outputs).map(fit).collect()
    }

    /// The first input's elements in the output's shape.
    pub(super) fn same_elements(&self) -> Results {
        self.all([self.inputs[0].elements().clone()])
    }

    /// The error of a problem that no kernel takes.
    pub(super) fn refuse(&self, reason: impl Display) -> EngineError {
        let (node, op) = (self.node.name.clone(), self.node.op.name().to_owned());
        EngineError::Unsupported { node, op, reason: reason.to_string() }
    }
}
