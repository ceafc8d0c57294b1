use std::ops::Range;
use svertka_kernels::{Machine, optimiser};

/// Gradients of the trainable weights, in the order in which `backward` finishes them: one allocation.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    entries: Vec<(String, Range<usize>)>,
    pub(crate) values: Vec<f32>,
    /// Nothing has been added since the last clearing: the next `backward` overwrites.
    pub(crate) fresh: bool,
}

impl Gradients {
    /// Room for the gradients of parameters with these names and numbers of elements.
    pub(crate) fn new(parameters: impl IntoIterator<Item = (String, usize)>) -> Self {
        let mut entries = Vec::new();
        let mut end = 0;
        for (name, len) in parameters {
            entries.push((name, end..end + len));
            end += len;
        }
        Self { entries, values: vec![0.0; end], fresh: true }
    }

    /// Forgets what was added. Costs nothing: the next `backward` overwrites.
    pub fn clear(&mut self) {
        self.fresh = true;
    }

    /// Names and gradients, in the order in which they are finished.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.entries.iter().map(|(name, range)| (name.as_str(), &self.values[range.clone()]))
    }

    /// The gradient of the weight `name`.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.iter().find(|(own, _)| *own == name).map(|(_, values)| values)
    }

    /// All of them as one slice.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The norm of all gradients as one vector.
    pub fn norm(&self, machine: &Machine) -> f32 {
        optimiser::sum_of_squares(machine, &self.values).sqrt() as f32
    }
}
