//! Convolution in two dimensions (and in one, as height 1): forward, and the gradients of input and weights.
//!
//! Pictures are channels-last, `[N, H, W, C]`; weights lie as ONNX has them, `[O, C/groups, kh, kw]`, and are packed
//! once per change into the order in which a plan reads them. The gradient of the bias is a
//! [`ColumnSumPlan`](crate::gemm::ColumnSumPlan) over the `N·H'·W'` rows of `dy`. A transposed convolution is the same
//! problem read backwards: [`ConvProblem::transposed`].
//!
//! A plan is made once per shape; calls allocate nothing.
//!
//! ```
//! use svertka_kernels::{
//!     Epilogue, Machine,
//!     activation::Activation,
//!     conv::{ConvPlan, ConvProblem, ConvShape, Pictures, Source},
//! };
//!
//! // LeNet's first layer on two pictures: 1 x 28 x 28 -> 6 x 28 x 28.
//! let shape = ConvShape { pads: [2; 4], ..ConvShape::new(2, 1, 6, [28, 28], [5, 5]) };
//! let problem = ConvProblem::new(shape)?;
//! let machine = Machine::single();
//! let plan = ConvPlan::new(problem, Source::default(), machine.choice())?;
//! let mut packed = vec![0.0; plan.packing().packed_len()];
//! plan.packing().pack(&machine, &[0.04; 6 * 25], &mut packed);
//!
//! let mut scratch = vec![0.0; plan.scratch_len(machine.threads.count())];
//! let (x, mut y) = (vec![1.0; 2 * 28 * 28], vec![0.0; 2 * 28 * 28 * 6]);
//! let epilogue = Epilogue { activation: Some(Activation::Relu), ..Epilogue::default() };
//! plan.forward(&machine, Pictures::new(2, &x), &packed, &epilogue, &mut y, &mut scratch);
//! assert!((y[0] - 9.0 * 0.04).abs() < 1e-6); // nine of the corner's 25 taps lie inside
//! # Ok::<(), svertka_kernels::conv::ConvError>(())
//! ```

mod ahead;
mod blocks;
mod choice;
mod correlation;
mod depthwise;
mod direct;
mod pack;
mod plan;
mod planar;
mod problem;
pub mod reference;
mod rows;
mod scatter;
mod source;
mod weight_gradient;
mod weight_in_place;
mod weight_sums;
mod winograd;

pub use choice::{Algorithms, Choice, UnknownAlgorithms};
pub use pack::Packing;
pub use plan::{ConvInputGradientPlan, ConvPlan, ConvWeightGradientPlan, products};
pub use problem::{ConvError, ConvProblem, ConvShape};
pub use source::{Affine, Border, BorderMode, Layout, Pictures, Source};

#[cfg(test)]
mod tests;
