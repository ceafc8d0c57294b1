//! Pooling over windows and over whole planes, as ONNX's MaxPool, AveragePool, GlobalMaxPool and
//! GlobalAveragePool define it.
//!
//! Pictures are `[rows, H, W, C]`. A signal has `H = 1` and `Window::new(1)` along it.

mod average;
mod global;
mod max;
mod patch;
pub mod reference;

use crate::problem::{ProblemError, positive};
pub use global::GlobalPool;
use patch::Patch;
use std::ops::Range;

/// How a window slides along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of taps.
    pub kernel: usize,
    /// Input positions from one output position to the next.
    pub stride: usize,
    /// Input positions from one tap to the next.
    pub dilation: usize,
    /// Padding before the first input position.
    pub pad_begin: usize,
    /// Padding after the last input position.
    pub pad_end: usize,
}

impl Window {
    /// `kernel` neighbouring taps, stride 1, no padding: ONNX's defaults.
    pub const fn new(kernel: usize) -> Self {
        Self { kernel, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 }
    }

    /// The number of output positions over `input` ones: `(input + pads - dilation (kernel - 1) - 1) / stride
    /// + 1`, rounded down, or with `ceil_mode` up, except that no window starts in the padding at the end.
    fn output(self, input: usize, ceil_mode: bool) -> Result<usize, ProblemError> {
        positive(self.kernel, "a window's kernel")?;
        positive(self.stride, "a window's stride")?;
        positive(self.dilation, "a window's dilation")?;
        let (window, padded) = ((self.kernel - 1) * self.dilation + 1, self.pad_begin + input + self.pad_end);
        let free = padded.checked_sub(window).ok_or(ProblemError::WindowTooLarge { window, padded })?;
        let steps = if ceil_mode { free.div_ceil(self.stride) } else { free / self.stride };
        let starts_inside = (self.pad_begin + input - 1) / self.stride;
        let output = if ceil_mode { steps.min(starts_inside) + 1 } else { steps + 1 };
        match (0..output).find(|&output| self.taps(output, input).is_empty()) {
            Some(output) => Err(ProblemError::EmptyWindow { output }),
            None => Ok(output),
        }
    }

    /// The taps of the window at `output` that lie on one of `input` positions.
    fn taps(self, output: usize, input: usize) -> Range<usize> {
        let start = output * self.stride;
        let first = self.pad_begin.saturating_sub(start).div_ceil(self.dilation);
        let end = (self.pad_begin + input).saturating_sub(start).div_ceil(self.dilation);
        first..end.min(self.kernel)
    }

    /// First input position and number of taps of the window at `output`.
    fn span(self, output: usize, input: usize) -> (usize, usize) {
        let taps = self.taps(output, input);
        (output * self.stride + taps.start * self.dilation - self.pad_begin, taps.len())
    }
}

/// Pooling over windows. Shape: x `[batch, H, W, C]` -> y `[batch, H', W', C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    batch: usize,
    channels: usize,
    input: [usize; 2],
    windows: [Window; 2],
    output: [usize; 2],
}

impl Pool {
    /// Pooling of at most `batch` pictures `input` `[H, W]` by one window per axis.
    ///
    /// # Errors
    /// Sizes of 0, a window larger than its padded axis, a window that has no tap on the picture, a
    /// plane of 2^30 positions or more (places are remembered in 32 bits).
    pub fn new(
        batch: usize,
        channels: usize,
        input: [usize; 2],
        windows: [Window; 2],
        ceil_mode: bool,
    ) -> Result<Self, ProblemError> {
        positive(channels, "channels")?;
        positive(input[0], "height")?;
        positive(input[1], "width")?;
        if input[0].saturating_mul(input[1]) >= 1 << 30 {
            return Err(ProblemError::Range("a pooled plane must have fewer than 2^30 positions"));
        }
        let output = [windows[0].output(input[0], ceil_mode)?, windows[1].output(input[1], ceil_mode)?];
        Ok(Self { batch, channels, input, windows, output })
    }

    /// The largest number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Input size `[H, W]`.
    pub fn input(&self) -> [usize; 2] {
        self.input
    }

    /// The windows along height and width.
    pub fn windows(&self) -> [Window; 2] {
        self.windows
    }

    /// Output size `[H', W']`.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Values of `rows` input pictures.
    pub fn input_len(&self, rows: usize) -> usize {
        rows * self.input[0] * self.input[1] * self.channels
    }

    /// Values of `rows` output pictures.
    pub fn output_len(&self, rows: usize) -> usize {
        rows * self.output[0] * self.output[1] * self.channels
    }

    /// The pixels under the window at output `(y, x)`.
    fn patch(&self, y: usize, x: usize) -> Patch {
        let [vertical, horizontal] = self.windows;
        let (top, rows) = vertical.span(y, self.input[0]);
        let (left, columns) = horizontal.span(x, self.input[1]);
        let (row_step, column_step) = (vertical.dilation * self.input[1], horizontal.dilation);
        Patch { first: top * self.input[1] + left, rows, row_step, columns, column_step }
    }
}

#[cfg(test)]
mod tests;
