//! Moving data: transpose, slice, expand, pad, concatenate, split.
//!
//! Shapes are physical: what lies in memory, row-major, at most [`MAX_RANK`] axes. Where the outermost axis
//! is the batch, a call says how many rows of it are present.

mod blocks;
mod gather;
pub(crate) mod nest;
mod pad;
pub mod reference;

pub use blocks::BlockCopy;
pub use gather::Gather;
pub use pad::{Pad, PadMode};

/// The most axes a shape may have.
pub const MAX_RANK: usize = 6;

#[cfg(test)]
mod tests;
