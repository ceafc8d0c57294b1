//! Which slots share memory (views, steps in place), how long every part of it is alive, and where it lies.

use super::{Binder, Bound, Turn, per_row};
use crate::{
    EngineError, State,
    cpu::{
        context::{Located, Place},
        memory::{self, Block, Placement},
        plan::{Home, Slot, Step},
    },
};
use std::ops::Range;
use svertka_graph::Role;

/// Places every slot, every step's scratch and the sums of stretches.
pub(super) fn locate(
    binder: &Binder,
    state: &State,
    steps: &mut [Bound],
    turns: &mut [Turn],
) -> Result<(Vec<Located>, Placement), EngineError> {
    let storage = Storage::assign(binder, steps, turns)?;
    let placement = memory::place(&storage.blocks).ok_or(EngineError::Memory { bytes: storage.bytes() })?;
    if placement.len > isize::MAX as usize / 4 {
        return Err(EngineError::Memory { bytes: 4 * placement.len as u128 });
    }
    let place = |range: &mut Range<usize>, block: Option<usize>| {
        let start = block.map_or(0, |block| placement.offsets[block]);
        *range = start..start + range.len();
    };
    for (turn, &[scratch, partials]) in turns.iter_mut().zip(&storage.workings) {
        match turn {
            Turn::Step(index) => place(&mut steps[*index].scratch, scratch),
            Turn::Stretch(stretch) => {
                place(&mut stretch.scratch, scratch);
                place(&mut stretch.partials, partials);
            }
        }
    }
    let mut located: Vec<Located> = Vec::with_capacity(binder.plan.values.len());
    for slot in 0..binder.plan.values.len() {
        let place = storage.place(binder, state, slot, &placement)?;
        located.push(Located { place, per_row: per_row(binder.plan, binder.shapes, binder.batch, slot) });
    }
    let sums = turns
        .iter()
        .filter_map(|turn| if let Turn::Stretch(stretch) = turn { Some(&stretch.sums) } else { None });
    for (slot, sum) in sums.flatten() {
        if let Place::Gradients { of_piece, .. } = &mut located[*slot].place {
            *of_piece = Some(sum.clone());
        }
    }
    Ok((located, placement))
}

struct Storage {
    /// Alive during steps, counted in the order of turns, until all are known; then during turns.
    blocks: Vec<Block>,
    /// The block of every slot that lies in the arena.
    of_slot: Vec<Option<usize>>,
    /// The slot of which another is a view, where it does not lie in the arena.
    view_of: Vec<Option<Slot>>,
    /// The blocks of every turn's scratch and partial sums.
    workings: Vec<[Option<usize>; 2]>,
}

impl Storage {
    fn assign(binder: &Binder, steps: &[Bound], turns: &[Turn]) -> Result<Self, EngineError> {
        let slots = binder.plan.values.len();
        let mut storage = Self {
            blocks: Vec::new(),
            of_slot: vec![None; slots],
            view_of: vec![None; slots],
            workings: Vec::with_capacity(turns.len()),
        };
        let order: Vec<usize> = turns.iter().flat_map(|turn| turn.steps().iter().copied()).collect();
        let last_read = last_reads(binder, steps, &order);
        for (at, &index) in order.iter().enumerate() {
            storage.assign_step(binder, at, &binder.plan.steps[index], &steps[index], &last_read)?;
        }
        storage.count_in_turns(turns);
        for (at, turn) in turns.iter().enumerate() {
            let lens = match turn {
                Turn::Step(index) => [steps[*index].scratch.len(), 0],
                Turn::Stretch(stretch) => [stretch.scratch.len(), stretch.partials.len()],
            };
            let blocks = [storage.block(lens[0], at..at + 1)?, storage.block(lens[1], at..at + 1)?];
            storage.workings.push(blocks);
        }
        Ok(storage)
    }

    /// From steps to turns: pieces of the batch pass the steps of a stretch at different times, so what one of them uses
    /// is alive throughout.
    fn count_in_turns(&mut self, turns: &[Turn]) {
        let turn_of = |(turn, steps): (usize, &Turn)| std::iter::repeat_n(turn, steps.steps().len());
        let mut turn_of: Vec<usize> = turns.iter().enumerate().flat_map(turn_of).collect();
        turn_of.push(turns.len());
        for block in &mut self.blocks {
            block.alive = turn_of[*block.alive.start()]..=turn_of[*block.alive.end()];
        }
    }

    fn assign_step(
        &mut self,
        binder: &Binder,
        index: usize,
        step: &Step,
        bound: &Bound,
        last_read: &[usize],
    ) -> Result<(), EngineError> {
        for (place, &output) in step.outputs.iter().enumerate() {
            if binder.plan.values[output].home != Home::Arena {
                continue;
            }
            let input = step.inputs.first().copied();
            if bound.view {
                self.of_slot[output] = input.and_then(|input| self.of_slot[input]);
                self.view_of[output] = input;
            } else if let Some(block) =
                self.reusable(binder, index, step, bound, output).filter(|_| place == 0)
            {
                self.of_slot[output] = Some(block);
                let end = last_read[output].max(index);
                self.blocks[block].alive = *self.blocks[block].alive.start()..=end;
            } else {
                let len = binder.len(output);
                self.of_slot[output] = self.block(len.max(1), index..last_read[output].max(index) + 1)?;
            }
        }
        Ok(())
    }

    /// The block of an input that dies here and whose place the first output may take.
    fn reusable(
        &self,
        binder: &Binder,
        index: usize,
        step: &Step,
        bound: &Bound,
        output: Slot,
    ) -> Option<usize> {
        bound.in_place.iter().find_map(|&place| {
            let input = *step.inputs.get(place)?;
            let block = self.of_slot[input]?;
            let dies = *self.blocks[block].alive.end() == index;
            let read_once =
                step.inputs.iter().filter(|&&other| self.of_slot[other] == Some(block)).count() == 1;
            let same = binder.len(input) == binder.len(output) && binder.leads(input) == binder.leads(output);
            (dies && same && read_once).then_some(block)
        })
    }

    fn block(&mut self, len: usize, alive: Range<usize>) -> Result<Option<usize>, EngineError> {
        if len == 0 {
            return Ok(None);
        }
        let len = memory::lines(len).ok_or(EngineError::Memory { bytes: 4 * len as u128 })?;
        self.blocks.push(Block { len, alive: alive.start..=alive.end - 1 });
        Ok(Some(self.blocks.len() - 1))
    }

    fn place(
        &self,
        binder: &Binder,
        state: &State,
        slot: Slot,
        placement: &Placement,
    ) -> Result<Place, EngineError> {
        if let Some(block) = self.of_slot[slot] {
            let start = placement.offsets[block];
            return Ok(Place::Arena(start..start + binder.len(slot)));
        }
        if let Some(viewed) = self.view_of[slot] {
            return self.place(binder, state, viewed, placement);
        }
        Ok(match &binder.plan.values[slot].home {
            Home::Arena => Place::Arena(0..0),
            Home::Input(index) => Place::Input(*index),
            Home::Parameter(name) => parameter(state, name)?,
            Home::Gradient(place) => Place::Gradients { range: gradient(binder, *place), of_piece: None },
            Home::Constant(values) => Place::Literal(values.clone()),
        })
    }

    fn bytes(&self) -> u128 {
        self.blocks.iter().map(|block| 4 * block.len as u128).sum()
    }
}

/// The last step, counted in `order`, that reads each slot or a view of it; outputs and moved statistics are read after
/// the last step.
fn last_reads(binder: &Binder, steps: &[Bound], order: &[usize]) -> Vec<usize> {
    let mut last = vec![0; binder.plan.values.len()];
    for &output in &binder.plan.outputs {
        last[output] = steps.len();
    }
    for (at, &index) in order.iter().enumerate().rev() {
        let (step, bound) = (&binder.plan.steps[index], &steps[index]);
        for slot in step.reads() {
            last[slot] = last[slot].max(at);
        }
        if bound.view {
            last[step.inputs[0]] = last[step.inputs[0]].max(last[step.outputs[0]]);
        }
    }
    last
}

fn parameter(state: &State, name: &str) -> Result<Place, EngineError> {
    let entry = state.entry(name).ok_or(EngineError::Order("the state lacks a parameter of the graph"))?;
    let range = entry.range.clone();
    Ok(match entry.role {
        Role::Weight => Place::Weights(range),
        Role::Statistic => Place::Statistics(range),
        Role::Constant => Place::Constants(range),
    })
}

fn gradient(binder: &Binder, place: usize) -> Range<usize> {
    let start = binder.plan.gradients[..place].iter().map(|(_, len)| len).sum();
    start..start + binder.plan.gradients[place].1
}
