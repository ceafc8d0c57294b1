//! Where samples come from: folders, tables, archives, known sets; splits and the loader.
//!
//! [`open`] detects what a path holds and gives a [`DataSet`]: classes and up to three [`Part`]s whose pictures are read
//! when asked for. [`Pictures`] makes numbers of a part, and the [`Loader`] prepares batches of them in
//! parallel, in an order that depends on (seed, epoch) alone. This crate knows no network and no task.
//!
//! ```
//! use std::sync::Arc;
//! use svertka_data::{Loader, LoaderOptions, Pictures, digits};
//! use svertka_image::{Channels, Preprocess};
//!
//! let digits = digits();
//! let pictures = Pictures::new(digits.train, Preprocess::default(), Channels::Grey)?;
//! let loader = Loader::new(Arc::new(pictures), LoaderOptions { batch_size: 100, ..Default::default() })?;
//! let batch = loader.epoch(0, 0).next().expect("8,500 digits")?;
//! assert_eq!(batch.input.len(), 100 * 28 * 28);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod dataset;
mod digits;
mod error;
mod examples;
mod loader;
mod part;
mod pictures;
pub mod random;
mod readers;
mod split;

pub use check::{CheckReport, ClassCount, Duplicate, PartReport, check, check_data_set};
pub use dataset::{DataSet, open};
pub use digits::digits;
pub use error::{Broken, Error, SampleError};
pub use examples::{Examples, TargetKind, TargetMut};
pub use loader::{Batch, Epoch, Loader, LoaderError, LoaderOptions, Targets};
pub use part::{Part, Probe};
pub use pictures::Pictures;
pub use readers::idx::{self, Idx, IdxError};
pub use split::Split;
