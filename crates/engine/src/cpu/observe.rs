//! What the steps of a program are, and when they are done: for whoever has a clock.

use super::{
    Program,
    bind::Turn,
    context::Place,
    plan::{Home, Kind, Slot, Step},
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
    /// Bytes that have to move: what it reads, once, and what it writes, once. What an optimiser remembers is not among them.
    pub bytes: u64,
    /// How many weights it moves by the optimiser's rule.
    pub weights_moved: u64,
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
        let weights = if let Kind::Update(_) = step.kind { &step.outputs[..] } else { &[] };
        let bytes = weights.iter().chain(&read).chain(&step.outputs).map(|&slot| self.bytes(slot)).sum();
        StepCost {
            name: self.label(step),
            kind: step.kind.to_string(),
            algorithm: bound.algorithm,
            backward: step.backward,
            piece: self.piece(index),
            multiply_adds: bound.multiply_adds,
            bytes: if bound.view { 0 } else { bytes },
            weights_moved: weights.iter().map(|&slot| self.bytes(slot) / 4).sum(),
        }
    }

    fn piece(&self, index: usize) -> Option<usize> {
        self.turns.iter().find_map(|turn| match turn {
            Turn::Stretch(stretch) if stretch.steps.contains(&index) => Some(stretch.rows),
            _ => None,
        })
    }

    fn label(&self, step: &Step) -> String {
        let finished = step.outputs.iter().find_map(|&slot| match &self.plan.values[slot].home {
            Home::Gradient(_) => Some(self.plan.values[slot].name.clone()),
            Home::Parameter(name) => Some(format!("gradient of {name}")),
            _ => None,
        });
        finished.unwrap_or_else(|| step.name.clone())
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
