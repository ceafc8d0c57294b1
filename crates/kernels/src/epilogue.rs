use crate::activation::Activation;

/// What happens to a product before it is stored: `y = activation(product + bias + add)`.
///
/// `Epilogue::default()` stores the product as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// One value per channel of y (for a matrix: per column).
    pub bias: Option<&'a [f32]>,
    /// A tensor of y's shape and layout, such as the other branch of a residual block.
    pub add: Option<&'a [f32]>,
    /// The function applied last.
    pub activation: Option<Activation>,
    /// Whether what y holds counts as one more summand, before the activation. `Accumulate` excludes `add`.
    pub store: Store,
}

/// What a gradient does with what its output holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Writes every element; what was there is never read.
    #[default]
    Overwrite,
    /// Adds to what is there.
    Accumulate,
}
