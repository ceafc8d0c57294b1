//! Gradients as more graph.
//!
//! Nodes are visited from the outputs back; the rule of a node's operator appends nodes that turn the gradients of its
//! outputs into those of its inputs. A value that is used several times gets the sum, added up as the summands arise,
//! which is an order that depends on the graph alone.

mod backward;
mod elementwise;
mod loss;
mod moving;
mod norm;
mod product;
mod rules;
mod shaping;
mod window;

pub use backward::Backward;
pub use rules::{Rule, Rules};

use crate::{DataType, Graph, GraphError, Op, Tensor, ValueId};

/// A graph and, behind it, its gradients.
#[derive(Clone, Debug)]
pub struct Differentiated {
    /// The graph that was handed in, with its ids, inputs and outputs; then a node for every step of the gradient.
    pub graph: Graph,
    /// `graph.nodes()[..forward_nodes]` are those that were handed in.
    pub forward_nodes: usize,
    /// For every output its gradient, from which all others follow: a constant 1 for a scalar, otherwise a new input of
    /// the graph, named `gradient of NAME`.
    pub seeds: Vec<ValueId>,
    /// For every value of `wrt` the gradient, of its shape; `None` where no output depends on it.
    pub gradients: Vec<Option<ValueId>>,
}

/// Appends the gradients of `outputs` with respect to the values `wrt`, of first order.
///
/// A gradient is the sum over `outputs` of (seed · derivative). Nothing is computed that does not lead to a value of
/// `wrt`: no gradient of other parameters, nor of anything below the lowest of them. A node's parameters get theirs
/// before its first input does, so that what only they need can be freed. Gradients that have no other name are called
/// `gradient of NAME`.
///
/// # Errors
/// [`GraphError::NoGradient`] where an operator on the way has none (integer outputs, operators that are themselves
/// gradients); [`GraphError::DuplicateName`] if a name `gradient of …` is taken.
///
/// # Panics
/// If `outputs` or `wrt` are not values of `graph`.
pub fn differentiate(
    graph: &Graph,
    outputs: &[ValueId],
    wrt: &[ValueId],
    rules: &Rules,
) -> Result<Differentiated, GraphError> {
    let forward_nodes = graph.nodes().len();
    let mut sums = Sums { graph: graph.clone(), gradients: vec![None; graph.values().len()] };
    for &id in outputs.iter().chain(wrt) {
        check_real(graph, id)?;
    }
    let seeds = sums.seed(outputs)?;
    let depends = dependents(graph, wrt);
    for node in graph.nodes().iter().rev() {
        let output_gradients: Vec<Option<ValueId>> =
            node.outputs.iter().map(|id| sums.gradients[id.index()]).collect();
        let wanted: Vec<bool> = node.inputs.iter().map(|id| depends[id.index()]).collect();
        if output_gradients.iter().all(Option::is_none) || !wanted.contains(&true) {
            continue;
        }
        let mut backward = Backward::new(&mut sums.graph, node, output_gradients, wanted);
        rules.get(node)?(&mut backward)?;
        for (&input, gradient) in node.inputs.iter().zip(backward.into_gradients()) {
            if let Some(gradient) = gradient {
                sums.add(input, gradient)?;
            }
        }
    }
    let gradients = wrt.iter().map(|&id| sums.finish(id)).collect::<Result<_, _>>()?;
    Ok(Differentiated { graph: sums.graph, forward_nodes, seeds, gradients })
}

fn check_real(graph: &Graph, id: ValueId) -> Result<(), GraphError> {
    let value = graph.value(id);
    if value.ty.dtype == DataType::F32 {
        return Ok(());
    }
    let node = graph.producer(id).map_or(value.name.clone(), |node| node.name.clone());
    let op = graph.producer(id).map_or("input", |node| node.op.name()).to_owned();
    Err(GraphError::NoGradient { node, op, reason: format!("`{}` is {}", value.name, value.ty.dtype) })
}

/// For every value whether it is a real number that depends on one of `wrt`.
fn dependents(graph: &Graph, wrt: &[ValueId]) -> Vec<bool> {
    let mut depends = vec![false; graph.values().len()];
    wrt.iter().for_each(|id| depends[id.index()] = true);
    for node in graph.nodes() {
        let mut read = node.inputs.iter().enumerate().filter(|&(place, _)| !node.op.reads_shape_only(place));
        if read.any(|(_, id)| depends[id.index()]) {
            for id in &node.outputs {
                depends[id.index()] |= graph.value(*id).ty.dtype == DataType::F32;
            }
        }
    }
    depends
}

/// The gradients known so far, by [`ValueId::index`] of the forward graph, and the graph that computes them.
struct Sums {
    graph: Graph,
    gradients: Vec<Option<ValueId>>,
}

impl Sums {
    fn seed(&mut self, outputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        let mut seeds = Vec::with_capacity(outputs.len());
        for &output in outputs {
            let (name, shape) = (gradient_name(&self.graph, output), self.graph.shape(output).clone());
            let seed = if shape.rank() == 0 {
                self.graph.add_node(&name, Op::Constant(Tensor::scalar(1.0)), &[])?[0]
            } else {
                self.graph.add_input(&name, DataType::F32, shape)?
            };
            self.add(output, seed)?;
            seeds.push(seed);
        }
        Ok(seeds)
    }

    fn add(&mut self, id: ValueId, gradient: ValueId) -> Result<(), GraphError> {
        let sum = match self.gradients[id.index()] {
            None => gradient,
            Some(sum) => {
                let name =
                    free_name(&self.graph, &format!("sum of gradients of {}", self.graph.value(id).name));
                self.graph.add_node(&name, Op::Binary(crate::op::Binary::Add), &[sum, gradient])?[0]
            }
        };
        self.gradients[id.index()] = Some(sum);
        Ok(())
    }

    /// The gradient of `id`, named after it if it has no such name yet.
    fn finish(&mut self, id: ValueId) -> Result<Option<ValueId>, GraphError> {
        let Some(gradient) = self.gradients[id.index()] else { return Ok(None) };
        let name = gradient_name(&self.graph, id);
        let own = &self.graph.value(gradient).name;
        if !own.starts_with("gradient of ") && self.graph.find(&name).is_none() {
            self.graph.rename(gradient, &name)?;
        }
        Ok(Some(gradient))
    }
}

fn gradient_name(graph: &Graph, id: ValueId) -> String {
    format!("gradient of {}", graph.value(id).name)
}

/// `name`, or the first of `name 2`, `name 3`, … that nothing has yet.
pub(crate) fn free_name(graph: &Graph, name: &str) -> String {
    let mut candidates = std::iter::once(name.to_owned()).chain((2..).map(|count| format!("{name} {count}")));
    candidates.find(|candidate| graph.find(candidate).is_none()).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests;
