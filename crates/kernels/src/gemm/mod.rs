//! Matrix products: fully connected layers, their gradients, `MatMul`; and sums of columns, the gradient of a bias.

mod column_sums;
mod plan;
mod problem;
pub mod reference;

pub use column_sums::ColumnSumPlan;
pub use plan::{GemmCall, GemmPlan, Right};
pub use problem::{Addend, GemmError, GemmProblem, Present};
