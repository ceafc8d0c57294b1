//! Pictures with channels behind: `[N, H, W, C]` as TensorFlow and Keras have them.

use super::{Rewrite, extract, map_nodes};
use crate::{Graph, GraphError, Node, Op, Shape, ValueId, op::Transpose};

/// `[N, H, W, C]` from `[N, C, H, W]`.
const TO_LAST: [usize; 4] = [0, 2, 3, 1];
/// `[N, C, H, W]` from `[N, H, W, C]`.
const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// The graph whose first input, pictures `[N, H, W, C]`, is `[N, C, H, W]`: a `Transpose` follows it, and where the graph
/// itself transposes back, neither is left. A graph whose pictures have their channels in front is returned as it is.
///
/// Channels stand behind if all that reads the input transposes it to `[N, C, H, W]`, or if its last extent, and not its
/// second, is 1, 3 or 4.
///
/// # Errors
/// None for a sound graph.
pub fn channels_first(graph: &Graph) -> Result<Graph, GraphError> {
    let Some(&input) = graph.inputs().first().filter(|&&input| channels_last(graph, input)) else {
        return Ok(graph.clone());
    };
    let value = graph.value(input);
    let mut rewrite = Rewrite::new(graph, Graph::new());
    let shape: Shape = TO_FIRST.iter().map(|&axis| value.ty.shape[axis].clone()).collect();
    let image = rewrite.graph.add_input(&value.name, value.ty.dtype, shape)?;
    let name = free(graph, &format!("{}.channels_last", value.name));
    let transpose = Op::Transpose(Transpose { perm: TO_LAST.to_vec() });
    let last = rewrite.graph.add_node(&name, transpose, &[image])?[0];
    rewrite.replace(input, last);
    rewrite.run(|_| true, Rewrite::copy)?;
    join_transposes(&rewrite.finish(graph.outputs())?)
}

fn channels_last(graph: &Graph, input: ValueId) -> bool {
    let shape = graph.shape(input);
    let mut readers = graph.nodes().iter().filter(|node| node.inputs.contains(&input)).peekable();
    let transposed = |node: &Node| matches!(&node.op, Op::Transpose(transpose) if transpose.perm == TO_FIRST);
    let counts_channels = |axis: usize| shape[axis].fixed().is_some_and(|extent| [1, 3, 4].contains(&extent));
    shape.rank() == 4
        && ((readers.peek().is_some() && readers.all(transposed))
            || (counts_channels(3) && !counts_channels(1)))
}

/// The graph in which a `Transpose` of a `Transpose` is one, or where it undoes the other, none.
///
/// # Errors
/// None for a sound graph.
pub fn join_transposes(graph: &Graph) -> Result<Graph, GraphError> {
    let joined = map_nodes(graph, |rewrite, node| {
        let Some((from, perm)) = joined(rewrite, node)? else { return rewrite.copy(node) };
        let output = node.outputs[0];
        if perm.iter().enumerate().all(|(axis, &from)| axis == from) && !graph.outputs().contains(&output) {
            rewrite.replace(output, from);
            return Ok(());
        }
        let name = &graph.value(output).name;
        let op = Op::Transpose(Transpose { perm });
        let made = rewrite.graph.add_node_with_outputs(&node.name, op, &[from], &[name])?[0];
        rewrite.replace(output, made);
        Ok(())
    })?;
    extract(&joined, joined.outputs())
}

/// If a node transposes what another has transposed: the first one's input in the copy, and what the two do to it.
fn joined(rewrite: &Rewrite<'_>, node: &Node) -> Result<Option<(ValueId, Vec<usize>)>, GraphError> {
    let Op::Transpose(second) = &node.op else { return Ok(None) };
    let input = rewrite.image(node.inputs[0])?;
    let Some(Node { op: Op::Transpose(first), inputs, .. }) = rewrite.graph.producer(input) else {
        return Ok(None);
    };
    Ok(Some((inputs[0], second.perm.iter().map(|&axis| first.perm[axis]).collect())))
}

/// A name that neither a value nor a node bears.
pub(super) fn free(graph: &Graph, name: &str) -> String {
    let taken = |name: &str| graph.find(name).is_some() || graph.nodes().iter().any(|node| node.name == name);
    let mut free = name.to_owned();
    while taken(&free) {
        free.push('_');
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, DataType, Flow};

    fn turned(perm: [usize; 4]) -> Op {
        Op::Transpose(Transpose { perm: perm.to_vec() })
    }

    fn network(dims: [crate::Dim; 4], rest: impl Fn(Flow<'_>) -> Flow<'_>) -> Graph {
        let network = Builder::new();
        rest(network.input("x", DataType::F32, Shape::new(dims))).output("y");
        network.finish().unwrap()
    }

    fn operators(graph: &Graph) -> Vec<&'static str> {
        graph.nodes().iter().map(|node| node.op.name()).collect()
    }

    fn input(graph: &Graph) -> String {
        graph.shape(graph.inputs()[0]).to_string()
    }

    #[test]
    fn the_transpose_of_keras_goes_away() {
        let graph = network(["unk__0".into(), 8.into(), 6.into(), 3.into()], |x| {
            x.apply(turned(TO_FIRST)).conv(4, 3).relu().apply(turned(TO_LAST)).flatten()
        });
        let first = channels_first(&graph).unwrap();
        assert_eq!(input(&first), "unk__0×3×8×6");
        // What stands at the end says in which order weights behind it see the maps, and stays.
        assert_eq!(operators(&first), ["Conv", "Relu", "Transpose", "Flatten"]);
        assert_eq!(first.shape(first.outputs()[0]), graph.shape(graph.outputs()[0]));
        assert_eq!(channels_first(&first).unwrap(), first);
    }

    #[test]
    fn arithmetic_before_the_transpose_stays_between_two() {
        let graph = network(["N".into(), 8.into(), 6.into(), 3.into()], |x| {
            x.relu().apply(turned(TO_FIRST)).conv(4, 3)
        });
        let first = channels_first(&graph).unwrap();
        assert_eq!(input(&first), "N×3×8×6");
        assert_eq!(operators(&first), ["Transpose", "Relu", "Transpose", "Conv"]);
    }

    #[test]
    fn pictures_with_channels_in_front_are_left() {
        for width in [3, 8] {
            let graph = network(["N".into(), 3.into(), 8.into(), width.into()], |x| x.conv(4, 3));
            assert_eq!(channels_first(&graph).unwrap(), graph);
        }
    }

    #[test]
    fn two_transposes_are_one_or_none_but_an_output_stays() {
        let dims = || ["N".into(), 2.into(), 5.into(), 7.into()];
        let twice = network(dims(), |x| x.apply(turned(TO_LAST)).apply(turned(TO_LAST)).relu());
        let one = join_transposes(&twice).unwrap();
        assert_eq!(operators(&one), ["Transpose", "Relu"]);
        assert_eq!(one.shape(one.outputs()[0]), twice.shape(twice.outputs()[0]));
        let back = network(dims(), |x| x.apply(turned(TO_LAST)).apply(turned(TO_FIRST)));
        let kept = join_transposes(&back).unwrap();
        assert_eq!((operators(&kept), kept.value(kept.outputs()[0]).name.as_str()), (vec!["Transpose"], "y"));
    }
}
