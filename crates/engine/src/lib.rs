//! Lowers and binds a graph to a program that runs without allocating.
//!
//! Two engines: [`cpu`] compiles, [`reference`](mod@reference) walks the graph with the f64 twins of the kernels.
//! [`compare`] tells where two ways of computing the same network part.

pub mod compare;
pub mod cpu;
mod error;
mod gradients;
mod optimiser;
pub mod reference;
mod run_key;
mod state;
mod words;

pub use error::EngineError;
pub use gradients::Gradients;
pub use optimiser::{Adam, Optimiser, Sgd};
pub use run_key::RunKey;
pub use state::{Entry, State};
pub use svertka_kernels::{Isa, Machine};
