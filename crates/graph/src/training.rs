//! What turns a network into one that can be trained: operators that remember, and a loss.

use crate::{
    DataType, Dim, Graph, GraphError, Node, Op, Origin, Shape, Tensor, ValueId,
    differentiate::free_name,
    hash::fnv1a,
    op::{Internal, SoftmaxCrossEntropyLoss, Target},
};
use std::collections::BTreeMap;

/// A graph whose operators behave as in training, and what a step does to its statistics.
#[derive(Clone, Debug)]
pub struct TrainingForm {
    /// The network. Values keep their names.
    pub graph: Graph,
    /// Statistic parameters with the values that replace them after a step, in the order of the graph's values.
    pub updates: Vec<(ValueId, ValueId)>,
}

/// Rewrites operators that behave differently in training, or that have to remember something for their gradient:
/// `BatchNormalization` unless frozen, `MaxPool`, and `Dropout` (with ratio 0: `Identity`).
///
/// The random stream of a dropout is a hash of its node's name, so that it survives every change around the node.
/// Normalisations that share statistics update them one after the other, in the order of the nodes.
///
/// # Errors
/// [`GraphError::Node`] for a batch normalisation whose mean or variance is not a parameter.
pub fn training_form(graph: &Graph) -> Result<TrainingForm, GraphError> {
    let mut form = Rewriting { source: graph, graph: Graph::new(), ids: Vec::new(), latest: BTreeMap::new() };
    for value in graph.values() {
        match &value.origin {
            Origin::Input => {
                let id = form.graph.add_input(&value.name, value.ty.dtype, value.ty.shape.clone())?;
                form.ids.push(id);
            }
            Origin::Parameter(parameter) => {
                let id = form.graph.add_parameter(&value.name, value.ty.clone(), parameter.clone())?;
                form.ids.push(id);
            }
            Origin::Node { node, output: 0 } => form.rewrite(graph.node(*node))?,
            Origin::Node { .. } => {}
        }
    }
    let outputs: Vec<ValueId> = graph.outputs().iter().map(|id| form.ids[id.index()]).collect();
    form.graph.set_outputs(&outputs);
    form.graph.metadata.clone_from(&graph.metadata);
    Ok(TrainingForm { graph: form.graph, updates: form.latest.into_iter().collect() })
}

/// A copy of a graph in the making.
struct Rewriting<'a> {
    source: &'a Graph,
    graph: Graph,
    /// Values of the copy by [`ValueId::index`] of the source.
    ids: Vec<ValueId>,
    /// Statistics of the copy that have been updated, with their newest values.
    latest: BTreeMap<ValueId, ValueId>,
}

impl Rewriting<'_> {
    fn rewrite(&mut self, node: &Node) -> Result<(), GraphError> {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| self.ids[id.index()]).collect();
        let op = match &node.op {
            Op::BatchNormalization(norm) if !norm.frozen => {
                return self.batch_norm(
                    node,
                    Internal::BatchNormTraining { epsilon: norm.epsilon, momentum: norm.momentum },
                    inputs,
                );
            }
            Op::MaxPool(pool) => Op::Internal(Internal::MaxPoolTraining(pool.clone())),
            Op::Dropout(dropout) if dropout.ratio == 0.0 => Op::Identity,
            Op::Dropout(dropout) => {
                Op::Internal(Internal::DropoutTraining { ratio: dropout.ratio, stream: fnv1a(&node.name) })
            }
            other => other.clone(),
        };
        self.add(node, op, &inputs).map(drop)
    }

    fn batch_norm(&mut self, node: &Node, op: Internal, mut inputs: Vec<ValueId>) -> Result<(), GraphError> {
        let statistics = [inputs[3], inputs[4]];
        for (place, statistic) in (3..).zip(statistics) {
            if self.graph.value(statistic).parameter().is_none() {
                let name = &self.graph.value(statistic).name;
                let reason = format!("`{name}` has to be a parameter, because training replaces it");
                let (node, op) = (node.name.clone(), node.op.name().to_owned());
                return Err(GraphError::Node { node, op, reason });
            }
            inputs[place] = self.latest.get(&statistic).copied().unwrap_or(statistic);
        }
        let outputs = self.add(node, Op::Internal(op), &inputs)?;
        self.latest.extend([(statistics[0], outputs[3]), (statistics[1], outputs[4])]);
        Ok(())
    }

    /// Adds a node in the place of `node`; its first outputs take the names of the old ones.
    fn add(&mut self, node: &Node, op: Op, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        // A value that was renamed may bear this node's name.
        let name = free_name(&self.graph, &node.name);
        let outputs = self.graph.add_node(&name, op, inputs)?;
        for (&old, &new) in node.outputs.iter().zip(&outputs) {
            self.graph.rename(new, &self.source.value(old).name)?;
            self.ids.push(new);
        }
        Ok(outputs)
    }
}

/// The graph with `loss` measured on the scores `logits`: a new input `target` and the new outputs `loss` (behind those
/// there are). Values keep their ids.
///
/// Shape: logits `[N, C, d…]`, target i64 `[N, d…]` or, where targets are soft, f32 `[N, C, d…]`; one weight per class.
///
/// # Errors
/// [`GraphError::Unknown`] for `logits`, [`GraphError::DuplicateName`] if a name is taken, [`GraphError::Node`] if the
/// loss refuses the shapes.
pub fn with_loss(
    graph: &Graph,
    logits: &str,
    loss: SoftmaxCrossEntropyLoss,
    class_weights: Option<&[f32]>,
) -> Result<Graph, GraphError> {
    let mut graph = graph.clone();
    let scores = graph.expect(logits)?;
    let shape = graph.shape(scores).clone();
    let target = match loss.target {
        Target::Classes => graph.add_input("target", DataType::I64, without_classes(&shape))?,
        Target::Probabilities => graph.add_input("target", DataType::F32, shape)?,
    };
    let mut inputs = vec![scores, target];
    if let Some(weights) = class_weights
        && let Some(weights) = Tensor::f32(&[weights.len()], weights.to_vec())
    {
        inputs.extend(graph.add_node("class_weights", Op::Constant(weights), &[])?);
    }
    let outputs = graph.add_node("loss", Op::SoftmaxCrossEntropyLoss(loss), &inputs)?;
    let declared: Vec<ValueId> = graph.outputs().iter().copied().chain([outputs[0]]).collect();
    graph.set_outputs(&declared);
    Ok(graph)
}

fn without_classes(shape: &Shape) -> Shape {
    let others = shape.iter().enumerate().filter(|&(axis, _)| axis != 1);
    others.map(|(_, dim)| dim.clone()).collect::<Vec<Dim>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
