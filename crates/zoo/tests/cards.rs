//! Every network of the table, against its card and against torchvision's lists
//! (`reference/torchvision_names.py`).

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use serde_json::Value;
use std::collections::BTreeMap;
use svertka_graph::{
    Graph, Initialiser, Role, Rules, Sizes, ValueId, differentiate, op::SoftmaxCrossEntropyLoss,
    surgery::replace_head, training_form, with_loss,
};
use svertka_zoo::{Card, Target, cards, find};

fn logits(graph: &Graph) -> Vec<usize> {
    let shapes = graph.concrete_shapes(&Sizes::batch(5)).unwrap();
    shapes[graph.expect("logits").unwrap().index()].clone()
}

fn outputs(target: Target, classes: usize, size: [usize; 2]) -> Vec<usize> {
    match target {
        Target::Class => vec![5, classes],
        Target::Mask => vec![5, classes, size[0], size[1]],
    }
}

fn torchvision() -> Value {
    serde_json::from_str(include_str!("fixtures/torchvision.json")).unwrap()
}

/// Cards that torchvision has a network for.
fn in_torchvision(lists: &Value) -> Vec<(&'static Card, &Value)> {
    cards().filter_map(|card| Some((card, lists.get(card.name)?))).collect()
}

#[test]
fn counts_and_shapes_are_those_of_the_card() {
    for card in cards() {
        let graph = card.build(&card.options()).unwrap();
        let summary = graph.summary_at(&Sizes::batch(1)).unwrap();
        let counts = (summary.parameters, summary.multiply_adds);
        assert_eq!(counts, (card.parameters, Some(card.multiply_adds)), "{}", card.name);
        assert_eq!(logits(&graph), outputs(card.target, card.classes, card.size), "{}", card.name);
        assert_eq!(graph.inputs(), [graph.expect("image").unwrap()], "{}", card.name);
        assert_eq!(find(card.name).unwrap().name, card.name);
    }
}

#[test]
fn options_are_heard() {
    for card in cards() {
        let size = [card.size[0] + 16, card.size[1]];
        let options = card.options().with_classes(7).with_channels(2).with_size(size).with_dropout(0.0);
        let plain = card.build(&options).unwrap();
        assert_eq!(logits(&plain), outputs(card.target, 7, size), "{}", card.name);
        assert_eq!(plain.shape(plain.expect("image").unwrap())[1], 2.into(), "{}", card.name);
        let dropped = card.build(&options.clone().with_dropout(0.2)).unwrap();
        let dropouts =
            |graph: &Graph| graph.nodes().iter().filter(|node| node.op.name() == "Dropout").count();
        assert_eq!(dropouts(&plain), 0, "{}", card.name);
        assert!(dropouts(&dropped) > 0, "{}", card.name);
        assert!(card.build(&options.with_dropout(1.0)).is_err(), "{}", card.name);
    }
}

#[test]
fn another_head_makes_the_network_of_other_classes() {
    let shapes = |graph: &Graph| {
        graph.values().iter().map(|v| (v.name.clone(), v.ty.clone())).collect::<BTreeMap<_, _>>()
    };
    for card in cards() {
        let plain = card.build(&card.options()).unwrap();
        let seven = card.build(&card.options().with_classes(7)).unwrap();
        assert_eq!(shapes(&replace_head(&plain, 7).unwrap()), shapes(&seven), "{}", card.name);
    }
}

#[test]
fn every_weight_gets_a_gradient() {
    for card in cards() {
        let plain = card.build(&card.options()).unwrap();
        let form =
            training_form(&with_loss(&plain, "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap())
                .unwrap();
        let weights = form.graph.parameters().filter(|(_, _, parameter)| parameter.role == Role::Weight);
        let weights: Vec<ValueId> = weights.map(|(id, ..)| id).collect();
        let loss = form.graph.expect("loss").unwrap();
        let found = differentiate(&form.graph, &[loss], &weights, &Rules::default()).unwrap();
        assert!(found.gradients.iter().all(Option::is_some), "{}", card.name);
    }
}

#[test]
fn parameters_have_the_names_and_shapes_of_torchvision() {
    let lists = torchvision();
    let known = in_torchvision(&lists);
    assert_eq!(known.len(), cards().filter(|card| card.name != "lenet5").count());
    for (card, list) in known {
        let graph = card.build(&card.options()).unwrap();
        let ours =
            graph.parameters().map(|(_, value, _)| (value.name.as_str(), value.ty.shape.sizes().unwrap()));
        let theirs = list["shapes"].as_array().unwrap().iter().map(|entry| {
            let extents = entry[1].as_array().unwrap().iter().map(|extent| extent.as_u64().unwrap() as usize);
            (entry[0].as_str().unwrap(), extents.collect::<Vec<_>>())
        });
        assert_eq!(ours.collect::<BTreeMap<_, _>>(), theirs.collect::<BTreeMap<_, _>>(), "{}", card.name);
    }
}

#[test]
fn cards_count_as_torchvision_does() {
    let lists = torchvision();
    for (card, list) in in_torchvision(&lists) {
        assert_eq!(list["parameters"], card.parameters, "{}", card.name);
        assert_eq!(list["multiply_adds"], card.multiply_adds, "{}", card.name);
    }
}

/// The `self.modules()` loops at the ends of torchvision's constructors.
#[test]
fn first_values_are_drawn_as_torchvision_draws_them() {
    let initialiser = |network: &str, parameter: &str| {
        let card = find(network).unwrap();
        let graph = card.build(&card.options()).unwrap();
        graph.value(graph.expect(parameter).unwrap()).parameter().unwrap().initialiser
    };
    let default = Initialiser::KaimingUniform { slope: 5f32.sqrt() };
    for (network, parameter, expected) in [
        ("alexnet", "features.3.weight", default),
        ("alexnet", "classifier.6.weight", default),
        ("vgg16", "features.28.weight", Initialiser::KaimingNormalFanOut),
        ("vgg16", "features.28.bias", Initialiser::Constant(0.0)),
        ("vgg16", "classifier.0.weight", Initialiser::Normal { std: 0.01 }),
        ("resnet18", "conv1.weight", Initialiser::KaimingNormalFanOut),
        ("mobilenet_v2", "features.2.conv.1.0.weight", Initialiser::KaimingNormalFanOut),
        ("mobilenet_v2", "classifier.1.weight", Initialiser::Normal { std: 0.01 }),
        ("mobilenet_v2", "classifier.1.bias", Initialiser::Constant(0.0)),
    ] {
        assert_eq!(initialiser(network, parameter), expected, "{network} {parameter}");
    }
}

#[test]
fn a_slip_in_a_name_is_answered_with_the_nearest() {
    let error = find("resnet_18").unwrap_err().to_string();
    assert!(error.contains("no network named `resnet_18`; did you mean `resnet18`?"), "{error}");
}

#[test]
fn a_picture_that_is_too_small_is_refused_by_the_layer() {
    let lenet = find("lenet5").unwrap();
    let error = lenet.build(&lenet.options().with_size([7, 7])).unwrap_err().to_string();
    assert!(error.contains("conv2"), "{error}");
    let unet = find("unet").unwrap();
    let error = unet.build(&unet.options().with_size([100, 96])).unwrap_err().to_string();
    assert!(error.contains("concat"), "{error}");
}
