use std::fmt;

/// Why a problem cannot be made: what its constructor refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemError {
    /// A size that must be positive is 0.
    Zero(&'static str),
    /// A number lies outside the range that it is defined for.
    Range(&'static str),
    /// A window does not fit into its padded axis.
    WindowTooLarge {
        /// Positions from the window's first tap to its last.
        window: usize,
        /// Size of the padded axis.
        padded: usize,
    },
    /// Every tap of a window lies in the padding, so that it has neither a maximum nor a mean.
    EmptyWindow {
        /// The output position of the window.
        output: usize,
    },
    /// Two sizes differ and neither is 1.
    Broadcast {
        /// The axis, counted from the last one (0).
        axis_from_end: usize,
        /// Size in the first shape.
        left: usize,
        /// Size in the second shape.
        right: usize,
    },
    /// A shape has more axes than [`MAX_RANK`](crate::layout::MAX_RANK).
    Rank(usize),
    /// Axes are repeated, missing or out of range.
    Axes,
    /// Padding takes more from an axis than it has.
    Pad {
        /// The axis.
        axis: usize,
        /// Positions to add; negative: to remove.
        pad: isize,
        /// Size of the axis.
        size: usize,
    },
    /// A slice leaves its axis.
    Slice {
        /// The axis.
        axis: usize,
    },
}

impl fmt::Display for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Zero(what) => write!(f, "{what} must be positive"),
            Self::Range(what) => write!(f, "{what}"),
            Self::WindowTooLarge { window, padded } => {
                write!(f, "a window over {window} positions does not fit into the padded size {padded}")
            }
            Self::EmptyWindow { output } => {
                write!(f, "the window of output position {output} lies wholly in the padding")
            }
            Self::Broadcast { axis_from_end, left, right } => {
                write!(f, "sizes {left} and {right} of axis -{} cannot be broadcast", axis_from_end + 1)
            }
            Self::Rank(rank) => write!(f, "{rank} axes are more than {}", crate::layout::MAX_RANK),
            Self::Axes => write!(f, "axes are repeated, missing or out of range"),
            Self::Pad { axis, pad, size } => {
                write!(f, "padding axis {axis} of size {size} by {pad} is impossible in this mode")
            }
            Self::Slice { axis } => write!(f, "the slice leaves axis {axis}"),
        }
    }
}

impl std::error::Error for ProblemError {}

/// Refuses a size of 0 by the name of what it is.
pub(crate) fn positive(size: usize, what: &'static str) -> Result<usize, ProblemError> {
    if size == 0 { Err(ProblemError::Zero(what)) } else { Ok(size) }
}
