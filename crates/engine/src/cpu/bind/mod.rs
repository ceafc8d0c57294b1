//! Binding: every step of a plan becomes a closure over a kernel's plan, for given sizes.

mod activation;
mod batch;
mod conv;
mod elementwise;
mod gemm;
mod loss;
mod moving;
mod norm;
mod pool;
mod schedule;
mod shaping;
mod storage;

use super::{
    Workspace,
    context::Context,
    input::InputSpec,
    memory::LINE,
    plan::{Home, Kind, Layout, Plan, Slot, Step},
    program::{Cost, Program, next_id},
    workspace::Packed,
};
use crate::{EngineError, State};
use batch::Batch;
use schedule::FEW_WEIGHTS;
pub(crate) use schedule::{Stretch, Turn};
use std::{fmt::Display, ops::Range, sync::Arc};
use svertka_graph::{DataType, Op, Sizes, ValueId, op::Internal};
use svertka_kernels::Machine;

/// What a bound step does.
pub(crate) type Run = Box<dyn Fn(&Context<'_>) -> Result<(), EngineError> + Send + Sync>;

/// How packed weights are made from a state.
pub(crate) type Pack = Box<dyn Fn(&Machine, &State, &mut Packed) + Send + Sync>;

/// A step with sizes.
pub(crate) struct Bound {
    pub(crate) run: Run,
    /// Where its scratch lies; before memory is planned, only the length counts.
    pub(crate) scratch: Range<usize>,
    /// The inputs whose place the first output may take, which the step then overwrites.
    pub(crate) in_place: &'static [usize],
    /// The output is the input under another shape: nothing is done.
    pub(crate) view: bool,
    /// The kernel's algorithm, where it has a choice.
    pub(crate) algorithm: Option<&'static str>,
    pub(crate) multiply_adds: u64,
}

/// Renews packed weights.
pub(crate) struct Packer {
    /// Which of the workspace's.
    pub(crate) index: usize,
    /// How many f32 they are.
    pub(crate) len: usize,
    pub(crate) pack: Pack,
}

impl Bound {
    /// A step that cannot fail and needs no scratch.
    fn new(run: impl Fn(&Context<'_>) + Send + Sync + 'static) -> Self {
        Self::fallible(move |context| {
            run(context);
            Ok(())
        })
    }

    fn fallible(run: impl Fn(&Context<'_>) -> Result<(), EngineError> + Send + Sync + 'static) -> Self {
        let run = Box::new(run);
        Self { run, scratch: 0..0, in_place: &[], view: false, algorithm: None, multiply_adds: 0 }
    }

    fn view() -> Self {
        Self { view: true, ..Self::new(|_| {}) }
    }

    fn by(self, algorithm: &'static str) -> Self {
        Self { algorithm: Some(algorithm), ..self }
    }

    fn costs(self, multiply_adds: usize) -> Self {
        Self { multiply_adds: multiply_adds as u64, ..self }
    }

    fn with_scratch(self, len: usize) -> Self {
        Self { scratch: 0..len, ..self }
    }

    /// The first output may overwrite one of these inputs if it has its size. The closure asks for the output alone then.
    fn in_place_of(self, inputs: &'static [usize]) -> Self {
        Self { in_place: inputs, ..self }
    }
}

impl Plan {
    /// Gives the plan sizes: chooses algorithms and places. Touches no weights.
    ///
    /// # Errors
    /// [`EngineError::Graph`] where sizes do not fit, [`EngineError::Unsupported`]; [`EngineError::Memory`] and
    /// [`EngineError::MemoryLimit`], before anything is allocated.
    pub fn bind(
        self: &Arc<Self>,
        sizes: &Sizes,
        state: &State,
        workspace: &mut Workspace,
    ) -> Result<Program, EngineError> {
        let shapes = self.graph.concrete_shapes(sizes)?;
        self.check_not_empty(&shapes)?;
        let batch = Batch::of(&self.graph, &shapes);
        let mut binder = Binder {
            plan: self,
            shapes: &shapes,
            batch: &batch,
            threads: workspace.machine().threads.count(),
            workspace,
            packs_late: self.steps.iter().any(|step| step.backward),
            packers: Vec::new(),
        };
        let mut turns = schedule::schedule(&binder);
        let mut steps: Vec<Option<Bound>> = self.steps.iter().map(|_| None).collect();
        for turn in &mut turns {
            binder.bind_turn(turn, &mut steps)?;
        }
        let mut steps: Vec<Bound> = steps.into_iter().flatten().collect();
        let packers = std::mem::take(&mut binder.packers);
        let (located, placement) = storage::locate(&binder, state, &mut steps, &mut turns)?;
        let is_forward = |turn: &&Turn| turn.steps().iter().all(|&index| !self.steps[index].backward);
        let program = Program {
            id: next_id(),
            plan: self.clone(),
            entries: state.shared_entries(),
            forward_turns: turns.iter().filter(is_forward).count(),
            turns,
            inputs: inputs(self, &shapes, &batch),
            batch: batch.size,
            flexible: batch.leads_everywhere,
            moves_statistics: self
                .steps
                .iter()
                .any(|step| matches!(&step.kind, Kind::Norm(norm) if norm.training)),
            cost: Cost {
                multiply_adds: steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.multiply_adds)),
                scratch_bytes: 4 * placement.len,
                scratch_lower_bound: 4 * placement.lower_bound,
            },
            steps,
            packers,
            located,
        };
        program.check_disjoint()?;
        program.check_memory(state, workspace)?;
        Ok(program)
    }

    /// Refuses values without elements: no kernel has to think of them.
    fn check_not_empty(&self, shapes: &[Vec<usize>]) -> Result<(), EngineError> {
        let empty = self.graph.values().iter().zip(shapes).find(|(_, shape)| shape.contains(&0));
        empty.map_or(Ok(()), |(value, shape)| {
            let reason = format!("the value has no elements, its shape is {shape:?}");
            Err(EngineError::Unsupported { node: value.name.clone(), op: "value".to_owned(), reason })
        })
    }
}

fn inputs(plan: &Plan, shapes: &[Vec<usize>], batch: &Batch) -> Vec<InputSpec> {
    let spec = |&id: &ValueId| {
        let value = plan.graph.value(id);
        let len = shapes[id.index()].iter().product();
        InputSpec {
            name: value.name.clone(),
            dtype: value.ty.dtype,
            len,
            per_row: per_row(plan, shapes, batch, id.index()),
        }
    };
    plan.graph.inputs().iter().map(spec).collect()
}

/// Elements per row of a value that the batch leads.
fn per_row(plan: &Plan, shapes: &[Vec<usize>], batch: &Batch, slot: Slot) -> Option<usize> {
    let value = plan.values[slot].value;
    batch.leads(plan.graph.shape(value)).then(|| shapes[value.index()][1..].iter().product())
}

/// What families of steps need to be bound.
pub(crate) struct Binder<'a> {
    plan: &'a Plan,
    shapes: &'a [Vec<usize>],
    batch: &'a Batch,
    workspace: &'a mut Workspace,
    /// How many threads a step works on.
    threads: usize,
    /// Weights change with every step, and every step runs once.
    packs_late: bool,
    packers: Vec<Packer>,
}

/// A batch of pictures, signals as pictures of height 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pictures {
    batch: usize,
    channels: usize,
    size: [usize; 2],
}

impl Pictures {
    fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

impl<'a> Binder<'a> {
    /// Binds the steps of a turn; those of a stretch for the rows of a piece and for one thread.
    fn bind_turn(&mut self, turn: &mut Turn, bound: &mut [Option<Bound>]) -> Result<(), EngineError> {
        let stretch = match turn {
            Turn::Step(index) => {
                bound[*index] = Some(self.bind(&self.plan.steps[*index])?);
                return Ok(());
            }
            Turn::Stretch(stretch) => stretch,
        };
        let mut most_scratch = 0;
        let (shapes, batch) = self.piece(stretch.rows);
        let mut piece = Binder {
            plan: self.plan,
            shapes: &shapes,
            batch: &batch,
            workspace: &mut *self.workspace,
            threads: 1,
            packs_late: false,
            packers: std::mem::take(&mut self.packers),
        };
        for &index in &stretch.steps {
            let mut step = piece.bind(&piece.plan.steps[index])?;
            let whole = u128::from(step.multiply_adds) * self.batch.size as u128 / stretch.rows as u128;
            step.multiply_adds = u64::try_from(whole).unwrap_or(u64::MAX);
            most_scratch = most_scratch.max(step.scratch.len());
            bound[index] = Some(step);
        }
        self.packers = piece.packers;
        stretch.scratch = 0..most_scratch.next_multiple_of(LINE) * self.threads;
        Ok(())
    }

    /// Shapes with so many rows where the batch leads.
    fn piece(&self, rows: usize) -> (Vec<Vec<usize>>, Batch) {
        let shape = |(id, shape): (ValueId, &Vec<usize>)| {
            let mut shape = shape.clone();
            if self.batch.leads(self.plan.graph.shape(id)) {
                shape[0] = rows;
            }
            shape
        };
        let shapes = self.plan.graph.value_ids().zip(self.shapes).map(shape).collect();
        (shapes, Batch { symbol: self.batch.symbol.clone(), size: rows, ..*self.batch })
    }

    fn bind(&mut self, step: &Step) -> Result<Bound, EngineError> {
        match &step.kind {
            Kind::Conv(fused) => conv::forward(self, step, fused),
            Kind::ConvTranspose(op, activation) => conv::transposed(self, step, op, *activation),
            Kind::ConvWeightGradient(op, source) => conv::weight_gradient(self, step, op, source),
            Kind::Gemm(op, activation) => gemm::gemm(self, step, *op, *activation),
            Kind::Update(op) => gemm::update(self, step, *op),
            Kind::Norm(norm) => norm::forward(self, step, norm),
            Kind::NormGradient(gradient) => norm::gradient(self, step, gradient),
            Kind::CrossEntropy(op) => loss::fused(self, step, op),
            Kind::Numbers => Ok(elementwise::numbers(step)),
            Kind::Convert => shaping::convert(self, step),
            Kind::Accumulate => elementwise::accumulate(self, step),
            Kind::Op(op) => self.bind_op(step, op),
        }
    }

    fn bind_op(&mut self, step: &Step, op: &Op) -> Result<Bound, EngineError> {
        match op {
            Op::MaxPool(pool) => pool::max(self, step, pool),
            Op::AveragePool(pool) => pool::average(self, step, pool),
            Op::GlobalAveragePool => pool::global_average(self, step),
            Op::GlobalMaxPool => pool::global_max(self, step),
            Op::Lrn(lrn) => norm::lrn(self, step, lrn),
            Op::MatMul => gemm::matmul(self, step),
            Op::Binary(binary) => elementwise::binary(self, step, *binary),
            Op::Activation(op) => activation::forward(self, step, *op),
            Op::Unary(op) => elementwise::unary(self, step, *op),
            Op::Where => elementwise::choose(self, step),
            Op::Cast(dtype) => elementwise::cast(self, step, *dtype),
            Op::Softmax { axis } => activation::softmax(self, step, *axis, false),
            Op::LogSoftmax { axis } => activation::softmax(self, step, *axis, true),
            Op::Concat(concat) => shaping::concat(self, step, *concat),
            Op::Pad(pad) => shaping::pad(self, step, pad),
            Op::Transpose(transpose) => shaping::transpose(self, step, transpose),
            Op::Slice(op) => moving::slice(self, step, op),
            Op::Gather { axis } => moving::gather(self, step, *axis),
            Op::GatherElements { axis } => moving::gather_elements(self, step, *axis),
            Op::Expand(_) => moving::expand(self, step),
            Op::Tile(op) => moving::tile(self, step, op),
            Op::DepthToSpace(op) => moving::depth_space(self, step, *op, true),
            Op::SpaceToDepth(op) => moving::depth_space(self, step, *op, false),
            Op::ArgExtreme(op) => moving::arg_extreme(self, step, *op),
            Op::TopK(op) => moving::top_k(self, step, *op),
            Op::Reduce(reduce) => elementwise::reduce(self, step, reduce),
            Op::Resize(resize) => shaping::resize(self, step, resize),
            Op::SoftmaxCrossEntropyLoss(op) => loss::forward(self, step, op),
            Op::Dropout(_) | Op::Identity => Ok(self.view(step)),
            Op::Flatten(_) | Op::Reshape(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => Ok(self.view(step)),
            Op::Internal(internal) => self.bind_internal(step, internal),
            Op::Conv(_)
            | Op::ConvTranspose(_)
            | Op::Gemm(_)
            | Op::BatchNormalization(_)
            | Op::Constant(_) => Err(self.unsupported(step, "this operator should have been lifted")),
        }
    }

    fn bind_internal(&mut self, step: &Step, internal: &Internal) -> Result<Bound, EngineError> {
        match internal {
            Internal::MaxPoolTraining(pool) => pool::max(self, step, pool),
            Internal::MaxPoolGradient(pool) => pool::max_gradient(self, step, pool),
            Internal::AveragePoolGradient(pool) => pool::average_gradient(self, step, pool),
            Internal::GlobalMaxPoolGradient => pool::global_max_gradient(self, step),
            Internal::DropoutTraining { ratio, stream } => activation::dropout(self, step, *ratio, *stream),
            Internal::ConvInputGradient(op) => conv::input_gradient(self, step, op),
            Internal::LrnGradient(lrn) => norm::lrn_gradient(self, step, lrn),
            Internal::ActivationGradient(op) => activation::gradient(self, step, *op),
            Internal::UnaryGradient(op) => elementwise::unary_gradient(self, step, *op),
            Internal::FoldGradient(op) => elementwise::fold_gradient(self, step, op),
            Internal::SliceGradient(op) => moving::slice_gradient(self, step, op),
            Internal::GatherGradient { axis } => moving::gather_gradient(self, step, *axis),
            Internal::GatherElementsGradient { axis } => moving::gather_elements_gradient(self, step, *axis),
            Internal::TileGradient(op) => moving::tile_gradient(self, step, op),
            Internal::SoftmaxGradient { axis } => activation::softmax_gradient(self, step, *axis, false),
            Internal::LogSoftmaxGradient { axis } => activation::softmax_gradient(self, step, *axis, true),
            Internal::SoftmaxCrossEntropyGradient(op) => loss::gradient(self, step, op),
            Internal::PadGradient(pad) => shaping::pad_gradient(self, step, pad),
            Internal::ResizeGradient(resize) => shaping::resize_gradient(self, step, resize),
            Internal::ConcatGradient(concat) => shaping::concat_gradient(self, step, *concat),
            Internal::SumTo => elementwise::sum_to(self, step),
            Internal::ExpandLike { axes, mean } => elementwise::expand_like(self, step, axes, *mean),
            Internal::ReshapeLike => Ok(self.view(step)),
            Internal::BatchNormTraining { .. }
            | Internal::BatchNormGradient
            | Internal::FrozenBatchNormGradient { .. }
            | Internal::ConvWeightGradient(_) => {
                Err(self.unsupported(step, "this operator should have been lifted"))
            }
        }
    }

    /// A step whose output is its input. What the outside hands in is copied if the outside reads it back.
    fn view(&self, step: &Step) -> Bound {
        let (x, y) = (step.inputs[0], step.outputs[0]);
        let handed_in = !matches!(self.root(x), Home::Arena);
        if handed_in && self.is_output(y) {
            return Bound::new(move |cx| cx.write(y).copy_from_slice(cx.read(x)));
        }
        Bound::view()
    }

    /// Whether a step only gives its input another shape, or an order that is the same bytes.
    fn views(&self, step: &Step) -> bool {
        if step.kind != Kind::Convert {
            return is_view(&step.kind);
        }
        let pictures = self.pictures(step.inputs[0]);
        pictures.channels == 1 || pictures.pixels() == 1
    }

    /// Where the value lives that `slot` is a view of.
    fn root(&self, slot: Slot) -> &Home {
        let mut root = slot;
        while let Some(step) = self.plan.producer(root).map(|index| &self.plan.steps[index]) {
            if !self.views(step) {
                break;
            }
            root = step.inputs[0];
        }
        &self.plan.values[root].home
    }

    /// Whether a slot, or a view of it, is an output of the graph.
    fn is_output(&self, slot: Slot) -> bool {
        let mut views = vec![slot];
        while let Some(slot) = views.pop() {
            if self.plan.outputs.contains(&slot) {
                return true;
            }
            let readers = self.plan.steps.iter().filter(|step| step.inputs.first() == Some(&slot));
            views.extend(readers.filter(|step| self.views(step)).map(|step| step.outputs[0]));
        }
        false
    }

    /// The graph's type of a slot's elements.
    fn dtype(&self, slot: Slot) -> DataType {
        self.plan.graph.value(self.plan.values[slot].value).ty.dtype
    }

    /// The graph's shape of a slot.
    fn shape(&self, slot: Slot) -> &[usize] {
        &self.shapes[self.plan.values[slot].value.index()]
    }

    fn len(&self, slot: Slot) -> usize {
        self.shape(slot).iter().product()
    }

    /// A slot's shape in the order of `layout`, whatever its own.
    fn shape_in(&self, slot: Slot, layout: Layout) -> Vec<usize> {
        let shape = self.shape(slot);
        layout.order(shape.len()).into_iter().map(|axis| shape[axis]).collect()
    }

    /// The layout that a step's operands share: that of its first output.
    fn layout(&self, step: &Step) -> Layout {
        self.plan.values[step.outputs[0]].layout
    }

    fn pictures(&self, slot: Slot) -> Pictures {
        let shape = self.shape(slot);
        let at = |axis: usize| shape.get(axis).copied().unwrap_or(1);
        let size = if shape.len() == 3 { [1, at(2)] } else { [at(2), at(3)] };
        Pictures { batch: at(0), channels: at(1), size }
    }

    /// Whether the batch leads the value, so that calls may bring fewer rows of it.
    fn leads(&self, slot: Slot) -> bool {
        per_row(self.plan, self.shapes, self.batch, slot).is_some()
    }

    /// Whether anybody reads the slot.
    fn wanted(&self, slot: Slot) -> bool {
        matches!(self.plan.values[slot].home, Home::Gradient(_)) || self.plan.uses(slot) > 0
    }

    /// Whether a step packs weights of this length itself. Weights that change with every step gain nothing from being kept,
    /// and many of them take much memory; few are packed once for all pieces of a batch.
    fn packs_late(&self, len: usize) -> bool {
        self.packs_late && len > FEW_WEIGHTS
    }

    fn machine(&self) -> &Machine {
        self.workspace.machine()
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn unsupported(&self, step: &Step, reason: impl Display) -> EngineError {
        EngineError::Unsupported {
            node: step.name.clone(),
            op: step.kind.to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Whether a step only gives its input another shape.
fn is_view(kind: &Kind) -> bool {
    let Kind::Op(op) = kind else { return false };
    matches!(
        op,
        Op::Dropout(_)
            | Op::Identity
            | Op::Flatten(_)
            | Op::Reshape(_)
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Internal(Internal::ReshapeLike)
    )
}
