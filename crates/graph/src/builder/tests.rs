use super::*;
use crate::{Node, Sizes, op::*};

fn build(body: impl FnOnce(&Builder)) -> Result<Graph, GraphError> {
    let network = Builder::new();
    body(&network);
    network.finish()
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.parameters().map(|(_, value, _)| value.name.as_str()).collect()
}

fn node<'g>(graph: &'g Graph, name: &str) -> &'g Node {
    graph.nodes().iter().find(|node| node.name == name).unwrap()
}

fn shape(graph: &Graph, name: &str) -> String {
    graph.shape(graph.expect(name).unwrap()).to_string()
}

#[test]
fn sequences_count_as_sequential_does() {
    // nn.Sequential(Conv2d, ReLU, MaxPool2d, Dropout, Conv2d): modules 0 and 4 have parameters.
    let graph = build(|network| {
        network
            .image(3, [8, 8])
            .sequence("features", |x| x.conv(4, 3).relu().max_pool(2).dropout(0.5).conv(5, 1))
            .output("y");
    });
    let expected = ["features.0.weight", "features.0.bias", "features.4.weight", "features.4.bias"];
    assert_eq!(names(&graph.unwrap()), expected);
}

#[test]
fn a_residual_block_has_the_names_of_torchvision() {
    let graph = build(|network| {
        let out = network.image(8, [4, 4]).sequence("layer1", |x| {
            x.block(|x| {
                let main = x.name("conv1").conv(16, kernel(3).stride(2).padding(1).without_bias());
                let main = main.name("bn1").batch_norm().relu();
                let side =
                    x.sequence("downsample", |x| x.conv(16, kernel(1).stride(2).without_bias()).batch_norm());
                main.add(&side).relu()
            })
        });
        out.global_average_pool().flatten().name("fc").linear(10).classify();
    })
    .unwrap();
    let expected = [
        "layer1.0.conv1.weight",
        "layer1.0.bn1.weight",
        "layer1.0.bn1.bias",
        "layer1.0.bn1.running_mean",
        "layer1.0.bn1.running_var",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.weight",
        "layer1.0.downsample.1.bias",
        "layer1.0.downsample.1.running_mean",
        "layer1.0.downsample.1.running_var",
        "fc.weight",
        "fc.bias",
    ];
    assert_eq!(names(&graph), expected);
    assert_eq!(shape(&graph, "layer1.0.add"), "N×16×2×2");
    assert_eq!(shape(&graph, "logits"), "N×10");
    let outputs: Vec<&str> = graph.outputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
    assert_eq!(outputs, ["logits", "probabilities"]);
    let statistic = graph.value(graph.expect("layer1.0.bn1.running_var").unwrap()).parameter().unwrap();
    assert_eq!((statistic.role, statistic.initialiser), (Role::Statistic, Initialiser::Constant(1.0)));
}

#[test]
fn a_skip_of_a_u_net_joins_channels() {
    let graph = build(|network| {
        let skip = network.image(1, [8, 8]).conv(4, kernel(3).padding(1)).relu();
        let deep = skip.max_pool(2).conv(8, kernel(3).padding(1)).relu();
        let up = deep.conv_transpose(4, kernel(2).stride(2));
        skip.concat(&[&up]).conv(2, 1).output("mask");
    })
    .unwrap();
    assert_eq!(shape(&graph, "concat"), "N×8×8×8");
    assert_eq!(shape(&graph, "conv_transpose.weight"), "8×4×2×2");
    assert_eq!(shape(&graph, "mask"), "N×2×8×8");
}

#[test]
fn the_four_paddings_keep_the_size() {
    for (mode, expected) in [
        (Padding::Zeros, None),
        (Padding::Reflect, Some(PadMode::Reflect)),
        (Padding::Replicate, Some(PadMode::Edge)),
        (Padding::Circular, Some(PadMode::Wrap)),
    ] {
        let graph = build(|network| {
            network
                .image(1, [7, 9])
                .name("c")
                .conv(2, kernel([5, 3]).padding([2, 1]).padding_mode(mode))
                .output("y");
        })
        .unwrap();
        assert_eq!(shape(&graph, "y"), "N×2×7×9");
        let pad = graph.nodes().iter().find_map(|node| match &node.op {
            Op::Pad(pad) => Some(pad.clone()),
            _ => None,
        });
        let pads = vec![0, 0, 2, 1, 0, 0, 2, 1];
        assert_eq!(pad, expected.map(|mode| Pad { mode, pads }));
        let Op::Conv(conv) = &node(&graph, "c").op else { panic!("no convolution") };
        assert_eq!(conv.window.pads, if mode == Padding::Zeros { [2, 1, 2, 1] } else { [0; 4] });
    }
}

#[test]
fn sum_pooling_is_the_mean_over_all_taps_times_their_number() {
    let graph = build(|network| {
        network.image(1, [6, 6]).name("sum").sum_pool([2, 3]).output("y");
    })
    .unwrap();
    assert_eq!(shape(&graph, "y"), "N×1×3×2");
    let Op::AveragePool(pool) = &node(&graph, "sum.mean").op else { panic!("no pooling") };
    assert!(pool.count_include_pad && !pool.ceil_mode);
    let Op::Constant(area) = &node(&graph, "sum.area").op else { panic!("no constant") };
    assert_eq!(area.as_f32(), Some(&[6.0][..]));
    let refused = build(|network| {
        network.image(1, [6, 6]).sum_pool(kernel(2).ceil_mode()).output("y");
    });
    assert!(refused.unwrap_err().to_string().contains("`ceil_mode` means nothing here"));
}

#[test]
fn adaptive_pooling_divides_or_refuses() {
    let pooled = |size: usize| {
        build(|network| {
            network.image(2, [12, 6]).conv(2, 1).adaptive_average_pool(size).output("y");
        })
    };
    assert_eq!(shape(&pooled(3).unwrap(), "y"), "N×2×3×3");
    assert_eq!(shape(&pooled(1).unwrap(), "y"), "N×2×1×1");
    assert!(pooled(4).unwrap_err().to_string().contains("4 does not divide an extent of 6"));
    assert!(pooled(0).is_err());
}

#[test]
fn normalising_is_a_subtraction_and_a_division() {
    let graph = build(|network| {
        network.image(3, [2, 2]).normalise(&[0.485, 0.456, 0.406], &[0.5]).output("y");
    })
    .unwrap();
    let operators: Vec<&str> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(operators, ["Constant", "Constant", "Sub", "Div"]);
    let constant = |name: &str| match &node(&graph, name).op {
        Op::Constant(tensor) => (tensor.shape().to_vec(), tensor.as_f32().unwrap().to_vec()),
        other => panic!("{other:?} is no constant"),
    };
    assert_eq!(constant("normalise.std"), (vec![1, 3, 1, 1], vec![127.5; 3]));
    let (_, mean) = constant("normalise.mean");
    let expected = [123.675, 116.28, 103.53];
    assert!(mean.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-5 * b), "{mean:?}");
}

#[test]
fn defaults_are_those_of_pytorch() {
    let graph = build(|network| {
        network
            .image(4, [5, 5])
            .name("c")
            .conv(6, kernel(3).groups(2))
            .flatten()
            .name("f")
            .linear(2)
            .output("y");
    })
    .unwrap();
    let initialiser = |name: &str| graph.value(graph.expect(name).unwrap()).parameter().unwrap().initialiser;
    assert_eq!(initialiser("c.weight"), Initialiser::KaimingUniform { slope: 5f32.sqrt() });
    assert_eq!(shape(&graph, "c.weight"), "6×2×3×3");
    assert_eq!(initialiser("c.bias"), Initialiser::Uniform { bound: (1.0 / 18f64.sqrt()) as f32 });
    assert_eq!(initialiser("f.bias"), Initialiser::Uniform { bound: (1.0 / 54f64.sqrt()) as f32 });
}

#[test]
fn a_builder_may_have_other_first_values() {
    let conv = Initialiser::KaimingNormalFanOut;
    let linear = Initialiser::Normal { std: 0.01 };
    let bias = Initialiser::Constant(0.0);
    let network = Builder::new().with_initialisers(Initialisers { conv, linear, bias: Some(bias) });
    let maps = network.image(1, [4, 4]).name("c").conv(2, 3);
    let maps = maps.name("own").conv(2, kernel(1).initialiser(Initialiser::Dirac));
    maps.flatten().name("f").linear(2).output("y");
    let graph = network.finish().unwrap();
    let found: Vec<Initialiser> = graph.parameters().map(|(_, _, parameter)| parameter.initialiser).collect();
    assert_eq!(found, [conv, bias, Initialiser::Dirac, bias, linear, bias]);
}

#[test]
fn dropout_of_nothing_is_left_out_and_keeps_its_place() {
    let graph = build(|network| {
        network.image(1, [2, 2]).flatten().sequence("classifier", |x| x.dropout(0.0).linear(2)).output("y");
    })
    .unwrap();
    assert_eq!(names(&graph), ["classifier.1.weight", "classifier.1.bias"]);
    assert!(graph.nodes().iter().all(|node| node.op.name() != "Dropout"));
}

#[test]
fn one_dimension_works_as_two_do() {
    let graph = build(|network| {
        let wave = network.input("wave", DataType::F32, Shape::new(["N".into(), 1.into(), "L".into()]));
        let maps =
            wave.conv(8, kernel(9).stride(2).padding(4).padding_mode(Padding::Reflect)).batch_norm().relu();
        maps.max_pool(2).spatial_dropout(0.1).global_average_pool().flatten().linear(3).classify();
    })
    .unwrap();
    assert_eq!(shape(&graph, "logits"), "N×3");
    assert_eq!(shape(&graph, "spatial_dropout.kept"), "N×8×1");
    assert!(graph.concrete_shapes(&Sizes::batch(2).with("L", 100)).is_ok());
}

#[test]
fn errors_are_collected_and_name_their_layers() {
    let error = build(|network| {
        let x = network.image(3, [4, 4]);
        x.name("large").conv(2, 9).relu().flatten().output("a");
        x.name("cut").conv(2, kernel(1).groups(2)).output("b");
        x.name("grouped").max_pool(kernel(2).groups(3)).output("c");
    })
    .unwrap_err();
    let GraphError::Several(errors) = &error else { panic!("{error}") };
    assert_eq!(errors.len(), 3);
    for part in
        ["`large` (Conv): a kernel that spans 9", "`cut` (Conv): 3 channels", "`grouped` (MaxPool): `groups`"]
    {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn what_cannot_be_a_network_is_refused() {
    let nothing = build(|network| {
        network.image(1, [2, 2]).relu();
    });
    assert!(nothing.unwrap_err().to_string().contains("puts nothing out"));
    let other = Builder::new();
    let foreign = other.image(1, [2, 2]);
    let mixed = build(|network| {
        network.image(1, [2, 2]).add(&foreign).output("y");
    });
    assert!(mixed.unwrap_err().to_string().contains("two builders"));
    let twice = build(|network| {
        let x = network.image(1, [2, 2]);
        x.name("same").conv(1, 1);
        x.name("same").conv(1, 1).output("y");
    });
    assert_eq!(twice.unwrap_err(), GraphError::DuplicateName("same.weight".into()));
    let unknown = build(|network| {
        network.input("x", DataType::F32, Shape::new(["N".into(), "C".into()])).linear(2).output("y");
    });
    assert!(unknown.unwrap_err().to_string().contains("channels of its input N×C"));
    let empty = build(|network| {
        network.image(1, [2, 2]).flatten().name("fc").linear(0).classify();
    });
    assert!(empty.unwrap_err().to_string().contains("`fc.weight`: its weight would be empty: 0×4"));
    let flat = build(|network| {
        network.image(1, [2, 2]).normalise(&[0.5], &[0.0]).output("y");
    });
    assert!(flat.unwrap_err().to_string().contains("std has to be positive"));
    let huge = build(|network| {
        network
            .image(1, [4, 4])
            .conv(usize::MAX, kernel(3).padding(usize::MAX).padding_mode(Padding::Circular))
            .output("y");
    });
    assert!(huge.is_err());
}

#[test]
fn outputs_may_be_any_value_and_have_two_names() {
    let graph = build(|network| {
        let x = network.image(1, [2, 2]);
        x.output("same");
        x.relu().output("a").output("b");
    })
    .unwrap();
    let outputs: Vec<&str> = graph.outputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
    assert_eq!(outputs, ["same", "a", "b"]);
    assert_eq!(node(&graph, "b").op, Op::Identity);
}

#[test]
fn nodes_keep_names_of_their_own_when_values_are_renamed() {
    let graph = build(|network| {
        network.image(1, [2, 2]).relu().output("a").relu().output("b");
    });
    let names: Vec<String> = graph.unwrap().nodes().iter().map(|node| node.name.clone()).collect();
    assert_eq!(names, ["relu", "relu_1"]);
    let twice = build(|network| {
        network.image(1, [2, 2]).name("same").relu().output("a").name("same").relu().output("b");
    });
    assert_eq!(twice.unwrap_err(), GraphError::DuplicateName("same".into()));
}
