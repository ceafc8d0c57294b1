//! What a loader needs to know of samples: how to write one as numbers.

use crate::SampleError;

/// Samples that can be written as numbers. A task implements it for its input and target.
///
/// Everything an implementation does must be a function of its own fields, `epoch` and `index`: it is called from several
/// threads, in any order.
pub trait Examples: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape of one sample's input, such as [C, H, W].
    fn input_shape(&self) -> &[usize];

    /// Kind and shape of one sample's target.
    fn target_kind(&self) -> TargetKind;

    /// Writes a sample. `input` has as many values as [`Examples::input_shape`] says, and `target` is of
    /// [`Examples::target_kind`]; either may hold anything beforehand, and must be written whole.
    ///
    /// # Errors
    /// Why the sample cannot be used.
    fn write(
        &self,
        epoch: u64,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), SampleError>;

    /// Name of a sample, for messages.
    fn name(&self, index: usize) -> String;
}

/// Kind of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Index of a class.
    Class,
    /// Numbers of this shape.
    Dense(Vec<usize>),
}

impl TargetKind {
    /// Number of f32 values of one sample's target; 0 for a class.
    pub fn dense_len(&self) -> usize {
        match self {
            Self::Class => 0,
            Self::Dense(shape) => shape.iter().product(),
        }
    }
}

/// Where a sample's target is written.
#[derive(Debug)]
pub enum TargetMut<'a> {
    /// Index of a class.
    Class(&'a mut i64),
    /// Numbers, row-major.
    Dense(&'a mut [f32]),
}
