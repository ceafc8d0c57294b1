//! svertka: convolutional networks on a CPU.
//!
//! The front door: every crate is a module here, and [`prelude`] holds what most programs need. Three things are never
//! mixed: a [`Graph`](graph::Graph) is structure, [`Parameters`](graph::Parameters) are values, a
//! [`Program`](engine::cpu::Program) is a plan that borrows values when it runs.
//!
//! ```
//! use svertka::prelude::*;
//!
//! let network = Builder::new();
//! let maps = network.image(1, [28, 28]).conv(6, kernel(5).padding(2)).relu().max_pool(2);
//! maps.flatten().linear(10).classify();
//! let graph = network.finish()?;
//!
//! let parameters = Parameters::initialise(&graph, 1)?;
//! let bytes = onnx::write(&graph, &parameters)?;
//! assert_eq!(onnx::read(&bytes)?, (graph, parameters));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`graph`] | networks as structure: builder, shapes, gradients as more graph, surgery, ONNX |
//! | [`zoo`] | networks by name |
//! | [`image`] | decoding and transforming pictures |
//! | [`data`] | data sets, splits, the loader |
//! | [`engine`] | how a graph becomes a program and runs |
//! | [`train`] | the loop: settings, schedules, checkpoints, the log |
//! | [`tasks`] | pairs of an input and a target: from files to samples, from scores to names |
//! | [`kernels`] | the arithmetic |

pub use svertka_data as data;
pub use svertka_engine as engine;
pub use svertka_graph as graph;
pub use svertka_image as image;
pub use svertka_kernels as kernels;
#[cfg(feature = "cli")]
pub use svertka_report as report;
pub use svertka_tasks as tasks;
pub use svertka_train as train;
pub use svertka_zoo as zoo;

/// What most programs need.
pub mod prelude {
    pub use crate::data::{DataSet, digits, open};
    pub use crate::engine::Machine;
    pub use crate::graph::builder::kernel;
    pub use crate::graph::{Builder, Flow, Graph, Parameters, onnx};
    pub use crate::image::decode;
    pub use crate::tasks::{Model, Predictor, Recipe, Task, TaskOptions, evaluate};
    pub use crate::train::{EvaluationOptions, Outcome, Settings, Trainer};
    pub use crate::zoo::{cards, find};
}
