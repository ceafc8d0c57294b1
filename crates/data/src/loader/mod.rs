//! Batches, prepared in parallel, delivered in an order that depends on (seed, epoch) alone.
//!
//! The order of an epoch is drawn before anything is prepared, and cut into batches. Workers take whole batches in turn and
//! put them into a bounded window, from which they are delivered by number; so the number of workers, their speed and
//! the place where an epoch is resumed cannot be seen in what comes out.

mod batch;
mod prepare;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use batch::Pool;
pub use batch::{Batch, Targets};
use prepare::Preparation;
use window::Window;

use crate::{Broken, Examples};

/// Settings of a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Samples in a batch; the last of an epoch may have fewer. Default 64.
    pub batch_size: usize,
    /// A new order each epoch rather than the part's own. Default true.
    pub shuffle: bool,
    /// Leave out the last batch of an epoch if it is not full. Default false.
    pub drop_last: bool,
    /// Seed of the orders. Default 0.
    pub seed: u64,
    /// Threads that prepare batches; 0 prepares them in the calling thread. Default 0.
    pub workers: usize,
    /// Batches that may be ready or under way beyond the one delivered. Default 4.
    pub prefetch: usize,
    /// Distinct broken samples that are skipped before the loader gives up. Default 0.
    pub max_broken: usize,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            batch_size: 64,
            shuffle: true,
            drop_last: false,
            seed: 0,
            workers: 0,
            prefetch: 4,
            max_broken: 0,
        }
    }
}

/// Why there is no next batch.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A batch must have at least one sample.
    #[error("batch size 0")]
    BatchSize,
    /// More samples are broken than may be.
    #[error("{} broken samples, at most {limit} may be skipped:{}", broken.len(), listed(broken))]
    TooManyBroken {
        /// How many may be.
        limit: usize,
        /// All found so far, by index.
        broken: Vec<Broken>,
    },
}

fn listed(broken: &[Broken]) -> String {
    broken.iter().map(|broken| format!("\n  {broken}")).collect()
}

/// Makes batches of [`Examples`].
pub struct Loader {
    shared: Arc<Shared>,
}

/// What all epochs and workers of a loader have in common.
struct Shared {
    examples: Arc<dyn Examples>,
    options: LoaderOptions,
    pool: Arc<Pool>,
    broken: Mutex<BTreeMap<usize, Broken>>,
}

impl Loader {
    /// A loader; nothing is read yet.
    ///
    /// # Errors
    /// [`LoaderError::BatchSize`].
    pub fn new(examples: Arc<dyn Examples>, options: LoaderOptions) -> Result<Self, LoaderError> {
        if options.batch_size == 0 {
            return Err(LoaderError::BatchSize);
        }
        let pool = Arc::new(Pool::new(options.prefetch + options.workers + 1));
        Ok(Self { shared: Arc::new(Shared { examples, options, pool, broken: Mutex::default() }) })
    }

    /// The samples.
    pub fn examples(&self) -> &Arc<dyn Examples> {
        &self.shared.examples
    }

    /// The settings.
    pub fn options(&self) -> &LoaderOptions {
        &self.shared.options
    }

    /// Number of batches in an epoch.
    pub fn batches(&self) -> usize {
        let (samples, size) = (self.shared.examples.len(), self.shared.options.batch_size);
        if self.shared.options.drop_last { samples / size } else { samples.div_ceil(size) }
    }

    /// Distinct broken samples met so far, by index.
    pub fn broken(&self) -> Vec<Broken> {
        self.shared.broken().values().cloned().collect()
    }

    /// Counts broken samples as met already: a run that is resumed knows those it met before.
    pub fn remember(&self, broken: impl IntoIterator<Item = Broken>) {
        self.shared.broken().extend(broken.into_iter().map(|sample| (sample.index, sample)));
    }

    /// The batches of an epoch from number `first_batch` on. Its workers start at once, and end when it is dropped.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Epoch {
        Epoch::start(Arc::clone(&self.shared), epoch, first_batch, self.batches())
    }
}

impl Shared {
    fn broken(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Broken>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a batch's broken samples; too many are an error.
    fn account(&self, batch: Batch) -> Result<Batch, LoaderError> {
        let mut broken = self.broken();
        broken.extend(batch.broken.iter().map(|sample| (sample.index, sample.clone())));
        let limit = self.options.max_broken;
        if broken.len() <= limit {
            return Ok(batch);
        }
        Err(LoaderError::TooManyBroken { limit, broken: broken.values().cloned().collect() })
    }
}

/// The batches of one epoch, in order. After an error there are no more.
pub struct Epoch {
    shared: Arc<Shared>,
    preparation: Arc<Preparation>,
    window: Arc<Window>,
    workers: Vec<JoinHandle<()>>,
}

impl Epoch {
    fn start(shared: Arc<Shared>, epoch: u64, first_batch: usize, batches: usize) -> Self {
        let preparation =
            Preparation::new(Arc::clone(&shared.examples), Arc::clone(&shared.pool), &shared.options, epoch);
        let window = Window::new(first_batch.min(batches), batches, shared.options.prefetch);
        let (preparation, window) = (Arc::new(preparation), Arc::new(window));
        let count = shared.options.workers.min(batches.saturating_sub(first_batch));
        let workers = (0..count).map_while(|i| spawn(i, &preparation, &window)).collect();
        Self { shared, preparation, window, workers }
    }

    /// Number of the next batch.
    pub fn position(&self) -> usize {
        self.window.position()
    }

    fn next_prepared(&mut self) -> Option<Batch> {
        // Without workers, or where the system gave none, the caller does their work.
        if self.workers.is_empty() {
            let number = self.window.claim()?;
            self.window.put(number, thread::Result::Ok(self.preparation.prepare(number)));
        }
        match self.window.take()? {
            Ok(batch) => Some(batch),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// A worker: claims batches until there are none left or the epoch is dropped.
fn spawn(index: usize, preparation: &Arc<Preparation>, window: &Arc<Window>) -> Option<JoinHandle<()>> {
    let (preparation, window) = (Arc::clone(preparation), Arc::clone(window));
    let work = move || {
        while let Some(number) = window.claim() {
            // A panic is handed to the consumer, who would otherwise wait for this batch forever.
            let prepare = std::panic::AssertUnwindSafe(|| preparation.prepare(number));
            window.put(number, std::panic::catch_unwind(prepare));
        }
    };
    thread::Builder::new().name(format!("loader-{index}")).spawn(work).ok()
}

impl Iterator for Epoch {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_prepared()?;
        let accounted = self.shared.account(batch);
        if accounted.is_err() {
            self.window.stop();
        }
        Some(accounted)
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.window.stop();
        for worker in self.workers.drain(..) {
            // Workers catch panics themselves: there is nothing to learn from joining but that they ended.
            drop(worker.join());
        }
    }
}
