//! Parameters of their own for nodes that a file lets share one.
//!
//! PyTorch's exporter writes equal tensors once and hands them on through `Identity`: all norms of a fresh network then have
//! one scale, and a bias is the mean beside it. They are equal, not the same.

use super::map_nodes;
use crate::{Graph, GraphError, Node, Op, Parameter, Parameters, Role, ValueId};

/// The graph in which every `Identity` of a parameter is a parameter of its own, with the output's name and the role that its
/// use gives it; and the values for it. Tensors that several nodes read without an `Identity` between stay shared.
///
/// # Errors
/// None for a sound graph.
pub fn own_parameters(graph: &Graph, parameters: Parameters) -> Result<(Graph, Parameters), GraphError> {
    let mut values = parameters;
    let own = map_nodes(graph, |rewrite, node| {
        let output = node.outputs[0];
        let source = rewrite.image(*node.inputs.first().unwrap_or(&output)).ok();
        let source = source.map(|id| rewrite.graph.value(id).clone());
        let shared = source.as_ref().and_then(|value| Some((value, value.parameter()?)));
        let Some((value, parameter)) =
            shared.filter(|_| node.op == Op::Identity && !graph.outputs().contains(&output))
        else {
            return rewrite.copy(node);
        };
        let name = &graph.value(output).name;
        let role = role(graph, output).unwrap_or(parameter.role);
        let fresh = Parameter { role, ..parameter.clone() };
        let id = rewrite.graph.add_parameter(name, value.ty.clone(), fresh)?;
        rewrite.replace(output, id);
        if let Some(tensor) = values.get(&value.name).cloned() {
            values.insert(name, tensor);
        }
        Ok(())
    })?;
    Ok((own, values))
}

/// What a value is for, if a node with weights reads it.
fn role(graph: &Graph, id: ValueId) -> Option<Role> {
    let uses =
        graph.nodes().iter().flat_map(|node| node.inputs.iter().enumerate().map(move |input| (node, input)));
    let roles =
        uses.filter(|(_, (_, input))| **input == id).filter_map(|(node, (index, _))| use_of(node, index));
    roles.reduce(|first, second| if first == Role::Weight { first } else { second })
}

fn use_of(node: &Node, index: usize) -> Option<Role> {
    match (&node.op, index) {
        (Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_), 1 | 2)
        | (Op::MatMul, 1)
        | (Op::BatchNormalization(_), 1 | 2) => Some(Role::Weight),
        (Op::BatchNormalization(_), 3 | 4) => Some(Role::Statistic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, Initialiser, Shape, Tensor, TensorType, op::BatchNormalization};

    #[test]
    fn a_tensor_that_was_written_once_is_several_parameters() {
        let mut graph = Graph::new();
        let x = graph.add_input("x", DataType::F32, Shape::new(["N".into(), 2.into()])).unwrap();
        let mut add = |name: &str, role| {
            let parameter = Parameter { role, initialiser: Initialiser::Constant(0.0), frozen: false };
            graph.add_parameter(name, TensorType::f32(Shape::fixed(&[2])), parameter).unwrap()
        };
        let (zeros, ones) = (add("bias", Role::Weight), add("scale", Role::Weight));
        let mean = graph.add_node("mean", Op::Identity, &[zeros]).unwrap()[0];
        let var = graph.add_node("var", Op::Identity, &[ones]).unwrap()[0];
        let again = graph.add_node("again", Op::Identity, &[mean]).unwrap()[0];
        let norm = Op::BatchNormalization(BatchNormalization::default());
        let first = graph.add_node("first", norm.clone(), &[x, ones, zeros, mean, var]).unwrap()[0];
        let second = graph.add_node("second", norm, &[first, ones, zeros, again, var]).unwrap()[0];
        let out = graph.add_node("out", Op::Identity, &[second]).unwrap()[0];
        graph.set_outputs(&[out]);
        let tensor = |value: f32| Tensor::f32(&[2], vec![value; 2]).unwrap();
        let values =
            [("bias".to_owned(), tensor(0.0)), ("scale".to_owned(), tensor(1.0))].into_iter().collect();

        let (own, values) = own_parameters(&graph, values).unwrap();
        values.check(&own).unwrap();
        let role = |name: &str| own.value(own.expect(name).unwrap()).parameter().unwrap().role;
        assert_eq!([role("mean"), role("again"), role("var")], [Role::Statistic; 3]);
        assert_eq!([role("bias"), role("scale")], [Role::Weight; 2]);
        assert_eq!(values.get("again").unwrap().as_f32(), Some(&[0.0, 0.0][..]));
        assert_eq!(
            own.nodes().iter().filter(|node| node.op == Op::Identity).count(),
            1,
            "of a computed value"
        );
    }
}
