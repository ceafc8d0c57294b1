//! Operators that slide a window over the spatial axes.

/// Where windows lie, per spatial axis: the attributes that `Conv`, `MaxPool` and `AveragePool` share.
///
/// Output: `⌊(H + begin + end − d(k−1) − 1)/s⌋ + 1`, rounded up instead of down with `ceil_mode` (a last window that
/// would start in the padding behind the end is left out, as ONNX and PyTorch do).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Extents of the kernel, one per spatial axis.
    pub kernel_shape: Vec<usize>,
    /// Distances between windows, default 1.
    pub strides: Vec<usize>,
    /// Distances between taps, default 1.
    pub dilations: Vec<usize>,
    /// Padding: all begins, then all ends, default 0.
    pub pads: Vec<usize>,
}

impl Window {
    /// Stride 1, dilation 1, no padding.
    pub fn new(kernel_shape: &[usize]) -> Self {
        let axes = kernel_shape.len();
        Self {
            kernel_shape: kernel_shape.to_vec(),
            strides: vec![1; axes],
            dilations: vec![1; axes],
            pads: vec![0; 2 * axes],
        }
    }

    /// The same stride on every axis.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> Self {
        self.strides.fill(stride);
        self
    }

    /// The same padding on every side.
    #[must_use]
    pub fn pad(mut self, pad: usize) -> Self {
        self.pads.fill(pad);
        self
    }

    /// How many spatial axes there are.
    pub fn axes(&self) -> usize {
        self.kernel_shape.len()
    }

    /// The number of taps.
    pub fn taps(&self) -> usize {
        self.kernel_shape.iter().product()
    }
}

/// ONNX `Conv`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Where windows lie.
    pub window: Window,
    /// Channels are cut into this many groups that do not see each other, default 1.
    pub group: usize,
}

/// ONNX `ConvTranspose`: the gradient of a `Conv` of this window with respect to its input.
///
/// Output: `s(H − 1) + output_padding + d(k−1) + 1 − begin − end`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose {
    /// Where windows lie on the output.
    pub window: Window,
    /// Channels are cut into this many groups, default 1.
    pub group: usize,
    /// Added to the output's end, one per spatial axis, default 0.
    pub output_padding: Vec<usize>,
}

/// ONNX `MaxPool` (first output). Padding counts as −∞; of equal maxima the first in row-major order wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool {
    /// Where windows lie.
    pub window: Window,
    /// Rounds the output's size up, default false.
    pub ceil_mode: bool,
}

/// ONNX `AveragePool`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AveragePool {
    /// Where windows lie.
    pub window: Window,
    /// Rounds the output's size up, default false.
    pub ceil_mode: bool,
    /// Divides by the taps inside the padded picture instead of those inside the picture, default false.
    pub count_include_pad: bool,
}
