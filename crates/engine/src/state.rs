use crate::EngineError;
use std::{
    borrow::Cow,
    collections::HashMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use svertka_graph::{Graph, GraphError, Parameters, Role, Tensor};

/// Where the values of one parameter lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The parameter's name.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// What it is for: which block it lies in.
    pub role: Role,
    /// Whether it gets no gradient and never changes.
    pub frozen: bool,
    /// Whether its values are integers, which are kept as f32.
    pub integers: bool,
    /// Its place within the block of its role.
    pub range: Range<usize>,
}

/// All that training changes: weights, statistics, optimiser slots, the running average and the step counter. Exactly
/// what a checkpoint holds.
///
/// Every block is one allocation, addressed by name through [`entries`](Self::entries).
#[derive(Clone, Debug)]
pub struct State {
    entries: Arc<[Entry]>,
    by_name: Arc<HashMap<String, usize>>,
    pub(crate) blocks: Blocks,
    /// Memories of the optimiser, each of the length of the weights: momentum, or first and second moment.
    pub slots: Vec<Vec<f32>>,
    /// The exponential moving average of weights and statistics, if one is kept.
    average: Option<Blocks>,
    /// How many updates have been made.
    pub step: u64,
    version: u64,
}

/// The values of all parameters by role.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Blocks {
    pub(crate) weights: Vec<f32>,
    pub(crate) statistics: Vec<f32>,
    pub(crate) constants: Vec<f32>,
}

impl Blocks {
    fn len(&self) -> usize {
        self.weights.len() + self.statistics.len() + self.constants.len()
    }

    fn of(&self, role: Role) -> &[f32] {
        match role {
            Role::Weight => &self.weights,
            Role::Statistic => &self.statistics,
            Role::Constant => &self.constants,
        }
    }

    fn of_mut(&mut self, role: Role) -> &mut Vec<f32> {
        match role {
            Role::Weight => &mut self.weights,
            Role::Statistic => &mut self.statistics,
            Role::Constant => &mut self.constants,
        }
    }
}

/// Versions are never used twice, so that packed weights of one state cannot be taken for another's.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

impl State {
    /// The values of `graph`'s parameters, ready to be trained. No optimiser slot exists yet.
    ///
    /// # Errors
    /// [`EngineError::Graph`] if a parameter has no values or values of another shape or type.
    pub fn new(graph: &Graph, parameters: &Parameters) -> Result<Self, EngineError> {
        parameters.check(graph)?;
        let mut blocks = Blocks::default();
        let mut entries = Vec::new();
        for (_, value, parameter) in graph.parameters() {
            let tensor = parameters.get(&value.name).ok_or_else(|| unknown(&value.name))?;
            let values = numbers(tensor).ok_or_else(|| inexact(&value.name))?;
            let block = blocks.of_mut(parameter.role);
            let range = block.len()..block.len() + values.len();
            block.extend_from_slice(&values);
            let (name, shape) = (value.name.clone(), tensor.shape().to_vec());
            let integers = tensor.as_i64().is_some();
            entries.push(Entry {
                name,
                shape,
                role: parameter.role,
                frozen: parameter.frozen,
                integers,
                range,
            });
        }
        let by_name = entries.iter().enumerate().map(|(index, entry)| (entry.name.clone(), index)).collect();
        let version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
        let (entries, by_name) = (entries.into(), Arc::new(by_name));
        Ok(Self { entries, by_name, blocks, slots: Vec::new(), average: None, step: 0, version })
    }

    /// Where every parameter lies, in the graph's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn shared_entries(&self) -> Arc<[Entry]> {
        self.entries.clone()
    }

    /// Where the parameter `name` lies.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|&index| &self.entries[index])
    }

    /// The values of the parameter `name`.
    pub fn values(&self, name: &str) -> Option<&[f32]> {
        self.entry(name).map(|entry| &self.blocks.of(entry.role)[entry.range.clone()])
    }

    /// The values of the parameter `name`, for writing.
    pub fn values_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        self.touch();
        let entry = &self.entries[*self.by_name.get(name)?];
        Some(&mut self.blocks.of_mut(entry.role)[entry.range.clone()])
    }

    /// A copy of all values, to be saved.
    pub fn parameters(&self) -> Parameters {
        self.collect(&self.blocks)
    }

    /// A copy of the averaged values, if an average is kept.
    pub fn average(&self) -> Option<Parameters> {
        self.average.as_ref().map(|average| self.collect(average))
    }

    /// Replaces the values of every parameter that `parameters` names.
    ///
    /// # Errors
    /// [`EngineError::Graph`] if a name is unknown or a shape differs; values before it have been replaced.
    pub fn load(&mut self, parameters: &Parameters) -> Result<(), EngineError> {
        for (name, tensor) in parameters.iter() {
            let entry = self.entry(name).ok_or_else(|| unknown(name))?;
            let (shape, same_type) = (entry.shape.clone(), entry.integers == tensor.as_i64().is_some());
            let values = numbers(tensor).ok_or_else(|| inexact(name))?;
            let values = Some(values).filter(|_| tensor.shape() == shape && same_type).ok_or_else(|| {
                let reason = format!("the state has shape {shape:?}, the values have {:?}", tensor.shape());
                GraphError::Parameter { name: name.to_owned(), reason }
            })?;
            if let Some(own) = self.values_mut(name) {
                own.copy_from_slice(&values);
            }
        }
        Ok(())
    }

    /// Makes sure that there are `count` optimiser slots; new ones are 0.
    pub fn reserve_slots(&mut self, count: usize) {
        let len = self.blocks.weights.len();
        self.slots.resize_with(count, || vec![0.0; len]);
    }

    /// Starts an average at the present values, or continues one at `values` (of a checkpoint).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn start_average(&mut self, values: Option<&Parameters>) -> Result<(), EngineError> {
        self.average = Some(self.blocks.clone());
        if let Some(values) = values {
            self.exchange_average();
            let loaded = self.load(values);
            self.exchange_average();
            loaded?;
        }
        Ok(())
    }

    /// Exchanges the values with their average, to evaluate it; a second call exchanges them back. Without an average
    /// nothing happens.
    pub fn exchange_average(&mut self) {
        if let Some(average) = &mut self.average {
            std::mem::swap(average, &mut self.blocks);
            self.touch();
        }
    }

    /// Average and present values of every block that moves: (weights, statistics).
    pub(crate) fn average_pairs(&mut self) -> Option<[(&mut [f32], &[f32]); 2]> {
        let (average, blocks) = (self.average.as_mut()?, &self.blocks);
        Some([(&mut average.weights, &blocks.weights), (&mut average.statistics, &blocks.statistics)])
    }

    /// Changes whenever a value may have changed; no two states ever share one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Says that values have changed.
    pub(crate) fn touch(&mut self) {
        self.version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u128 {
        let slots: usize = self.slots.iter().map(Vec::len).sum();
        let blocks = self.average.iter().chain([&self.blocks]).map(Blocks::len);
        4 * (slots + blocks.sum::<usize>()) as u128
    }

    fn collect(&self, blocks: &Blocks) -> Parameters {
        let tensor = |entry: &Entry| {
            let values = &blocks.of(entry.role)[entry.range.clone()];
            let tensor = match entry.integers {
                true => Tensor::i64(&entry.shape, values.iter().map(|&value| value as i64).collect()),
                false => Tensor::f32(&entry.shape, values.to_vec()),
            };
            Some((entry.name.clone(), tensor?))
        };
        self.entries.iter().filter_map(tensor).collect()
    }
}

/// The largest integer up to which f32 holds all.
const EXACT: u64 = 1 << 24;

/// The elements of a tensor as programs compute with them; `None` for integers that f32 does not hold.
pub(crate) fn numbers(tensor: &Tensor) -> Option<Cow<'_, [f32]>> {
    if let Some(values) = tensor.as_f32() {
        return Some(Cow::Borrowed(values));
    }
    let exact = |&value: &i64| (value.unsigned_abs() <= EXACT).then_some(value as f32);
    tensor.as_i64()?.iter().map(exact).collect::<Option<Vec<f32>>>().map(Cow::Owned)
}

fn inexact(name: &str) -> GraphError {
    let reason = "it has integers above 2^24, which programs do not hold exactly".to_owned();
    GraphError::Parameter { name: name.to_owned(), reason }
}

fn unknown(name: &str) -> GraphError {
    GraphError::Unknown { kind: "parameter", name: name.to_owned(), hint: None }
}
