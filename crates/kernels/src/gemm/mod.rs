//! Matrix products: fully connected layers, their gradients, `MatMul`; and sums of columns, the gradient of a bias.
//!
//! ```
//! use svertka_kernels::{
//!     Machine,
//!     gemm::{Addend, GemmCall, GemmPlan, GemmProblem, Right},
//! };
//!
//! // y = x·Wᵀ + b for two rows x of three values, and W [2, 3].
//! let problem = GemmProblem::new(2, 2, 3)?.trans_b();
//! let machine = Machine::single();
//! let plan = GemmPlan::new(problem, machine.isa);
//! let call = GemmCall {
//!     present: plan.whole(),
//!     a: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
//!     b: Right::Plain(&[1.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
//!     addend: Addend::Columns(&[10.0, 20.0]),
//!     activation: None,
//! };
//! let (mut y, mut scratch) = ([0.0; 4], vec![0.0; plan.scratch_len(1)]);
//! plan.multiply(&machine, &call, &mut y, &mut scratch);
//! assert_eq!(y, [11.0, 25.0, 14.0, 31.0]);
//! # Ok::<(), svertka_kernels::gemm::GemmError>(())
//! ```

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
pub(crate) use microkernel::{
    MOST_ROWS, Rows, Runs, Sums, VECTORS, Walk, sum_tile, sum_tile_into, tile_rows, tiles,
};
pub(crate) use pack::{Panel, Panels};

#[cfg(test)]
mod tests;
