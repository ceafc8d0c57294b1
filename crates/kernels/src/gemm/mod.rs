//! Matrix products: fully connected layers, their gradients, `MatMul`; and sums of columns, the gradient of a bias.

mod column_sums;
mod finish;
mod microkernel;
mod multiply;
mod pack;
mod plan;
mod problem;
pub mod reference;

pub use column_sums::ColumnSumPlan;
pub use plan::{GemmCall, GemmPlan, Right};
pub use problem::{Addend, GemmError, GemmProblem, Present};

pub(crate) use finish::Finish;
pub(crate) use microkernel::{MOST_ROWS, Runs, Sums, Walk, sum_tile, tile_rows, tiles};
pub(crate) use pack::{Panel, Panels};

#[cfg(test)]
mod tests;
