use svertka_kernels::random::Key;

/// What random numbers of a run depend on, together with the node that draws them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunKey {
    /// The run's seed.
    pub seed: u64,
    /// The training step.
    pub step: u64,
}

impl RunKey {
    /// The key of the node whose numbers are called `stream`.
    pub(crate) fn of_stream(self, stream: u64) -> Key {
        // The generator has 32 bits for each: no run has more steps, and half a hash tells nodes apart.
        Key { seed: self.seed, step: self.step as u32, stream: stream as u32 }
    }
}
