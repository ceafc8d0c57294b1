use super::{
    Activation, AveragePool, Concat, Conv, Lrn, MaxPool, Pad, Reduce, Resize, Slice, SoftmaxCrossEntropyLoss,
    Tile, Unary,
};

/// Operators that exist only inside training programs: those that remember something on the way forward, and
/// gradients that ONNX has no operator for. `x` is an input of the forward operator, `y` its output, `dx` and `dy` the
/// gradients of the loss with respect to them; an input called *like* lends its shape only.
#[derive(Clone, Debug, PartialEq)]
pub enum Internal {
    /// Batch normalisation by the batch's own statistics. Inputs: x, scale, bias, running mean, running var.
    /// Outputs: y, batch mean `[C]`, `1/√(batch var + epsilon)` `[C]`, next running mean, next running var.
    ///
    /// Normalises by the biased variance; the running one takes the unbiased (n/(n−1)), as PyTorch's.
    BatchNormTraining {
        /// Added to the variance.
        epsilon: f32,
        /// Weight of the old statistic.
        momentum: f32,
    },
    /// Inputs: x, dy, scale, batch mean, inverse deviation. Outputs: dx, dscale, dbias.
    /// With x̂ = (x − mean)·inv and n elements per channel:
    /// `dbias = Σ dy`, `dscale = Σ dy·x̂`, `dx = scale·inv·(dy − dbias/n − x̂·dscale/n)`.
    BatchNormGradient,
    /// The same with fixed statistics. Inputs: x, dy, scale, mean, var. Outputs: dx, dscale, dbias.
    /// `dx = scale·dy/√(var + epsilon)`.
    FrozenBatchNormGradient {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `MaxPool` that remembers where each maximum came from. Outputs: y, places (of y's shape, i64: the row-major index
    /// within the channel's picture).
    MaxPoolTraining(MaxPool),
    /// Inputs: dy, places, like x. Each dy is added at its place.
    MaxPoolGradient(MaxPool),
    /// Inputs: dy, like x. Each dy is spread evenly over its window.
    AveragePoolGradient(AveragePool),
    /// Inputs: x, dy. dy goes to the first maximum of each channel.
    GlobalMaxPoolGradient,
    /// Dropout with the counter-based generator's stream. Input: x, or dy: it is its own gradient.
    DropoutTraining {
        /// The probability of being dropped.
        ratio: f32,
        /// Tells this node's random numbers from those of others.
        stream: u64,
    },
    /// Inputs: dy, weight, like x. Output: dx.
    ConvInputGradient(Conv),
    /// Inputs: x, dy, like weight. Output: dweight.
    ConvWeightGradient(Conv),
    /// Inputs: x, dy.
    /// `dxᵢ = dyᵢ·sᵢ^−β − 2αβ/size · xᵢ · Σⱼ dyⱼ·xⱼ·sⱼ^−(β+1)`, the sum over the channels whose window holds i.
    LrnGradient(Lrn),
    /// Inputs: y or x (see [`Activation::gradient_reads_output`]), dy.
    ActivationGradient(Activation),
    /// Inputs: x, dy.
    UnaryGradient(Unary),
    /// Inputs: x, dy, of a maximum, minimum or product.
    FoldGradient(Reduce),
    /// Inputs: dy, like x. Each dy goes where it came from; 0 elsewhere.
    SliceGradient(Slice),
    /// Inputs: dy, indices, like x. Each dy is added where it came from.
    GatherGradient {
        /// The axis of the forward operator.
        axis: i64,
    },
    /// Inputs: dy, indices, like x. Each dy is added where it came from. Also the gradient of `TopK`'s values.
    GatherElementsGradient {
        /// The axis of the forward operator.
        axis: i64,
    },
    /// Inputs: dy, like x. The sum over the repetitions.
    TileGradient(Tile),
    /// Inputs: y, dy. `dx = y·(dy − Σ dy·y)`, the sum along the axis.
    SoftmaxGradient {
        /// The axis of the forward operator.
        axis: i64,
    },
    /// Inputs: y, dy. `dx = dy − eʸ·Σ dy`, the sum along the axis.
    LogSoftmaxGradient {
        /// The axis of the forward operator.
        axis: i64,
    },
    /// Inputs: log-probabilities, target, gradient of the loss, optional class weights. Output: gradient of the scores.
    /// For one class index t of weight w, smoothing ε and C classes, before reduction:
    /// `w·(p − onehot(t))`, and with smoothing the target `(1−ε)·onehot(t) + ε/C` weighted class by class.
    SoftmaxCrossEntropyGradient(SoftmaxCrossEntropyLoss),
    /// Inputs: dy, like x. Each element of dy is added where it came from.
    PadGradient(Pad),
    /// Inputs: dy, like x. The transpose of the interpolation.
    ResizeGradient(Resize),
    /// Inputs: dy, like x₀, like x₁, …. Outputs: dx₀, dx₁, …: the parts of dy.
    ConcatGradient(Concat),
    /// Inputs: dy, like x. Sums dy over the axes along which x was broadcast.
    SumTo,
    /// Inputs: dy, like x. Repeats dy along axes of extent 1; `axes` are first inserted where a reduction dropped them.
    ExpandLike {
        /// Axes (of x, non-negative) that dy lacks and that are inserted; empty if dy has x's rank.
        axes: Vec<usize>,
        /// Divide by the number of repetitions: the gradient of a mean.
        mean: bool,
    },
    /// Inputs: dy, like x. The same elements in x's shape.
    ReshapeLike,
}

impl Internal {
    /// The name that plans and errors show.
    pub fn name(&self) -> &'static str {
        match self {
            Internal::BatchNormTraining { .. } => "BatchNormTraining",
            Internal::BatchNormGradient => "BatchNormGradient",
            Internal::FrozenBatchNormGradient { .. } => "FrozenBatchNormGradient",
            Internal::MaxPoolTraining(_) => "MaxPoolTraining",
            Internal::MaxPoolGradient(_) => "MaxPoolGradient",
            Internal::AveragePoolGradient(_) => "AveragePoolGradient",
            Internal::GlobalMaxPoolGradient => "GlobalMaxPoolGradient",
            Internal::DropoutTraining { .. } => "DropoutTraining",
            Internal::ConvInputGradient(_) => "ConvInputGradient",
            Internal::ConvWeightGradient(_) => "ConvWeightGradient",
            Internal::LrnGradient(_) => "LrnGradient",
            Internal::ActivationGradient(_) => "ActivationGradient",
            Internal::UnaryGradient(_) => "UnaryGradient",
            Internal::FoldGradient(_) => "FoldGradient",
            Internal::SliceGradient(_) => "SliceGradient",
            Internal::GatherGradient { .. } => "GatherGradient",
            Internal::GatherElementsGradient { .. } => "GatherElementsGradient",
            Internal::TileGradient(_) => "TileGradient",
            Internal::SoftmaxGradient { .. } => "SoftmaxGradient",
            Internal::LogSoftmaxGradient { .. } => "LogSoftmaxGradient",
            Internal::SoftmaxCrossEntropyGradient(_) => "SoftmaxCrossEntropyGradient",
            Internal::PadGradient(_) => "PadGradient",
            Internal::ResizeGradient(_) => "ResizeGradient",
            Internal::ConcatGradient(_) => "ConcatGradient",
            Internal::SumTo => "SumTo",
            Internal::ExpandLike { .. } => "ExpandLike",
            Internal::ReshapeLike => "ReshapeLike",
        }
    }

    /// Whether input `index` lends its shape only.
    pub(super) fn reads_shape_only(&self, index: usize) -> bool {
        match self {
            Internal::MaxPoolGradient(_)
            | Internal::GatherGradient { .. }
            | Internal::GatherElementsGradient { .. }
            | Internal::ConvInputGradient(_)
            | Internal::ConvWeightGradient(_) => index == 2,
            Internal::ConcatGradient(_) => index >= 1,
            Internal::AveragePoolGradient(_)
            | Internal::PadGradient(_)
            | Internal::ResizeGradient(_)
            | Internal::SliceGradient(_)
            | Internal::TileGradient(_)
            | Internal::SumTo
            | Internal::ExpandLike { .. }
            | Internal::ReshapeLike => index == 1,
            _ => false,
        }
    }
}
