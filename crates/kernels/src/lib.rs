//! Arithmetic of convolutional networks on slices, with a slow f64 twin beside every kernel.
//!
//! The crate knows shapes and slices only: no graph, no file, no clock, no allocation on a hot path. Every family of
//! kernels has the same files: `mod` (the face and its checks), `plan` (the choice of an algorithm, as data), `pack`,
//! one file per algorithm, `reference` (the f64 twin, written from the definition) and `tests`.
//!
//! Conventions that hold for every kernel:
//! - Pictures are channels-last, `[N, H, W, C]`, unless a docstring says otherwise; a signal of one axis has `H = 1`.
//!   Twins speak the graph's own order, `[N, C, H, W]`.
//! - A [`Machine`] is handed in: its threads and its instruction set. Results never depend on the number of threads.
//! - Problems are small `Copy` structs whose constructor checks them and computes the output's size once. They carry the
//!   largest batch; a call says how many `rows` of it are present.
//! - Callers own memory. A kernel writes into slices it is given and says beforehand how much scratch it needs.
//! - `_into` writes a whole output, `_in_place` overwrites its input, `_accumulate` adds to what is there.

pub mod activation;
pub mod conv;
mod cut;
pub mod dropout;
pub mod elementwise;
mod epilogue;
pub mod gemm;
pub mod layout;
pub mod loss;
mod machine;
pub mod norm;
pub mod optimiser;
pub mod pool;
pub mod probe;
mod problem;
pub mod random;
pub mod resize;
pub mod simd;
pub mod softmax;
#[cfg(test)]
mod testing;
mod threads;
mod vector;

pub use epilogue::{Epilogue, Store};
pub use machine::Machine;
pub use problem::ProblemError;
pub use simd::Isa;
pub use threads::{SharedMut, Threads};
