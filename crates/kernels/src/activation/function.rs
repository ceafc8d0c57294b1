use super::Activation;

/// An activation as a type, so that a loop is compiled for the one it runs over.
pub(crate) trait Function: Copy + Sync {
    /// The activation, or `None` for the identity. Implementations are `#[inline(always)]`.
    fn activation(self) -> Option<Activation>;
}

/// No activation.
#[derive(Clone, Copy)]
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn activation(self) -> Option<Activation> {
        None
    }
}

/// [`Activation::Relu`].
#[derive(Clone, Copy)]
pub(crate) struct Rectifier;

impl Function for Rectifier {
    #[inline(always)]
    fn activation(self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

/// [`Activation::Clip`].
#[derive(Clone, Copy)]
pub(crate) struct Clipped {
    pub(crate) min: f32,
    pub(crate) max: f32,
}

impl Function for Clipped {
    #[inline(always)]
    fn activation(self) -> Option<Activation> {
        Some(Activation::Clip { min: self.min, max: self.max })
    }
}

/// Any other, told apart while the loop runs.
#[derive(Clone, Copy)]
pub(crate) struct AnyFunction(pub(crate) Activation);

impl Function for AnyFunction {
    #[inline(always)]
    fn activation(self) -> Option<Activation> {
        Some(self.0)
    }
}
