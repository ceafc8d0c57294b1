//! What a graph has and ONNX has not, as lines of text in `metadata_props`.

use super::{
    error::{Refusal, invalid},
    order::{Parts, Step},
    proto::StringStringEntryProto,
};
use crate::{Graph, Initialiser, Op, Origin, Parameter, Role, Value};
use std::collections::{HashMap, HashSet};

const ROLES: &str = "svertka.roles";
const INITIALISERS: &str = "svertka.initialisers";
const FROZEN_NODES: &str = "svertka.frozen_nodes";
const ORDER: &str = "svertka.order";
const KEYS: [&str; 4] = [ROLES, INITIALISERS, FROZEN_NODES, ORDER];

/// The entries of a graph: its own metadata, then what is noted of its structure.
pub(super) fn write(graph: &Graph) -> Result<Vec<StringStringEntryProto>, Refusal> {
    check_keys(graph)?;
    let parameters = || graph.parameters().map(|(_, value, parameter)| (value.name.as_str(), parameter));
    let frozen =
        graph.nodes().iter().filter(|node| matches!(&node.op, Op::BatchNormalization(norm) if norm.frozen));
    let notes = [
        (ROLES, lines(parameters().map(|(name, parameter)| format!("{}\t{name}", role_text(parameter))))),
        (
            INITIALISERS,
            lines(parameters().map(|(name, p)| format!("{}\t{name}", initialiser_text(p.initialiser)))),
        ),
        (FROZEN_NODES, lines(frozen.map(|node| node.name.clone()))),
        (ORDER, order(graph)),
    ];
    // Constants of a file that says nothing may be made parameters, or be computed with.
    let constants = graph.nodes().iter().any(|node| matches!(node.op, Op::Constant(_)));
    let told = |(key, text): &(&str, String)| !text.is_empty() || constants && *key == ROLES;
    let own = graph.metadata.iter().cloned();
    let notes = notes.into_iter().filter(told).map(|(key, text)| (key.to_owned(), text));
    Ok(own.chain(notes).map(|(key, value)| StringStringEntryProto { key, value }).collect())
}

fn check_keys(graph: &Graph) -> Result<(), Refusal> {
    let mut seen: HashSet<&str> = KEYS.into();
    match graph.metadata.iter().find(|(key, _)| !seen.insert(key)) {
        Some((key, _)) => {
            invalid(format!("the metadata key `{key}` is given twice or is one of this format's own"))
        }
        None => Ok(()),
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// The order of inputs and parameters, where it is not the natural one.
fn order(graph: &Graph) -> String {
    let name = |id| graph.value(id).name.as_str();
    let parts = Parts {
        inputs: graph.inputs().iter().map(|&id| name(id)).collect(),
        parameters: graph.parameters().map(|(_, value, _)| value.name.as_str()).collect(),
        operands: graph.nodes().iter().map(|node| node.inputs.iter().map(|&id| name(id)).collect()).collect(),
    };
    let steps = steps(graph);
    if steps == parts.natural() {
        return String::new();
    }
    let mut before = 0;
    lines(steps.into_iter().filter_map(|step| {
        let name = match step {
            Step::Input(index) => parts.inputs[index],
            Step::Parameter(index) => parts.parameters[index],
            Step::Node(_) => {
                before += 1;
                return None;
            }
        };
        Some(format!("{before}\t{name}"))
    }))
}

/// The order in which values stand in the graph.
fn steps(graph: &Graph) -> Vec<Step> {
    let (mut inputs, mut parameters) = (0..graph.inputs().len(), 0..);
    let step = |value: &Value| match value.origin {
        Origin::Input => inputs.next().map(Step::Input),
        Origin::Parameter(_) => parameters.next().map(Step::Parameter),
        Origin::Node { node, output } => (output == 0).then_some(Step::Node(node.index())),
    };
    graph.values().iter().filter_map(step).collect()
}

/// What a file notes about its graph.
#[derive(Default)]
pub(super) struct Notes {
    /// `None` where the file does not speak of roles.
    roles: Option<HashMap<String, (Role, bool)>>,
    initialisers: HashMap<String, Initialiser>,
    pub(super) frozen_nodes: HashSet<String>,
    pub(super) order: Option<Vec<(String, usize)>>,
}

impl Notes {
    /// Whether the file does not say what its parameters are for.
    pub(super) fn is_silent(&self) -> bool {
        self.roles.is_none()
    }

    /// The parameter `name` as it is noted; what is not noted is as in `derived`.
    pub(super) fn parameter(&self, name: &str, derived: &Parameter) -> Parameter {
        let noted = self.roles.as_ref().and_then(|roles| roles.get(name));
        let (role, frozen) = noted.copied().unwrap_or((derived.role, derived.frozen));
        let initialiser = self.initialisers.get(name).copied().unwrap_or(derived.initialiser);
        Parameter { role, initialiser, frozen }
    }
}

/// Parts a file's entries into notes and the graph's own metadata.
pub(super) fn read(entries: Vec<StringStringEntryProto>) -> Result<(Notes, Vec<(String, String)>), Refusal> {
    let (mut notes, mut metadata, mut seen) = (Notes::default(), Vec::new(), HashSet::new());
    for StringStringEntryProto { key, value } in entries {
        if !seen.insert(key.clone()) {
            return invalid(format!("the metadata key `{key}` is given twice"));
        }
        match key.as_str() {
            ROLES if value.is_empty() => notes.roles = Some(HashMap::new()),
            ROLES => notes.roles = Some(table(&key, &value, role)?),
            INITIALISERS => notes.initialisers = table(&key, &value, initialiser)?,
            FROZEN_NODES => notes.frozen_nodes = value.split('\n').map(ToOwned::to_owned).collect(),
            ORDER => notes.order = Some(table(&key, &value, |text| text.parse().ok())?),
            _ => metadata.push((key, value)),
        }
    }
    Ok((notes, metadata))
}

/// Lines of a field and a name, as pairs of name and field.
fn table<T, C: FromIterator<(String, T)>>(
    key: &str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<C, Refusal> {
    let entry = |line: &str| {
        let entry = line.split_once('\t').and_then(|(field, name)| Some((name.to_owned(), parse(field)?)));
        entry.ok_or_else(|| {
            Refusal::Invalid(format!("metadata `{key}` has the line {line:?}, which says nothing"))
        })
    };
    text.split('\n').map(entry).collect()
}

fn role_text(parameter: &Parameter) -> String {
    let role = match parameter.role {
        Role::Weight => "weight",
        Role::Statistic => "statistic",
        Role::Constant => "constant",
    };
    if parameter.frozen { format!("{role} frozen") } else { role.to_owned() }
}

fn role(text: &str) -> Option<(Role, bool)> {
    let (role, frozen) = match text.split_once(' ') {
        None => (text, false),
        Some((role, "frozen")) => (role, true),
        Some(_) => return None,
    };
    let role = match role {
        "weight" => Role::Weight,
        "statistic" => Role::Statistic,
        "constant" => Role::Constant,
        _ => return None,
    };
    Some((role, frozen))
}

fn initialiser_text(initialiser: Initialiser) -> String {
    match initialiser {
        Initialiser::Constant(value) => format!("constant {value}"),
        Initialiser::Uniform { bound } => format!("uniform {bound}"),
        Initialiser::Normal { std } => format!("normal {std}"),
        Initialiser::KaimingUniform { slope } => format!("kaiming_uniform {slope}"),
        Initialiser::KaimingNormalFanOut => "kaiming_normal_fan_out".into(),
        Initialiser::XavierUniform => "xavier_uniform".into(),
        Initialiser::XavierNormal => "xavier_normal".into(),
        Initialiser::Dirac => "dirac".into(),
    }
}

fn initialiser(text: &str) -> Option<Initialiser> {
    let (kind, number) = match text.split_once(' ') {
        Some((kind, number)) => (kind, Some(number.parse().ok()?)),
        None => (text, None),
    };
    Some(match (kind, number) {
        ("constant", Some(value)) => Initialiser::Constant(value),
        ("uniform", Some(bound)) => Initialiser::Uniform { bound },
        ("normal", Some(std)) => Initialiser::Normal { std },
        ("kaiming_uniform", Some(slope)) => Initialiser::KaimingUniform { slope },
        ("kaiming_normal_fan_out", None) => Initialiser::KaimingNormalFanOut,
        ("xavier_uniform", None) => Initialiser::XavierUniform,
        ("xavier_normal", None) => Initialiser::XavierNormal,
        ("dirac", None) => Initialiser::Dirac,
        _ => return None,
    })
}
