//! Winograd's convolution F(4x4, 3x3): tiles of 4 x 4 outputs from 6 x 6 inputs with 36 products instead of 144
//! (Lavin and Gray, <https://arxiv.org/abs/1509.09308>).
//!
//! ```text
//! for each group of panels of output channels:
//!     U = transformed weights                                     36 matrices [channels, panel]
//!     for each block of tiles:                                    a task
//!         V = transformed tiles                                   36 matrices [tiles, channels]
//!         for each few panels:  M = V U                           36 products on the register block
//!                               y = finish(M transformed back)
//! ```
//!
//! V and M of a block stay in the second-level cache, U of a group in the third. The 36 matrices lie an odd number of
//! cache lines apart: at powers of two all would fall into one set of a cache.
//!
//! A NaN or an infinity in the input reaches all outputs of the tiles that read it (and an infinity may become NaN there),
//! where the definition would spare those outside the kernel's reach. `Algorithms::Direct` spares them.

use crate::cut::LINE;

mod ahead;
mod by_panels;
mod by_tiles;
mod layer;
mod outputs;
mod tiles;
pub(super) mod transform;
mod transformed;
mod weight_gradient;
mod weight_sums;
mod weights;

pub(super) use layer::Winograd;
pub(super) use weight_sums::WeightSums as WinogradWeightSums;

/// Matrices of a product: one for each pair of points.
const MATRICES: usize = transform::POINTS * transform::POINTS;

/// `len` f32 rounded up to an odd number of cache lines.
fn odd_lines(len: usize) -> usize {
    let lines = len.div_ceil(LINE);
    LINE * (lines + usize::from(lines.is_multiple_of(2)))
}
