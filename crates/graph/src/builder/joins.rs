//! Layers of more than one input: where branches meet.

use super::Flow;
use crate::{
    Op,
    op::{Binary, Concat},
};

impl<'b> Flow<'b> {
    /// The sum with another branch, as at the end of a residual block.
    pub fn add(&self, other: &Flow<'b>) -> Self {
        self.apply_with(Op::Binary(Binary::Add), &[other])
    }

    /// The product with another branch, broadcast, as in squeeze-and-excitation.
    pub fn mul(&self, other: &Flow<'b>) -> Self {
        self.apply_with(Op::Binary(Binary::Mul), &[other])
    }

    /// The channels of this branch followed by those of the others, as in U-Net.
    pub fn concat(&self, others: &[&Flow<'b>]) -> Self {
        self.apply_with(Op::Concat(Concat { axis: 1 }), others)
    }
}
