use super::{Addend, GemmProblem, Present, reference};
use crate::{Isa, Machine, activation::Activation};

/// The right operand of a product.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a> {
    /// As it lies; blocks of it are packed into scratch while they are used.
    Plain(&'a [f32]),
    /// As [`GemmPlan::pack`] wrote it.
    Packed(&'a [f32]),
}

/// The operands of one call.
#[derive(Clone, Copy, Debug)]
pub struct GemmCall<'a> {
    /// How much of the problem is there.
    pub present: Present,
    /// The left operand.
    pub a: &'a [f32],
    /// The right operand.
    pub b: Right<'a>,
    /// What is added to the product.
    pub addend: Addend<'a>,
    /// The function applied last.
    pub activation: Option<Activation>,
}

/// A matrix product with chosen blocks: `y = activation(alpha · op(A) · op(B) + beta · addend)`.
#[derive(Clone, Debug)]
pub struct GemmPlan {
    problem: GemmProblem,
}

impl GemmPlan {
    /// Chooses blocks; a function of its arguments alone.
    pub fn new(problem: GemmProblem, _isa: Isa) -> Self {
        Self { problem }
    }

    /// The problem this plan is for.
    pub fn problem(&self) -> &GemmProblem {
        &self.problem
    }

    /// The whole problem as one call's part.
    pub fn whole(&self) -> Present {
        Present { batch: self.problem.batch, rows: self.problem.rows, depth: self.problem.depth }
    }

    /// How many f32 a packed B is.
    pub fn packed_len(&self) -> usize {
        let batch = if self.problem.b_shared { 1 } else { self.problem.batch };
        batch * self.problem.depth * self.problem.columns
    }

    /// Packs `b`, as the problem describes it, for any number of calls.
    ///
    /// # Panics
    /// If a slice is shorter than the problem says.
    pub fn pack(&self, _machine: &Machine, b: &[f32], packed: &mut [f32]) {
        packed[..self.packed_len()].copy_from_slice(&b[..self.packed_len()]);
    }

    /// How many f32 of scratch a call needs on `threads` threads.
    pub fn scratch_len(&self, _threads: usize) -> usize {
        0
    }

    /// Writes `y` for the part of the problem that is present.
    ///
    /// # Panics
    /// If a slice is shorter than the problem and the part say, or the part exceeds the problem.
    pub fn multiply(&self, _machine: &Machine, call: &GemmCall<'_>, y: &mut [f32], _scratch: &mut [f32]) {
        let Present { batch, rows, depth } = call.present;
        let whole = &self.problem;
        assert!(batch <= whole.batch && rows <= whole.rows && depth <= whole.depth);
        let (Right::Plain(b) | Right::Packed(b)) = call.b;
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let old = wide(y);
        let problem = GemmProblem { batch, rows, depth, ..self.problem };
        let product = reference::multiply(&problem, &wide(call.a), &wide(b), call.addend, &old);
        for (y, value) in y.iter_mut().zip(product) {
            *y = call.activation.map_or(value as f32, |activation| activation.apply(value as f32));
        }
    }
}
