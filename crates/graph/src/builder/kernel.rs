use crate::Initialiser;
use crate::op::{PadMode, Window};

/// One number for every spatial axis, or one per axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extents {
    /// The same on every axis.
    Same(usize),
    /// One per axis: height, then width.
    Each(Vec<usize>),
}

impl Extents {
    pub(super) fn per_axis(&self, axes: usize, what: &str) -> Result<Vec<usize>, String> {
        match self {
            Extents::Same(extent) => Ok(vec![*extent; axes]),
            Extents::Each(extents) if extents.len() == axes => Ok(extents.clone()),
            Extents::Each(extents) => Err(format!("{what} {extents:?} does not fit {axes} spatial axes")),
        }
    }
}

impl From<usize> for Extents {
    fn from(extent: usize) -> Self {
        Extents::Same(extent)
    }
}

impl<const AXES: usize> From<[usize; AXES]> for Extents {
    fn from(extents: [usize; AXES]) -> Self {
        Extents::Each(extents.to_vec())
    }
}

/// How a convolution fills the border, in the lecture's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// (1,2,3) by 2 is (0,0,1,2,3,0,0).
    #[default]
    Zeros,
    /// (1,2,3) by 2 is (3,2,1,2,3,2,1).
    Reflect,
    /// (1,2,3) by 2 is (1,1,1,2,3,3,3).
    Replicate,
    /// (1,2,3) by 2 is (2,3,1,2,3,1,2).
    Circular,
}

impl Padding {
    pub(super) fn mode(self) -> PadMode {
        match self {
            Padding::Zeros => PadMode::Constant(0.0),
            Padding::Reflect => PadMode::Reflect,
            Padding::Replicate => PadMode::Edge,
            Padding::Circular => PadMode::Wrap,
        }
    }
}

/// What a layer slides over a picture. A plain number is a square kernel: `x.conv(16, 5)`, `x.max_pool(2)`.
///
/// A word that a layer has no use for (groups of a pooling) is refused, not ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    pub(super) extents: Extents,
    pub(super) stride: Option<Extents>,
    pub(super) padding: Extents,
    pub(super) padding_mode: Padding,
    pub(super) output_padding: Extents,
    pub(super) dilation: Extents,
    pub(super) groups: usize,
    pub(super) bias: bool,
    pub(super) initialiser: Option<Initialiser>,
    pub(super) ceil_mode: bool,
    pub(super) count_padding: bool,
    /// The words that were said beyond those which every layer understands.
    words: Vec<&'static str>,
}

/// A kernel of these extents; stride 1 in a convolution and the kernel's extents in a pooling, no padding, no
/// dilation, one group, with bias.
pub fn kernel(extents: impl Into<Extents>) -> Kernel {
    Kernel {
        extents: extents.into(),
        stride: None,
        padding: 0.into(),
        padding_mode: Padding::Zeros,
        output_padding: 0.into(),
        dilation: 1.into(),
        groups: 1,
        bias: true,
        initialiser: None,
        ceil_mode: false,
        count_padding: false,
        words: Vec::new(),
    }
}

impl Kernel {
    /// The distance between windows.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Extents>) -> Self {
        self.stride = Some(stride.into());
        self
    }

    /// How far the picture is padded, the same at the beginning and at the end of an axis.
    #[must_use]
    pub fn padding(mut self, amount: impl Into<Extents>) -> Self {
        self.padding = amount.into();
        self
    }

    /// The distance between taps.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Extents>) -> Self {
        self.dilation = dilation.into();
        self
    }

    /// How the border is filled; convolutions only.
    #[must_use]
    pub fn padding_mode(mut self, mode: Padding) -> Self {
        self.padding_mode = mode;
        self.say("padding_mode")
    }

    /// Cuts channels into groups that do not see each other; convolutions only.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self.say("groups")
    }

    /// Leaves the bias out; convolutions only.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self.say("without_bias")
    }

    /// How the weight gets its first values, default the builder's; convolutions only.
    #[must_use]
    pub fn initialiser(mut self, initialiser: Initialiser) -> Self {
        self.initialiser = Some(initialiser);
        self.say("initialiser")
    }

    /// Added to the end of the output; transposed convolutions only.
    #[must_use]
    pub fn output_padding(mut self, amount: impl Into<Extents>) -> Self {
        self.output_padding = amount.into();
        self.say("output_padding")
    }

    /// Rounds the output's size up instead of down; max and average pooling only.
    #[must_use]
    pub fn ceil_mode(mut self) -> Self {
        self.ceil_mode = true;
        self.say("ceil_mode")
    }

    /// Divides by all taps of a window, padding included (PyTorch's default, not ONNX's); average pooling
    /// only.
    #[must_use]
    pub fn count_padding(mut self) -> Self {
        self.count_padding = true;
        self.say("count_padding")
    }

    fn say(mut self, word: &'static str) -> Self {
        self.words.push(word);
        self
    }

    /// Refuses every word that is not among `allowed`.
    pub(super) fn allow(&self, allowed: &[&str]) -> Result<(), String> {
        match self.words.iter().find(|word| !allowed.contains(word)) {
            Some(word) => Err(format!("`{word}` means nothing here")),
            None => Ok(()),
        }
    }

    /// The window over `axes` spatial axes, padded by zeros.
    pub(super) fn window(&self, axes: usize, default_stride: &Extents) -> Result<Window, String> {
        let padding = self.padding.per_axis(axes, "padding")?;
        Ok(Window {
            kernel_shape: self.extents.per_axis(axes, "kernel")?,
            strides: self.stride.as_ref().unwrap_or(default_stride).per_axis(axes, "stride")?,
            dilations: self.dilation.per_axis(axes, "dilation")?,
            pads: [padding.clone(), padding].concat(),
        })
    }
}

impl<T: Into<Extents>> From<T> for Kernel {
    fn from(extents: T) -> Self {
        kernel(extents)
    }
}
