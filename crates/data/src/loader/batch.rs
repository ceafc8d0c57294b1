//! The batch, and the pool its memory returns to.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Broken, Examples, TargetKind};

/// Samples as numbers. When it is dropped, its memory serves another batch.
#[derive(Debug)]
pub struct Batch {
    /// Its number in the epoch.
    pub number: usize,
    /// Samples in it: the batch size, less in the last batch and where samples are broken. It may be 0 if all of them are.
    pub rows: usize,
    /// Inputs: [rows, …].
    pub input: Vec<f32>,
    /// Targets of the rows.
    pub target: Targets,
    /// Index of each row's sample.
    pub indices: Vec<usize>,
    /// Samples that were skipped.
    pub broken: Vec<Broken>,
    pool: Arc<Pool>,
}

/// Targets of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class of each row.
    Class(Vec<i64>),
    /// Numbers: [rows, …].
    Dense(Vec<f32>),
}

impl Targets {
    /// Classes, if that is what the targets are.
    pub fn classes(&self) -> Option<&[i64]> {
        match self {
            Self::Class(classes) => Some(classes),
            Self::Dense(_) => None,
        }
    }
}

impl Batch {
    /// A batch with room for `rows` samples, in memory that served before if there is some.
    pub(super) fn with_room(pool: &Arc<Pool>, examples: &dyn Examples, number: usize, rows: usize) -> Self {
        let mut buffers = pool.take();
        buffers.input.resize(rows * examples.input_shape().iter().product::<usize>(), 0.0);
        let kind = examples.target_kind();
        let target = match (kind, buffers.target) {
            (TargetKind::Class, Some(Targets::Class(mut classes))) => {
                classes.resize(rows, 0);
                Targets::Class(classes)
            }
            (TargetKind::Class, _) => Targets::Class(vec![0; rows]),
            (kind, Some(Targets::Dense(mut values))) => {
                values.resize(rows * kind.dense_len(), 0.0);
                Targets::Dense(values)
            }
            (kind, _) => Targets::Dense(vec![0.0; rows * kind.dense_len()]),
        };
        buffers.indices.clear();
        let (input, indices) = (buffers.input, buffers.indices);
        Self { number, rows: 0, input, target, indices, broken: Vec::new(), pool: Arc::clone(pool) }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let target = std::mem::replace(&mut self.target, Targets::Class(Vec::new()));
        let (input, indices) = (std::mem::take(&mut self.input), std::mem::take(&mut self.indices));
        self.pool.put(Buffers { input, target: Some(target), indices });
    }
}

/// Memory of a batch.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    input: Vec<f32>,
    target: Option<Targets>,
    indices: Vec<usize>,
}

/// Memory of batches that were dropped.
#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<Vec<Buffers>>,
    most: usize,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self { free: Mutex::default(), most }
    }

    fn take(&self) -> Buffers {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn put(&self, buffers: Buffers) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.most {
            free.push(buffers);
        }
    }
}
