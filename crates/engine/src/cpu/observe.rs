//! What the steps of a program are, and when they are done: for whoever has a clock.

use super::{
    Program,
    bind::Turn,
    context::Place,
    plan::{Home, Slot, Step},
};
use std::collections::BTreeSet;
use svertka_kernels::conv;

/// Told which [`steps`](Program::steps) have just been done together, and with none, that weights have been packed.
pub type Observer = Box<dyn FnMut(&[usize]) + Send>;

/// A step of a program and what it costs, for the full batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepCost {
    /// The node that it comes from, or the gradient that it finishes.
    pub name: String,
    /// What it does, with everything that was fused into it.
    pub kind: String,
    /// How, where there is a choice.
    pub algorithm: Option<&'static str>,
    /// Runs in `backward`.
    pub backward: bool,
    /// Rows of a piece, where a thread takes pieces of the batch through several steps on end.
    pub piece: Option<usize>,
    /// Multiply-adds as the definition of its operator counts them.
    pub multiply_adds: u64,
    /// Bytes that have to move: what it reads, once, and what it writes, once.
    pub bytes: u64,
}

impl StepCost {
    /// Multiply-adds that its algorithm does; transforms are not among them.
    pub fn products(&self) -> u64 {
        self.algorithm.map_or(self.multiply_adds, |name| conv::products(name, self.multiply_adds))
    }
}

impl Program {
    /// Every step, in the order in which they were planned; views, which do nothing, among them.
    pub fn steps(&self) -> Vec<StepCost> {
        self.plan.steps.iter().enumerate().map(|(index, step)| self.step_cost(index, step)).collect()
    }

    fn step_cost(&self, index: usize, step: &Step) -> StepCost {
        let bound = &self.steps[index];
        let read: BTreeSet<Slot> = step.reads().collect();
        let moved = read.iter().chain(&step.outputs).map(|&slot| self.bytes(slot)).sum();
        StepCost {
            name: self.label(step),
            kind: step.kind.to_string(),
            algorithm: bound.algorithm,
            backward: step.backward,
            piece: self.piece(index),
            multiply_adds: bound.multiply_adds,
            bytes: if bound.view { 0 } else { moved },
        }
    }

    fn piece(&self, index: usize) -> Option<usize> {
        self.turns.iter().find_map(|turn| match turn {
            Turn::Stretch(stretch) if stretch.steps.contains(&index) => Some(stretch.rows),
            _ => None,
        })
    }

    fn label(&self, step: &Step) -> String {
        let finished = step.outputs.iter().map(|&slot| &self.plan.values[slot]);
        let mut finished = finished.filter(|value| matches!(value.home, Home::Gradient(_)));
        finished.next().map_or_else(|| step.name.clone(), |value| value.name.clone())
    }

    fn bytes(&self, slot: Slot) -> u64 {
        let len = match &self.located[slot].place {
            Place::Arena(range)
            | Place::Weights(range)
            | Place::Statistics(range)
            | Place::Constants(range)
            | Place::Gradients { range, .. } => range.len(),
            Place::Literal(values) => values.len(),
            Place::Input(index) => return self.inputs[*index].bytes(),
        };
        4 * len as u64
    }
}
