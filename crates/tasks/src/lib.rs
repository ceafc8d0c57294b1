//! A task pairs an input with a target: files to samples, loss, decoding, metrics.
//!
//! A [`Task`] is opened on a data set: it decides what the network reads and tells apart, and makes the network one that
//! can be trained. What a file has to carry so that it suffices to predict is written into the graph's metadata, and read
//! back as a [`Model`].
//!
//! | key | value |
//! |---|---|
//! | `svertka.task` | name of the pair, such as `image-class` |
//! | `svertka.classes` | JSON list of the classes' names |
//! | `svertka.channels` | `grey`, `rgb`, `rgba` or a number of bands |
//! | `svertka.preprocess` | list of transforms: [`svertka_image::Preprocess`] |
//! | `svertka.recipe` | JSON of the [`Recipe`] |

mod error;
mod evaluate;
pub mod foreign;
pub mod inputs;
mod metadata;
mod model;
mod pairs;
mod predict;
mod recipe;
pub mod targets;
mod task;

pub use error::TaskError;
pub use evaluate::{ClassScore, Evaluation, evaluate};
pub use model::Model;
pub use pairs::{PAIRS, Pair};
pub use predict::{Prediction, Predictor};
pub use recipe::Recipe;
pub use task::{Task, TaskOptions};
