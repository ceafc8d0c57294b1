//! Operators that move elements.

/// How `Pad` fills the border. The lecture's words: zeros (constant 0), reflect, replicate (edge), circular (wrap).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// This value everywhere.
    Constant(f32),
    /// Mirrored without repeating the border: (1,2,3) by 2 is (3,2,1,2,3,2,1).
    Reflect,
    /// The border repeated.
    Edge,
    /// Continued from the other end: (1,2,3) by 2 is (2,3,1,2,3,1,2).
    Wrap,
}

/// ONNX `Pad` over all axes; negative pads crop.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// How the border is filled, default constant 0.
    pub mode: PadMode,
    /// All begins, then all ends, one per axis.
    pub pads: Vec<i64>,
}

/// ONNX `Concat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis along which inputs are joined; negative counts from the end.
    pub axis: i64,
}

/// ONNX `Flatten`: `[d₀ … dₐ₋₁, dₐ …] -> [d₀·…·dₐ₋₁, dₐ·…]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flatten {
    /// The first axis of the second part, default 1; negative counts from the end.
    pub axis: i64,
}

/// ONNX `Reshape`. −1 takes what is left; 0 copies the input's extent unless `allow_zero`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape {
    /// The new extents.
    pub shape: Vec<i64>,
    /// 0 means an empty axis, default false.
    pub allow_zero: bool,
}

/// ONNX `Transpose`: output axis `i` is input axis `perm[i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transpose {
    /// A permutation of all axes.
    pub perm: Vec<usize>,
}

/// ONNX `Squeeze`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Squeeze {
    /// Axes to drop, each of extent 1; none given: all such axes. Negative counts from the end.
    pub axes: Vec<i64>,
}

/// ONNX `Unsqueeze`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unsqueeze {
    /// Places of the new axes in the output. Negative counts from the end.
    pub axes: Vec<i64>,
}

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceKind {
    /// The mean.
    Mean,
    /// The sum.
    Sum,
    /// The largest; its gradient goes to the first one in row-major order.
    Max,
    /// The smallest; its gradient goes to the first one in row-major order.
    Min,
    /// The product.
    Prod,
}

impl ReduceKind {
    /// The ONNX name.
    pub fn name(self) -> &'static str {
        match self {
            ReduceKind::Mean => "ReduceMean",
            ReduceKind::Sum => "ReduceSum",
            ReduceKind::Max => "ReduceMax",
            ReduceKind::Min => "ReduceMin",
            ReduceKind::Prod => "ReduceProd",
        }
    }
}

/// ONNX `ReduceMean`, `ReduceSum`, `ReduceMax`, `ReduceMin` and `ReduceProd`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// What is computed.
    pub kind: ReduceKind,
    /// The axes reduced over; none given: all. Negative counts from the end.
    pub axes: Vec<i64>,
    /// Keep reduced axes with extent 1, default true.
    pub keepdims: bool,
}

/// How `Resize` interpolates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ResizeMode {
    /// The nearest element.
    Nearest(NearestMode),
    /// Linear per axis.
    Linear {
        /// Where the picture shrinks, average over all that an element covers; default false.
        antialias: bool,
    },
    /// Cubic per axis (Keys 1981).
    Cubic {
        /// The kernel's parameter a, default −0.75.
        coefficient: f32,
        /// Where the picture shrinks, average over all that an element covers; default false.
        antialias: bool,
        /// Taps beyond the picture weigh nothing instead of repeating its edge; default false.
        exclude_outside: bool,
    },
}

/// Which element is nearest to a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NearestMode {
    /// Halves go down; ONNX's default.
    RoundPreferFloor,
    /// Halves go up.
    RoundPreferCeil,
    /// Always down.
    Floor,
    /// Always up.
    Ceil,
}

/// How an output coordinate maps to an input coordinate.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinateMode {
    /// Pixel centres: `(x + ½)/scale − ½`; ONNX's default.
    HalfPixel,
    /// As `HalfPixel`, the whole shifted so that it stays centred where the scale does not fit the size.
    HalfPixelSymmetric,
    /// As `HalfPixel`, but 0 where the output has one element.
    PytorchHalfPixel,
    /// Ends meet ends: `x(in − 1)/(out − 1)`.
    AlignCorners,
    /// `x/scale`.
    Asymmetric,
    /// `(x + ½)/scale` (opsets 11 and 12).
    TfHalfPixelForNn,
    /// The region of interest stretched over the output; what lies beyond the picture has a value of its own.
    TfCropAndResize {
        /// Starts of all spatial axes, then their ends, in parts of the picture.
        roi: Vec<f32>,
        /// The value beyond the picture, default 0.
        extrapolation: f32,
    },
}

/// What size `Resize` makes.
#[derive(Clone, Debug, PartialEq)]
pub enum ResizeTarget {
    /// A factor per spatial axis; output `⌊in · scale⌋`.
    Scales(Vec<f32>),
    /// An extent per spatial axis; the scale is out/in.
    Sizes(Vec<usize>),
    /// An extent per spatial axis that bounds it: one scale for all of them; output `⌊in · scale + ½⌋`.
    Bounds {
        /// The extents.
        sizes: Vec<usize>,
        /// No extent is smaller than asked for, instead of none larger.
        covers: bool,
    },
}

impl ResizeTarget {
    /// The scale of [`Bounds`](Self::Bounds) for an input of these spatial extents: the smallest that one of them asks for, or
    /// the largest.
    pub fn bound_scale(sizes: &[usize], covers: bool, input: &[usize]) -> f64 {
        let scales = sizes.iter().zip(input).map(|(&size, &input)| size as f64 / input.max(1) as f64);
        if covers { scales.fold(0.0, f64::max) } else { scales.fold(f64::INFINITY, f64::min) }
    }

    /// The extent that a scale of [`Bounds`](Self::Bounds) makes.
    pub fn bounded(input: usize, scale: f64) -> usize {
        (input as f64 * scale + 0.5).floor() as usize
    }
}

/// ONNX `Resize` of the spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// How elements are interpolated.
    pub mode: ResizeMode,
    /// How coordinates map.
    pub coordinates: CoordinateMode,
    /// What size is made.
    pub target: ResizeTarget,
}
