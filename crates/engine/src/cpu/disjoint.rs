//! Holds memory planning to its word: what is written overlaps nothing else that is used at the same time.

use super::{Program, bind::Turn, context::Place, plan::Slot};
use crate::EngineError;
use std::ops::Range;

impl Program {
    /// Checks that what a turn writes overlaps nothing else that it uses, except where a step works in place: then both are
    /// the same rows of the same stretch of memory; and that weights are moved when all who use them are done.
    pub(crate) fn check_disjoint(&self) -> Result<(), EngineError> {
        if self.turns.iter().any(|turn| self.clashes(turn)) {
            return Err(EngineError::Order("internal error: two operands of a step overlap"));
        }
        if self.reads_what_moved() {
            return Err(EngineError::Order("internal error: a weight is moved before its last reader"));
        }
        Ok(())
    }

    fn clashes(&self, turn: &Turn) -> bool {
        let computing = || turn.steps().iter().copied().filter(|&index| !self.steps[index].view);
        let used: Vec<Slot> = computing()
            .flat_map(|index| {
                let step = &self.plan.steps[index];
                step.reads().chain(step.outputs.iter().copied())
            })
            .collect();
        // Pieces of one place are different rows, so within a stretch what follows in a place follows piece by piece.
        let in_place =
            turn.steps().len() > 1 || computing().any(|index| !self.steps[index].in_place.is_empty());
        let mut written = computing().flat_map(|index| &self.plan.steps[index].outputs);
        used.iter().any(|&slot| self.meets_workings(slot, turn))
            || written.any(|&written| {
                let mut others = used.iter().filter(|&&other| other != written);
                others.any(|&other| self.overlap(written, other, in_place))
            })
    }

    /// Whether a weight is used in or behind the turn that moves it, other than by being moved.
    fn reads_what_moved(&self) -> bool {
        let weights = |slot: &Slot| matches!(self.located[*slot].place, Place::Weights(_));
        let mut moved: Vec<Slot> = Vec::new();
        self.turns.iter().any(|turn| {
            let steps =
                || turn.steps().iter().map(|&index| (&self.plan.steps[index], self.steps[index].view));
            let computing = steps().filter(|(_, view)| !view);
            let written: Vec<Slot> =
                computing.flat_map(|(step, _)| step.outputs.iter().copied()).filter(weights).collect();
            let met =
                |slot: Slot, moved: &[Slot]| moved.iter().any(|&moved| self.overlap(slot, moved, false));
            let again = written.iter().any(|&slot| met(slot, &moved));
            moved.extend(written);
            again || steps().flat_map(|(step, _)| step.reads()).filter(weights).any(|slot| met(slot, &moved))
        })
    }

    fn overlap(&self, a: Slot, b: Slot, in_place: bool) -> bool {
        match (&self.located[a].place, &self.located[b].place) {
            (Place::Arena(a), Place::Arena(b)) if in_place && a == b => false,
            (Place::Arena(a), Place::Arena(b)) | (Place::Weights(a), Place::Weights(b)) => {
                a.start < b.end && b.start < a.end
            }
            _ => false,
        }
    }

    /// Whether a slot overlaps the scratch or the sums of a turn.
    fn meets_workings(&self, slot: Slot, turn: &Turn) -> bool {
        let Place::Arena(range) = &self.located[slot].place else { return false };
        let meets = |other: &Range<usize>| range.start < other.end && other.start < range.end;
        match turn {
            Turn::Step(index) => meets(&self.steps[*index].scratch),
            Turn::Stretch(stretch) => meets(&stretch.scratch) || meets(&stretch.partials),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        EngineError, Machine, State,
        cpu::{Plan, Purpose, Workspace, lower, plan::Kind},
    };
    use std::sync::Arc;
    use svertka_graph::{Builder, Parameters, Sizes, op::SoftmaxCrossEntropyLoss, with_loss};

    #[test]
    fn a_weight_that_is_moved_before_its_last_reader_is_found() {
        let network = Builder::new();
        let x = network.image(1, [32, 32]).flatten().name("fc1").linear(1024).relu();
        x.name("fc2").linear(1024).relu().name("fc3").linear(2).classify();
        let graph = network.finish().unwrap();
        let graph = with_loss(&graph, "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap();
        let state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
        let mut plan = lower(&graph, &Purpose::training_at_once()).unwrap();
        let bind = |plan: &Plan| {
            let mut workspace = Workspace::new(Machine::single());
            Arc::new(plan.clone())
                .bind(&Sizes::batch(2), &state, &mut workspace)
                .map(|program| program.batch())
        };
        assert_eq!(bind(&plan), Ok(2));
        // Just behind the gradient of the layer's input.
        let update = plan.steps.iter().position(|step| matches!(step.kind, Kind::Update(_))).unwrap();
        let weight = plan.steps[update].outputs[0];
        let reader = plan.steps.iter().rposition(|step| step.reads().any(|slot| slot == weight)).unwrap();
        let step = plan.steps.remove(update);
        plan.steps.insert(reader, step);
        let refused = |plan: &Plan| matches!(bind(plan), Err(EngineError::Order(message)) if message.contains("last reader"));
        assert!(refused(&plan));
        // By the very step that moves it.
        plan.steps.swap(reader - 1, reader);
        plan.steps[reader - 1].inputs[1] = weight;
        assert!(refused(&plan));
    }
}
