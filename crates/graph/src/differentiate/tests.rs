use super::*;
use crate::{
    Dim, Initialiser, Parameter, Role, Shape, TensorType,
    op::{Activation, Binary, Concat, Conv, Flatten, Gemm, Internal, Reduce, ReduceKind, Window},
    training_form, with_loss,
};

struct Network(Graph);

impl Network {
    fn new(input: &[usize]) -> (Self, ValueId) {
        let mut graph = Graph::new();
        let shape = [Dim::symbol("N")].into_iter().chain(input.iter().map(|&size| size.into()));
        let x = graph.add_input("x", DataType::F32, shape.collect()).unwrap();
        (Self(graph), x)
    }

    fn weight(&mut self, name: &str, shape: &[usize]) -> ValueId {
        let parameter =
            Parameter { role: Role::Weight, initialiser: Initialiser::Constant(0.0), frozen: false };
        self.0.add_parameter(name, TensorType::f32(Shape::fixed(shape)), parameter).unwrap()
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        self.0.add_node(name, op, inputs).unwrap()[0]
    }

    fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.node(name, Op::Activation(Activation::Relu), &[x])
    }

    fn sum(&mut self, x: ValueId) -> ValueId {
        let reduce = Reduce { kind: ReduceKind::Sum, axes: Vec::new(), keepdims: false };
        self.node("sum", Op::Reduce(reduce), &[x])
    }
}

/// conv1, relu1, conv2 + conv1 (a skip), fc, loss.
fn residual() -> Graph {
    let (mut net, x) = Network::new(&[3, 5, 5]);
    let conv = Op::Conv(Conv { window: Window::new(&[3, 3]).pad(1), group: 1 });
    let [w1, b1] = [net.weight("conv1.weight", &[4, 3, 3, 3]), net.weight("conv1.bias", &[4])];
    let w2 = net.weight("conv2.weight", &[4, 4, 3, 3]);
    let first = net.node("conv1", conv.clone(), &[x, w1, b1]);
    let active = net.relu("relu1", first);
    let second = net.node("conv2", conv, &[active, w2]);
    let joined = net.node("add", Op::Binary(Binary::Add), &[second, first]);
    let flat = net.node("flatten", Op::Flatten(Flatten { axis: 1 }), &[joined]);
    let [w, b] = [net.weight("fc.weight", &[10, 100]), net.weight("fc.bias", &[10])];
    net.node("fc", Op::Gemm(Gemm { trans_b: true, ..Gemm::default() }), &[flat, w, b]);
    with_loss(&net.0, "fc", Default::default(), None).unwrap()
}

fn names(graph: &Graph, names: &[&str]) -> Vec<ValueId> {
    names.iter().map(|name| graph.expect(name).unwrap()).collect()
}

/// Operators of the gradient, in order.
fn appended(found: &Differentiated) -> Vec<&'static str> {
    found.graph.nodes()[found.forward_nodes..].iter().map(|node| node.op.name()).collect()
}

fn of(graph: &Graph, output: &str, wrt: &[&str]) -> Differentiated {
    differentiate(graph, &names(graph, &[output]), &names(graph, wrt), &Rules::default()).unwrap()
}

#[test]
fn the_gradient_of_a_residual_network_is_written_from_the_loss_back() {
    let graph = residual();
    let wrt = ["conv1.weight", "conv1.bias", "conv2.weight", "fc.weight", "fc.bias"];
    let found = of(&graph, "loss", &wrt);
    let expected = [
        "Constant",                    // 1
        "SoftmaxCrossEntropyGradient", // of the scores
        "SumTo",                       // fc.bias
        "Gemm",                        // fc.weight
        "Gemm",                        // of fc's input
        "ReshapeLike",
        "ConvWeightGradient",
        "ConvInputGradient",
        "ActivationGradient",
        "Add", // what came over the skip and through the branch
        "ConvWeightGradient",
        "ReduceSum", // conv1.bias
    ];
    assert_eq!(appended(&found), expected);
    assert_eq!(found.graph.nodes()[..found.forward_nodes], *graph.nodes());
    for (name, gradient) in wrt.iter().zip(&found.gradients) {
        let gradient = found.graph.value(gradient.unwrap());
        assert_eq!(gradient.name, format!("gradient of {name}"));
        assert_eq!(gradient.ty.shape, *graph.shape(graph.find(name).unwrap()), "{name}");
    }
}

#[test]
fn nothing_is_computed_below_the_lowest_trainable_parameter() {
    let found = of(&residual(), "loss", &["fc.bias"]);
    assert_eq!(appended(&found), ["Constant", "SoftmaxCrossEntropyGradient", "SumTo"]);
    let found = of(&residual(), "loss", &["conv2.weight"]);
    let expected = ["Constant", "SoftmaxCrossEntropyGradient", "Gemm", "ReshapeLike", "ConvWeightGradient"];
    assert_eq!(appended(&found), expected);
}

#[test]
fn what_no_output_depends_on_has_no_gradient() {
    let found = of(&residual(), "relu1", &["conv1.weight", "conv2.weight"]);
    assert!(found.gradients[0].is_some());
    assert_eq!(found.gradients[1], None);
}

#[test]
fn an_output_that_is_no_number_gets_its_gradient_from_outside() {
    let graph = residual();
    let found = of(&graph, "fc", &["x"]);
    let seed = found.graph.value(found.seeds[0]);
    assert_eq!(seed.name, "gradient of fc");
    assert_eq!(seed.ty.to_string(), "f32 N×10");
    assert_eq!(found.graph.inputs().last(), Some(&found.seeds[0]));
    assert_eq!(found.graph.shape(found.gradients[0].unwrap()), graph.shape(graph.find("x").unwrap()));
}

#[test]
fn broadcast_operands_are_summed_back_to_their_shape() {
    let (mut net, x) = Network::new(&[3, 4]);
    let factor = net.weight("factor", &[3, 1]);
    let shift = net.weight("shift", &[4]);
    let scaled = net.node("scaled", Op::Binary(Binary::Mul), &[x, factor]);
    let shifted = net.node("shifted", Op::Binary(Binary::Sub), &[scaled, shift]);
    net.sum(shifted);
    let found = of(&net.0, "sum", &["factor", "shift", "x"]);
    let expected = ["Constant", "ExpandLike", "SumTo", "Constant", "Mul", "Mul", "SumTo", "Mul"];
    assert_eq!(appended(&found), expected);
    for (name, gradient) in ["factor", "shift", "x"].iter().zip(found.gradients) {
        assert_eq!(found.graph.shape(gradient.unwrap()), net.0.shape(net.0.find(name).unwrap()), "{name}");
    }
}

#[test]
fn a_value_used_twice_by_one_node_gets_both_gradients() {
    let (mut net, x) = Network::new(&[2]);
    let square = net.node("square", Op::Binary(Binary::Mul), &[x, x]);
    let joined = net.node("joined", Op::Concat(Concat { axis: 1 }), &[square, x, square]);
    net.sum(joined);
    let found = of(&net.0, "sum", &["x"]);
    let expected = ["Constant", "ExpandLike", "ConcatGradient", "Add", "Mul", "Mul", "Add", "Add"];
    assert_eq!(appended(&found), expected);
}

#[test]
fn a_rule_can_be_replaced() {
    let (mut net, x) = Network::new(&[2]);
    let active = net.relu("relu", x);
    net.sum(active);
    let mut rules = Rules::default();
    rules.set("Relu", |backward| {
        let straight_through = backward.dy()?;
        backward.give(0, straight_through)
    });
    let (output, wrt) = (names(&net.0, &["sum"]), names(&net.0, &["x"]));
    let found = differentiate(&net.0, &output, &wrt, &rules).unwrap();
    assert_eq!(appended(&found), ["Constant", "ExpandLike"]);
    rules.set("Relu", |backward| {
        let wrong = backward.number(1.0)?;
        backward.give(0, wrong)
    });
    let error = differentiate(&net.0, &output, &wrt, &rules).unwrap_err().to_string();
    assert!(error.contains("`relu` (Relu)") && error.contains("f32 scalar"), "{error}");
}

#[test]
fn a_second_order_is_refused_by_name() {
    let (mut net, x) = Network::new(&[2]);
    let active = net.relu("relu", x);
    net.sum(active);
    let first = of(&net.0, "sum", &["x"]);
    let slope = first.gradients[0].unwrap();
    let dy = first.graph.producer(slope).unwrap().inputs[1];
    let error = differentiate(&first.graph, &[slope], &[dy], &Rules::default()).unwrap_err().to_string();
    assert!(error.contains("ActivationGradient") && error.contains("second order"), "{error}");
}

#[test]
fn integers_have_no_gradient() {
    let graph = residual();
    let [loss, target] = names(&graph, &["loss", "target"])[..] else { unreachable!() };
    let error = differentiate(&graph, &[loss], &[target], &Rules::default()).unwrap_err().to_string();
    assert!(error.contains("`target` is i64"), "{error}");
}

#[test]
fn every_public_operator_has_a_rule() {
    // Constants have no inputs. What only gradients contain has no rule, so that a second order is refused.
    let rules = Rules::default();
    let public = "Conv ConvTranspose Pad MaxPool AveragePool GlobalAveragePool GlobalMaxPool BatchNormalization LRN Gemm \
         MatMul Add Sub Mul Div Relu LeakyRelu Sigmoid Tanh HardSigmoid HardSwish Clip Softmax LogSoftmax Dropout \
         Concat Flatten Reshape Transpose Squeeze Unsqueeze Identity ReduceMean ReduceSum Resize \
         SoftmaxCrossEntropyLoss";
    let with_rule: Vec<_> = rules.names().collect();
    let missing: Vec<_> = public.split_whitespace().filter(|name| !with_rule.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!with_rule.contains(&Internal::SumTo.name()));
}

#[test]
fn training_form_is_differentiated_through_what_it_remembers() {
    let (mut net, x) = Network::new(&[2, 4, 4]);
    let pool = crate::op::MaxPool { window: Window::new(&[2, 2]).stride(2), ceil_mode: false };
    let pooled = net.node("pool", Op::MaxPool(pool), &[x]);
    net.sum(pooled);
    let inference = of(&net.0, "sum", &["x"]);
    let expected = ["Constant", "ExpandLike", "MaxPoolTraining", "MaxPoolGradient"];
    assert_eq!(appended(&inference), expected);
    let training = of(&training_form(&net.0).unwrap().graph, "sum", &["x"]);
    assert_eq!(appended(&training), ["Constant", "ExpandLike", "MaxPoolGradient"]);
}
