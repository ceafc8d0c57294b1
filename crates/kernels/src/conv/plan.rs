use super::{ConvError, ConvProblem, Pictures, Source, naive};
use crate::{
    Isa, Machine,
    epilogue::{Epilogue, Store},
};

/// How weights are laid out for a plan. Equal packings (of plans of any batch and picture size) share packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packing {
    len: usize,
    backwards: bool,
}

impl Packing {
    /// How many f32 the packed weights are.
    pub fn packed_len(&self) -> usize {
        self.len
    }

    /// Writes `weights`, `[O, C/groups, kh, kw]`, into `packed` in the order of this packing.
    ///
    /// # Panics
    /// If a slice is shorter than the problem says.
    pub fn pack(&self, _machine: &Machine, weights: &[f32], packed: &mut [f32]) {
        packed[..self.len].copy_from_slice(&weights[..self.len]);
    }
}

/// A convolution forward: `y = activation(conv(x, weights) + bias + add)`.
///
/// Shape: x as [`Source`] says, y [N, H', W', O].
#[derive(Clone, Debug)]
pub struct ConvPlan {
    problem: ConvProblem,
    source: Source,
}

impl ConvPlan {
    /// Chooses the algorithm and its blocks; a function of its arguments alone.
    ///
    /// # Errors
    /// [`ConvError::Border`] where the source's border does not fit the problem.
    pub fn new(problem: ConvProblem, source: Source, _isa: Isa) -> Result<Self, ConvError> {
        source.picture(&problem)?;
        Ok(Self { problem, source })
    }

    /// The order in which this plan reads weights.
    pub fn packing(&self) -> Packing {
        Packing { len: self.problem.weights_len(), backwards: false }
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, _threads: usize) -> usize {
        0
    }

    /// Writes `y` for the pictures present. `packed` was written by [`packing`](Self::packing)`().pack`.
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the number of pictures say.
    pub fn forward(
        &self,
        _machine: &Machine,
        x: Pictures<'_>,
        packed: &[f32],
        epilogue: &Epilogue<'_>,
        y: &mut [f32],
        _scratch: &mut [f32],
    ) {
        naive::forward(&self.problem, &self.source, x, packed, epilogue, y);
    }
}

/// The gradient of a convolution's input, which is also the transposed convolution forward.
///
/// Shape: dy [N, H', W', O] -> dx [N, H, W, C]. The epilogue (bias per channel of dx, addition, activation) serves the
/// transposed convolution; a plain gradient takes `Epilogue::default()`, or one whose `store` is
/// [`Store::Accumulate`] to add to dx.
#[derive(Clone, Debug)]
pub struct ConvInputGradientPlan {
    problem: ConvProblem,
}

impl ConvInputGradientPlan {
    /// Chooses the algorithm and its blocks; a function of its arguments alone.
    pub fn new(problem: ConvProblem, _isa: Isa) -> Self {
        Self { problem }
    }

    /// The order in which this plan reads weights.
    pub fn packing(&self) -> Packing {
        Packing { len: self.problem.weights_len(), backwards: true }
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, _threads: usize) -> usize {
        0
    }

    /// Writes `dx` for the `dy` of the pictures present (which has no affine map).
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the number of pictures say.
    pub fn run(
        &self,
        _machine: &Machine,
        dy: Pictures<'_>,
        packed: &[f32],
        epilogue: &Epilogue<'_>,
        dx: &mut [f32],
        _scratch: &mut [f32],
    ) {
        naive::input_gradient(&self.problem, dy, packed, epilogue, dx);
    }
}

/// The gradient of a convolution's weights.
///
/// Shape: x as [`Source`] says, dy [N, H', W', O] -> dw [O, C/groups, kh, kw].
#[derive(Clone, Debug)]
pub struct ConvWeightGradientPlan {
    problem: ConvProblem,
    source: Source,
}

impl ConvWeightGradientPlan {
    /// Chooses the algorithm and its blocks; a function of its arguments alone.
    ///
    /// # Errors
    /// [`ConvError::Border`] where the source's border does not fit the problem.
    pub fn new(problem: ConvProblem, source: Source, _isa: Isa) -> Result<Self, ConvError> {
        source.picture(&problem)?;
        Ok(Self { problem, source })
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, _threads: usize) -> usize {
        0
    }

    /// Writes `dw`, or adds to it, summed over the pictures present.
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the number of pictures say.
    pub fn run(
        &self,
        _machine: &Machine,
        x: Pictures<'_>,
        dy: &[f32],
        dw: &mut [f32],
        store: Store,
        _scratch: &mut [f32],
    ) {
        naive::weight_gradient(&self.problem, &self.source, x, dy, dw, store);
    }
}
