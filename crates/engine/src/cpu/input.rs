//! What is handed in to a program, and whether it fits.

use super::Program;
use crate::EngineError;
use svertka_graph::DataType;

/// What is handed in for one input of a program, row-major in the graph's order of axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a> {
    /// Pictures, soft targets, gradients of outputs.
    F32(&'a [f32]),
    /// Class labels, places, and truth values as 0 and 1.
    I64(&'a [i64]),
}

impl<'a> Input<'a> {
    pub(crate) fn as_f32(&self) -> Option<&'a [f32]> {
        match self {
            Input::F32(values) => Some(values),
            Input::I64(_) => None,
        }
    }

    pub(crate) fn as_i64(&self) -> Option<&'a [i64]> {
        match self {
            Input::I64(values) => Some(values),
            Input::F32(_) => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Input::F32(values) => values.len(),
            Input::I64(values) => values.len(),
        }
    }
}

/// One input of a program.
#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub(crate) name: String,
    pub(crate) dtype: DataType,
    pub(crate) len: usize,
    pub(crate) per_row: Option<usize>,
}

impl InputSpec {
    pub(crate) fn bytes(&self) -> u64 {
        let width = match self.dtype {
            DataType::F32 => 4,
            DataType::I64 | DataType::Bool => 8,
        };
        width * self.len as u64
    }
}

impl Program {
    /// How many rows the inputs hold, once all of them fit.
    pub(super) fn rows(&self, inputs: &[Input<'_>], specs: &[InputSpec]) -> Result<usize, EngineError> {
        if inputs.len() != specs.len() {
            let name = specs.get(inputs.len()).map_or("(one too many)", |spec| spec.name.as_str());
            return Err(input_error(
                name,
                format!("{} inputs are needed, got {}", specs.len(), inputs.len()),
            ));
        }
        let mut rows = None;
        for (input, spec) in inputs.iter().zip(specs) {
            if input.as_f32().is_some() != (spec.dtype == DataType::F32) {
                let found = if input.as_f32().is_some() { DataType::F32 } else { DataType::I64 };
                return Err(input_error(&spec.name, format!("has to be {}, got {found}", spec.dtype)));
            }
            let found = self.rows_of(input, spec)?;
            if *rows.get_or_insert(found) != found && spec.per_row.is_some() {
                return Err(input_error(&spec.name, format!("has {found} rows where others have {rows:?}")));
            }
        }
        Ok(rows.unwrap_or(self.batch))
    }

    fn rows_of(&self, input: &Input<'_>, spec: &InputSpec) -> Result<usize, EngineError> {
        let len = input.len();
        let Some(per_row) = spec.per_row else {
            let fits = len == spec.len;
            return if fits {
                Ok(self.batch)
            } else {
                Err(input_error(&spec.name, format!("{} values are needed, got {len}", spec.len)))
            };
        };
        let rows = len / per_row.max(1);
        let fits = rows * per_row == len
            && (rows == self.batch || (self.flexible && (1..self.batch).contains(&rows)));
        let wanted = if self.flexible { "1 to " } else { "" };
        let reason =
            || format!("{wanted}{} rows of {per_row} values are needed, got {len} values", self.batch);
        if fits { Ok(rows) } else { Err(input_error(&spec.name, reason())) }
    }
}

fn input_error(name: &str, reason: String) -> EngineError {
    EngineError::Input { name: name.to_owned(), reason }
}
