//! One step of any rule on a parameter: over a whole gradient, or while a product makes it.

use super::{adam, sgd};
use crate::simd::{Kernel, Lanes};
use crate::vector::{CHUNK, load};
use crate::{Machine, SharedMut};

/// A rule with the numbers of one step, worked out in f64. What a rule does to a register stands here alone, so that weights
/// have the same bits wherever their gradient comes from.
pub(crate) trait Rule: Copy + Send + Sync {
    /// Moves `count` weights along their gradient `g`. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// - `weights`, and those of `memories` that the rule keeps, are readable and writable for `count` values, and nobody
    ///   else's.
    /// - `count <= L::COUNT`.
    unsafe fn step<L: Lanes>(
        &self,
        lanes: L,
        g: L::Vector,
        weights: *mut f32,
        memories: [*mut f32; 2],
        count: usize,
    );
}

/// The numbers of any rule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers {
    Sgd(sgd::Numbers),
    Adam(adam::Numbers),
}

/// One step of a rule on a parameter that waits for its gradient: as a whole ([`run`](Self::run)), or tile by tile as a
/// matrix product makes it ([`GemmPlan::update`](crate::gemm::GemmPlan::update)). Both give the same bits.
#[derive(Debug)]
pub struct Update<'a> {
    pub(crate) numbers: Numbers,
    pub(crate) weights: &'a mut [f32],
    /// What the rule remembers of each weight; empty where it does not.
    pub(crate) memories: [&'a mut [f32]; 2],
}

impl Update<'_> {
    /// Makes the step.
    ///
    /// # Panics
    /// If there is not one gradient for each weight.
    pub fn run(self, machine: &Machine, gradients: &[f32]) {
        assert_eq!(self.weights.len(), gradients.len(), "one gradient for each weight");
        match self.numbers {
            Numbers::Sgd(rule) => self.pass(machine, gradients, rule),
            Numbers::Adam(rule) => self.pass(machine, gradients, rule),
        }
    }

    fn pass(self, machine: &Machine, gradients: &[f32], rule: impl Rule) {
        let memories = self.memories.map(SharedMut::new);
        machine.threads.run_chunks(self.weights, CHUNK, |index, weights| {
            let start = index * CHUNK;
            let memories = memories.each_ref().map(|memory| memory.as_mut_ptr().wrapping_add(start));
            let gradients = &gradients[start..start + weights.len()];
            machine.isa.run(Pass { rule, weights, gradients, memories });
        });
    }
}

/// One task: memories are as long as the weights, or not the rule's.
struct Pass<'a, R> {
    rule: R,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    memories: [*mut f32; 2],
}

impl<R: Rule> Kernel for Pass<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let len = self.weights.len();
        assert_eq!(self.gradients.len(), len);
        for at in (0..len).step_by(L::COUNT) {
            let count = L::COUNT.min(len - at);
            let [first, second] = self.memories;
            let memories = [first.wrapping_add(at), second.wrapping_add(at)];
            // SAFETY: `at + count` is at most the length of the slices and of the memories that the rule keeps, which its
            // constructor of `Update` checked; each task has a chunk of its own.
            unsafe {
                let g = load(lanes, self.gradients.as_ptr().add(at), count);
                self.rule.step(lanes, g, self.weights.as_mut_ptr().add(at), memories, count);
            }
        }
    }
}
