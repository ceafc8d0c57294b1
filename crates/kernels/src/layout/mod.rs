//! Moving data: transpose, slice, expand, pad, concatenate, split, take by index.
//!
//! Shapes are physical: what lies in memory, row-major, at most [`MAX_RANK`] axes. Where the outermost axis
//! is the batch, a call says how many rows of it are present.

mod blocks;
mod gather;
pub(crate) mod nest;
mod pad;
pub mod reference;
mod take;
mod take_elements;

pub use blocks::BlockCopy;
pub use gather::Gather;
pub use pad::{Pad, PadMode};
pub use take::Take;
pub use take_elements::TakeElements;

/// The most axes a shape may have.
pub const MAX_RANK: usize = 8;

#[cfg(test)]
mod tests;
