//! Where two ways of computing the same network part: every value of a graph beside the one that is expected.
//!
//! What is expected comes from another engine, from another graph that computes the same, or from elsewhere. Of everything
//! that diverges, the first node in the graph's order is the one to look at: all that it reads agrees, or could not be
//! compared.

mod difference;
mod run;

pub use difference::{Difference, Worst};
pub use run::{Case, Engine, Run};

use crate::{EngineError, reference};
use std::collections::BTreeMap;
use svertka_graph::{Graph, Node, ValueId};

/// Checks that there is an array for each input of the graph, that all of them fit, and each other.
///
/// # Errors
/// [`EngineError::Input`].
pub fn check_inputs(graph: &Graph, inputs: &BTreeMap<String, reference::Array>) -> Result<(), EngineError> {
    reference::sizes(graph, inputs).map(|_| ())
}

/// How far the values of a graph lie from those that are expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The share of a value's largest magnitude beyond which it diverges.
    pub tolerance: f64,
    differences: Vec<Option<Difference>>,
}

impl Comparison {
    /// Compares all values of `graph`; `difference` is asked for each of them, and says `None` where one side lacks it.
    ///
    /// # Errors
    /// Those of `difference`.
    pub fn new<E>(
        graph: &Graph,
        tolerance: f64,
        mut difference: impl FnMut(ValueId) -> Result<Option<Difference>, E>,
    ) -> Result<Self, E> {
        let differences = graph.value_ids().map(&mut difference).collect::<Result<_, E>>()?;
        Ok(Self { tolerance, differences })
    }

    /// How far a value lies from what is expected, if both are there.
    ///
    /// # Panics
    /// If the id belongs to another, larger graph.
    pub fn of(&self, id: ValueId) -> Option<&Difference> {
        self.differences[id.index()].as_ref()
    }

    /// The output of a node that is farthest from what is expected, if one could be compared.
    pub fn worst_output(&self, node: &Node) -> Option<(ValueId, &Difference)> {
        let outputs = node.outputs.iter().filter_map(|&id| Some((id, self.of(id)?)));
        outputs.reduce(|worst, next| if self.rank(next.1) > self.rank(worst.1) { next } else { worst })
    }

    /// Nodes of which an output could be compared, in the graph's order, with the output that is farthest off.
    pub fn nodes<'a>(
        &'a self,
        graph: &'a Graph,
    ) -> impl Iterator<Item = (&'a Node, ValueId, &'a Difference)> {
        graph.nodes().iter().filter_map(|node| self.worst_output(node).map(|(id, worst)| (node, id, worst)))
    }

    /// Those of which an output diverges, in the graph's order.
    pub fn diverging<'a>(
        &'a self,
        graph: &'a Graph,
    ) -> impl Iterator<Item = (&'a Node, ValueId, &'a Difference)> {
        self.nodes(graph).filter(|(_, _, difference)| difference.diverges(self.tolerance))
    }

    /// What diverges ranks above what does not, then the larger share.
    fn rank(&self, difference: &Difference) -> (bool, f64) {
        (difference.diverges(self.tolerance), difference.relative())
    }
}

/// The value of `other` that stands for a value of `graph`: the one of the same name; of an output without one, the output
/// at the same place, unless that has a namesake of its own.
pub fn counterpart(graph: &Graph, id: ValueId, other: &Graph) -> Option<ValueId> {
    other.find(&graph.value(id).name).or_else(|| {
        let place = graph.outputs().iter().position(|&output| output == id)?;
        let candidate = *other.outputs().get(place)?;
        graph.find(&other.value(candidate).name).is_none().then_some(candidate)
    })
}

#[cfg(test)]
mod tests;
