use std::{fmt, ops::Deref};

/// The sizes of a 2-D convolution (ONNX `Conv`), not yet checked. A 1-D convolution has height 1, kernel height 1.
///
/// Axes are in the order height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// The largest number of pictures in a call.
    pub batch: usize,
    /// Channels of x.
    pub in_channels: usize,
    /// Channels of y.
    pub out_channels: usize,
    /// Height and width of x.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Groups of channels that do not see each other; `in_channels` of them make the convolution depthwise.
    pub groups: usize,
    /// The distance between neighbouring outputs, in input pixels.
    pub strides: [usize; 2],
    /// The distance between neighbouring taps, in input pixels.
    pub dilations: [usize; 2],
    /// Rows and columns of zeros around the input: top, left, bottom, right (ONNX's order).
    pub pads: [usize; 4],
}

impl ConvShape {
    /// One group, strides and dilations 1, no padding.
    pub fn new(
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        input: [usize; 2],
        kernel: [usize; 2],
    ) -> Self {
        let (strides, dilations) = ([1, 1], [1, 1]);
        Self { batch, in_channels, out_channels, input, kernel, groups: 1, strides, dilations, pads: [0; 4] }
    }

    /// How many input pixels one output sees along `axis`, dilation included; `None` if that overflows.
    fn extent(&self, axis: usize) -> Option<usize> {
        (self.kernel[axis] - 1).checked_mul(self.dilations[axis])?.checked_add(1)
    }

    fn pads_along(&self, axis: usize) -> Option<usize> {
        self.pads[axis].checked_add(self.pads[axis + 2])
    }
}

/// A checked convolution: [`ConvShape`] (through `Deref`) with the size of its output.
///
/// Shape: x [N, H, W, C], weights [O, C/groups, kh, kw] -> y [N, H', W', O],
/// `H' = ⌊(H + top + bottom − d(kh−1) − 1) / s⌋ + 1`, and likewise `W'`.
///
/// The same problem read backwards (from y to x) is a transposed convolution, see [`ConvProblem::transposed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvProblem {
    shape: ConvShape,
    output: [usize; 2],
}

impl Deref for ConvProblem {
    type Target = ConvShape;

    fn deref(&self) -> &ConvShape {
        &self.shape
    }
}

impl ConvProblem {
    /// Checks `shape` and computes the size of the output.
    ///
    /// # Errors
    /// See [`ConvError`]: sizes that are zero, do not fit each other or overflow.
    pub fn new(shape: ConvShape) -> Result<Self, ConvError> {
        check_counts(&shape)?;
        let output = [output_along(&shape, 0)?, output_along(&shape, 1)?];
        let problem = Self { shape, output };
        problem.check_volume()?;
        Ok(problem)
    }

    /// The convolution whose gradient of the input is the transposed convolution `shape` (ONNX `ConvTranspose`).
    ///
    /// `shape` describes the transposed layer: x [N, H, W, C], weights [C, O/groups, kh, kw] -> y [N, H', W', O],
    /// `H' = s(H−1) + output_padding + d(kh−1) + 1 − top − bottom`. The result has the roles of x and y exchanged:
    /// its `input` is H' x W', its `in_channels` O, its `output()` H x W, and its weights are the layer's as they lie.
    /// So the layer's forward is [`ConvInputGradientPlan`](super::ConvInputGradientPlan), its gradient of x is
    /// [`ConvPlan`](super::ConvPlan), and its gradient of the weights is
    /// [`ConvWeightGradientPlan`](super::ConvWeightGradientPlan) with the gradient of y as x, and x as the gradient of y.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`ConvError::OutputPadding`] where it is not below the stride.
    pub fn transposed(shape: ConvShape, output_padding: [usize; 2]) -> Result<Self, ConvError> {
        check_counts(&shape)?;
        let output =
            [transposed_along(&shape, output_padding, 0)?, transposed_along(&shape, output_padding, 1)?];
        let (in_channels, out_channels) = (shape.out_channels, shape.in_channels);
        let problem = Self::new(ConvShape { input: output, in_channels, out_channels, ..shape })?;
        debug_assert_eq!(problem.output, shape.input);
        Ok(problem)
    }

    /// Height and width of y.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// The same problem for at most `batch` pictures.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_batch(&self, batch: usize) -> Result<Self, ConvError> {
        Self::new(ConvShape { batch, ..self.shape })
    }

    /// Elements of one picture of x.
    pub fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.in_channels
    }

    /// Elements of one picture of y.
    pub fn output_len(&self) -> usize {
        self.output[0] * self.output[1] * self.out_channels
    }

    /// Elements of the weights.
    pub fn weights_len(&self) -> usize {
        self.out_channels * self.group_in_channels() * self.kernel[0] * self.kernel[1]
    }

    /// Multiply-adds of one picture, forward; each gradient takes as many.
    pub fn multiply_adds(&self) -> usize {
        self.output[0] * self.output[1] * self.weights_len()
    }

    /// Channels of x that one output sees.
    pub fn group_in_channels(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Channels of y in one group.
    pub fn group_out_channels(&self) -> usize {
        self.out_channels / self.groups
    }

    /// Every channel is its own group, and there are several.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_channels && self.groups == self.out_channels
    }

    fn check_volume(&self) -> Result<(), ConvError> {
        let product = |factors: &[usize]| {
            factors.iter().try_fold(size_of::<f32>(), |len, &factor| len.checked_mul(factor))
        };
        let [rows, columns] = [0, 1].map(|axis| self.pads_along(axis).map(|pads| pads + self.input[axis]));
        let padded = rows.zip(columns).and_then(|(rows, columns)| {
            product(&[self.batch, self.in_channels.max(LANES_AT_MOST), rows, columns])
        });
        let output = self.out_channels.max(LANES_AT_MOST);
        let lens = [
            padded,
            product(&[self.batch, output, self.output[0], self.output[1]]),
            product(&[output, self.in_channels.max(LANES_AT_MOST), self.kernel[0], self.kernel[1]]),
        ];
        let fits = |len: Option<usize>| len.is_some_and(|len| len <= isize::MAX as usize / 16);
        if lens.into_iter().all(fits) { Ok(()) } else { Err(ConvError::TooLarge) }
    }
}

/// Packed weights round channels up to at most this many lanes.
const LANES_AT_MOST: usize = 64;

fn check_counts(shape: &ConvShape) -> Result<(), ConvError> {
    let counts = [
        ("batch", shape.batch),
        ("in_channels", shape.in_channels),
        ("out_channels", shape.out_channels),
        ("groups", shape.groups),
    ];
    let pairs = [
        ("input", shape.input),
        ("kernel", shape.kernel),
        ("strides", shape.strides),
        ("dilations", shape.dilations),
    ];
    let pairs = pairs.into_iter().flat_map(|(name, [height, width])| [(name, height), (name, width)]);
    if let Some((what, _)) = counts.into_iter().chain(pairs).find(|&(_, count)| count == 0) {
        return Err(ConvError::Zero { what });
    }
    for (what, channels) in [("in_channels", shape.in_channels), ("out_channels", shape.out_channels)] {
        if channels % shape.groups != 0 {
            return Err(ConvError::Groups { groups: shape.groups, what, channels });
        }
    }
    Ok(())
}

fn output_along(shape: &ConvShape, axis: usize) -> Result<usize, ConvError> {
    let extent = shape.extent(axis).ok_or(ConvError::TooLarge)?;
    let pads = shape.pads_along(axis).ok_or(ConvError::TooLarge)?;
    let padded = shape.input[axis].checked_add(pads).ok_or(ConvError::TooLarge)?;
    let room = padded.checked_sub(extent).ok_or(ConvError::KernelTooLarge { axis, extent, padded })?;
    Ok(room / shape.strides[axis] + 1)
}

fn transposed_along(shape: &ConvShape, output_padding: [usize; 2], axis: usize) -> Result<usize, ConvError> {
    let (padding, stride) = (output_padding[axis], shape.strides[axis]);
    if padding >= stride {
        return Err(ConvError::OutputPadding { axis, padding, stride });
    }
    let extent = shape.extent(axis).ok_or(ConvError::TooLarge)?;
    let pads = shape.pads_along(axis).ok_or(ConvError::TooLarge)?;
    let steps = (shape.input[axis] - 1).checked_mul(stride).ok_or(ConvError::TooLarge)?;
    let whole =
        steps.checked_add(extent).and_then(|whole| whole.checked_add(padding)).ok_or(ConvError::TooLarge)?;
    match whole.checked_sub(pads) {
        Some(output) if output > 0 => Ok(output),
        _ => Err(ConvError::NothingLeft { axis, whole, pads }),
    }
}

/// Why a convolution is impossible, or not supported ([`OutputPadding`](Self::OutputPadding) alone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvError {
    /// A size that must be positive is zero.
    Zero {
        /// The field.
        what: &'static str,
    },
    /// The number of groups does not divide the channels.
    Groups {
        /// The number of groups.
        groups: usize,
        /// `in_channels` or `out_channels`.
        what: &'static str,
        /// How many there are.
        channels: usize,
    },
    /// The kernel with its dilation is larger than the padded input, so that there is no output.
    KernelTooLarge {
        /// 0: height, 1: width.
        axis: usize,
        /// The kernel's size, dilation included.
        extent: usize,
        /// The input's size, padding included.
        padded: usize,
    },
    /// A transposed convolution's padding cuts away everything.
    NothingLeft {
        /// 0: height, 1: width.
        axis: usize,
        /// The output's size before it is cut.
        whole: usize,
        /// How much is to be cut.
        pads: usize,
    },
    /// Not supported: a transposed convolution's output padding that is not below its stride.
    OutputPadding {
        /// 0: height, 1: width.
        axis: usize,
        /// The output padding.
        padding: usize,
        /// The stride.
        stride: usize,
    },
    /// A border is wider than its mode allows: reflection needs more pixels than the border has, and no mode can make
    /// a picture out of no pixels.
    Border {
        /// 0: height, 1: width.
        axis: usize,
        /// The size of the picture, its border included.
        input: usize,
        /// Pixels before and after.
        pads: [usize; 2],
    },
    /// A buffer would not fit the address space.
    TooLarge,
}

impl fmt::Display for ConvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |axis: usize| ["height", "width"][axis];
        match *self {
            Self::Zero { what } => write!(f, "{what} of a convolution must be positive"),
            Self::Groups { groups, what, channels } => {
                write!(f, "{groups} groups do not divide {channels} {what}")
            }
            Self::KernelTooLarge { axis, extent, padded } => {
                write!(f, "the kernel's {} {extent} exceeds the padded input's {padded}", name(axis))
            }
            Self::NothingLeft { axis, whole, pads } => {
                write!(f, "padding {pads} leaves nothing of the output's {} {whole}", name(axis))
            }
            Self::OutputPadding { axis, padding, stride } => {
                write!(f, "output padding {padding} of the {} is not below the stride {stride}", name(axis))
            }
            Self::Border { axis, input, pads: [before, after] } => {
                write!(
                    f,
                    "a border of {before} + {after} is too wide for {} {input} (border included)",
                    name(axis)
                )
            }
            Self::TooLarge => f.write_str("the convolution does not fit the address space"),
        }
    }
}

impl std::error::Error for ConvError {}
