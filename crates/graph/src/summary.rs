use crate::{DataType, Graph, GraphError, Node, Op, Role, Shape, Sizes, TensorType, ValueId, op::Internal};

/// What one layer, a node with its parameters, costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSummary {
    /// The node's name.
    pub name: String,
    /// The operator's ONNX name.
    pub op: &'static str,
    /// The shape of the first output.
    pub output: Shape,
    /// Learnt numbers. Parameters that several layers share count for the first.
    pub parameters: u64,
    /// Gathered numbers, such as running means.
    pub statistics: u64,
    /// Products of convolutions and of matrices; other arithmetic counts for nothing, as torchvision and most
    /// papers count. `None` while a size is a symbol.
    pub multiply_adds: Option<u64>,
    /// Bytes of all outputs; `None` while a size is a symbol.
    pub bytes: Option<u64>,
}

/// What a network costs, layer by layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// In the order of the nodes, without constants.
    pub layers: Vec<LayerSummary>,
    /// Learnt numbers.
    pub parameters: u64,
    /// Gathered numbers.
    pub statistics: u64,
    /// Products of convolutions and of matrices.
    pub multiply_adds: Option<u64>,
    /// Bytes of every layer's outputs: an upper bound of what a run keeps.
    pub bytes: Option<u64>,
}

impl Graph {
    /// The summary as far as sizes are known; counts that depend on a symbol are `None`.
    pub fn summary(&self) -> Summary {
        let types: Vec<TensorType> = self.values().iter().map(|value| value.ty.clone()).collect();
        Summary::new(self, &types)
    }

    /// The summary once `sizes` gives the symbols their numbers. Published counts are those of a batch of 1.
    ///
    /// ```
    /// use svertka_graph::{Builder, Sizes};
    ///
    /// let network = Builder::new();
    /// network.image(3, [8, 8]).conv(4, 3).output("maps");
    /// let summary = network.finish()?.summary_at(&Sizes::batch(1))?;
    /// assert_eq!(summary.parameters, 4 * 3 * 3 * 3 + 4);
    /// assert_eq!(summary.multiply_adds, Some(4 * 6 * 6 * 3 * 3 * 3));
    /// # Ok::<(), svertka_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Graph::concrete_shapes`].
    pub fn summary_at(&self, sizes: &Sizes) -> Result<Summary, GraphError> {
        let shapes = self.concrete_shapes(sizes)?;
        let types = self.values().iter().zip(&shapes);
        let types =
            types.map(|(value, shape)| TensorType { dtype: value.ty.dtype, shape: Shape::fixed(shape) });
        Ok(Summary::new(self, &types.collect::<Vec<_>>()))
    }
}

impl Summary {
    fn new(graph: &Graph, types: &[TensorType]) -> Self {
        let mut counted = vec![false; types.len()];
        let nodes = graph.nodes().iter().filter(|node| !matches!(node.op, Op::Constant(_)));
        let layers: Vec<LayerSummary> = nodes.map(|node| layer(graph, node, types, &mut counted)).collect();
        let all = || graph.parameters().map(|(id, ..)| id);
        Self {
            parameters: count(graph, all(), Role::Weight),
            statistics: count(graph, all(), Role::Statistic),
            multiply_adds: sum(layers.iter().map(|layer| layer.multiply_adds)),
            bytes: sum(layers.iter().map(|layer| layer.bytes)),
            layers,
        }
    }
}

fn layer(graph: &Graph, node: &Node, types: &[TensorType], counted: &mut [bool]) -> LayerSummary {
    let fresh: Vec<ValueId> =
        node.inputs.iter().copied().filter(|id| !std::mem::replace(&mut counted[id.index()], true)).collect();
    let ty = |id: &ValueId| &types[id.index()];
    let inputs: Vec<&Shape> = node.inputs.iter().map(|id| &ty(id).shape).collect();
    let output = &ty(&node.outputs[0]).shape;
    LayerSummary {
        name: node.name.clone(),
        op: node.op.name(),
        output: output.clone(),
        parameters: count(graph, fresh.iter().copied(), Role::Weight),
        statistics: count(graph, fresh.iter().copied(), Role::Statistic),
        multiply_adds: multiply_adds(&node.op, &inputs, output),
        bytes: sum(node.outputs.iter().map(|id| bytes(ty(id)))),
    }
}

/// The elements of parameters of one role.
fn count(graph: &Graph, ids: impl Iterator<Item = ValueId>, role: Role) -> u64 {
    let values = ids.map(|id| graph.value(id));
    let chosen = values.filter(|value| value.parameter().is_some_and(|parameter| parameter.role == role));
    chosen.filter_map(|value| elements(&value.ty.shape)).sum()
}

fn multiply_adds(op: &Op, inputs: &[&Shape], output: &Shape) -> Option<u64> {
    match op {
        Op::Conv(_) => elements(output)?.checked_mul(row(inputs[1])?),
        Op::ConvTranspose(_) | Op::Internal(Internal::ConvInputGradient(_)) => {
            elements(inputs[0])?.checked_mul(row(inputs[1])?)
        }
        Op::Internal(Internal::ConvWeightGradient(_)) => elements(inputs[1])?.checked_mul(row(output)?),
        Op::Gemm(gemm) => elements(output)?.checked_mul(extent(inputs[0], usize::from(!gemm.trans_a))?),
        Op::MatMul => elements(output)?.checked_mul(extent(inputs[0], inputs[0].rank().checked_sub(1)?)?),
        _ => Some(0),
    }
}

/// The elements of a weight that belong to one extent of its first axis.
fn row(weight: &Shape) -> Option<u64> {
    weight.iter().skip(1).try_fold(1u64, |product, dim| product.checked_mul(dim.fixed()? as u64))
}

fn extent(shape: &Shape, axis: usize) -> Option<u64> {
    shape.get(axis)?.fixed().map(|extent| extent as u64)
}

fn elements(shape: &Shape) -> Option<u64> {
    shape.elements().map(|count| count as u64)
}

fn bytes(ty: &TensorType) -> Option<u64> {
    let width = match ty.dtype {
        DataType::F32 => 4,
        DataType::I64 => 8,
        DataType::Bool => 1,
    };
    elements(&ty.shape)?.checked_mul(width)
}

fn sum(mut counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    counts.try_fold(0u64, |sum, count| sum.checked_add(count?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, builder::kernel, op::Binary};

    fn lenet() -> Graph {
        let network = Builder::new();
        let maps = network.image(1, [28, 28]).name("conv1").conv(6, kernel(5).padding(2)).relu().max_pool(2);
        let maps = maps.name("conv2").conv(16, 5).relu().max_pool(2).flatten();
        let hidden = maps.name("fc1").linear(120).relu().name("fc2").linear(84).relu();
        hidden.name("fc3").linear(10).classify();
        network.finish().unwrap()
    }

    fn row_of<'s>(summary: &'s Summary, name: &str) -> &'s LayerSummary {
        summary.layers.iter().find(|layer| layer.name == name).unwrap()
    }

    #[test]
    fn lenet_has_its_published_counts() {
        let summary = lenet().summary_at(&Sizes::batch(1)).unwrap();
        let counts = ["conv1", "conv2", "fc1", "fc2", "fc3"].map(|name| row_of(&summary, name).parameters);
        let by_hand = [6 * (25 + 1), 16 * (6 * 25 + 1), 120 * (400 + 1), 84 * (120 + 1), 10 * (84 + 1)];
        assert_eq!(counts, by_hand);
        assert_eq!(summary.parameters, 61_706);
        let products = [28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10];
        assert_eq!(summary.multiply_adds, Some(products.iter().sum()));
        let first = row_of(&summary, "conv1");
        assert_eq!(
            (first.op, first.output.to_string(), first.bytes),
            ("Conv", "1×6×28×28".into(), Some(4 * 6 * 28 * 28))
        );
    }

    #[test]
    fn a_batch_multiplies_work_and_not_parameters() {
        let [one, three] = [1, 3].map(|batch| lenet().summary_at(&Sizes::batch(batch)).unwrap());
        assert_eq!(three.multiply_adds, one.multiply_adds.map(|count| 3 * count));
        assert_eq!(three.bytes, one.bytes.map(|count| 3 * count));
        assert_eq!(three.parameters, one.parameters);
    }

    #[test]
    fn without_sizes_counts_are_given_where_they_are_known() {
        let summary = lenet().summary();
        let first = row_of(&summary, "conv1");
        assert_eq!((first.output.to_string(), first.parameters), ("N×6×28×28".into(), 156));
        assert_eq!((first.multiply_adds, first.bytes, summary.multiply_adds), (None, None, None));
        assert_eq!(summary.parameters, 61_706);
    }

    #[test]
    fn groups_transposes_and_statistics_count() {
        let network = Builder::new();
        let x = network.image(4, [6, 6]).name("grouped").conv(8, kernel(3).groups(2).without_bias());
        x.name("norm").batch_norm().name("up").conv_transpose(2, kernel(2).stride(2)).output("y");
        let summary = network.finish().unwrap().summary_at(&Sizes::batch(1)).unwrap();
        assert_eq!(row_of(&summary, "grouped").multiply_adds, Some(8 * 4 * 4 * 2 * 9));
        assert_eq!((row_of(&summary, "norm").parameters, row_of(&summary, "norm").statistics), (16, 16));
        assert_eq!(row_of(&summary, "up").multiply_adds, Some(8 * 4 * 4 * 2 * 4));
        assert_eq!(summary.statistics, 16);
    }

    #[test]
    fn a_shared_weight_counts_once() {
        let mut graph = Graph::new();
        let square = TensorType::f32(Shape::fixed(&[5, 5]));
        let fresh = crate::Parameter {
            role: Role::Weight,
            initialiser: crate::Initialiser::XavierUniform,
            frozen: false,
        };
        let weight = graph.add_parameter("w", square.clone(), fresh).unwrap();
        let x = graph.add_input("x", square.dtype, square.shape).unwrap();
        let once = graph.add_node("once", Op::MatMul, &[x, weight]).unwrap()[0];
        let twice = graph.add_node("twice", Op::MatMul, &[once, weight]).unwrap()[0];
        let sum = graph.add_node("sum", Op::Binary(Binary::Add), &[once, twice]).unwrap()[0];
        graph.set_outputs(&[sum]);
        let summary = graph.summary();
        assert_eq!(summary.layers.iter().map(|layer| layer.parameters).collect::<Vec<_>>(), [25, 0, 0]);
        assert_eq!((summary.parameters, summary.multiply_adds), (25, Some(2 * 125)));
    }
}
