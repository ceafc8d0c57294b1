use super::{memory::LINE, observe::Observer, program::Holder};
use crate::EngineError;
use std::{alloc::Layout, collections::HashMap, fmt};
use svertka_kernels::Machine;

/// What all programs of a model share: threads, one scratch arena, packed weights.
pub struct Workspace {
    pub(crate) machine: Machine,
    pub(crate) arena: Arena,
    pub(crate) packed: Vec<Packed>,
    keys: HashMap<String, usize>,
    /// Whose values are in the arena.
    pub(crate) holder: Option<Holder>,
    pub(crate) observer: Option<Observer>,
    pub(crate) memory_limit: Option<u64>,
}

/// Weights in the order in which a kernel reads them, and the version of the state they were made from.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) version: u64,
    pub(crate) weights: Vec<f32>,
    /// The bias that a folded normalisation makes; empty otherwise.
    pub(crate) bias: Vec<f32>,
    /// The weights times the factor of a folded normalisation; empty otherwise.
    pub(crate) folded: Vec<f32>,
}

impl Workspace {
    /// A workspace on this machine, with an empty arena.
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            arena: Arena::default(),
            packed: Vec::new(),
            keys: HashMap::new(),
            holder: None,
            observer: None,
            memory_limit: None,
        }
    }

    /// Programs that would hold more than so many bytes in all, their state included, are refused when they are bound.
    /// Default `None`: whatever the system gives.
    #[must_use]
    pub fn with_memory_limit(self, memory_limit: Option<u64>) -> Self {
        Self { memory_limit, ..self }
    }

    /// Whom to tell what programs have just done; `None`: nobody.
    pub fn set_observer(&mut self, observer: Option<Observer>) {
        self.observer = observer;
    }

    /// What programs run on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Bytes of scratch that are held.
    pub fn arena_bytes(&self) -> usize {
        4 * self.arena.len
    }

    /// The place of the packed weights that `key` describes; equal keys share one.
    pub(crate) fn packed_index(&mut self, key: String) -> usize {
        let next = self.packed.len();
        let index = *self.keys.entry(key).or_insert(next);
        if index == next {
            self.packed.push(Packed::default());
        }
        index
    }
}

impl From<Machine> for Workspace {
    fn from(machine: Machine) -> Self {
        Self::new(machine)
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({:?}, {} bytes)", self.machine, self.arena_bytes())
    }
}

/// Scratch memory whose start lies on a cache line. It only grows, and is never filled with zeros on purpose: what it
/// holds is arbitrary.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    memory: Vec<f32>,
    offset: usize,
    len: usize,
}

impl Arena {
    /// Makes room for `len` f32.
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), EngineError> {
        if len <= self.len {
            return Ok(());
        }
        let refused = || EngineError::Memory { bytes: 4 * len as u128 };
        self.memory = Vec::new();
        self.memory = zeroed(len.checked_add(LINE).ok_or_else(refused)?).ok_or_else(refused)?;
        self.offset = self.memory.as_ptr().align_offset(4 * LINE).min(LINE);
        self.len = len;
        Ok(())
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.memory[self.offset..][..self.len]
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.memory[self.offset..][..self.len]
    }
}

/// `len` zeros whose pages the system hands out as they are touched; `None` where it refuses.
fn zeroed(len: usize) -> Option<Vec<f32>> {
    let layout = Layout::array::<f32>(len).ok().filter(|layout| layout.size() > 0)?;
    // SAFETY: the layout is not empty. Zero bytes are valid f32, and pointer, length and capacity are those of a vector's
    // allocation of this layout.
    unsafe {
        let start = std::alloc::alloc_zeroed(layout);
        (!start.is_null()).then(|| Vec::from_raw_parts(start.cast(), len, len))
    }
}
