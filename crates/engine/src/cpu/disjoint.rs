//! Holds memory planning to its word: what is written overlaps nothing else that is used at the same time.

use super::{Program, bind::Turn, context::Place, plan::Slot};
use crate::EngineError;
use std::ops::Range;

impl Program {
    /// Checks that what a turn writes overlaps nothing else that it uses, except where a step works in place: then both are
    /// the same rows of the same stretch of memory.
    pub(crate) fn check_disjoint(&self) -> Result<(), EngineError> {
        let clash = self.turns.iter().any(|turn| self.clashes(turn));
        let error = EngineError::Order("internal error: two operands of a step overlap");
        if clash { Err(error) } else { Ok(()) }
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

    fn overlap(&self, a: Slot, b: Slot, in_place: bool) -> bool {
        match (&self.located[a].place, &self.located[b].place) {
            (Place::Arena(a), Place::Arena(b)) if in_place && a == b => false,
            (Place::Arena(a), Place::Arena(b)) => a.start < b.end && b.start < a.end,
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
