//! What a bound step sees while it runs: its operands as slices.

use super::{bind::Stretch, input::Input, plan::Slot, workspace::Packed};
use crate::{Optimiser, RunKey};
use std::ops::Range;
use svertka_kernels::{Machine, Store, optimiser::Update};

/// Where a slot's elements lie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// In the arena.
    Arena(Range<usize>),
    /// Among the inputs of the call.
    Input(usize),
    /// In the state's weights.
    Weights(Range<usize>),
    /// In the state's statistics.
    Statistics(Range<usize>),
    /// In the state's constants.
    Constants(Range<usize>),
    /// In the gradients; or, where every piece of the batch has its own sum, among the sums of the piece.
    Gradients { range: Range<usize>, of_piece: Option<Range<usize>> },
    /// In the program.
    Literal(Vec<f32>),
}

/// A slot once sizes are known.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) place: Place,
    /// Elements per row, if the batch leads; then a call with fewer rows sees fewer elements.
    pub(crate) per_row: Option<usize>,
}

/// One slice of memory that steps may write.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    start: *mut f32,
    len: usize,
}

impl Memory {
    pub(crate) fn new(slice: &mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// Memory that no step writes: only training steps write statistics, and they run on mutable ones; weights are written
    /// with a [`Descent`] only.
    pub(crate) fn read_only(slice: &[f32]) -> Self {
        Self { start: slice.as_ptr().cast_mut(), len: slice.len() }
    }

    pub(crate) fn none() -> Self {
        Self { start: std::ptr::NonNull::dangling().as_ptr(), len: 0 }
    }

    /// # Safety
    /// - No part that overlaps `range` is being written, and none is written while the result is alive.
    unsafe fn read<'a>(self, range: Range<usize>) -> &'a [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: within the slice by the assertion, unaliased by the contract.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// # Safety
    /// - No other part that overlaps `range` is alive while the result is.
    unsafe fn write<'a>(self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: within the slice by the assertion, unaliased by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// The step that an optimiser makes in a call: what is needed to move weights beside the weights.
#[derive(Clone, Copy)]
pub(crate) struct Descent {
    pub(crate) rule: Optimiser,
    /// How many were made before.
    pub(crate) steps: u64,
    /// The factor of gradients.
    pub(crate) scale: f32,
    /// What the rule remembers, as long as the weights, or empty.
    pub(crate) slots: [Memory; 2],
}

/// The memory and settings of one call of a program.
///
/// Steps run one after another (in a stretch: for each piece of the batch), and within a step every slot is asked for
/// once, as either read or written. That slots which are written overlap nothing else that is used at the same time is
/// checked when a program is bound (`Program::check_disjoint`); a step that works in place asks for the written slot only.
/// It also checks that a weight which a step moves is read by nobody in the same turn or behind it.
pub(crate) struct Context<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) arena: Memory,
    /// Written only where there is a descent.
    pub(crate) weights: Memory,
    pub(crate) descent: Option<Descent>,
    pub(crate) statistics: Memory,
    pub(crate) constants: &'a [f32],
    pub(crate) gradients: Memory,
    /// What accumulating steps do with the gradients.
    pub(crate) store: Store,
    pub(crate) inputs: &'a [Input<'a>],
    pub(crate) located: &'a [Located],
    pub(crate) packed: &'a [Packed],
    /// The first row that this context sees, and how many.
    pub(crate) first_row: usize,
    pub(crate) rows: usize,
    /// Where the sums of this piece of the batch lie in the arena, within a stretch.
    pub(crate) sums: Option<usize>,
    pub(crate) key: RunKey,
    /// The scratch of the step that runs.
    pub(crate) scratch: Range<usize>,
}

// SAFETY: the pointers in `Memory` come from borrows that the caller of the program holds for the whole call: mutable ones, or
// shared ones through which nothing is written (weights without a descent, statistics in inference and backward).
unsafe impl Send for Context<'_> {}
// SAFETY: as above. Threads that share a context do not use it but make others of it, for rows and scratch of their own
// (`piece`), which overlap nothing of each other's (`Program::check_disjoint`).
unsafe impl Sync for Context<'_> {}

impl Context<'_> {
    /// This context for one piece of the batch: its rows, and sums of its own.
    pub(crate) fn piece<'b>(&'b self, alone: &'b Machine, stretch: &Stretch, piece: usize) -> Context<'b> {
        let first_row = piece * stretch.rows;
        Context {
            machine: alone,
            first_row,
            rows: stretch.rows.min(self.rows - first_row),
            sums: Some(stretch.sums_start(piece)),
            store: Store::Overwrite,
            scratch: 0..0,
            ..*self
        }
    }

    /// The elements of a slot that are present.
    pub(crate) fn read(&self, slot: Slot) -> &[f32] {
        let located = &self.located[slot];
        match (self.writable(&located.place), &located.place) {
            // SAFETY: by the contract of the type, nothing that overlaps is written within this step.
            (Some((memory, range)), _) => unsafe { memory.read(self.present(located, range)) },
            // SAFETY: as above.
            (_, Place::Weights(range)) => unsafe { self.weights.read(range.clone()) },
            (_, Place::Constants(range)) => &self.constants[range.clone()],
            (_, Place::Literal(values)) => values,
            (_, Place::Input(index)) => {
                let values = self.inputs[*index].as_f32().unwrap_or(&[]);
                &values[self.present(located, 0..values.len())]
            }
            _ => &[],
        }
    }

    /// The elements of a slot that are present, for writing.
    #[expect(clippy::mut_from_ref, reason = "the contract of the type says why two calls never overlap")]
    pub(crate) fn write(&self, slot: Slot) -> &mut [f32] {
        let located = &self.located[slot];
        let Some((memory, range)) = self.writable(&located.place) else {
            unreachable!("steps write to the arena, statistics and gradients, not to {:?}", located.place)
        };
        // SAFETY: by the contract of the type, nothing that overlaps is asked for within this step.
        unsafe { memory.write(self.present(located, range)) }
    }

    /// The optimiser's step on a weight.
    pub(crate) fn update(&self, weight: Slot) -> Update<'_> {
        let (Some(descent), Place::Weights(range)) = (self.descent, &self.located[weight].place) else {
            unreachable!("only `Program::backward_and_update` runs steps that move weights")
        };
        let Descent { rule, steps, scale, slots } = descent;
        let part = |memory: Memory| if memory.len == 0 { 0..0 } else { range.clone() };
        // SAFETY: weights and slots are mutable where there is a descent, slots lie as the weights, and by the contract of
        // the type nothing that overlaps is asked for within this step.
        unsafe {
            let slots = slots.map(|memory| memory.write(part(memory)));
            rule.on(steps, scale, self.weights.write(range.clone()), slots)
        }
    }

    /// The memory and the range of a place that steps may write.
    fn writable(&self, place: &Place) -> Option<(Memory, Range<usize>)> {
        match place {
            Place::Arena(range) => Some((self.arena, range.clone())),
            Place::Statistics(range) => Some((self.statistics, range.clone())),
            Place::Gradients { range, of_piece } => Some(match (self.sums, of_piece) {
                (Some(start), Some(piece)) => (self.arena, start + piece.start..start + piece.end),
                _ => (self.gradients, range.clone()),
            }),
            _ => None,
        }
    }

    /// Class labels and other integers that were handed in, as many as are present.
    pub(crate) fn labels(&self, slot: Slot) -> &[i64] {
        let located = &self.located[slot];
        match &located.place {
            Place::Input(index) => {
                let values = self.inputs[*index].as_i64().unwrap_or(&[]);
                &values[self.present(located, 0..values.len())]
            }
            other => unreachable!("labels are inputs, not {other:?}"),
        }
    }

    /// The places of maxima: whole numbers kept in the arena's memory.
    pub(crate) fn places(&self, slot: Slot) -> &[u32] {
        as_places(self.read(slot))
    }

    /// The places of maxima, for writing.
    pub(crate) fn places_mut(&self, slot: Slot) -> &mut [u32] {
        as_places_mut(self.write(slot))
    }

    /// The scratch of this step.
    #[expect(clippy::mut_from_ref, reason = "a step asks for its scratch once")]
    pub(crate) fn scratch(&self) -> &mut [f32] {
        // SAFETY: scratch is a block of its own that is alive during this step only.
        unsafe { self.arena.write(self.scratch.clone()) }
    }

    /// The scratch of this step as places of maxima.
    pub(crate) fn scratch_places(&self) -> &mut [u32] {
        as_places_mut(self.scratch())
    }

    /// The scratch of this step as `count` places of maxima, and the rest.
    pub(crate) fn scratch_places_and_values(&self, count: usize) -> (&mut [u32], &mut [f32]) {
        let (places, values) = self.scratch().split_at_mut(count);
        (as_places_mut(places), values)
    }

    /// One of the sums of the piece whose sums start at `start`.
    pub(crate) fn sums_of(&self, start: usize, range: &Range<usize>) -> &[f32] {
        // SAFETY: the block of sums is its own, and read only when every piece is done.
        unsafe { self.arena.read(start + range.start..start + range.end) }
    }

    /// Whether two slots lie in the same place, so that the step works in place.
    pub(crate) fn same(&self, a: Slot, b: Slot) -> bool {
        self.located[a].place == self.located[b].place
    }

    /// The part of a slot's range that belongs to the rows of this context.
    fn present(&self, located: &Located, range: Range<usize>) -> Range<usize> {
        let Some(per_row) = located.per_row else { return range };
        let start = (range.start + per_row * self.first_row).min(range.end);
        start..(start + per_row * self.rows).min(range.end)
    }
}

fn as_places(values: &[f32]) -> &[u32] {
    // SAFETY: u32 has the size and alignment of f32, and every bit pattern is valid for both.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

fn as_places_mut(values: &mut [f32]) -> &mut [u32] {
    // SAFETY: u32 has the size and alignment of f32, and every bit pattern is valid for both.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}
