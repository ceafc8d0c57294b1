use svertka_graph::{DataType, Tensor};

/// Elements of an [`Array`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Real numbers.
    F64(Vec<f64>),
    /// Integers, and truth values as 0 and 1.
    I64(Vec<i64>),
}

/// A value of the reference engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    elements: Elements,
}

impl Array {
    /// An array; `None` if the number of elements does not fit the shape.
    pub fn new(shape: &[usize], elements: Elements) -> Option<Self> {
        let len = match &elements {
            Elements::F64(values) => values.len(),
            Elements::I64(values) => values.len(),
        };
        let wanted = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        (wanted == Some(len)).then(|| Self { shape: shape.to_vec(), elements })
    }

    /// An array of real numbers; `None` if their number does not fit the shape.
    pub fn real(shape: &[usize], values: Vec<f64>) -> Option<Self> {
        Self::new(shape, Elements::F64(values))
    }

    /// An array of integers; `None` if their number does not fit the shape.
    pub fn integers(shape: &[usize], values: Vec<i64>) -> Option<Self> {
        Self::new(shape, Elements::I64(values))
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// The elements, if they are real numbers.
    pub fn as_f64(&self) -> Option<&[f64]> {
        match &self.elements {
            Elements::F64(values) => Some(values),
            Elements::I64(_) => None,
        }
    }

    /// The elements for writing, if they are real numbers.
    pub fn as_f64_mut(&mut self) -> Option<&mut [f64]> {
        match &mut self.elements {
            Elements::F64(values) => Some(values),
            Elements::I64(_) => None,
        }
    }

    /// The elements, if they are integers.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.elements {
            Elements::I64(values) => Some(values),
            Elements::F64(_) => None,
        }
    }

    /// Whether a value of this type has such elements.
    pub fn holds(&self, dtype: DataType) -> bool {
        match self.elements {
            Elements::F64(_) => dtype == DataType::F32,
            Elements::I64(_) => matches!(dtype, DataType::I64 | DataType::Bool),
        }
    }

    /// The type that a graph calls these elements; truth values are not told from integers.
    pub fn dtype(&self) -> DataType {
        match self.elements {
            Elements::F64(_) => DataType::F32,
            Elements::I64(_) => DataType::I64,
        }
    }
}

impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        let elements = match (tensor.as_f32(), tensor.as_i64()) {
            (Some(values), _) => Elements::F64(values.iter().copied().map(f64::from).collect()),
            (None, values) => Elements::I64(values.unwrap_or_default().to_vec()),
        };
        Self { shape: tensor.shape().to_vec(), elements }
    }
}
