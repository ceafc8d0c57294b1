//! Arithmetic value by value, with broadcasting, and sums over axes.
//!
//! Shapes are physical: what lies in memory, row-major, at most [`MAX_RANK`](crate::layout::MAX_RANK) axes.
//! Where the outermost axis is the batch, a call says how many rows of it are present.

mod along;
mod binary;
mod fold;
mod reduce;
pub mod reference;
mod scale;
mod select;
mod unary;

pub use along::{ArgExtreme, TopK};
pub use binary::{Binary, BinaryOp};
pub use fold::{Fold, FoldKind};
pub use reduce::Reduce;
pub(crate) use reduce::sum_of;
pub use scale::{accumulate, copy_into, scale_in_place, scale_into};
pub use select::Select;
pub use unary::Unary;

#[cfg(test)]
mod tests;
