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
}

impl ReduceKind {
    /// The ONNX name.
    pub fn name(self) -> &'static str {
        match self {
            ReduceKind::Mean => "ReduceMean",
            ReduceKind::Sum => "ReduceSum",
        }
    }
}

/// ONNX `ReduceMean` and `ReduceSum`.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeMode {
    /// The nearest element.
    Nearest(NearestMode),
    /// Linear per axis.
    Linear,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinateMode {
    /// Pixel centres: `(x + ½)/scale − ½`; ONNX's default.
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one element.
    PytorchHalfPixel,
    /// Ends meet ends: `x(in − 1)/(out − 1)`.
    AlignCorners,
    /// `x/scale`.
    Asymmetric,
}

/// What size `Resize` makes.
#[derive(Clone, Debug, PartialEq)]
pub enum ResizeTarget {
    /// A factor per spatial axis; output `⌊in · scale⌋`.
    Scales(Vec<f32>),
    /// An extent per spatial axis; the scale is out/in.
    Sizes(Vec<usize>),
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
