//! Two ways of computing the same network, for `model compare`.

mod arrays;
mod inputs;
mod npy;
mod report;

pub(crate) use inputs::Inputs;
pub(crate) use report::Report;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use svertka_engine::EngineError;
use svertka_engine::compare::{Case, Comparison, Difference, Engine, Run, counterpart};
use svertka_engine::reference::Array;
use svertka_graph::{Graph, Origin, Parameters, ValueId};

use super::environment::{check_parameters, workspace};
use super::failure::Failure;
use super::model::{MODEL_FILE, Model};
use arrays::Folder;

/// A network with its values and what to call it.
pub(crate) struct Network {
    name: String,
    graph: Graph,
    parameters: Parameters,
}

impl Network {
    pub(crate) fn open(text: &Path) -> Result<Self, Failure> {
        let model = Model::open(text)?;
        let (name, graph) = (model.name(), model.graph(None)?);
        check_parameters(&graph)?;
        let parameters = model.values(&graph)?;
        Ok(Self { name, graph, parameters })
    }

    fn run<'a>(&'a self, engine: Engine, inputs: &'a Inputs) -> Result<Run<'a>, Failure> {
        let case = Case { graph: &self.graph, parameters: &self.parameters, inputs: &inputs.arrays };
        let run = |workspace| -> Result<Run<'a>, EngineError> { Run::new(engine, case, workspace) };
        run(workspace(0)?).map_err(|error| Failure::from(error).at(&self.name))
    }
}

/// What a network is compared with.
pub(crate) enum Other {
    /// The same network, run by this engine.
    Engine(Engine),
    Network(Box<Network>),
    /// Values of another runtime.
    Folder {
        name: String,
        folder: Folder,
    },
}

impl Other {
    /// An engine's name, a folder of values, or whatever MODEL can be.
    pub(crate) fn open(text: &Path) -> Result<Self, Failure> {
        match text.to_str() {
            Some("cpu") => return Ok(Self::Engine(Engine::Cpu)),
            Some("reference") => return Ok(Self::Engine(Engine::Reference)),
            _ => {}
        }
        if text.is_dir() && !text.join(MODEL_FILE).is_file() {
            return Ok(Self::Folder { name: text.display().to_string(), folder: Folder::open(text)? });
        }
        Network::open(text).map(|network| Self::Network(Box::new(network))).map_err(|failure| match failure {
            Failure::Usage(message) => Failure::usage(format!(
                "{message}; B may also be cpu, reference or a folder of another runtime's values"
            )),
            other => other,
        })
    }
}

/// A comparison that can be made.
pub(crate) struct Pair {
    network: Network,
    other: Other,
    inputs: Inputs,
}

/// Where the expected values come from.
enum Expected<'a> {
    Run(Box<Run<'a>>),
    Folder(&'a Folder),
}

impl Expected<'_> {
    /// What is expected of a value of `graph`, if that is known.
    fn value(&self, graph: &Graph, id: ValueId) -> Result<Option<Cow<'_, Array>>, Failure> {
        match self {
            Self::Run(run) => Ok(counterpart(graph, id, run.graph()).and_then(|id| run.value(id))),
            Self::Folder(folder) => Ok(folder.get(&graph.value(id).name)?.map(Cow::Owned)),
        }
    }

    /// Names of computed values that `graph` lacks.
    fn beyond(&self, graph: &Graph) -> Vec<String> {
        match self {
            Self::Run(run) => {
                let matched = graph.value_ids().filter_map(|id| counterpart(graph, id, run.graph()));
                let matched: HashSet<ValueId> = matched.collect();
                let values = run.graph().value_ids().zip(run.graph().values());
                let computed = values.filter(|(_, value)| matches!(value.origin, Origin::Node { .. }));
                let lacking = computed.filter(|(id, _)| !matched.contains(id));
                lacking.map(|(_, value)| value.name.clone()).collect()
            }
            Self::Folder(folder) => {
                folder.names().filter(|name| graph.find(name).is_none()).map(str::to_owned).collect()
            }
        }
    }
}

impl Pair {
    /// Finds what both sides are run on: `on`; else what a folder of values holds; else drawn numbers.
    pub(crate) fn new(
        network: Network,
        other: Other,
        on: Option<&Path>,
        batch: Option<usize>,
    ) -> Result<Self, Failure> {
        let graph = &network.graph;
        let inputs = match (on, &other) {
            (Some(file), _) => Inputs::given(graph, file)?,
            (None, Other::Folder { name, folder }) => {
                let dumped = Inputs::dumped(graph, folder, name)?;
                if batch.is_some() && dumped.is_some() {
                    return Err(Failure::usage(format!("{name} holds the input: --batch changes nothing")));
                }
                dumped.ok_or_else(|| {
                    let what = "it holds no values of the input";
                    Failure::usage(format!(
                        "{name}: {what}; name what they were computed from with --on FILE"
                    ))
                })?
            }
            (None, _) => Inputs::drawn(graph, batch)?,
        };
        Ok(Self { network, other, inputs })
    }

    /// Runs both sides and compares all their values.
    pub(crate) fn compare(&self, tolerance: f64) -> Result<Report, Failure> {
        let (network, inputs) = (&self.network, &self.inputs);
        let engine = match self.other {
            Other::Engine(Engine::Cpu) => Engine::Reference,
            _ => Engine::Cpu,
        };
        let found = network.run(engine, inputs)?;
        let a = format!("{} on {engine}", network.name);
        match &self.other {
            Other::Engine(other) => {
                let expected = Expected::Run(Box::new(network.run(*other, inputs)?));
                self.report([a, format!("{} on {other}", network.name)], &found, &expected, tolerance)
            }
            Other::Network(other) => {
                let arrays = inputs.of(&network.graph, &other.graph);
                let inputs = Inputs { arrays, source: String::new() };
                let expected = Expected::Run(Box::new(other.run(engine, &inputs)?));
                self.report([a, format!("{} on {engine}", other.name)], &found, &expected, tolerance)
            }
            Other::Folder { name, folder } => {
                let b = format!("{name}, values of another runtime");
                self.report([a, b], &found, &Expected::Folder(folder), tolerance)
            }
        }
    }

    fn report(
        &self,
        sides: [String; 2],
        found: &Run<'_>,
        expected: &Expected<'_>,
        tolerance: f64,
    ) -> Result<Report, Failure> {
        let graph = &self.network.graph;
        let comparison = Comparison::new(graph, tolerance, |id| {
            let Some(found) = found.value(id) else { return Ok(None) };
            let expected = expected.value(graph, id)?;
            Ok::<_, Failure>(expected.map(|expected| Difference::between(&found, &expected)))
        })?;
        let report = Report::new(graph, &comparison, sides, &self.inputs.source);
        Ok(report.with_beyond(expected.beyond(graph)).with_fused(&fused(found, expected)?))
    }
}

/// The outputs of whichever side the cpu engine computes, as the fused program puts them out, beside the other side's values.
fn fused(found: &Run<'_>, expected: &Expected<'_>) -> Result<Vec<(String, Difference)>, Failure> {
    let graph = found.graph();
    let mut outputs = Vec::new();
    for (id, value) in found.fused() {
        if let Some(expected) = expected.value(graph, *id)? {
            outputs.push((graph.value(*id).name.clone(), Difference::between(value, &expected)));
        }
    }
    if let (Expected::Run(run), true) = (expected, found.fused().is_empty()) {
        for (id, expected) in run.fused() {
            if let Some(value) = counterpart(run.graph(), *id, graph).and_then(|id| found.value(id)) {
                outputs.push((run.graph().value(*id).name.clone(), Difference::between(&value, expected)));
            }
        }
    }
    Ok(outputs)
}
