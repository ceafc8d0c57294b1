use super::*;
use crate::{
    Initialiser, Parameter, Role, Rules, TensorType, differentiate,
    op::{BatchNormalization, Dropout, MaxPool, Window},
};

fn parameter(graph: &mut Graph, name: &str, role: Role) -> ValueId {
    let parameter = Parameter { role, initialiser: Initialiser::Constant(1.0), frozen: false };
    graph.add_parameter(name, TensorType::f32(Shape::fixed(&[2])), parameter).unwrap()
}

/// Two normalisations with the same four parameters, pooling and dropout.
fn network(frozen: bool) -> Graph {
    let mut graph = Graph::new();
    let shape = Shape::new(["N".into(), 2.into(), 4.into(), 4.into()]);
    let x = graph.add_input("image", DataType::F32, shape).unwrap();
    let [scale, bias] = ["bn.weight", "bn.bias"].map(|name| parameter(&mut graph, name, Role::Weight));
    let [mean, var] = ["bn.mean", "bn.var"].map(|name| parameter(&mut graph, name, Role::Statistic));
    let norm = Op::BatchNormalization(BatchNormalization { frozen, ..Default::default() });
    let first = graph.add_node("bn", norm.clone(), &[x, scale, bias, mean, var]).unwrap()[0];
    let second = graph.add_node("again", norm, &[first, scale, bias, mean, var]).unwrap()[0];
    let pool = Op::MaxPool(MaxPool { window: Window::new(&[2, 2]).stride(2), ceil_mode: false });
    let pooled = graph.add_node("pool", pool, &[second]).unwrap()[0];
    let dropped = graph.add_node("drop", Op::Dropout(Dropout { ratio: 0.5 }), &[pooled]).unwrap()[0];
    let kept = graph.add_node("keep", Op::Dropout(Dropout { ratio: 0.0 }), &[dropped]).unwrap()[0];
    graph.rename(pooled, "features").unwrap();
    graph.set_outputs(&[kept]);
    graph
}

fn operators(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().iter().map(|node| node.op.name()).collect()
}

#[test]
fn operators_that_remember_are_made_explicit_and_names_stay() {
    let graph = network(false);
    let form = training_form(&graph).unwrap();
    let expected =
        ["BatchNormTraining", "BatchNormTraining", "MaxPoolTraining", "DropoutTraining", "Identity"];
    assert_eq!(operators(&form.graph), expected);
    for value in graph.values() {
        let kept = form.graph.value(form.graph.expect(&value.name).unwrap());
        assert_eq!((&kept.name, &kept.ty), (&value.name, &value.ty));
    }
    assert_eq!(form.graph.outputs(), [form.graph.find("keep").unwrap()]);
}

#[test]
fn shared_statistics_are_updated_one_after_the_other() {
    let form = training_form(&network(false)).unwrap();
    let name = |id: ValueId| form.graph.value(id).name.as_str();
    let updates: Vec<_> = form.updates.iter().map(|&(old, new)| (name(old), name(new))).collect();
    assert_eq!(updates, [("bn.mean", "again:3"), ("bn.var", "again:4")]);
    let second = &form.graph.nodes()[1];
    assert_eq!([name(second.inputs[3]), name(second.inputs[4])], ["bn:3", "bn:4"]);
    // The running statistics that they hand on carry no gradient.
    let wrt = ["bn.weight", "bn.mean"].map(|name| form.graph.find(name).unwrap());
    let found = differentiate(&form.graph, form.graph.outputs(), &wrt, &Rules::default()).unwrap();
    assert!(found.gradients[0].is_some() && found.gradients[1].is_none());
}

#[test]
fn frozen_normalisation_stays_and_updates_nothing() {
    let form = training_form(&network(true)).unwrap();
    assert_eq!(operators(&form.graph)[..2], ["BatchNormalization", "BatchNormalization"]);
    assert!(form.updates.is_empty());
}

#[test]
fn streams_depend_on_names_alone() {
    // FNV-1a's published test vectors: "" and "a" and "foobar".
    assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn statistics_that_are_computed_cannot_be_replaced() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, Shape::fixed(&[1, 2])).unwrap();
    let vector = parameter(&mut graph, "vector", Role::Weight);
    let computed = graph.add_node("computed", Op::Identity, &[vector]).unwrap()[0];
    let norm = Op::BatchNormalization(BatchNormalization::default());
    graph.add_node("norm", norm, &[x, vector, vector, computed, vector]).unwrap();
    let error = training_form(&graph).unwrap_err().to_string();
    assert!(error.contains("norm") && error.contains("`computed` has to be a parameter"), "{error}");
}

#[test]
fn a_loss_is_appended_behind_the_outputs() {
    let mut graph = Graph::new();
    let shape = Shape::new(["N".into(), 3.into(), 5.into()]);
    let logits = graph.add_input("logits", DataType::F32, shape).unwrap();
    graph.set_outputs(&[logits]);
    let weights = [1.0, 2.0, 0.5];
    let loss = with_loss(&graph, "logits", SoftmaxCrossEntropyLoss::default(), Some(&weights)).unwrap();
    assert_eq!(loss.value(loss.expect("target").unwrap()).ty.to_string(), "i64 N×5");
    assert_eq!(loss.outputs(), [logits, loss.find("loss").unwrap()]);
    assert_eq!(loss.shape(loss.find("loss").unwrap()), &Shape::scalar());
    let soft = SoftmaxCrossEntropyLoss { target: Target::Probabilities, ..Default::default() };
    let soft = with_loss(&graph, "logits", soft, None).unwrap();
    assert_eq!(soft.value(soft.expect("target").unwrap()).ty.to_string(), "f32 N×3×5");
    let error = with_loss(&graph, "logit", SoftmaxCrossEntropyLoss::default(), None).unwrap_err();
    assert!(error.to_string().contains("did you mean `logits`"), "{error}");
}

#[test]
fn a_value_may_bear_the_name_of_another_node() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, Shape::fixed(&[1, 2])).unwrap();
    let a = graph.add_node("a", Op::Identity, &[x]).unwrap()[0];
    let b = graph.add_node("b", Op::Identity, &[a]).unwrap()[0];
    graph.rename(b, "c").unwrap();
    graph.rename(a, "b").unwrap();
    let form = training_form(&graph).unwrap();
    let names: Vec<_> = form.graph.values().iter().map(|value| value.name.as_str()).collect();
    assert_eq!(names, ["x", "b", "c"]);
}
