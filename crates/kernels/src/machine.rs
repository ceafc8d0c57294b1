use crate::{
    Isa, Threads,
    conv::{Algorithms, Choice},
};

/// What a kernel runs on: a pool of threads and an instruction set.
///
/// The choice of algorithm and every order of summation depend on the problem, on [`Machine::isa`] and on
/// [`Machine::convolutions`], never on the number of threads.
#[derive(Debug)]
pub struct Machine {
    /// The pool that work is spread over.
    pub threads: Threads,
    /// The instruction set that vector code is compiled for.
    pub isa: Isa,
    /// Which algorithms convolutions may use.
    pub convolutions: Algorithms,
}

impl Machine {
    /// A machine with `threads` threads (0: one per core) and the best instruction set this processor has.
    pub fn new(threads: usize) -> Self {
        Self { threads: Threads::new(threads), isa: Isa::detect(), convolutions: Algorithms::default() }
    }

    /// The same without its other threads: the calling one does everything, and the results are the same.
    pub fn alone(&self) -> Self {
        Self { threads: Threads::new(1), ..*self }
    }

    /// One thread, the calling one, and the best instruction set.
    pub fn single() -> Self {
        Self::new(1)
    }

    /// What plans of convolutions are made for.
    pub fn choice(&self) -> Choice {
        Choice { isa: self.isa, algorithms: self.convolutions }
    }
}
