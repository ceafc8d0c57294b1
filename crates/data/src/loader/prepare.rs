//! The order of an epoch, and the work of one batch.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::LoaderOptions;
use super::batch::{Batch, Pool, Targets};
use crate::random::Random;
use crate::{Broken, Examples, SampleError, TargetMut};

/// An epoch: which samples each batch holds, and how to make it.
pub(super) struct Preparation {
    examples: Arc<dyn Examples>,
    pool: Arc<Pool>,
    epoch: u64,
    batch_size: usize,
    order: Vec<usize>,
    input_len: usize,
    target_len: usize,
}

impl Preparation {
    pub(super) fn new(
        examples: Arc<dyn Examples>,
        pool: Arc<Pool>,
        options: &LoaderOptions,
        epoch: u64,
    ) -> Self {
        let mut order: Vec<_> = (0..examples.len()).collect();
        if options.shuffle {
            Random::for_epoch(options.seed, epoch).shuffle(&mut order);
        }
        let input_len = examples.input_shape().iter().product();
        let target_len = examples.target_kind().dense_len();
        Self { examples, pool, epoch, batch_size: options.batch_size, order, input_len, target_len }
    }

    /// The batch of this number. A sample that cannot be used leaves no gap.
    pub(super) fn prepare(&self, number: usize) -> Batch {
        let start = number * self.batch_size;
        let chosen = &self.order[start..self.order.len().min(start + self.batch_size)];
        let mut batch = Batch::with_room(&self.pool, &*self.examples, number, chosen.len());
        for &index in chosen {
            match self.write(&mut batch, index) {
                Ok(()) => {
                    batch.indices.push(index);
                    batch.rows += 1;
                }
                Err(error) => {
                    let (name, cause) = (self.examples.name(index), error.to_string());
                    batch.broken.push(Broken { index, name, cause });
                }
            }
        }
        self.trim(&mut batch);
        batch
    }

    /// Writes a sample into the first free row. Decoders meet hostile bytes: a panic in one of them is that sample's error.
    fn write(&self, batch: &mut Batch, index: usize) -> Result<(), SampleError> {
        let row = batch.rows;
        let input = &mut batch.input[row * self.input_len..][..self.input_len];
        let target = match &mut batch.target {
            Targets::Class(classes) => TargetMut::Class(&mut classes[row]),
            Targets::Dense(values) => {
                TargetMut::Dense(&mut values[row * self.target_len..][..self.target_len])
            }
        };
        let write = AssertUnwindSafe(|| self.examples.write(self.epoch, index, input, target));
        catch_unwind(write).unwrap_or_else(|panic| Err(SampleError::Panicked(message(&*panic))))
    }

    fn trim(&self, batch: &mut Batch) {
        batch.input.truncate(batch.rows * self.input_len);
        match &mut batch.target {
            Targets::Class(classes) => classes.truncate(batch.rows),
            Targets::Dense(values) => values.truncate(batch.rows * self.target_len),
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}
