use super::*;
use svertka_graph::{
    DataType, Initialiser, Parameter, Role, Shape, Tensor, TensorType,
    op::{Activation, BatchNormalization, Binary, Dropout, Pad, PadMode, SoftmaxCrossEntropyLoss},
    training_form, with_loss,
};

fn inputs(values: &[(&str, Array)]) -> BTreeMap<String, Array> {
    values.iter().map(|(name, array)| ((*name).to_owned(), array.clone())).collect()
}

fn real(shape: &[usize], values: &[f64]) -> Array {
    Array::real(shape, values.to_vec()).unwrap()
}

/// A graph of one operator on `x`, run.
fn of(op: Op, x: Array) -> Result<Vec<f64>, EngineError> {
    let mut graph = Graph::new();
    let id = graph.add_input("x", DataType::F32, Shape::fixed(x.shape())).unwrap();
    graph.add_node("y", op, &[id]).unwrap();
    let values = evaluate(&graph, &Parameters::new(), &inputs(&[("x", x)]), RunKey::default())?;
    Ok(values.get("y").unwrap().as_f64().unwrap().to_vec())
}

#[test]
fn the_four_paddings_of_the_lecture() {
    let padded = |mode| of(Op::Pad(Pad { mode, pads: vec![2, 2] }), real(&[3], &[1.0, 2.0, 3.0])).unwrap();
    assert_eq!(padded(PadMode::Constant(0.0)), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
    assert_eq!(padded(PadMode::Reflect), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    assert_eq!(padded(PadMode::Edge), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(padded(PadMode::Wrap), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]);
}

/// A batch normalisation of [N, 1] with the parameter values of PyTorch's fresh layer.
fn normalisation() -> (Graph, Parameters) {
    let mut graph = Graph::new();
    let shape = Shape::new(["N".into(), 1.into()]);
    let mut ids = vec![graph.add_input("x", DataType::F32, shape).unwrap()];
    let mut parameters = Parameters::new();
    for (name, role, value) in [
        ("weight", Role::Weight, 1.0),
        ("bias", Role::Weight, 0.0),
        ("mean", Role::Statistic, 0.0),
        ("var", Role::Statistic, 1.0),
    ] {
        let parameter = Parameter { role, initialiser: Initialiser::Constant(value), frozen: false };
        ids.push(graph.add_parameter(name, TensorType::f32(Shape::fixed(&[1])), parameter).unwrap());
        parameters.insert(name, Tensor::f32(&[1], vec![value]).unwrap());
    }
    graph.add_node("y", Op::BatchNormalization(BatchNormalization::default()), &ids).unwrap();
    (graph, parameters)
}

#[test]
fn training_normalises_by_the_biased_variance_and_gathers_the_unbiased() {
    let (graph, parameters) = normalisation();
    let form = training_form(&graph).unwrap();
    let x = inputs(&[("x", real(&[3, 1], &[1.0, 2.0, 6.0]))]);
    let values = evaluate(&form.graph, &parameters, &x, RunKey::default()).unwrap();
    // Mean 3, biased variance 14/3, unbiased 7; ONNX's momentum 0.9.
    let deviation = (14.0f64 / 3.0 + f64::from(1e-5f32)).sqrt();
    let y = values.get("y").unwrap().as_f64().unwrap();
    for (y, x) in y.iter().zip([1.0, 2.0, 6.0]) {
        assert!((y - (x - 3.0) / deviation).abs() < 1e-12);
    }
    let next: Vec<f64> = form.updates.iter().map(|&(_, next)| values.of(next).as_f64().unwrap()[0]).collect();
    assert!((next[0] - 0.3).abs() < 1e-6 && (next[1] - (0.9 + 0.7)).abs() < 1e-6, "{next:?}");
}

#[test]
fn dropout_is_the_identity_until_training_and_depends_on_seed_and_step() {
    let x = real(&[4, 50], &[1.0; 200]);
    let dropout = Op::Dropout(Dropout { ratio: 0.25 });
    assert_eq!(of(dropout.clone(), x.clone()).unwrap(), [1.0; 200]);
    let mut graph = Graph::new();
    let id = graph.add_input("x", DataType::F32, Shape::fixed(&[4, 50])).unwrap();
    graph.add_node("y", dropout, &[id]).unwrap();
    let graph = training_form(&graph).unwrap().graph;
    let run = |seed, step| {
        let key = RunKey { seed, step };
        let values = evaluate(&graph, &Parameters::new(), &inputs(&[("x", x.clone())]), key).unwrap();
        values.get("y").unwrap().as_f64().unwrap().to_vec()
    };
    let dropped = run(1, 0);
    assert!(dropped.iter().all(|&y| y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-12));
    // 200 draws with probability 1/4: five standard deviations are 31.
    let zeros = dropped.iter().filter(|&&y| y == 0.0).count();
    assert!((20..=80).contains(&zeros), "{zeros} of 200 dropped");
    assert_eq!(dropped, run(1, 0));
    assert!(dropped != run(1, 1) && dropped != run(2, 0));
}

#[test]
fn symbols_take_their_numbers_from_the_inputs() {
    let mut graph = Graph::new();
    let shape = Shape::new(["N".into(), 2.into()]);
    let [a, b] = ["a", "b"].map(|name| graph.add_input(name, DataType::F32, shape.clone()).unwrap());
    graph.add_node("y", Op::Binary(Binary::Add), &[a, b]).unwrap();
    let two = real(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let run = |b: Array| {
        let given = inputs(&[("a", two.clone()), ("b", b)]);
        evaluate(&graph, &Parameters::new(), &given, RunKey::default())
    };
    let values = run(two.clone()).unwrap();
    assert_eq!(values.get("y").unwrap(), &real(&[2, 2], &[2.0, 4.0, 6.0, 8.0]));
    let error = run(real(&[1, 2], &[1.0, 2.0])).unwrap_err().to_string();
    assert!(error.contains("input `b`") && error.contains("[1, 2]"), "{error}");
    let error = run(Array::integers(&[2, 2], vec![0; 4]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("f32 N×2, got i64"), "{error}");
}

#[test]
fn a_parameter_may_be_given_among_the_inputs() {
    let (graph, parameters) = normalisation();
    let x = real(&[1, 1], &[2.0]);
    let given = inputs(&[("x", x.clone()), ("bias", real(&[1], &[1e-12]))]);
    let values = evaluate(&graph, &parameters, &given, RunKey::default()).unwrap();
    assert_eq!(values.get("bias").unwrap().as_f64(), Some(&[1e-12][..]));
    let error = |given| evaluate(&graph, &parameters, &given, RunKey::default()).unwrap_err().to_string();
    assert!(error(inputs(&[("x", x.clone()), ("bas", x.clone())])).contains("no such value"));
    assert!(error(inputs(&[])).contains("input `x`: nothing was handed in"));
    assert!(error(inputs(&[("x", x.clone()), ("bias", x.clone())])).contains("parameter `bias`"));
    let none = evaluate(&graph, &Parameters::new(), &inputs(&[("x", x)]), RunKey::default()).unwrap_err();
    assert!(none.to_string().contains("no values were given"), "{none}");
}

#[test]
fn a_label_outside_the_classes_is_named() {
    let mut graph = Graph::new();
    graph.add_input("scores", DataType::F32, Shape::new(["N".into(), 3.into()])).unwrap();
    let graph = with_loss(&graph, "scores", SoftmaxCrossEntropyLoss::default(), None).unwrap();
    let target = Array::integers(&[2], vec![1, 3]).unwrap();
    let given = inputs(&[("scores", real(&[2, 3], &[0.0; 6])), ("target", target)]);
    let error = evaluate(&graph, &Parameters::new(), &given, RunKey::default()).unwrap_err();
    assert_eq!(error, EngineError::Label { sample: 1, label: 3, classes: 3 });
}

#[test]
fn a_kink_has_the_gradient_that_is_documented() {
    let kinks = [
        (Activation::Relu, 0.0, 0.0),
        (Activation::LeakyRelu { alpha: 0.1 }, 0.0, f64::from(0.1f32)),
        (Activation::Clip { min: -1.0, max: 2.0 }, -1.0, 0.0),
        (Activation::Clip { min: -1.0, max: 2.0 }, 2.0, 0.0),
        (Activation::HardSigmoid { alpha: 1.0, beta: 0.0 }, 1.0, 0.0),
    ];
    for (activation, x, expected) in kinks {
        let mut graph = Graph::new();
        let id = graph.add_input("x", DataType::F32, Shape::scalar()).unwrap();
        let y = graph.add_node("y", Op::Activation(activation), &[id]).unwrap()[0];
        let rules = svertka_graph::Rules::default();
        let derived = svertka_graph::differentiate(&graph, &[y], &[id], &rules).unwrap();
        let given = inputs(&[("x", real(&[], &[x]))]);
        let values = evaluate(&derived.graph, &Parameters::new(), &given, RunKey::default()).unwrap();
        let slope = values.of(derived.gradients[0].unwrap()).as_f64().unwrap()[0];
        assert_eq!(slope, expected, "{activation:?} at {x}");
    }
}
