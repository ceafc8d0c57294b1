//! Changes to graphs. Every function returns a new graph that is as sound as the old one; values keep their
//! names.

mod batch;
mod channels;
mod classifier;
mod freeze;
mod head;
mod own;
mod rewrite;

pub use batch::free_batch;
pub use channels::{channels_first, join_transposes};
pub use classifier::classifier;
pub use freeze::{freeze, freeze_up_to, unfreeze};
pub use head::{LastLayer, last_layer, replace_head};
pub use own::own_parameters;
pub use rewrite::{Rewrite, map_nodes};

use crate::{Graph, GraphError, Node, ValueId};

/// The graph that puts out `value` alone, without the nodes, parameters and inputs that it does not need.
///
/// # Errors
/// [`GraphError::Unknown`] with the nearest name.
pub fn cut(graph: &Graph, value: &str) -> Result<Graph, GraphError> {
    extract(graph, &[graph.expect(value)?])
}

/// The graph that puts out `outputs`, without the nodes, parameters and inputs that they do not need.
///
/// # Errors
/// None for values of `graph`.
///
/// # Panics
/// If an output is not a value of `graph`.
pub fn extract(graph: &Graph, outputs: &[ValueId]) -> Result<Graph, GraphError> {
    let live = needed_for(graph, outputs);
    let mut rewrite = Rewrite::new(graph, Graph::new());
    rewrite.run(|id| live[id.index()], Rewrite::copy)?;
    rewrite.finish(outputs)
}

/// By [`ValueId::index`], whether a value is needed to compute `outputs`.
pub(crate) fn needed_for(graph: &Graph, outputs: &[ValueId]) -> Vec<bool> {
    let mut needed = vec![false; graph.values().len()];
    outputs.iter().for_each(|id| needed[id.index()] = true);
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|id| needed[id.index()]) {
            node.outputs.iter().chain(&node.inputs).for_each(|id| needed[id.index()] = true);
        }
    }
    needed
}

/// `second` behind `first`: the first output of `first` takes the place of the first input of `second`, whose
/// outputs are those of the whole. What `first` computes for its other outputs alone is dropped. Metadata of
/// both; of equal keys, `second`'s.
///
/// # Errors
/// [`GraphError::DuplicateName`] if both use a name (see [`rename`]); [`GraphError::Surgery`] if there is
/// nothing to join; [`GraphError::Node`] if a shape does not fit.
pub fn append(first: &Graph, second: &Graph) -> Result<Graph, GraphError> {
    let (Some(&from), Some(&to)) = (first.outputs().first(), second.inputs().first()) else {
        let reason = "to append a graph, the first has to have an output and the second an input";
        return Err(GraphError::Surgery(reason.to_owned()));
    };
    let (given, wanted) = (first.value(from), second.value(to));
    let fits = given.ty.dtype == wanted.ty.dtype && given.ty.shape.may_equal(&wanted.ty.shape);
    if !fits {
        return Err(GraphError::Surgery(format!(
            "`{}` ({}) does not fit the input `{}` ({})",
            given.name, given.ty, wanted.name, wanted.ty
        )));
    }
    let mut rewrite = Rewrite::new(second, first.clone());
    rewrite.replace(to, from);
    rewrite.run(|_| true, Rewrite::copy)?;
    let whole = rewrite.finish(second.outputs())?;
    extract(&whole, whole.outputs())
}

/// The graph in which `from` is called `to`: a value, or if `from` ends with a dot, all values and nodes
/// whose names begin so.
///
/// # Errors
/// [`GraphError::Unknown`] if nothing is called so; [`GraphError::DuplicateName`] if a new name is taken.
pub fn rename(graph: &Graph, from: &str, to: &str) -> Result<Graph, GraphError> {
    let new_name = |name: &str| match name.strip_prefix(from) {
        Some("") => Some(to.to_owned()),
        Some(rest) if from.ends_with('.') => Some(format!("{to}{rest}")),
        _ => None,
    };
    let mut renamed = map_nodes(graph, |rewrite, node| {
        let name = new_name(&node.name).unwrap_or_else(|| node.name.clone());
        rewrite.copy(&Node { name, ..node.clone() })
    })?;
    let chosen =
        graph.value_ids().zip(graph.values()).filter_map(|(id, value)| Some((id, new_name(&value.name)?)));
    let chosen: Vec<(ValueId, String)> = chosen.collect();
    if chosen.is_empty() {
        let names = graph.values().iter().map(|value| value.name.as_str());
        return Err(GraphError::unknown("value", from, names));
    }
    for (id, name) in chosen {
        renamed.rename(id, &name)?;
    }
    Ok(renamed)
}

#[cfg(test)]
mod tests;
