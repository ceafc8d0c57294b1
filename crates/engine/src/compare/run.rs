use crate::{
    EngineError, RunKey, State,
    cpu::{Input, Program, Purpose, Workspace, lower},
    reference::{Array, Values, evaluate, sizes},
};
use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};
use svertka_graph::{DataType, Graph, Origin, Parameters, ValueId};

/// A way to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// [`crate::cpu`].
    Cpu,
    /// [`mod@crate::reference`].
    Reference,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Cpu => "cpu",
            Engine::Reference => "reference",
        })
    }
}

/// A network with what it is run on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Its structure.
    pub graph: &'a Graph,
    /// Its values.
    pub parameters: &'a Parameters,
    /// An array for each input, by name.
    pub inputs: &'a BTreeMap<String, Array>,
}

/// Every value of a network that an engine makes visible, after inference.
#[derive(Debug)]
pub struct Run<'a> {
    case: Case<'a>,
    values: Held,
    fused: Vec<(ValueId, Array)>,
}

#[derive(Debug)]
enum Held {
    Reference(Values),
    Cpu(Box<PutOut>),
}

/// What a program has put out.
#[derive(Debug)]
struct PutOut {
    program: Program,
    workspace: Workspace,
    /// Extents of every value, by [`ValueId::index`].
    shapes: Vec<Vec<usize>>,
}

impl<'a> Run<'a> {
    /// Runs the network; the workspace is the cpu engine's.
    ///
    /// The cpu engine keeps values of nodes by putting all of them out. That switches off fusions around
    /// them, so the network is also run as it is, for [`fused`](Self::fused).
    ///
    /// # Errors
    /// Those of [`evaluate`], of [`lower`] and of [`Plan::bind`](crate::cpu::Plan::bind).
    pub fn new(engine: Engine, case: Case<'a>, workspace: Workspace) -> Result<Self, EngineError> {
        match engine {
            Engine::Reference => {
                let values = evaluate(case.graph, case.parameters, case.inputs, RunKey::default())?;
                Ok(Self { case, values: Held::Reference(values), fused: Vec::new() })
            }
            Engine::Cpu => Self::on_cpu(case, workspace),
        }
    }

    fn on_cpu(case: Case<'a>, workspace: Workspace) -> Result<Self, EngineError> {
        let visible = |&id: &ValueId| can_be_put_out(case.graph, id);
        let outputs: Vec<ValueId> = case.graph.outputs().iter().copied().filter(visible).collect();
        let (mut fused, mut workspace) = (Vec::with_capacity(outputs.len()), workspace);
        if !outputs.is_empty() {
            let run = PutOut::new(case, &outputs, workspace)?;
            fused.extend(outputs.iter().filter_map(|&id| Some((id, run.read(case.graph, id)?))));
            workspace = run.workspace;
        }
        let others = case.graph.value_ids().filter(|id| visible(id) && !outputs.contains(id));
        let all: Vec<ValueId> = outputs.iter().copied().chain(others).collect();
        let run = PutOut::new(case, &all, workspace)?;
        Ok(Self { case, values: Held::Cpu(Box::new(run)), fused })
    }

    /// The network's structure.
    pub fn graph(&self) -> &'a Graph {
        self.case.graph
    }

    /// An input, a parameter or what a node puts out; `None` for what the engine does not make visible.
    ///
    /// # Panics
    /// If the id belongs to another, larger graph.
    pub fn value(&self, id: ValueId) -> Option<Cow<'_, Array>> {
        let value = self.case.graph.value(id);
        match (&value.origin, &self.values) {
            (_, Held::Reference(values)) => Some(Cow::Borrowed(values.of(id))),
            (Origin::Input, _) => self.case.inputs.get(&value.name).map(Cow::Borrowed),
            (Origin::Parameter(_), _) => {
                self.case.parameters.get(&value.name).map(|tensor| Cow::Owned(tensor.into()))
            }
            (Origin::Node { .. }, Held::Cpu(run)) => run.read(self.case.graph, id).map(Cow::Owned),
        }
    }

    /// The network's outputs as they are computed when nothing but them is put out: real numbers of the cpu engine only.
    pub fn fused(&self) -> &[(ValueId, Array)] {
        &self.fused
    }
}

/// Whether the cpu engine can put a value out: what a node computes.
fn can_be_put_out(graph: &Graph, id: ValueId) -> bool {
    matches!(graph.value(id).origin, Origin::Node { .. })
}

impl PutOut {
    /// Runs the graph with these outputs.
    fn new(case: Case<'_>, outputs: &[ValueId], mut workspace: Workspace) -> Result<Self, EngineError> {
        let sizes = sizes(case.graph, case.inputs)?;
        let shapes = case.graph.concrete_shapes(&sizes)?;
        let mut graph = case.graph.clone();
        graph.set_outputs(outputs);
        let state = State::new(&graph, case.parameters)?;
        let program = Arc::new(lower(&graph, &Purpose::Inference)?).bind(&sizes, &state, &mut workspace)?;
        let given = program.inputs().filter_map(|name| case.inputs.get(name));
        let narrow: Vec<Narrow> = given.map(Narrow::of).collect();
        let inputs: Vec<Input<'_>> = narrow.iter().map(Narrow::input).collect();
        program.infer(&mut workspace, &state, &inputs)?;
        Ok(Self { program, workspace, shapes })
    }

    /// An output; `None` for one that is not computed, but a view of an input or of a parameter.
    fn read(&self, graph: &Graph, id: ValueId) -> Option<Array> {
        let (value, shape) = (graph.value(id), &self.shapes[id.index()]);
        let values = self.program.output(&self.workspace, &value.name).ok()?;
        match value.ty.dtype {
            DataType::F32 => Array::real(shape, values.iter().copied().map(f64::from).collect()),
            DataType::I64 | DataType::Bool => {
                Array::integers(shape, values.iter().map(|&x| x as i64).collect())
            }
        }
    }
}

/// An array as programs take it.
enum Narrow {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

impl Narrow {
    fn of(array: &Array) -> Self {
        match array.as_f64() {
            Some(values) => Narrow::F32(values.iter().map(|&value| value as f32).collect()),
            None => Narrow::I64(array.as_i64().unwrap_or_default().to_vec()),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Narrow::F32(values) => Input::F32(values),
            Narrow::I64(values) => Input::I64(values),
        }
    }
}
