/// ONNX `BatchNormalization`: `scale · (x − mean) / √(var + epsilon) + bias` per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance, default 1e-5.
    pub epsilon: f32,
    /// Weight of the *old* statistic when training updates it, default 0.9 (PyTorch's momentum is 1 minus this).
    pub momentum: f32,
    /// In training, use and leave alone the gathered statistics instead of the batch's.
    pub frozen: bool,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.9, frozen: false }
    }
}

/// ONNX `LRN`: `x / (bias + alpha/size · Σ x²)^beta`, the sum over `size` neighbouring channels
/// (Krizhevsky et al. 2012).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    /// Number of channels summed over, centred (the longer half comes after for even sizes).
    pub size: usize,
    /// Factor of the mean square, default 1e-4.
    pub alpha: f32,
    /// Exponent, default 0.75.
    pub beta: f32,
    /// Added to the sum, default 1.
    pub bias: f32,
}

/// ONNX `Dropout` (Srivastava et al. 2014). In training an element becomes 0 with probability `ratio` and is divided by
/// `1 − ratio` otherwise; outside training it is the identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability of being dropped, default 0.5.
    pub ratio: f32,
}
