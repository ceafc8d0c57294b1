use super::{
    Plan, Workspace,
    bind::{Bound, Packer, Stretch, Turn},
    context::{Context, Descent, Located, Memory, Place},
    input::{Input, InputSpec},
    observe::Observer,
    workspace::Packed,
};
use crate::{EngineError, Gradients, Optimiser, RunKey, State, state::Entry};
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use svertka_kernels::{Machine, Store};

/// What a program costs, known before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-adds of convolutions and matrix products, for the full batch.
    pub multiply_adds: u64,
    /// Bytes of scratch.
    pub scratch_bytes: usize,
    /// The largest sum of bytes alive at once: no placement could need less.
    pub scratch_lower_bound: usize,
}

/// A plan with sizes and places: ready to run any number of times without allocating.
///
/// It owns no weights and no scratch. Calls with fewer rows than the batch are accepted where the batch leads every
/// value ([`accepts_fewer_rows`](Self::accepts_fewer_rows)); means, statistics and losses are then over the rows present.
pub struct Program {
    pub(crate) id: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) entries: Arc<[Entry]>,
    pub(crate) steps: Vec<Bound>,
    /// The order of the steps.
    pub(crate) turns: Vec<Turn>,
    /// Turns of the forward part.
    pub(crate) forward_turns: usize,
    pub(crate) packers: Vec<Packer>,
    pub(crate) located: Vec<Located>,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) batch: usize,
    pub(crate) flexible: bool,
    pub(crate) moves_statistics: bool,
    pub(crate) cost: Cost,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A number that no other program has.
pub(crate) fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Program {
    /// The rows it was bound for: the extent of the first input's first axis.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Whether calls with fewer rows than [`batch`](Self::batch) are accepted.
    pub fn accepts_fewer_rows(&self) -> bool {
        self.flexible
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Names of the inputs, in the order in which `forward` takes them; what `backward` takes is not among them.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        let seeds = self.plan.seeds.len();
        self.inputs[..self.inputs.len() - seeds].iter().map(|input| input.name.as_str())
    }

    /// Runs the forward part: outputs can be read, training moves the statistics.
    ///
    /// # Errors
    /// [`EngineError::Input`] if an input's type or length does not fit; [`EngineError::Label`];
    /// [`EngineError::Order`] if the state has other parameters than the one this was bound for.
    pub fn forward(
        &self,
        workspace: &mut Workspace,
        state: &mut State,
        inputs: &[Input<'_>],
        key: RunKey,
    ) -> Result<(), EngineError> {
        let statistics = Memory::new(&mut state.blocks.statistics);
        let done = self.run_forward(workspace, state, statistics, inputs, key);
        if self.moves_statistics {
            state.touch();
        }
        done
    }

    /// Runs a program that changes nothing in the state: inference.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); [`EngineError::Order`] if this program moves statistics.
    pub fn infer(
        &self,
        workspace: &mut Workspace,
        state: &State,
        inputs: &[Input<'_>],
    ) -> Result<(), EngineError> {
        if self.moves_statistics {
            return Err(EngineError::Order(
                "a training program moves statistics: call `forward`, not `infer`",
            ));
        }
        let statistics = Memory::read_only(&state.blocks.statistics);
        self.run_forward(workspace, state, statistics, inputs, RunKey::default())
    }

    fn run_forward(
        &self,
        workspace: &mut Workspace,
        state: &State,
        statistics: Memory,
        inputs: &[Input<'_>],
        key: RunKey,
    ) -> Result<(), EngineError> {
        self.check_state(state)?;
        let seeds = self.plan.seeds.len();
        let rows = self.rows(inputs, &self.inputs[..self.inputs.len() - seeds])?;
        workspace.arena.reserve(self.cost.scratch_bytes / 4)?;
        self.pack(workspace, state);
        workspace.holder = None;
        let weights = Memory::read_only(&state.blocks.weights);
        let memories = Memories { weights, statistics, gradients: Memory::none() };
        let call = Call { memories, inputs, rows, key, descent: None, store: Store::Overwrite };
        self.run(workspace, state, call, &self.turns[..self.forward_turns])?;
        workspace.holder = Some(Holder { program: self.id, rows, key });
        Ok(())
    }

    /// Runs the backward part of the last `forward`, adding to `gradients`. `inputs` are those of `forward`, and behind
    /// them the gradient of every differentiated value that is not a scalar.
    ///
    /// # Errors
    /// [`EngineError::Order`] if the last call on this workspace was not this program's `forward`, the gradients are
    /// another program's, or this program moves weights while it runs; [`EngineError::Input`].
    pub fn backward(
        &self,
        workspace: &mut Workspace,
        state: &State,
        inputs: &[Input<'_>],
        gradients: &mut Gradients,
    ) -> Result<(), EngineError> {
        if !self.plan.updated.is_empty() {
            return Err(EngineError::Order("this program makes steps at once: call `backward_and_update`"));
        }
        let weights = Memory::read_only(&state.blocks.weights);
        self.run_backward(workspace, state, weights, None, inputs, gradients)
    }

    /// Runs the backward part of the last `forward` and makes the optimiser's step: [`backward`](Self::backward) and
    /// [`Optimiser::update`] with this `scale`, to the bit. Weights whose gradient is not stored are moved on the way, the
    /// others when all `gradients` are there.
    ///
    /// # Errors
    /// As [`backward`](Self::backward); [`EngineError::Order`] if `gradients` hold those of other batches. Then no value has
    /// changed; slots that the rule needs may have been made.
    pub fn backward_and_update(
        &self,
        workspace: &mut Workspace,
        state: &mut State,
        inputs: &[Input<'_>],
        gradients: &mut Gradients,
        rule: &Optimiser,
        scale: f32,
    ) -> Result<(), EngineError> {
        if !gradients.fresh {
            return Err(EngineError::Order(
                "a step at once is made on one batch, not on gradients of others",
            ));
        }
        rule.reserve(state);
        // Whatever happens now, weights may have moved.
        state.touch();
        let mut slots = state.slots.iter_mut().map(|slot| Memory::new(slot));
        let slots = [(); 2].map(|()| slots.next().unwrap_or_else(Memory::none));
        let descent = Descent { rule: *rule, steps: state.step, scale, slots };
        let weights = Memory::new(&mut state.blocks.weights);
        self.run_backward(workspace, state, weights, Some(descent), inputs, gradients)?;
        rule.update(&workspace.machine, state, gradients, scale);
        Ok(())
    }

    fn run_backward(
        &self,
        workspace: &mut Workspace,
        state: &State,
        weights: Memory,
        descent: Option<Descent>,
        inputs: &[Input<'_>],
        gradients: &mut Gradients,
    ) -> Result<(), EngineError> {
        self.check_state(state)?;
        let stored = self.plan.gradients.iter().map(|(name, len)| (name.as_str(), *len));
        if !gradients.iter().map(|(name, values)| (name, values.len())).eq(stored) {
            return Err(EngineError::Order(
                "these gradients are another program's: make some with `gradients`",
            ));
        }
        let held = workspace.holder.filter(|holder| holder.program == self.id);
        let holder =
            held.ok_or(EngineError::Order("`backward` needs this program's `forward` just before it"))?;
        if self.rows(inputs, &self.inputs)? != holder.rows {
            return Err(EngineError::Order("`backward` was given other inputs than its `forward`"));
        }
        workspace.holder = None;
        let statistics = Memory::read_only(&state.blocks.statistics);
        let store = if gradients.fresh { Store::Overwrite } else { Store::Accumulate };
        let memories = Memories { weights, statistics, gradients: Memory::new(&mut gradients.values) };
        let call = Call { memories, inputs, rows: holder.rows, key: holder.key, descent, store };
        self.run(workspace, state, call, &self.turns[self.forward_turns..])?;
        gradients.fresh = false;
        Ok(())
    }

    /// Numbers that training moves by gradients.
    pub fn trainable(&self) -> usize {
        self.plan.gradients.iter().chain(&self.plan.updated).map(|(_, len)| len).sum()
    }

    /// Room for the gradients that are stored.
    pub fn gradients(&self) -> Gradients {
        Gradients::new(self.plan.gradients.iter().cloned())
    }

    /// An output of the last `forward`, row-major in the graph's order; rows that were not present are left out.
    ///
    /// # Errors
    /// [`EngineError::Order`] if another program has run on the workspace since; [`EngineError::Graph`] if there is no
    /// such output.
    pub fn output<'a>(&'a self, workspace: &'a Workspace, name: &str) -> Result<&'a [f32], EngineError> {
        let held = workspace.holder.filter(|holder| holder.program == self.id);
        let holder = held
            .ok_or(EngineError::Order("outputs can be read after `forward` and before anything else runs"))?;
        let id = self.plan.graph.expect(name)?;
        let place = self.plan.graph.outputs().iter().position(|&output| output == id);
        let slot = place.map(|place| self.plan.outputs[place]);
        let slot = slot.ok_or(EngineError::Order("only outputs of the graph can be read"))?;
        let located = &self.located[slot];
        let range = match &located.place {
            Place::Arena(range) => range,
            Place::Literal(values) => return Ok(values),
            _ => return Err(EngineError::Order("this output is an input or a parameter, not computed")),
        };
        let len = located.per_row.map_or(range.len(), |per_row| per_row * holder.rows);
        Ok(&workspace.arena.as_slice()[range.clone()][..len])
    }

    fn run(
        &self,
        workspace: &mut Workspace,
        state: &State,
        call: Call<'_>,
        turns: &[Turn],
    ) -> Result<(), EngineError> {
        let Workspace { machine, arena, packed, observer, .. } = workspace;
        let mut context = Context {
            machine,
            arena: Memory::new(arena.as_mut_slice()),
            weights: call.memories.weights,
            descent: call.descent,
            constants: &state.blocks.constants,
            statistics: call.memories.statistics,
            gradients: call.memories.gradients,
            store: call.store,
            inputs: call.inputs,
            located: &self.located,
            packed,
            first_row: 0,
            rows: call.rows,
            sums: None,
            key: call.key,
            scratch: 0..0,
        };
        let alone = machine.alone();
        machine.threads.enter(|| {
            for turn in turns {
                match turn {
                    Turn::Step(index) => {
                        self.run_step(*index, &mut context, None)?;
                        tell(observer, &[*index]);
                    }
                    Turn::Stretch(stretch) => self.run_stretch(stretch, &context, &alone, observer)?,
                }
            }
            Ok(())
        })
    }

    /// Runs one step in its own scratch, or in a part of a stretch's that starts at `scratch`.
    fn run_step(
        &self,
        index: usize,
        context: &mut Context<'_>,
        scratch: Option<usize>,
    ) -> Result<(), EngineError> {
        let step = &self.steps[index];
        let start = scratch.unwrap_or(step.scratch.start);
        context.scratch = start..start + step.scratch.len();
        (step.run)(context)
    }

    /// Takes every piece of the batch through the steps of a stretch, then adds the sums of the pieces in order. For an
    /// observer's sake all pieces wait for each other behind every step.
    fn run_stretch(
        &self,
        stretch: &Stretch,
        context: &Context<'_>,
        alone: &Machine,
        observer: &mut Option<Observer>,
    ) -> Result<(), EngineError> {
        let at_once = if observer.is_some() { 1 } else { stretch.steps.len() };
        for steps in stretch.steps.chunks(at_once) {
            self.run_pieces(stretch, steps, context, alone)?;
            tell(observer, steps);
        }
        self.join_sums(stretch, context);
        Ok(())
    }

    fn run_pieces(
        &self,
        stretch: &Stretch,
        steps: &[usize],
        context: &Context<'_>,
        alone: &Machine,
    ) -> Result<(), EngineError> {
        let threads = &context.machine.threads;
        let scratch_len = stretch.scratch.len() / threads.count();
        let failed = Mutex::new(None);
        threads.run(stretch.pieces(context.rows), |worker, piece| {
            let mut context = context.piece(alone, stretch, piece);
            let scratch = stretch.scratch.start + worker * scratch_len;
            let done = steps.iter().try_for_each(|&index| self.run_step(index, &mut context, Some(scratch)));
            if let Err(error) = done {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn join_sums(&self, stretch: &Stretch, context: &Context<'_>) {
        for (slot, range) in &stretch.sums {
            let gradient = context.write(*slot);
            if context.store == Store::Overwrite {
                gradient.fill(0.0);
            }
            for piece in 0..stretch.pieces(context.rows) {
                let sums = context.sums_of(stretch.sums_start(piece), range);
                gradient.iter_mut().zip(sums).for_each(|(gradient, sum)| *gradient += sum);
            }
        }
    }

    /// Renews packed weights that were made from another version of the state.
    fn pack(&self, workspace: &mut Workspace, state: &State) {
        let Workspace { machine, packed, observer, .. } = workspace;
        for packer in &self.packers {
            let entry: &mut Packed = &mut packed[packer.index];
            if entry.version != state.version() {
                (packer.pack)(machine, state, entry);
                entry.version = state.version();
            }
        }
        tell(observer, &[]);
    }

    fn check_state(&self, state: &State) -> Result<(), EngineError> {
        let same = std::ptr::eq(self.entries.as_ptr(), state.entries().as_ptr())
            || *self.entries == *state.entries();
        if same {
            Ok(())
        } else {
            Err(EngineError::Order("the state has other parameters than the program was bound for"))
        }
    }
}

/// What steps may write beside the arena.
#[derive(Clone, Copy)]
struct Memories {
    weights: Memory,
    statistics: Memory,
    gradients: Memory,
}

/// What differs between the calls of a program.
#[derive(Clone, Copy)]
struct Call<'a> {
    memories: Memories,
    inputs: &'a [Input<'a>],
    rows: usize,
    key: RunKey,
    descent: Option<Descent>,
    store: Store,
}

/// Whose values are in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    program: u64,
    rows: usize,
    key: RunKey,
}

fn tell(observer: &mut Option<Observer>, steps: &[usize]) {
    if let Some(observer) = observer {
        observer(steps);
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Program({} steps, batch {}, {} bytes)",
            self.steps.len(),
            self.batch,
            self.cost.scratch_bytes
        )
    }
}
