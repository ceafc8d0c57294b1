/// How losses of single samples become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Sum of weighted losses over sum of weights (over the samples where targets are soft).
    Mean,
    /// Sum of weighted losses.
    Sum,
    /// One loss per sample.
    None,
}

/// What a loss is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Class indices, i64, of the scores' shape without the class axis.
    Classes,
    /// Probabilities, f32, of the scores' shape (not in ONNX).
    Probabilities,
}

/// ONNX `SoftmaxCrossEntropyLoss`. Inputs: scores `[N, C, d…]`, target, optional class weights `[C]`.
/// Outputs: loss, log-probabilities of the scores' shape.
///
/// Label smoothing and soft targets are PyTorch's `cross_entropy`; a file cannot hold them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxCrossEntropyLoss {
    /// Default mean.
    pub reduction: Reduction,
    /// Samples of this class count for nothing.
    pub ignore_index: Option<i64>,
    /// Share of the target spread evenly over all classes, default 0.
    pub label_smoothing: f32,
    /// Default classes.
    pub target: Target,
}

impl Default for SoftmaxCrossEntropyLoss {
    fn default() -> Self {
        Self { reduction: Reduction::Mean, ignore_index: None, label_smoothing: 0.0, target: Target::Classes }
    }
}
