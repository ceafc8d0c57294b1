//! Into which tasks the work is cut: a function of the sizes alone.

use crate::conv::ConvProblem;

/// How many tasks there are at least, where rows allow it.
const TASKS: usize = 32;
/// A task has at least so many rows, where there are: the rows at its edges are read by its neighbour too.
const FEWEST_ROWS: usize = 8;
/// f32 of the weights of a task, or of the sums of their gradient: half of a first-level cache.
const WEIGHTS: usize = 4 * 1024;
/// f32 of the rows under a row of results: half of a second-level cache.
const ROWS: usize = 64 * 1024;

/// Channels are shared out by so many: a cache line and its neighbour.
const CHANNELS: usize = 32;

/// How the channels are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelCut {
    /// Channels of a task.
    pub(super) channels: usize,
    /// How many tasks share the channels of a row.
    pub(super) blocks: usize,
}

impl ChannelCut {
    pub(super) fn new(problem: &ConvProblem) -> Self {
        let rows = problem.kernel[0].min(problem.input[0]) * problem.input[1];
        let taps = problem.kernel[0] * problem.kernel[1];
        let units = problem.in_channels.div_ceil(CHANNELS);
        let most = (WEIGHTS / taps).min(ROWS / rows) / CHANNELS;
        let channels = units.div_ceil(units.div_ceil(most.max(1))) * CHANNELS;
        Self { channels, blocks: problem.in_channels.div_ceil(channels) }
    }
}

/// How many rows of results a task has, where each would fall into `tasks` tasks with all its rows.
pub(super) fn rows_at_once(rows: usize, tasks: usize) -> usize {
    rows.div_ceil(pieces(rows, tasks))
}

/// Into how many pieces `rows` rows are cut where there are `tasks` tasks for each.
pub(super) fn pieces(rows: usize, tasks: usize) -> usize {
    TASKS.div_ceil(tasks).min(rows.div_ceil(FEWEST_ROWS)).max(1)
}
