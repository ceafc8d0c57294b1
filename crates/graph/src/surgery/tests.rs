use super::*;
use crate::{
    Builder, Initialiser, Op, Parameters, Role,
    builder::kernel,
    op::{BatchNormalization, Reshape},
};

fn classifier() -> Graph {
    let network = Builder::new();
    network.metadata("classes", "old");
    let x =
        network.image(3, [8, 8]).normalise(&[0.5], &[0.25]).name("conv").conv(4, 3).name("bn").batch_norm();
    x.relu().flatten().name("fc").linear(10).classify();
    network.finish().unwrap()
}

fn shape(graph: &Graph, name: &str) -> String {
    graph.shape(graph.expect(name).unwrap()).to_string()
}

fn parameter<'g>(graph: &'g Graph, name: &str) -> &'g crate::Parameter {
    graph.value(graph.expect(name).unwrap()).parameter().unwrap()
}

fn norm(graph: &Graph) -> BatchNormalization {
    let norms = graph.nodes().iter().filter_map(|node| match node.op {
        Op::BatchNormalization(norm) => Some(norm),
        _ => None,
    });
    norms.collect::<Vec<_>>()[0]
}

#[test]
fn a_copy_is_equal() {
    let graph = classifier();
    assert_eq!(map_nodes(&graph, Rewrite::copy).unwrap(), graph);
    assert_eq!(extract(&graph, graph.outputs()).unwrap(), graph);
}

#[test]
fn a_cut_drops_what_it_does_not_need() {
    let graph = cut(&classifier(), "bn").unwrap();
    let outputs: Vec<&str> = graph.outputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
    assert_eq!(outputs, ["bn"]);
    assert_eq!(shape(&graph, "bn"), "N×4×6×6");
    let operators: Vec<&str> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(operators, ["Constant", "Constant", "Sub", "Div", "Conv", "BatchNormalization"]);
    assert_eq!(graph.find("fc.weight"), None);
    assert!(cut(&classifier(), "bm").unwrap_err().to_string().contains("did you mean `bn`?"));
}

#[test]
fn a_parameter_or_an_input_can_be_cut_out() {
    let graph = cut(&classifier(), "conv.weight").unwrap();
    assert!(graph.nodes().is_empty() && graph.inputs().is_empty());
    assert_eq!(graph.outputs().len(), 1);
}

#[test]
fn a_head_is_replaced_and_keeps_its_names() {
    let old = classifier();
    let graph = replace_head(&old, 3).unwrap();
    assert_eq!(shape(&graph, "fc.weight"), "3×144");
    assert_eq!(shape(&graph, "fc.bias"), "3");
    assert_eq!(shape(&graph, "logits"), "N×3");
    assert_eq!(shape(&graph, "probabilities"), "N×3");
    assert_eq!(parameter(&graph, "fc.weight").initialiser, Initialiser::Uniform { bound: 1.0 / 12.0 });
    let names = |graph: &Graph| graph.values().iter().map(|value| value.name.clone()).collect::<Vec<_>>();
    let (mut before, mut after) = (names(&old), names(&graph));
    before.sort();
    after.sort();
    assert_eq!(before, after);
    let (mut values, fresh) =
        (Parameters::initialise(&old, 1).unwrap(), Parameters::initialise(&graph, 2).unwrap());
    assert!(values.check(&graph).is_err());
    for name in ["fc.weight", "fc.bias"] {
        values.insert(name, fresh.get(name).unwrap().clone());
    }
    values.check(&graph).unwrap();
}

#[test]
fn a_head_may_be_a_convolution_before_a_pool() {
    // SqueezeNet: a 1×1 convolution, Relu, the mean of each map, and a reshape that names the classes.
    let network = Builder::new();
    let maps = network.image(3, [4, 4]).name("head").conv(10, 1).relu().global_average_pool();
    maps.apply(Op::Reshape(Reshape { shape: vec![-1, 10], allow_zero: false })).classify();
    let graph = replace_head(&network.finish().unwrap(), 4).unwrap();
    assert_eq!(shape(&graph, "head.weight"), "4×3×1×1");
    assert_eq!(shape(&graph, "head.bias"), "4");
    assert_eq!(shape(&graph, "logits"), "N×4");
}

#[test]
fn a_head_may_be_a_product_and_a_sum() {
    let mut graph = Graph::new();
    let mut add = |name: &str, sizes: &[usize]| {
        let fresh =
            crate::Parameter { role: Role::Weight, initialiser: Initialiser::Constant(0.0), frozen: true };
        graph.add_parameter(name, crate::TensorType::f32(crate::Shape::fixed(sizes)), fresh).unwrap()
    };
    let (weight, bias) = (add("w", &[16, 10]), add("b", &[10]));
    let x = graph.add_input("x", crate::DataType::F32, crate::Shape::new(["N".into(), 16.into()])).unwrap();
    let product = graph.add_node("product", Op::MatMul, &[x, weight]).unwrap()[0];
    let sum = graph.add_node("sum", Op::Binary(crate::op::Binary::Add), &[product, bias]).unwrap()[0];
    graph.set_outputs(&[sum]);
    let graph = replace_head(&graph, 5).unwrap();
    assert_eq!(
        (shape(&graph, "w"), shape(&graph, "b"), shape(&graph, "sum")),
        ("16×5".into(), "5".into(), "N×5".into())
    );
    assert_eq!(parameter(&graph, "b").initialiser, Initialiser::Uniform { bound: 0.25 });
    assert!(!parameter(&graph, "w").frozen);
}

#[test]
fn without_a_head_the_error_says_what_was_looked_for() {
    let network = Builder::new();
    network.image(3, [8, 8]).name("conv").conv(10, 3).global_average_pool().flatten().classify();
    let error = replace_head(&network.finish().unwrap(), 4).unwrap_err().to_string();
    assert!(
        error.contains("1×1 Conv")
            && error.contains("`conv` (Conv) of image [N×3×8×8], conv.weight [10×3×3×3]"),
        "{error}"
    );
    assert!(replace_head(&classifier(), 0).is_err());
}

#[test]
fn freezing_follows_names_and_statistics() {
    let graph = classifier();
    let frozen = freeze(&graph, "bn.*").unwrap();
    assert!(parameter(&frozen, "bn.weight").frozen && parameter(&frozen, "bn.running_var").frozen);
    assert!(!parameter(&frozen, "conv.weight").frozen);
    assert!(norm(&frozen).frozen);
    assert_eq!(unfreeze(&frozen, "*").unwrap(), graph);
    let weights = freeze(&graph, "*.weight").unwrap();
    assert!(parameter(&weights, "bn.weight").frozen && !norm(&weights).frozen);
    assert!(freeze(&graph, "bm.*").is_err());
}

#[test]
fn freezing_up_to_a_value_leaves_what_follows() {
    let frozen = freeze_up_to(&classifier(), "conv").unwrap();
    assert!(parameter(&frozen, "conv.weight").frozen && parameter(&frozen, "conv.bias").frozen);
    assert!(!parameter(&frozen, "bn.weight").frozen && !norm(&frozen).frozen);
    let frozen = freeze_up_to(&classifier(), "bn").unwrap();
    assert!(norm(&frozen).frozen && !parameter(&frozen, "fc.weight").frozen);
}

#[test]
fn renaming_reaches_values_and_nodes() {
    let graph = rename(&classifier(), "bn.", "norm.").unwrap();
    assert!(graph.find("norm.running_mean").is_some() && graph.find("bn.running_mean").is_none());
    assert!(graph.find("bn").is_some());
    let graph = rename(&graph, "bn", "norm").unwrap();
    assert!(graph.nodes().iter().any(|node| node.name == "norm"));
    assert_eq!(
        rename(&graph, "nrm", "x").unwrap_err().to_string(),
        "there is no value named `nrm`; did you mean `norm`?"
    );
    assert_eq!(rename(&graph, "norm", "conv").unwrap_err(), GraphError::DuplicateName("conv".into()));
}

#[test]
fn a_graph_is_joined_behind_another() {
    let network = Builder::new();
    let maps = network.input(
        "maps",
        crate::DataType::F32,
        crate::Shape::new(["N".into(), 4.into(), 6.into(), 6.into()]),
    );
    maps.name("extra").conv(2, kernel(3)).output("small");
    let second = network.finish().unwrap();
    let first = cut(&classifier(), "bn").unwrap();
    let whole = append(&first, &second).unwrap();
    assert_eq!(shape(&whole, "small"), "N×2×4×4");
    assert_eq!((whole.inputs().len(), whole.outputs().len(), whole.find("maps")), (1, 1, None));
    assert_eq!(whole.metadata, first.metadata);
    assert!(append(&first, &first).unwrap_err().to_string().contains("does not fit the input `image`"));
    let wide = append(&whole, &second).unwrap_err().to_string();
    assert!(wide.contains("`small` (f32 N×2×4×4) does not fit the input `maps`"), "{wide}");
}

#[test]
fn biases_of_a_head_may_be_added_to_its_maps() {
    let mut graph = Graph::new();
    let mut add = |name: &str, sizes: &[usize]| {
        let fresh =
            crate::Parameter { role: Role::Weight, initialiser: Initialiser::Constant(0.0), frozen: false };
        graph.add_parameter(name, crate::TensorType::f32(crate::Shape::fixed(sizes)), fresh).unwrap()
    };
    let (weight, bias) = (add("w", &[10, 4, 1, 1]), add("b", &[10, 1, 1]));
    let maps = crate::Shape::new(["N".into(), 4.into(), 3.into(), 3.into()]);
    let x = graph.add_input("x", crate::DataType::F32, maps).unwrap();
    let conv = crate::op::Conv { window: crate::op::Window::new(&[1, 1]), group: 1 };
    let maps = graph.add_node("maps", Op::Conv(conv), &[x, weight]).unwrap()[0];
    let sum = graph.add_node("sum", Op::Binary(crate::op::Binary::Add), &[maps, bias]).unwrap()[0];
    let mean = graph.add_node("mean", Op::GlobalAveragePool, &[sum]).unwrap()[0];
    graph.set_outputs(&[mean]);
    let graph = replace_head(&graph, 5).unwrap();
    assert_eq!((shape(&graph, "b"), shape(&graph, "mean")), ("5×1×1".into(), "N×5×1×1".into()));
}
