//! From a data set to a model that predicts.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::path::Path;
use svertka_data::{DataSet, digits};
use svertka_engine::Machine;
use svertka_graph::{Builder, DataType, Dim, Graph, Parameters, Shape};
use svertka_image::{Channels, Picture, Preprocess, Samples};
use svertka_tasks::{Model, Predictor, Recipe, Task, TaskError, TaskOptions, evaluate};
use svertka_train::{EvaluationOptions, Event, Outcome, Trainer};

/// A few hundred of the bundled digits, 60 of them for validation, 100 to test.
fn few_digits() -> DataSet {
    let mut data = digits();
    let all: Vec<usize> = (0..400).collect();
    data.train = data.train.subset(&all);
    data.test = data.test.map(|part| part.subset(&all[..100]));
    data.split_validation(0.15, 1).unwrap();
    data
}

fn lenet(task: &Task) -> Graph {
    let card = svertka_zoo::find("lenet5").unwrap();
    card.build(&task.network_options(card)).unwrap()
}

fn native() -> TaskOptions {
    TaskOptions { native_size: Some([28, 28]), ..TaskOptions::default() }
}

fn untrained() -> (DataSet, Model) {
    let data = few_digits();
    let task = Task::open(&data, &native()).unwrap();
    let network = lenet(&task);
    let parameters = Parameters::initialise(&network, 1).unwrap();
    let model = task.model(network, parameters, Some(&Recipe::default())).unwrap();
    (data, model)
}

#[test]
fn digits_are_learnt_evaluated_and_predicted() {
    let data = few_digits();
    let task = Task::open(&data, &native()).unwrap();
    assert_eq!(task.shape, [1, 28, 28]);
    assert_eq!(task.input.preprocess.to_string(), "[{ resize = [28, 28] }]");
    let network = lenet(&task);
    let mut recipe = Recipe::default();
    (recipe.settings.epochs, recipe.settings.batch, recipe.settings.workers) = (8, 16, 0);
    let parameters = Parameters::initialise(&network, 1).unwrap();
    let job = task.job(&network, parameters, &data, &recipe).unwrap();
    let mut trainer = Trainer::new(job, Machine::single()).unwrap();
    let outcome = trainer.run(&mut |_: &Event| Ok(())).unwrap();
    let Outcome::Finished(trained) = outcome else { panic!("{outcome:?}") };
    let model = task.model(network, trained.parameters, Some(&recipe)).unwrap();

    let (name, part) = data.evaluation();
    assert_eq!(name, "test");
    let options = EvaluationOptions { batch: 32, workers: 0, max_broken: 0 };
    let evaluation = evaluate(&model, &data.classes, part, options, Machine::single()).unwrap();
    assert_eq!(evaluation.samples, 100);
    assert!(evaluation.accuracy > 0.5, "{evaluation:?}");
    let confusion: u64 = evaluation.confusion.iter().flatten().sum();
    assert_eq!((confusion, evaluation.broken.len()), (100, 0));
    let counts: Vec<u64> = part.class_counts(10).iter().map(|count| *count as u64).collect();
    assert_eq!(evaluation.classes.iter().map(|class| class.samples).collect::<Vec<_>>(), counts);

    // Prediction and evaluation are two ways through the same network.
    let pictures = (0..100).map(|index| part.picture(index).unwrap()).collect();
    let predictions = Predictor::new(model, 32, Machine::single()).unwrap().predict(pictures).unwrap();
    let (mut right, mut loss) = (0, 0.0);
    for (index, prediction) in predictions.iter().enumerate() {
        let classes = &prediction.as_ref().unwrap().classes;
        let truth = &data.classes[part.label(index)];
        assert!(classes.is_sorted_by(|a, b| a.1 >= b.1));
        assert!((classes.iter().map(|class| class.1).sum::<f32>() - 1.0).abs() < 1e-5);
        right += usize::from(classes[0].0 == *truth);
        loss -= f64::from(classes.iter().find(|class| class.0 == *truth).unwrap().1).ln() / 100.0;
    }
    assert_eq!(right as f64 / 100.0, evaluation.accuracy);
    assert!((loss - evaluation.loss).abs() < 1e-5, "{loss} {}", evaluation.loss);
}

#[test]
fn a_graph_carries_all_that_prediction_needs() {
    let (data, model) = untrained();
    let again = Model::new(model.graph.clone(), model.parameters.clone()).unwrap();
    assert_eq!(again, model);
    assert_eq!(again.target.classes, data.classes);
    assert_eq!(again.input.channels, Channels::Grey);
    assert_eq!(again.recipe, Some(Recipe::default()));

    let mut described_twice = model.graph.clone();
    let task = Task::open(&data, &native()).unwrap();
    described_twice = task.describe(described_twice, Some(&Recipe::default()));
    assert_eq!(described_twice.metadata.len(), model.graph.metadata.len(), "keys are not repeated");
}

#[test]
fn a_file_holds_the_model_and_what_was_said_about_it_since() {
    let (_, mut model) = untrained();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    model.save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model);
    model.target.classes[3] = "three".into();
    model.save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap().target, model.target);
    let error = Model::load(folder.path().join("none.onnx")).unwrap_err().to_string();
    assert!(error.contains("none.onnx"), "{error}");
}

#[test]
fn a_network_that_says_nothing_is_asked_for_its_shapes() {
    let (_, model) = untrained();
    let mut graph = model.graph.clone();
    graph.metadata.clear();
    let bare = Model::new(graph, model.parameters.clone()).unwrap();
    assert_eq!(bare.target.classes[9], "9");
    assert_eq!(bare.input.preprocess.to_string(), "[{ resize = [28, 28] }]");
    assert_eq!((bare.input.channels, bare.recipe), (Channels::Grey, None));
}

#[test]
fn metadata_that_makes_no_sense_is_named() {
    let (_, model) = untrained();
    for (key, value, word) in [
        ("svertka.task", "sound-class", "no task"),
        ("svertka.classes", "[1", "svertka.classes"),
        ("svertka.classes", r#"["a", "b"]"#, "10 scores, there are 2 classes"),
        ("svertka.preprocess", "[{ rezise = 3 }]", "resize"),
        ("svertka.channels", "purple", "svertka.channels"),
        ("svertka.recipe", r#"{"networks": "x"}"#, "unknown field"),
    ] {
        let mut graph = model.graph.clone();
        graph.metadata.retain(|(own, _)| own != key);
        graph.metadata.push((key.into(), value.into()));
        let error = Model::new(graph, model.parameters.clone()).unwrap_err().to_string();
        assert!(error.contains(word), "{key}: {error}");
    }
}

#[test]
fn pictures_are_brought_to_the_size_that_the_network_was_made_for() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, width, height| save(&folder.path().join(name), width, height);
    for class in ["cat", "dog"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        write(&format!("{class}/wide.bmp"), 40, 20);
        write(&format!("{class}/high.bmp"), 20, 30);
    }
    let data = svertka_data::open(folder.path()).unwrap();
    let open = |options: &TaskOptions| Task::open(&data, options).unwrap();
    let task = open(&TaskOptions { native_size: Some([16, 16]), ..TaskOptions::default() });
    assert_eq!(task.input.preprocess.to_string(), "[{ resize = 16 }, { center_crop = 16 }]");
    assert_eq!((task.shape, task.input.channels), ([3, 16, 16], Channels::Rgb));
    let options = TaskOptions {
        native_size: None,
        channels: Some(Channels::Grey),
        preprocess: Some("[{ resize = [8, 9] }]".parse().unwrap()),
    };
    assert_eq!(open(&options).shape, [1, 8, 9]);
    let options = TaskOptions { preprocess: Some(Preprocess::default()), ..TaskOptions::default() };
    let error = Task::open(&data, &options).unwrap_err().to_string();
    assert!(error.contains("differ in size"), "{error}");
}

/// A red picture as a BMP of 24 bits, written from the specification.
fn save(path: &Path, width: u32, height: u32) {
    let row = (3 * width).next_multiple_of(4);
    let size = 54 + row * height;
    let mut bytes = b"BM".to_vec();
    bytes.extend([size, 0, 54, 40, width, height].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0u8; 24]);
    let pixels: Vec<u8> = (0..width).flat_map(|_| [0, 0, 255]).chain([0; 3]).collect();
    (0..height).for_each(|_| bytes.extend(&pixels[..row as usize]));
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_picture_that_does_not_fit_is_an_error_of_its_own() {
    let (_, model) = untrained();
    let mut model = model;
    model.input.preprocess = Preprocess::default();
    let grey = |side: usize| Picture::new(side, side, 1, Samples::U8(vec![7; side * side])).unwrap();
    let bands = Picture::new(28, 28, 5, Samples::U8(vec![7; 5 * 28 * 28])).unwrap();
    let mut predictor = Predictor::new(model, 2, Machine::single()).unwrap();
    let found = predictor.predict(vec![grey(28), grey(27), bands, grey(28)]).unwrap();
    assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(found[0].as_ref().unwrap(), found[3].as_ref().unwrap());
    let error = found[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("[1, 27, 27]"), "{error}");
    assert_eq!(predictor.predict(Vec::new()).unwrap().len(), 0);
}

#[test]
fn classes_are_matched_by_name() {
    let (mut data, model) = untrained();
    let options = EvaluationOptions { workers: 0, ..EvaluationOptions::default() };
    let part = data.test.clone().unwrap();
    let plain = evaluate(&model, &data.classes, &part, options, Machine::single()).unwrap();
    // The data names its classes backwards, so every label means another class of the model.
    data.classes.reverse();
    let reversed = evaluate(&model, &data.classes, &part, options, Machine::single()).unwrap();
    let mut rows = plain.confusion.clone();
    rows.reverse();
    assert_eq!(reversed.confusion, rows);
    data.classes[0] = "ten".into();
    let error = evaluate(&model, &data.classes, &part, options, Machine::single()).unwrap_err();
    assert!(matches!(&error, TaskError::UnknownClass { class, .. } if class == "ten"), "{error}");
}

#[test]
fn another_number_of_scores_than_of_classes_is_refused() {
    let data = few_digits();
    let task = Task::open(&data, &native()).unwrap();
    let card = svertka_zoo::find("lenet5").unwrap();
    let network = card.build(&task.network_options(card).with_classes(7)).unwrap();
    let error = task.graph(&network, 0.0).unwrap_err().to_string();
    assert!(error.contains("7 scores, there are 10 classes"), "{error}");
}

/// Scores of digits by one linear layer, with this first extent of the input.
fn linear(batch: Dim) -> Model {
    let builder = Builder::new();
    let shape = Shape::new([batch, 1.into(), 28.into(), 28.into()]);
    builder.input("image", DataType::F32, shape).flatten().name("fc").linear(10).classify();
    let graph = builder.finish().unwrap();
    let parameters = Parameters::initialise(&graph, 1).unwrap();
    Model::new(graph, parameters).unwrap()
}

#[test]
fn batches_may_be_fixed_or_called_anything() {
    let data = digits();
    let part = data.train.subset(&(0..10).collect::<Vec<_>>());
    let options = EvaluationOptions { batch: 4, workers: 0, max_broken: 0 };
    let run = |batch: Dim| {
        let model = linear(batch);
        let found = evaluate(&model, &data.classes, &part, options, Machine::single()).unwrap();
        let pictures = (0..10).map(|index| part.picture(index).unwrap()).collect();
        let predictions = Predictor::new(model, 4, Machine::single()).unwrap().predict(pictures).unwrap();
        (found, predictions.into_iter().map(|found| found.unwrap().classes[0].0.clone()).collect::<Vec<_>>())
    };
    let (expected, predicted) = run("N".into());
    // The last batch of 3 has one digit and two rows of padding; that of 16 has six rows of it.
    for batch in ["batch_size".into(), Dim::Fixed(3), Dim::Fixed(16), Dim::Fixed(1)] {
        let (found, classes) = run(batch.clone());
        assert_eq!((found.samples, &found.confusion), (10, &expected.confusion), "{batch}");
        assert_eq!(classes, predicted, "{batch}");
        let difference = (found.loss - expected.loss).abs() / expected.loss;
        assert!(difference < 1e-5, "{batch}: {} {}", found.loss, expected.loss);
    }
}

#[test]
fn networks_without_rows_or_classes_are_refused() {
    let refusal = |image: [usize; 4], logits: [usize; 2], probabilities: [usize; 2]| {
        let mut graph = Graph::new();
        for (name, shape) in
            [("image", &image[..]), ("logits", &logits[..]), ("probabilities", &probabilities[..])]
        {
            graph.add_input(name, DataType::F32, Shape::fixed(shape)).unwrap();
        }
        Model::new(graph, Parameters::new()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(refusal([2, 1, 5, 5], [2, 3], [2, 3]), Ok(()));
    assert!(refusal([0, 1, 5, 5], [0, 3], [0, 3]).unwrap_err().contains("`image` of shape 0×1×5×5"));
    assert!(refusal([2, 1, 0, 5], [2, 3], [2, 3]).unwrap_err().contains("`image` of shape 2×1×0×5"));
    assert!(refusal([2, 1, 5, 5], [2, 0], [2, 0]).unwrap_err().contains("`logits` has shape 2×0"));
    assert!(refusal([2, 1, 5, 5], [2, 3], [2, 1]).unwrap_err().contains("`probabilities` has shape 2×1"));
}
