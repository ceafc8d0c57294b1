//! Structure of networks: operators, shapes, gradients, surgery, ONNX.
//!
//! A [`Graph`] is structure and can be built, printed, counted, cut, joined, saved and compared without running it;
//! [`Parameters`] are values. The crate computes integers only: no arithmetic on weights, no threads, no clocks.

pub mod builder;
mod differentiate;
mod error;
pub mod files;
mod graph;
mod hash;
pub mod infer;
mod initialise;
pub mod onnx;
pub mod op;
mod parameters;
mod shape;
mod summary;
pub mod surgery;
mod training;

pub use builder::{Builder, Flow};
pub use differentiate::{Backward, Differentiated, Rule, Rules, differentiate};
pub use error::GraphError;
pub use graph::{Graph, Initialiser, Node, NodeId, Origin, Parameter, Role, Value, ValueId};
pub use hash::Fnv1a;
pub use op::Op;
pub use parameters::{Parameters, Tensor, TensorData};
pub use shape::{DataType, Dim, Shape, Sizes, TensorType};
pub use summary::{LayerSummary, Summary};
pub use training::{TrainingForm, training_form, with_loss};
