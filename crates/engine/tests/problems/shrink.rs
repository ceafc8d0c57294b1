//! What is left of a network that fails, and how to build it again.

use super::{Problem, network::Recipe};
use std::fmt::Write;
use svertka_graph::{Graph, Op, Origin, ValueId};

/// The smallest recipe found by removing step after step while the problem `fails`.
pub fn shrink(mut recipe: Recipe, fails: impl Fn(&Problem) -> bool) -> Recipe {
    let still_fails = |recipe: &Recipe| recipe.build().is_some_and(|problem| fails(&problem));
    while let Some(smaller) = recipe.smaller().into_iter().find(still_fails) {
        recipe = smaller;
    }
    recipe
}

/// Rust text that builds the graph again.
pub fn builder_code(graph: &Graph) -> String {
    let mut code = String::from("let mut graph = Graph::new();\n");
    for (id, value) in graph.value_ids().zip(graph.values()) {
        let variable = variable(graph, id);
        let name = &value.name;
        let line = match &value.origin {
            Origin::Input => {
                let dims: Vec<String> = value
                    .ty
                    .shape
                    .iter()
                    .map(|dim| match dim.fixed() {
                        Some(size) => format!("{size}.into()"),
                        None => format!("\"{dim}\".into()"),
                    })
                    .collect();
                let dims = dims.join(", ");
                format!(
                    "let {variable} = graph.add_input({name:?}, DataType::{:?}, Shape::new([{dims}])).unwrap();",
                    value.ty.dtype
                )
            }
            Origin::Parameter(parameter) => {
                let sizes = value.ty.shape.sizes().unwrap_or_default();
                format!(
                    "let {variable} = parameter(&mut graph, {name:?}, Role::{:?}, &{sizes:?});",
                    parameter.role
                )
            }
            Origin::Node { node, output: 0 } => {
                let node = graph.node(*node);
                let inputs: Vec<String> = node.inputs.iter().map(|&id| self::variable(graph, id)).collect();
                let (op, inputs) = (op_code(&node.op), inputs.join(", "));
                format!("let {variable} = graph.add_node({:?}, {op}, &[{inputs}]).unwrap()[0];", node.name)
            }
            Origin::Node { .. } => continue,
        };
        writeln!(code, "{line}").expect("a String takes every text");
    }
    let outputs: Vec<String> = graph.outputs().iter().map(|&id| variable(graph, id)).collect();
    writeln!(code, "graph.set_outputs(&[{}]);", outputs.join(", ")).expect("a String takes every text");
    code
}

fn variable(graph: &Graph, id: ValueId) -> String {
    graph.value(id).name.replace(|c: char| !c.is_alphanumeric(), "_")
}

/// The operator as an expression, with the variants of the enums in its attributes in scope.
fn op_code(op: &Op) -> String {
    if let Op::Constant(tensor) = op
        && let Some(values) = tensor.as_f32()
    {
        return format!("Op::Constant(Tensor::f32(&{:?}, vec!{values:?}).unwrap())", tensor.shape());
    }
    let text = format!("Op::{op:?}");
    // Both `ReduceKind` and `Reduction` have a mean and a sum.
    text.replace("[", "vec![")
        .replace("kind: ", "kind: ReduceKind::")
        .replace("reduction: ", "reduction: Reduction::")
        .replace("-inf", "f32::NEG_INFINITY")
        .replace(": inf", ": f32::INFINITY")
}
