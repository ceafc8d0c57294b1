use crate::{Graph, GraphError, Role, Shape};
use std::{collections::BTreeMap, sync::Arc};

/// The elements of a tensor, row-major, shared until written.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// f32 elements.
    F32(Arc<Vec<f32>>),
    /// i64 elements.
    I64(Arc<Vec<i64>>),
}

/// Values with a shape. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// A tensor of f32; `None` if the number of elements does not fit the shape.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Option<Self> {
        let fits = elements(shape) == Some(data.len());
        fits.then(|| Self { shape: shape.to_vec(), data: TensorData::F32(data.into()) })
    }

    /// A tensor of i64; `None` if the number of elements does not fit the shape.
    pub fn i64(shape: &[usize], data: Vec<i64>) -> Option<Self> {
        let fits = elements(shape) == Some(data.len());
        fits.then(|| Self { shape: shape.to_vec(), data: TensorData::I64(data.into()) })
    }

    /// A single f32.
    pub fn scalar(value: f32) -> Self {
        Self { shape: Vec::new(), data: TensorData::F32(vec![value].into()) }
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements, if they are f32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            TensorData::F32(data) => Some(data),
            TensorData::I64(_) => None,
        }
    }

    /// The elements, if they are i64.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            TensorData::I64(data) => Some(data),
            TensorData::F32(_) => None,
        }
    }

    /// The elements for writing, if they are f32; copied first if they are shared.
    pub fn as_f32_mut(&mut self) -> Option<&mut Vec<f32>> {
        match &mut self.data {
            TensorData::F32(data) => Some(Arc::make_mut(data)),
            TensorData::I64(_) => None,
        }
    }
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// Values of parameters by name: what is loaded, averaged, sent between ranks and saved. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(BTreeMap<String, Tensor>);

impl Parameters {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// The values of `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// The values of `name`, for writing.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.0.get_mut(name)
    }

    /// Sets the values of `name`; returns what it held.
    pub fn insert(&mut self, name: &str, values: Tensor) -> Option<Tensor> {
        self.0.insert(name.to_owned(), values)
    }

    /// Forgets `name`; returns what it held.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that every parameter of `graph` has values of its shape.
    ///
    /// # Errors
    /// [`GraphError::Parameter`] for the first that is missing or has another shape.
    pub fn check(&self, graph: &Graph) -> Result<(), GraphError> {
        for (_, value, parameter) in graph.parameters() {
            let reason = match self.get(&value.name) {
                None => format!("no values for this {}", role_name(parameter.role)),
                Some(tensor) if Shape::fixed(tensor.shape()) != value.ty.shape => {
                    format!(
                        "values of shape {}, the graph has {}",
                        Shape::fixed(tensor.shape()),
                        value.ty.shape
                    )
                }
                Some(_) => continue,
            };
            return Err(GraphError::Parameter { name: value.name.clone(), reason });
        }
        Ok(())
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Weight => "weight",
        Role::Statistic => "statistic",
        Role::Constant => "constant",
    }
}

impl FromIterator<(String, Tensor)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}
