//! Networks that svertka did not make, beside ONNX Runtime. The fixtures are made by `reference/foreign.py`.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use svertka_engine::Machine;
use svertka_graph::{Dim, Role, onnx, surgery};
use svertka_image::{Picture, Preparation, Samples};
use svertka_tasks::{
    Model, Predictor, TaskError,
    foreign::{adopt, is_foreign, reads},
};

/// Sums in another order.
const TOLERANCE: f64 = 1e-5;
const SIDE: usize = 8;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foreign").join(name)
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

fn adopted(name: &str, text: &str) -> Result<Model, TaskError> {
    let (graph, parameters) = onnx::load(fixture(&format!("{name}.onnx"))).unwrap();
    adopt(&graph, parameters, &text.parse().unwrap(), [SIDE, SIDE])
}

fn pictures(expected: &Value) -> Vec<Picture> {
    let picture = |samples: &Value| {
        let samples = samples.as_array().unwrap().iter().map(|sample| sample.as_u64().unwrap() as u8);
        Picture::new(SIDE, SIDE, 3, Samples::U8(samples.collect())).unwrap()
    };
    expected["pictures"].as_array().unwrap().iter().map(picture).collect()
}

/// Probabilities of the classes in their order, a row for each picture.
fn probabilities(model: Model, pictures: Vec<Picture>) -> Vec<Vec<f64>> {
    let predictions = Predictor::new(model, 2, Machine::single()).unwrap().predict(pictures).unwrap();
    let row = |prediction: Result<svertka_tasks::Prediction, _>| {
        let mut classes = prediction.unwrap().classes;
        classes.sort_by_key(|(name, _)| name.parse::<usize>().unwrap());
        classes.into_iter().map(|(_, probability)| f64::from(probability)).collect()
    };
    predictions.into_iter().map(row).collect()
}

#[test]
fn adopted_networks_see_what_their_makers_showed_them() {
    let expected = expected();
    for (name, case) in expected["cases"].as_object().unwrap() {
        let model = adopted(name, case["preprocess"].as_str().unwrap()).unwrap();
        let input = model.graph.inputs()[0];
        assert_eq!(model.graph.value(input).name, "image");
        assert!(matches!(model.graph.shape(input)[0], Dim::Symbol(_)), "{name}: any number of rows");
        for (found, wanted) in
            probabilities(model, pictures(&expected)).iter().zip(case["probabilities"].as_array().unwrap())
        {
            let wanted: Vec<f64> = wanted.as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
            let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(found.len() == wanted.len() && worst < TOLERANCE, "{name}: {found:?}, not {wanted:?}");
        }
    }
}

#[test]
fn an_adopted_network_is_a_model_like_ours() {
    let model = adopted("keras", "[\"bgr\", { subtract = [1, 2, 3] }]").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    model.save(&file).unwrap();
    let again = Model::load(&file).unwrap();
    assert_eq!(again.graph.outputs(), model.graph.outputs());
    assert_eq!((&again.input, &again.parameters), (&model.input, &model.parameters));
    assert!(!is_foreign(&again.graph).unwrap());
    let swap = again.graph.expect("preprocess.bgr.weight").unwrap();
    assert_eq!(again.graph.value(swap).parameter().unwrap().role, Role::Constant);
    let expected = expected();
    assert_eq!(probabilities(again, pictures(&expected)), probabilities(model, pictures(&expected)));
}

#[test]
fn heads_are_found_whatever_they_are_made_of() {
    for (name, weight, op, features) in [
        ("pytorch", "fc.weight", "Gemm", 96),
        ("keras", "dense", "MatMul", 96),
        ("squeezenet", "head", "Conv", 6),
    ] {
        let model = adopted(name, "[{ divide = 255 }]").unwrap();
        let layer = surgery::last_layer(&model.graph).unwrap();
        assert_eq!(
            (layer.weight.as_str(), layer.op, layer.features, layer.classes),
            (weight, op, features, 4)
        );
        let other = surgery::replace_head(&model.graph, 7).unwrap();
        let logits = other.shape(other.expect("logits").unwrap());
        assert_eq!((logits.rank(), &logits[1]), (2, &Dim::Fixed(7)), "{name}");
    }
}

#[test]
fn what_a_network_reads_is_told_with_channels_in_front() {
    for name in ["pytorch", "keras", "squeezenet"] {
        let (graph, _) = onnx::load(fixture(&format!("{name}.onnx"))).unwrap();
        assert!(is_foreign(&graph).unwrap());
        assert_eq!(reads(&graph).unwrap(), (3, [Some(SIDE), Some(SIDE)]));
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let (graph, parameters) = onnx::load(fixture("pytorch.onnx")).unwrap();
    let refusal = |text: &str, size| {
        let preparation: Preparation = text.parse().unwrap();
        adopt(&graph, parameters.clone(), &preparation, size).unwrap_err().to_string()
    };
    assert!(refusal("[]", [8, 9]).contains("pictures of 8 x 9, but the network reads N×3×8×8"));
    assert!(refusal("[{ divide = [1, 2] }]", [8, 8]).contains("2 numbers, the network reads 3 channels"));
    let inner = surgery::cut(&graph, "/conv/Conv_output_0").unwrap();
    let text = adopt(&inner, parameters.clone(), &Preparation::default(), [8, 8]).unwrap_err().to_string();
    assert!(text.contains("(Conv) of shape N×6×8×8"), "{text}");
}
