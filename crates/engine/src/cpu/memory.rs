//! Gives values places in one arena: values that are alive at the same time never overlap.

use super::{Program, Workspace};
use crate::{EngineError, State};
use std::ops::RangeInclusive;

/// Places are multiples of this many f32: a cache line.
pub(crate) const LINE: usize = 16;

/// A stretch of memory that has to exist from one step to another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    /// In f32, a multiple of [`LINE`].
    pub(crate) len: usize,
    /// The steps during which it is alive.
    pub(crate) alive: RangeInclusive<usize>,
}

/// Where every block lies, and how much memory that takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Placement {
    /// The offset of every block, in f32.
    pub(crate) offsets: Vec<usize>,
    /// The length of the arena, in f32.
    pub(crate) len: usize,
    /// The largest sum of blocks alive at once: no placement can be shorter.
    pub(crate) lower_bound: usize,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.alive.start() <= other.alive.end() && other.alive.start() <= self.alive.end()
    }
}

/// Places the blocks, the largest first, each at the lowest offset where nothing that is alive with it lies
/// (Pisarchyk and Lee 2020, "greedy by size"). `None` if the arena does not fit the address space.
pub(crate) fn place(blocks: &[Block]) -> Option<Placement> {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(blocks[index].len), *blocks[index].alive.start()));
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(blocks.len());
    let mut len = 0usize;
    for index in order {
        let block = &blocks[index];
        offsets[index] = lowest_gap(block, blocks, &offsets, &placed)?;
        len = len.max(offsets[index].checked_add(block.len)?);
        // Kept in the order of offsets, so that gaps are found in one walk.
        let at = placed.partition_point(|&other| offsets[other] <= offsets[index]);
        placed.insert(at, index);
    }
    Some(Placement { offsets, len, lower_bound: lower_bound(blocks)? })
}

fn lowest_gap(block: &Block, blocks: &[Block], offsets: &[usize], placed: &[usize]) -> Option<usize> {
    let mut end = 0usize;
    for &other in placed.iter().filter(|&&other| blocks[other].meets(block)) {
        if offsets[other] >= end.checked_add(block.len)? {
            break;
        }
        end = end.max(offsets[other].checked_add(blocks[other].len)?);
    }
    Some(end)
}

/// The largest sum of the lengths of blocks alive at one step.
fn lower_bound(blocks: &[Block]) -> Option<usize> {
    let steps = blocks.iter().map(|block| block.alive.end() + 1).max().unwrap_or(0);
    let mut alive = vec![0usize; steps];
    for block in blocks {
        for step in block.alive.clone() {
            alive[step] = alive[step].checked_add(block.len)?;
        }
    }
    Some(alive.into_iter().max().unwrap_or(0))
}

impl Program {
    /// Refuses what the workspace's limit does not allow to be held, before it is allocated.
    pub(super) fn check_memory(&self, state: &State, workspace: &Workspace) -> Result<(), EngineError> {
        let bytes = self.memory_bytes(state);
        match workspace.memory_limit {
            Some(available) if bytes > available.into() => Err(EngineError::MemoryLimit { bytes, available }),
            _ => Ok(()),
        }
    }

    /// Bytes of everything that is held while the program runs: state, gradients, packed weights, inputs, scratch.
    pub fn memory_bytes(&self, state: &State) -> u128 {
        let gradients = self.plan.gradients.iter().map(|(_, len)| *len);
        let packed = self.packers.iter().map(|packer| packer.len);
        let values: u128 = gradients.chain(packed).map(|len| 4 * len as u128).sum();
        let inputs: u128 = self.inputs.iter().map(|input| u128::from(input.bytes())).sum();
        values + inputs + state.bytes() + self.cost.scratch_bytes as u128
    }
}

/// Rounds a length up to whole lines.
pub(crate) fn lines(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(len: usize, alive: RangeInclusive<usize>) -> Block {
        Block { len, alive }
    }

    fn assert_disjoint(blocks: &[Block], placement: &Placement) {
        for (i, a) in blocks.iter().enumerate() {
            for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                let (start, other) = (placement.offsets[i], placement.offsets[j]);
                let apart = start + a.len <= other || other + b.len <= start;
                assert!(apart || !a.meets(b), "{a:?} at {start} and {b:?} at {other}");
            }
        }
    }

    #[test]
    fn blocks_that_never_meet_share_memory() {
        let blocks = [block(32, 0..=1), block(32, 2..=3), block(16, 1..=2)];
        let placement = place(&blocks).unwrap();
        assert_disjoint(&blocks, &placement);
        assert_eq!((placement.len, placement.lower_bound), (48, 48));
    }

    #[test]
    fn a_training_step_of_a_chain_is_placed_at_its_lower_bound() {
        // Activations live until their gradient is computed; gradients live for two steps.
        let depth = 20;
        let mut blocks: Vec<Block> = (0..depth).map(|i| block(16 * (depth - i), i..=2 * depth - i)).collect();
        blocks.extend((0..depth).map(|i| block(16 * (depth - i), 2 * depth - i - 1..=2 * depth - i)));
        let placement = place(&blocks).unwrap();
        assert_disjoint(&blocks, &placement);
        assert!(placement.len as f64 <= 1.15 * placement.lower_bound as f64, "{placement:?}");
    }

    #[test]
    fn what_does_not_fit_the_address_space_is_refused() {
        assert_eq!(place(&[block(usize::MAX - 15, 0..=1), block(usize::MAX - 15, 0..=1)]), None);
    }
}
