use crate::{Isa, Threads};

/// What a kernel runs on: a pool of threads and an instruction set.
///
/// The choice of algorithm and every order of summation depend on the problem and on [`Machine::isa`], never on the
/// number of threads.
#[derive(Debug)]
pub struct Machine {
    /// The pool that work is spread over.
    pub threads: Threads,
    /// The instruction set that vector code is compiled for.
    pub isa: Isa,
}

impl Machine {
    /// A machine with `threads` threads (0: one per core) and the best instruction set this processor has.
    pub fn new(threads: usize) -> Self {
        Self { threads: Threads::new(threads), isa: Isa::detect() }
    }

    /// One thread, the calling one, and the best instruction set.
    pub fn single() -> Self {
        Self::new(1)
    }
}
