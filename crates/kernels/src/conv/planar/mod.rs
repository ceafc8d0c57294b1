//! Convolutions from few channels to few: neighbouring pixels lie in the lanes of a vector, so that no lane waits for
//! channels that do not exist.
//!
//! A block of rows is copied, with its padding, into one plane per channel, and each plane is taken as one flat line. Then
//! any tap of as many neighbouring outputs as there are lanes is one vector, wherever rows end; what is computed between
//! two rows is nobody's output and thrown away.

mod layer;
mod planes;
mod weight_sums;

pub(super) use {layer::Layer, weight_sums::WeightSums};

use super::{ConvProblem, correlation::Correlation};
use crate::Isa;

/// More input channels make runs of products that are long enough for vectors of output channels.
const IN_CHANNELS: usize = 4;
/// More output channels fill vectors themselves.
const OUT_CHANNELS: usize = 8;
/// Fewer taps do not pay for the copy.
const TAPS: usize = 9;

/// Lanes of the widest vectors.
const LANES: usize = 16;

/// Whether `problem` has few enough channels, and rows long enough beside what lies between them.
fn is_faster(problem: &ConvProblem, isa: Isa) -> bool {
    let columns = Correlation::forward(problem).axes[1];
    let (taps, row_len) = (problem.kernel[0] * problem.kernel[1], columns.span(columns.output));
    let few = problem.in_channels <= IN_CHANNELS && problem.out_channels <= OUT_CHANNELS.min(isa.lanes());
    few && problem.groups == 1
        && problem.strides == [1; 2]
        && taps >= TAPS
        && 4 * columns.output >= 3 * row_len
}
