use super::{map_nodes, needed_for};
use crate::{Graph, GraphError, Node, Op, ValueId};

/// The graph with every parameter frozen whose name fits `pattern`, in which `*` stands for anything:
/// `layer1.*`.
///
/// A frozen weight gets no gradient. A batch normalisation whose statistics are frozen normalises by them
/// also in training and leaves them as they are.
///
/// # Errors
/// [`GraphError::Unknown`] if no parameter fits.
pub fn freeze(graph: &Graph, pattern: &str) -> Result<Graph, GraphError> {
    set_frozen(graph, &fitting(graph, pattern)?, true)
}

/// Undoes [`freeze`] for parameters whose names fit `pattern`.
///
/// # Errors
/// [`GraphError::Unknown`] if no parameter fits.
pub fn unfreeze(graph: &Graph, pattern: &str) -> Result<Graph, GraphError> {
    set_frozen(graph, &fitting(graph, pattern)?, false)
}

/// The graph with everything frozen that `value` is computed from: the lower layers of a network that is
/// fine-tuned.
///
/// # Errors
/// [`GraphError::Unknown`] with the nearest name.
pub fn freeze_up_to(graph: &Graph, value: &str) -> Result<Graph, GraphError> {
    set_frozen(graph, &needed_for(graph, &[graph.expect(value)?]), true)
}

/// By [`ValueId::index`], which parameters' names fit.
fn fitting(graph: &Graph, pattern: &str) -> Result<Vec<bool>, GraphError> {
    let fits =
        graph.values().iter().map(|value| value.parameter().is_some() && matches(pattern, &value.name));
    let chosen: Vec<bool> = fits.collect();
    if !chosen.contains(&true) {
        let names = graph.parameters().map(|(_, value, _)| value.name.as_str());
        return Err(GraphError::unknown("parameter", pattern, names));
    }
    Ok(chosen)
}

fn set_frozen(graph: &Graph, chosen: &[bool], frozen: bool) -> Result<Graph, GraphError> {
    let mut changed = map_nodes(graph, |rewrite, node| match node.op {
        Op::BatchNormalization(mut norm) if node.inputs[3..].iter().any(|id| chosen[id.index()]) => {
            norm.frozen = frozen;
            rewrite.copy(&Node { op: Op::BatchNormalization(norm), ..node.clone() })
        }
        _ => rewrite.copy(node),
    })?;
    let ids: Vec<ValueId> = changed.value_ids().filter(|id| chosen[id.index()]).collect();
    for id in ids {
        if let Some(parameter) = changed.parameter_mut(id) {
            parameter.frozen = frozen;
        }
    }
    Ok(changed)
}

/// Whether `name` is `pattern` with something (or nothing) in the place of every `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(head) else { return false };
    (0..=name.len()).filter(|&at| name.is_char_boundary(at)).any(|at| matches(rest, &name[at..]))
}
