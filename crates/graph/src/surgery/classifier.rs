//! The face of a classifier for networks that were made elsewhere.

use super::{channels::free, extract, map_nodes};
use crate::{
    Graph, GraphError, Node, Op, ValueId,
    op::{Activation, Flatten},
};

/// Names that have a meaning in a classifier of ours and in its training.
const OURS: [&str; 5] = ["image", "logits", "probabilities", "target", "loss"];

/// The graph as a classifier: outputs `logits`, the scores `[N, classes]`, and `probabilities`, their softmax.
///
/// The scores are what the one output is computed from once the softmax at its end (or log-softmax, or sigmoid, before or
/// behind a change of shape) is taken away. Without one, the output is the scores. Values and nodes that bear one of our names
/// and are something else get a longer one.
///
/// # Errors
/// [`GraphError::Surgery`] if there are several outputs, or the scores are not one row of numbers for each row of the batch.
pub fn classifier(graph: &Graph) -> Result<Graph, GraphError> {
    let &[output] = graph.outputs() else {
        let names: Vec<&str> = graph.outputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
        return Err(GraphError::Surgery(format!(
            "a classifier has one output, this network puts out {}",
            names.join(", ")
        )));
    };
    let scores = scores(graph, output)?;
    check(graph, scores)?;
    let mut face = extract(graph, &[scores])?;
    let own = face.outputs()[0];
    for name in OURS {
        face = set_aside(&face, name, own)?;
    }
    let logits = match face.shape(own).rank() {
        2 if face.producer(own).is_some() => own,
        2 => face.add_node("logits", Op::Identity, &[own])?[0],
        _ => face.add_node("logits", Op::Flatten(Flatten { axis: 1 }), &[own])?[0],
    };
    face.rename(logits, "logits")?;
    let name = free(&face, "softmax");
    let softmax = Op::Softmax { axis: -1 };
    let probabilities = face.add_node_with_outputs(&name, softmax, &[logits], &["probabilities"])?[0];
    face.set_outputs(&[logits, probabilities]);
    Ok(face)
}

/// What goes into the function that makes probabilities of scores; without one, the output.
fn scores(graph: &Graph, output: ValueId) -> Result<ValueId, GraphError> {
    let mut at = output;
    while let Some(node) = graph.producer(at) {
        let input = node.inputs.first().copied();
        match (&node.op, input) {
            (Op::Softmax { axis } | Op::LogSoftmax { axis }, Some(input)) => {
                return over_classes(graph, node, *axis).map(|()| input);
            }
            (Op::Activation(Activation::Sigmoid), Some(input)) => return Ok(input),
            (op, Some(input)) if changes_shape_only(op) => at = input,
            _ => break,
        }
    }
    Ok(output)
}

/// Whether a softmax is one over all numbers of a row.
fn over_classes(graph: &Graph, node: &Node, axis: i64) -> Result<(), GraphError> {
    let shape = graph.shape(node.inputs[0]);
    let rank = shape.rank() as i64;
    let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).unwrap_or(0);
    let others = shape.iter().enumerate().skip(1).filter(|&(other, _)| other != axis);
    if axis > 0 && others.into_iter().all(|(_, dim)| dim.fixed() == Some(1)) {
        return Ok(());
    }
    let name = &node.name;
    Err(GraphError::Surgery(format!(
        "`{name}` (Softmax) is taken along axis {axis} of {shape}, not over one number for each class"
    )))
}

fn changes_shape_only(op: &Op) -> bool {
    matches!(
        op,
        Op::Identity | Op::Dropout(_) | Op::Flatten(_) | Op::Reshape(_) | Op::Squeeze(_) | Op::Unsqueeze(_)
    )
}

/// One number for each class: `[N, C]`, or `[N, C, 1…]` in any order.
fn check(graph: &Graph, scores: ValueId) -> Result<(), GraphError> {
    let value = graph.value(scores);
    let rest: Option<Vec<usize>> = value.ty.shape.iter().skip(1).map(crate::Dim::fixed).collect();
    let one_axis =
        rest.is_some_and(|rest| !rest.is_empty() && rest.iter().filter(|&&extent| extent != 1).count() <= 1);
    if one_axis {
        return Ok(());
    }
    let made_by = graph.producer(scores).map_or("nothing", |node| node.op.name());
    Err(GraphError::Surgery(format!(
        "the scores of a classifier are [N, classes]; what this network ends with is `{}` ({made_by}) of shape {}",
        value.name, value.ty.shape
    )))
}

/// The graph in which nothing but `own` is called `name`. Values keep their ids.
fn set_aside(graph: &Graph, name: &str, own: ValueId) -> Result<Graph, GraphError> {
    let fresh = free(graph, &format!("{name}_"));
    let mut renamed = map_nodes(graph, |rewrite, node| {
        let name = if node.name == name { &fresh } else { &node.name };
        rewrite.copy(&Node { name: name.clone(), ..node.clone() })
    })?;
    let other = renamed.find(name).filter(|&id| id != own && renamed.value(id).parameter().is_none());
    if let Some(id) = other {
        renamed.rename(id, &fresh)?;
    }
    Ok(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, DataType, Flow, Shape, op::Reshape, surgery::last_layer};

    fn network(rest: impl Fn(Flow<'_>) -> Flow<'_>) -> Graph {
        let network = Builder::new();
        let shape = Shape::new(["batch".into(), 3.into(), 8.into(), 8.into()]);
        rest(network.input("input", DataType::F32, shape)).output("out");
        network.finish().unwrap()
    }

    fn operators(graph: &Graph) -> Vec<&'static str> {
        graph.nodes().iter().map(|node| node.op.name()).collect()
    }

    /// The face has the two outputs, and this operator's result is what is trained.
    fn assert_face(graph: &Graph, trained: &str) -> Graph {
        let face = classifier(graph).unwrap();
        let names: Vec<&str> = face.outputs().iter().map(|&id| face.value(id).name.as_str()).collect();
        assert_eq!(names, ["logits", "probabilities"]);
        for &output in face.outputs() {
            assert_eq!(face.shape(output).to_string(), "batch×10");
        }
        assert_eq!(face.producer(face.outputs()[0]).unwrap().op.name(), trained, "{:?}", operators(&face));
        assert_eq!(operators(&face).iter().filter(|&&name| name.ends_with("Softmax")).count(), 1);
        face
    }

    #[test]
    fn a_softmax_at_the_end_is_not_trained() {
        fn layer<'a>(x: &Flow<'a>) -> Flow<'a> {
            x.flatten().name("fc").linear(10)
        }
        for graph in [
            network(|x| layer(&x)),
            network(|x| layer(&x).softmax(1)),
            network(|x| layer(&x).softmax(-1)),
            network(|x| layer(&x).log_softmax(1)),
            network(|x| layer(&x).sigmoid()),
        ] {
            let face = assert_face(&graph, "Gemm");
            let layer = last_layer(&face).unwrap();
            assert_eq!(
                (layer.weight.as_str(), layer.op, layer.features, layer.classes),
                ("fc.weight", "Gemm", 192, 10)
            );
        }
    }

    #[test]
    fn a_convolution_is_a_head_wherever_the_shape_changes() {
        fn maps<'a>(x: &Flow<'a>) -> Flow<'a> {
            x.name("head").conv(10, 1).relu().global_average_pool()
        }
        let reshape = || Op::Reshape(Reshape { shape: vec![0, 10], allow_zero: false });
        for graph in [
            network(|x| maps(&x)),
            network(|x| maps(&x).softmax(1)),
            network(|x| maps(&x).softmax(1).flatten()),
            network(|x| maps(&x).softmax(1).apply(reshape())),
        ] {
            assert_eq!(last_layer(&assert_face(&graph, "Flatten")).unwrap().op, "Conv");
        }
        let graph = network(|x| maps(&x).apply(reshape()).softmax(1));
        assert_eq!(last_layer(&assert_face(&graph, "Reshape")).unwrap().features, 3);
    }

    #[test]
    fn our_names_are_taken_from_what_is_something_else() {
        let network = Builder::new();
        let shape = Shape::new(["batch".into(), 3.into(), 8.into(), 8.into()]);
        let x = network.input("image", DataType::F32, shape).name("loss").relu().name("target").relu();
        // What this file calls logits is what we call probabilities.
        x.flatten().name("probabilities").linear(10).name("softmax").softmax(1).output("logits");
        let face = assert_face(&network.finish().unwrap(), "Gemm");
        assert!(face.find("loss").is_none() && face.find("target").is_none());
    }

    #[test]
    fn what_is_no_classifier_is_refused_by_name() {
        let refusal = |graph: &Graph| classifier(graph).unwrap_err().to_string();
        let text = refusal(&network(|x| x.name("maps").conv(10, 3)));
        assert!(text.contains("`out` (Conv) of shape batch×10×6×6"), "{text}");
        let text = refusal(&network(|x| x.conv(10, 3).name("each").softmax(1)));
        assert!(text.contains("`each` (Softmax) is taken along axis 1"), "{text}");
        let two = Builder::new();
        let shape = Shape::new(["N".into(), 8.into()]);
        let x = two.input("x", DataType::F32, shape).linear(4).output("first");
        x.relu().output("second");
        assert!(refusal(&two.finish().unwrap()).contains("puts out first, second"));
    }
}
