//! A batch of any number of rows for a file that was written for a fixed one.
//!
//! The first extent of the first input is followed through the graph at another number of rows: in every value that
//! depends on it, one axis has to grow with it. `Reshape` is the operator that may name the old number; there it is
//! replaced by one of ONNX's open extents, 0 or −1, whichever keeps the elements where they were.

use super::Rewrite;
use crate::{Dim, Graph, GraphError, Node, Op, Shape, TensorType, ValueId, infer, op::Reshape};
use std::collections::HashMap;

/// The graph whose first input has a symbol, `N`, in the place of a fixed first extent. A graph whose rows are a symbol
/// already, whatever it is called, is returned as it is.
///
/// # Errors
/// [`GraphError::Surgery`], naming the node, where a value does not follow the number of rows: they are added up, mixed, or
/// named by a constant.
pub fn free_batch(graph: &Graph) -> Result<Graph, GraphError> {
    let Some((input, rows)) = fixed_rows(graph) else { return Ok(graph.clone()) };
    if rows == 0 {
        let name = &graph.value(input).name;
        return Err(GraphError::Surgery(format!("the input `{name}` has no rows: {}", graph.shape(input))));
    }
    let ops = Walk::new(graph, input, rows).run()?;
    let mut rewrite = Rewrite::new(graph, Graph::new());
    let value = graph.value(input);
    let rest = value.ty.shape.iter().skip(1).cloned();
    let shape = std::iter::once(Dim::symbol(&free_symbol(graph))).chain(rest).collect();
    let image = rewrite.graph.add_input(&value.name, value.ty.dtype, shape)?;
    rewrite.replace(input, image);
    rewrite.run(
        |_| true,
        |rewrite, node| {
            let op = ops.get(&node.outputs[0]).unwrap_or(&node.op).clone();
            rewrite.copy(&Node { op, ..node.clone() })
        },
    )?;
    rewrite.finish(graph.outputs())
}

/// The first input and its first extent, if that is a number.
fn fixed_rows(graph: &Graph) -> Option<(ValueId, usize)> {
    let input = *graph.inputs().first()?;
    Some((input, graph.shape(input).first()?.fixed()?))
}

/// `N`, or what is free in its place.
fn free_symbol(graph: &Graph) -> String {
    let taken = |symbol: &str| {
        let dims = graph.inputs().iter().flat_map(|&id| graph.shape(id).iter());
        dims.into_iter().any(|dim| *dim == Dim::symbol(symbol))
    };
    let mut symbol = "N".to_owned();
    while taken(&symbol) {
        symbol.push('\'');
    }
    symbol
}

/// The graph's shapes at another number of rows.
struct Walk<'g> {
    graph: &'g Graph,
    rows: usize,
    other: usize,
    /// By [`ValueId::index`].
    types: Vec<TensorType>,
    /// By [`ValueId::index`]: the axis that grows with the rows.
    axes: Vec<Option<usize>>,
    /// Operators that have to change, by first output.
    changed: HashMap<ValueId, Op>,
}

impl<'g> Walk<'g> {
    fn new(graph: &'g Graph, input: ValueId, rows: usize) -> Self {
        let other = if rows == 7 { 11 } else { 7 };
        let mut types: Vec<TensorType> = graph.values().iter().map(|value| value.ty.clone()).collect();
        let shape = &mut types[input.index()].shape;
        *shape = std::iter::once(Dim::Fixed(other)).chain(shape.iter().skip(1).cloned()).collect();
        let mut axes = vec![None; types.len()];
        axes[input.index()] = Some(0);
        Self { graph, rows, other, types, axes, changed: HashMap::new() }
    }

    fn run(mut self) -> Result<HashMap<ValueId, Op>, GraphError> {
        for node in self.graph.nodes() {
            if node.inputs.iter().any(|id| self.axes[id.index()].is_some()) {
                self.follow(node)?;
            }
        }
        Ok(self.changed)
    }

    /// Takes the first form of the operator whose outputs follow the rows.
    fn follow(&mut self, node: &Node) -> Result<(), GraphError> {
        let mut first_reason = None;
        for op in forms(&node.op, self.rows) {
            match self.outputs(node, &op) {
                Ok(outputs) => {
                    for (&id, (ty, axis)) in node.outputs.iter().zip(outputs) {
                        self.types[id.index()] = ty;
                        self.axes[id.index()] = Some(axis);
                    }
                    if op != node.op {
                        self.changed.insert(node.outputs[0], op);
                    }
                    return Ok(());
                }
                Err(reason) => first_reason = first_reason.or(Some(reason)),
            }
        }
        Err(GraphError::Surgery(format!(
            "the network takes {} rows at a time and cannot be given any other number: node `{}` ({}): {}",
            self.rows,
            node.name,
            node.op.name(),
            first_reason.unwrap_or_default()
        )))
    }

    fn outputs(&self, node: &Node, op: &Op) -> Result<Vec<(TensorType, usize)>, String> {
        let inputs: Vec<&TensorType> = node.inputs.iter().map(|id| &self.types[id.index()]).collect();
        let types = infer::infer(op, &inputs)?;
        let grown = types.into_iter().zip(&node.outputs).map(|(ty, &id)| {
            let axis = self.grown_axis(self.graph.shape(id), &ty.shape)?;
            if let Op::Reshape(_) = op {
                self.check_place(node.inputs[0], &ty.shape, axis)?;
            }
            Ok((ty, axis))
        });
        grown.collect()
    }

    /// The one axis that has grown as the rows have.
    fn grown_axis(&self, before: &Shape, after: &Shape) -> Result<usize, String> {
        let grown = |(a, b): (&Dim, &Dim)| match (a.fixed(), b.fixed()) {
            (Some(a), Some(b)) => a.checked_mul(self.other) == b.checked_mul(self.rows),
            _ => false,
        };
        let changed: Vec<usize> =
            (0..after.rank().min(before.rank())).filter(|&i| before[i] != after[i]).collect();
        match changed[..] {
            [axis] if before.rank() == after.rank() && grown((&before[axis], &after[axis])) => Ok(axis),
            [] => Err(format!("{before} stays what it is, whatever the rows")),
            _ => Err(format!("{before} becomes {after} for {} rows", self.other)),
        }
    }

    /// Rows stay apart if as many elements stand before their axis as did.
    fn check_place(&self, input: ValueId, output: &Shape, axis: usize) -> Result<(), String> {
        let shape = &self.types[input.index()].shape;
        let before = self.axes[input.index()].map(|axis| &shape[..axis]).unwrap_or_default();
        let elements = |dims: &[Dim]| Shape::new(dims.iter().cloned()).elements();
        if elements(before) == elements(&output[..axis]) {
            return Ok(());
        }
        Err(format!("it mixes the rows: {shape} becomes {output}"))
    }
}

/// An operator, and for a `Reshape` what it may be instead: where it names the old number of rows, the open extents first.
fn forms(op: &Op, rows: usize) -> Vec<Op> {
    let Op::Reshape(reshape) = op else { return vec![op.clone()] };
    let with_first = |extent: i64| {
        let shape = std::iter::once(extent).chain(reshape.shape.iter().skip(1).copied()).collect();
        Op::Reshape(Reshape { shape, ..reshape.clone() })
    };
    let first = reshape.shape.first().copied();
    let mut forms = vec![op.clone()];
    if first == i64::try_from(rows).ok() && !reshape.allow_zero {
        forms.insert(0, with_first(0));
    }
    if first.is_some_and(|first| first > 0) && !reshape.shape.contains(&-1) {
        forms.push(with_first(-1));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Builder, DataType, Flow, Sizes,
        op::{Binary, Concat, Flatten, Reduce, ReduceKind, Transpose},
    };

    /// What `rest` makes of an input of these extents.
    fn network(extents: &[usize], rest: impl Fn(Flow<'_>) -> Flow<'_>) -> Graph {
        let network = Builder::new();
        rest(network.input("x", DataType::F32, Shape::fixed(extents))).output("y");
        network.finish().unwrap()
    }

    fn reshape(shape: &[i64]) -> Op {
        Op::Reshape(Reshape { shape: shape.to_vec(), allow_zero: false })
    }

    /// The shapes of the output for three rows and for one.
    fn freed(graph: &Graph) -> [Vec<usize>; 2] {
        let free = free_batch(graph).unwrap();
        assert_eq!(free.shape(free.inputs()[0])[0], Dim::symbol("N"));
        [3, 1]
            .map(|rows| free.concrete_shapes(&Sizes::batch(rows)).unwrap()[free.outputs()[0].index()].clone())
    }

    #[test]
    fn layers_follow_their_batch() {
        let graph =
            network(&[1, 3, 8, 8], |x| x.conv(4, 3).batch_norm().relu().max_pool(2).flatten().linear(10));
        assert_eq!(freed(&graph), [[3, 10], [1, 10]]);
        assert_eq!(free_batch(&free_batch(&graph).unwrap()).unwrap(), free_batch(&graph).unwrap());
    }

    #[test]
    fn constants_that_name_the_batch_are_opened() {
        for (extents, shape, three) in [
            (vec![1, 4, 3, 3], vec![1, 36], vec![3, 36]),
            (vec![1, 4, 3, 3], vec![1, -1], vec![3, 36]),
            (vec![1, 4, 3, 3], vec![-1, 36], vec![3, 36]),
            (vec![1, 4, 3, 3], vec![0, 0, 9], vec![3, 4, 9]),
            (vec![2, 4, 3, 3], vec![2, 2, 2, 3, 3], vec![3, 2, 2, 3, 3]),
            // Rows that became part of a longer axis, and back.
            (vec![2, 4, 9], vec![8, 9], vec![12, 9]),
        ] {
            assert_eq!(freed(&network(&extents, |x| x.apply(reshape(&shape))))[0], three, "{shape:?}");
        }
        let there_and_back =
            network(&[2, 4, 9], |x| x.apply(reshape(&[8, 9])).relu().apply(reshape(&[2, 4, 9])));
        assert_eq!(freed(&there_and_back), [[3, 4, 9], [1, 4, 9]]);
    }

    #[test]
    fn a_batch_may_move_to_another_axis() {
        let turned = Op::Transpose(Transpose { perm: vec![1, 0] });
        let graph = network(&[1, 6], |x| x.apply(turned.clone()).relu().apply(turned.clone()).linear(2));
        assert_eq!(freed(&graph), [[3, 2], [1, 2]]);
    }

    #[test]
    fn what_mixes_rows_is_refused_by_name() {
        let refusal = |graph: Graph| free_batch(&graph).unwrap_err().to_string();
        let mean = Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![0], keepdims: true });
        let text = refusal(network(&[1, 6], |x| x.name("mean").apply(mean.clone())));
        assert!(text.contains("node `mean` (ReduceMean): 1×6 stays what it is"), "{text}");
        let text = refusal(network(&[1, 4, 6], |x| x.name("mixed").apply(reshape(&[4, -1]))));
        assert!(text.contains("node `mixed` (Reshape): it mixes the rows"), "{text}");
        let flat = Op::Flatten(Flatten { axis: 0 });
        let text = refusal(network(&[1, 6], |x| x.apply(flat.clone()).name("layer").linear(2)));
        assert!(text.contains("node `layer` (Gemm)"), "{text}");
    }

    #[test]
    fn a_constant_with_rows_of_its_own_is_refused() {
        let mut graph = Graph::new();
        let x = graph.add_input("x", DataType::F32, Shape::fixed(&[2, 6])).unwrap();
        let rows = crate::Tensor::f32(&[2, 6], vec![0.0; 12]).unwrap();
        let rows = graph.add_node("rows", Op::Constant(rows), &[]).unwrap()[0];
        let sum = graph.add_node("sum", Op::Binary(Binary::Add), &[x, rows]).unwrap()[0];
        graph.set_outputs(&[sum]);
        assert!(free_batch(&graph).unwrap_err().to_string().contains("`sum` (Add)"));
        let joined = graph.add_node("joined", Op::Concat(Concat { axis: 0 }), &[x, rows]).unwrap()[0];
        graph.set_outputs(&[joined]);
        assert!(free_batch(&super::super::extract(&graph, &[joined]).unwrap()).is_err());
    }

    #[test]
    fn a_symbol_that_is_taken_is_not_taken_again() {
        let network = Builder::new();
        let shape = Shape::new([1.into(), 3.into(), "N".into(), 8.into()]);
        network.input("x", DataType::F32, shape).conv(4, 3).output("y");
        let free = free_batch(&network.finish().unwrap()).unwrap();
        assert_eq!(free.shape(free.inputs()[0]).to_string(), "N'×3×N×8");
    }
}
