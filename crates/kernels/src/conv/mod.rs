//! Convolution in two dimensions (and in one, as height 1): forward, and the gradients of input and weights.
//!
//! Pictures are channels-last, `[N, H, W, C]`; weights lie as ONNX has them, `[O, C/groups, kh, kw]`, and are packed
//! once per change into the order in which a plan reads them. The gradient of the bias is a
//! [`ColumnSumPlan`](crate::gemm::ColumnSumPlan) over the `N·H'·W'` rows of `dy`. A transposed convolution is the same
//! problem read backwards: [`ConvProblem::transposed`].

mod blocks;
mod correlation;
mod depthwise;
mod direct;
mod pack;
mod plan;
mod problem;
pub mod reference;
mod rows;
mod source;
mod weight_gradient;

pub use pack::Packing;
pub use plan::{ConvInputGradientPlan, ConvPlan, ConvWeightGradientPlan};
pub use problem::{ConvError, ConvProblem, ConvShape};
pub use source::{Affine, Border, BorderMode, Layout, Pictures, Source};

#[cfg(test)]
mod tests;
