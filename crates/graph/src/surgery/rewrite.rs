use crate::{Graph, GraphError, Node, Origin, ValueId};

/// A copy of a graph in the making.
#[derive(Debug)]
pub struct Rewrite<'g> {
    source: &'g Graph,
    /// The copy so far.
    pub graph: Graph,
    images: Vec<Option<ValueId>>,
}

/// The graph in which `rewrite` has put something in the place of every node, in order: [`Rewrite::copy`]
/// leaves a node as it is. Inputs, parameters, outputs and metadata are copied. Values keep their ids where
/// every node is copied.
///
/// # Errors
/// Whatever `rewrite` returns; [`GraphError::Surgery`] if it left out a value that something needs.
///
/// ```
/// use svertka_graph::{Builder, Node, Op, op::Activation, surgery::map_nodes};
///
/// let network = Builder::new();
/// network.image(3, [8, 8]).conv(4, 3).relu().output("maps");
/// let smooth = map_nodes(&network.finish()?, |rewrite, node| match node.op {
///     Op::Activation(_) => {
///         rewrite.copy(&Node { op: Op::Activation(Activation::HardSwish), ..node.clone() })
///     }
///     _ => rewrite.copy(node),
/// })?;
/// assert_eq!(smooth.nodes()[1].op.name(), "HardSwish");
/// # Ok::<(), svertka_graph::GraphError>(())
/// ```
pub fn map_nodes<'g>(
    graph: &'g Graph,
    rewrite: impl FnMut(&mut Rewrite<'g>, &Node) -> Result<(), GraphError>,
) -> Result<Graph, GraphError> {
    let mut copy = Rewrite::new(graph, Graph::new());
    copy.run(|_| true, rewrite)?;
    copy.finish(graph.outputs())
}

impl<'g> Rewrite<'g> {
    /// Nothing of `source` has been added to `graph` yet.
    pub(crate) fn new(source: &'g Graph, graph: Graph) -> Self {
        Self { source, graph, images: vec![None; source.values().len()] }
    }

    /// What stands for a value of the source.
    ///
    /// # Errors
    /// [`GraphError::Surgery`] if nothing does.
    pub fn image(&self, id: ValueId) -> Result<ValueId, GraphError> {
        let missing =
            || GraphError::Surgery(format!("`{}` was left out but is needed", self.source.value(id).name));
        self.images[id.index()].ok_or_else(missing)
    }

    /// Lets a value of the copy stand for one of the source.
    pub fn replace(&mut self, id: ValueId, image: ValueId) {
        self.images[id.index()] = Some(image);
    }

    /// Adds a node whose inputs and outputs are values of the source: what stands for its inputs, and outputs
    /// that keep their names and stand for themselves.
    ///
    /// # Errors
    /// [`GraphError::Surgery`] if nothing stands for an input; as [`Graph::add_node`].
    pub fn copy(&mut self, node: &Node) -> Result<(), GraphError> {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|&id| self.image(id)).collect::<Result<_, _>>()?;
        let names: Vec<&str> = node.outputs.iter().map(|&id| self.source.value(id).name.as_str()).collect();
        let outputs = self.graph.add_node_with_outputs(&node.name, node.op.clone(), &inputs, &names)?;
        node.outputs.iter().zip(outputs).for_each(|(&old, new)| self.replace(old, new));
        Ok(())
    }

    /// Copies inputs and parameters and rewrites nodes, in the order of the source's values, as far as `keep`
    /// says.
    pub(crate) fn run(
        &mut self,
        keep: impl Fn(ValueId) -> bool,
        mut rewrite: impl FnMut(&mut Self, &Node) -> Result<(), GraphError>,
    ) -> Result<(), GraphError> {
        let source = self.source;
        for id in source.value_ids().filter(|&id| keep(id)) {
            let value = source.value(id);
            let (name, ty) = (&value.name, &value.ty);
            match &value.origin {
                _ if self.images[id.index()].is_some() => {}
                Origin::Input => {
                    let image = self.graph.add_input(name, ty.dtype, ty.shape.clone())?;
                    self.replace(id, image);
                }
                Origin::Parameter(parameter) => {
                    let image = self.graph.add_parameter(name, ty.clone(), parameter.clone())?;
                    self.replace(id, image);
                }
                Origin::Node { node, output: 0 } => rewrite(self, source.node(*node))?,
                Origin::Node { .. } => {}
            }
        }
        Ok(())
    }

    /// The copy, putting out what stands for `outputs`, with the source's metadata.
    pub(crate) fn finish(mut self, outputs: &[ValueId]) -> Result<Graph, GraphError> {
        let outputs: Vec<ValueId> = outputs.iter().map(|&id| self.image(id)).collect::<Result<_, _>>()?;
        self.graph.set_outputs(&outputs);
        let metadata = &mut self.graph.metadata;
        metadata.retain(|(key, _)| self.source.metadata.iter().all(|(other, _)| other != key));
        metadata.extend(self.source.metadata.iter().cloned());
        Ok(self.graph)
    }
}
