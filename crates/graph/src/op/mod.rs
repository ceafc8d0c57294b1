//! Operators, one struct each, named and behaving as in ONNX (any opset).
//!
//! What ONNX hands in as small constant tensors (the shape of `Reshape`, the pads of `Pad`, the axes of `Unsqueeze`, …)
//! is an attribute here; reader and writer translate. Spatial axes are one or two.

mod activation;
mod binary;
mod internal;
mod loss;
mod moving;
mod norm;
mod shaping;
mod unary;
mod window;

pub use activation::Activation;
pub use binary::Binary;
pub use internal::Internal;
pub use loss::{Reduction, SoftmaxCrossEntropyLoss, Target};
pub use moving::{ArgExtreme, DepthOrder, DepthSpace, Expand, Slice, Tile, TopK};
pub use norm::{BatchNormalization, Dropout, Lrn};
pub use shaping::{
    Concat, CoordinateMode, Flatten, NearestMode, Pad, PadMode, Reduce, ReduceKind, Reshape, Resize,
    ResizeMode, ResizeTarget, Squeeze, Transpose, Unsqueeze,
};
pub use unary::Unary;
pub use window::{AveragePool, Conv, ConvTranspose, MaxPool, Window};

use crate::{DataType, Tensor};

/// General matrix product, ONNX `Gemm`: `alpha · op(A) · op(B) + beta · C`, `op` transposing where asked.
///
/// Inputs: A `[M, K]`, B `[K, N]`, optional C that broadcasts to `[M, N]`. A fully connected layer is `trans_b = true`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gemm {
    /// Factor of the product, default 1.
    pub alpha: f32,
    /// Factor of C, default 1.
    pub beta: f32,
    /// A is given as `[K, M]`, default false.
    pub trans_a: bool,
    /// B is given as `[N, K]`, default false.
    pub trans_b: bool,
}

impl Default for Gemm {
    fn default() -> Self {
        Self { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false }
    }
}

/// An operator with its attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution (correlation, as everywhere in the field). Inputs: x `[N, C, …]`, weight `[O, C/group, k…]`, optional bias `[O]`.
    Conv(Conv),
    /// Transposed convolution. Inputs: x `[N, C, …]`, weight `[C, O/group, k…]`, optional bias `[O]`.
    ConvTranspose(ConvTranspose),
    /// Padding by constant, reflection, edge or wrapping.
    Pad(Pad),
    /// Maximum over windows.
    MaxPool(MaxPool),
    /// Mean over windows.
    AveragePool(AveragePool),
    /// Mean over all spatial axes: `[N, C, …] -> [N, C, 1…]`.
    GlobalAveragePool,
    /// Maximum over all spatial axes: `[N, C, …] -> [N, C, 1…]`.
    GlobalMaxPool,
    /// Batch normalisation. Inputs: x `[N, C, …]`, scale, bias, mean, var, all `[C]`.
    BatchNormalization(BatchNormalization),
    /// Local response normalisation across channels.
    Lrn(Lrn),
    /// General matrix product.
    Gemm(Gemm),
    /// Matrix product with NumPy's `matmul` semantics.
    MatMul,
    /// A function of two numbers, with broadcasting.
    Binary(Binary),
    /// A function applied to every element, which convolutions take into their own loops.
    Activation(Activation),
    /// Any other function applied to every element.
    Unary(Unary),
    /// Takes from a where a condition holds, from b elsewhere, with broadcasting. Inputs: condition, a, b.
    Where,
    /// Elements of another type. Real numbers become integers by truncation, truth values by being other than 0.
    Cast(DataType),
    /// Softmax along one axis (negative counts from the end).
    Softmax {
        /// Default −1.
        axis: i64,
    },
    /// Logarithm of softmax along one axis (negative counts from the end).
    LogSoftmax {
        /// Default −1.
        axis: i64,
    },
    /// Dropout: the identity until training form gives it a stream of random numbers.
    Dropout(Dropout),
    /// Joins tensors along an axis.
    Concat(Concat),
    /// Reshapes to two axes.
    Flatten(Flatten),
    /// Gives another shape to the same elements.
    Reshape(Reshape),
    /// Permutes axes.
    Transpose(Transpose),
    /// Drops axes of extent 1.
    Squeeze(Squeeze),
    /// Inserts axes of extent 1.
    Unsqueeze(Unsqueeze),
    /// The same value under another name.
    Identity,
    /// A value that is part of the structure. No inputs.
    Constant(Tensor),
    /// Runs of places along some axes.
    Slice(Slice),
    /// Places along one axis, by index. Inputs: x, indices (i64; negative counts from the end).
    Gather {
        /// Default 0; negative counts from the end.
        axis: i64,
    },
    /// For every element of the indices, the element of x whose place along one axis they name. Inputs: x, indices (i64).
    GatherElements {
        /// Default 0; negative counts from the end.
        axis: i64,
    },
    /// Repeats along axes of extent 1.
    Expand(Expand),
    /// Repeats as a whole.
    Tile(Tile),
    /// Channels spread over blocks of pixels.
    DepthToSpace(DepthSpace),
    /// Blocks of pixels gathered in channels.
    SpaceToDepth(DepthSpace),
    /// A number made of those along some axes.
    Reduce(Reduce),
    /// The place of the largest or smallest along an axis.
    ArgExtreme(ArgExtreme),
    /// The largest or smallest along an axis.
    TopK(TopK),
    /// Resampling of the spatial axes.
    Resize(Resize),
    /// Softmax and cross-entropy in one.
    SoftmaxCrossEntropyLoss(SoftmaxCrossEntropyLoss),
    /// An operator that exists only inside training programs and never reaches a file.
    Internal(Internal),
}

impl Op {
    /// The ONNX name, or for internal operators the name that plans and errors show.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(_) => "Conv",
            Op::ConvTranspose(_) => "ConvTranspose",
            Op::Pad(_) => "Pad",
            Op::MaxPool(_) => "MaxPool",
            Op::AveragePool(_) => "AveragePool",
            Op::GlobalAveragePool => "GlobalAveragePool",
            Op::GlobalMaxPool => "GlobalMaxPool",
            Op::BatchNormalization(_) => "BatchNormalization",
            Op::Lrn(_) => "LRN",
            Op::Gemm(_) => "Gemm",
            Op::MatMul => "MatMul",
            Op::Binary(binary) => binary.name(),
            Op::Activation(activation) => activation.name(),
            Op::Unary(unary) => unary.name(),
            Op::Where => "Where",
            Op::Cast(_) => "Cast",
            Op::Softmax { .. } => "Softmax",
            Op::LogSoftmax { .. } => "LogSoftmax",
            Op::Dropout(_) => "Dropout",
            Op::Concat(_) => "Concat",
            Op::Flatten(_) => "Flatten",
            Op::Reshape(_) => "Reshape",
            Op::Transpose(_) => "Transpose",
            Op::Squeeze(_) => "Squeeze",
            Op::Unsqueeze(_) => "Unsqueeze",
            Op::Identity => "Identity",
            Op::Constant(_) => "Constant",
            Op::Slice(_) => "Slice",
            Op::Gather { .. } => "Gather",
            Op::GatherElements { .. } => "GatherElements",
            Op::Expand(_) => "Expand",
            Op::Tile(_) => "Tile",
            Op::DepthToSpace(_) => "DepthToSpace",
            Op::SpaceToDepth(_) => "SpaceToDepth",
            Op::Reduce(reduce) => reduce.kind.name(),
            Op::ArgExtreme(arg) if arg.largest => "ArgMax",
            Op::ArgExtreme(_) => "ArgMin",
            Op::TopK(_) => "TopK",
            Op::Resize(_) => "Resize",
            Op::SoftmaxCrossEntropyLoss(_) => "SoftmaxCrossEntropyLoss",
            Op::Internal(internal) => internal.name(),
        }
    }

    /// Whether only the shape of input `index` is used, so that its elements need not be kept.
    pub fn reads_shape_only(&self, index: usize) -> bool {
        matches!(self, Op::Internal(internal) if internal.reads_shape_only(index))
    }
}
