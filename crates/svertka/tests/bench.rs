//! `svertka bench` on small networks: what it tells adds up, and what it cannot measure is refused.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::{Place, said};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;
use svertka::graph::op::{Binary, Op, Reduce, ReduceKind};
use svertka::graph::{Builder, Graph, Parameters, onnx};

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {value}"))
}

#[test]
fn one_object_tells_rate_time_and_memory() {
    let place = Place::new();
    for (line, train) in [("bench lenet5 --train", true), ("bench lenet5", false)] {
        let told = &place.json(&format!("{line} --batch 4 --size 20x24 --threads 2 --json"))[0];
        let (median, best) = (number(told, "median_s"), number(told, "best_s"));
        assert!(0.0 < best && best <= median, "{told}");
        assert!((number(told, "rate") * median - 4.0).abs() < 1e-6, "{told}");
        let share = number(told, "gflops") / number(told, "peak_gflops");
        assert!((number(told, "peak_share") - share).abs() < 1e-9 && share > 0.0, "{told}");
        assert!(number(told, "steps") >= 5.0, "{told}");
        assert_eq!((&told["train"], &told["size"]), (&train.into(), &vec![20, 24].into()));
        assert_eq!(
            (&told["batch"], &told["threads"], &told["model"]),
            (&4.into(), &2.into(), &"lenet5".into())
        );
        assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
        if cfg!(target_os = "linux") {
            assert!(number(told, "peak_mb") > 1.0, "{told}");
        }
    }
}

#[test]
fn the_table_tells_every_layer_and_the_sums_of_the_parts() {
    let place = Place::new();
    let text = place.done("bench lenet5 --train --batch 2");
    for word in ["forward", "backward", "update", "total", "bound, ms", "pictures per second"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    let inference = place.done("bench lenet5");
    assert!(inference.contains("Gemm") && !inference.contains("backward"), "{inference}");
}

#[test]
fn a_plan_tells_the_algorithm_of_every_convolution_and_runs_nothing() {
    let place = Place::new();
    let told = &place.json("bench resnet18 --train --batch 1024 --plan --json")[0];
    let steps = told["steps"].as_array().unwrap();
    let products = |step: &Value| number(step, "products") <= number(step, "multiply_adds");
    assert!(steps.iter().all(|step| step.get("seconds").is_none() && products(step)));
    let of_kind =
        |kind: &str| steps.iter().filter(|step| step["kind"].as_str().unwrap().contains(kind)).count();
    assert_eq!((of_kind("ConvInputGradient"), of_kind("ConvWeightGradient")), (19, 20));
    let convolutions = steps.iter().filter(|step| step["kind"].as_str().unwrap().contains("Conv"));
    assert!(convolutions.into_iter().all(|step| !step["algorithm"].as_str().unwrap().is_empty()));
    // Forward, the weights' gradients, and the inputs' but for the picture's own.
    let stem = 118_013_952;
    assert_eq!(told["multiply_adds"], 1024u64 * (3 * 1_814_073_344 - stem));
    assert!(place.done("bench unet --train --plan").contains("memory, bytes"));
}

#[test]
fn contestants_take_turns_by_lines() {
    let place = Place::new();
    let mut command = place.command("bench lenet5 --train --batch 2 --interactive");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"2\nprobe\n3\n").unwrap();
    let said = said(child.wait_with_output().unwrap());
    assert_eq!(said.status, Some(0), "{said:?}");
    let answers: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(number(&answers[0], "seconds") > 0.0 && number(&answers[1], "gflops") > 0.0);
    assert!(number(&answers[2], "seconds") > 0.0 && answers.len() == 3, "{answers:?}");
}

#[test]
fn every_network_of_the_zoo_can_be_trained() {
    let place = Place::new();
    // At the smallest sizes that the networks take.
    for network in ["alexnet --size 224", "resnet18 --size 32", "mobilenet_v2 --size 32", "unet --size 16"] {
        let told = &place.json(&format!("bench {network} --train --batch 1 --json"))[0];
        assert!(number(told, "rate") > 0.0, "{told}");
    }
}

/// A file of a network whose picture is 1 × 8 × 8.
fn file(place: &Place, name: &str, build: impl FnOnce(&Builder)) {
    let network = Builder::new();
    build(&network);
    let graph: Graph = network.finish().unwrap();
    onnx::save(place.path(name), &graph, &Parameters::initialise(&graph, 0).unwrap()).unwrap();
}

#[test]
fn files_are_measured_by_their_first_output() {
    let place = Place::new();
    file(&place, "scores.onnx", |network| {
        network.image(1, [8, 8]).flatten().name("fc").linear(3).output("scores");
    });
    let told = &place.json("bench scores.onnx --train --batch 3 --json")[0];
    assert_eq!((&told["model"], &told["size"]), (&"scores.onnx".into(), &vec![8, 8].into()));
    assert!(place.refused("bench scores.onnx --size 9", 2).contains("the input of this network is fixed"));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    file(&place, "sum.onnx", |network| {
        let sum = Reduce { kind: ReduceKind::Sum, axes: vec![1, 2, 3], keepdims: false };
        network.image(1, [8, 8]).conv(2, 3).apply(Op::Reduce(sum)).output("sum");
    });
    file(&place, "two.onnx", |network| {
        let [a, b] = [
            network.image(1, [8, 8]),
            network.input(
                "other",
                svertka::graph::DataType::F32,
                [1, 1, 8, 8].map(svertka::graph::Dim::from).into_iter().collect(),
            ),
        ];
        a.apply_with(Op::Binary(Binary::Add), &[&b]).flatten().output("y");
    });
    for (line, status, cause) in [
        ("lenet5 --batch 0", 2, "--batch"),
        ("lenet5 --size 0", 2, "--size"),
        ("lenet5 --size 5", 1, "conv2"),
        ("lenet6", 2, "did you mean `lenet5`"),
        ("missing.onnx", 1, "missing.onnx"),
        ("sum.onnx --train", 1, "not a classifier"),
        ("two.onnx", 1, "image, other"),
        ("lenet5 --plan --interactive", 2, "--interactive"),
    ] {
        let refusal = place.refused(&format!("bench {line}"), status);
        assert!(refusal.contains(cause), "{line}: {refusal}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_into_memory_is_refused_with_the_bytes_it_needs() {
    // The pictures alone are as many bytes.
    for (line, pictures) in [
        ("bench lenet5 --train --batch 4000000000", 4_000_000_000 * 4 * 784),
        ("bench vgg16 --train --batch 100000", 100_000 * 4 * 3 * 224 * 224),
        ("bench vgg16 --batch 100000", 100_000 * 4 * 3 * 224 * 224),
        ("bench unet --size 16384", 4 * 16_384 * 16_384),
        // The first fully connected layer alone.
        ("bench lenet5 --train --batch 1 --size 30000", 4 * 120 * 16 * 7_498 * 7_498),
        ("bench lenet5 --train --plan --size 30000", 4 * 120 * 16 * 7_498 * 7_498),
        ("model show lenet5 --train --size 30000", 4 * 120 * 16 * 7_498 * 7_498),
    ] {
        let refusal = Place::new().refused(line, 1);
        let needed = refusal.split(' ').find_map(|word| word.parse::<u64>().ok());
        assert!(needed.is_some_and(|bytes| bytes > pictures), "{line}: {refusal}");
        assert!(refusal.contains("available"), "{line}: {refusal}");
    }
}

#[test]
fn sizes_that_overflow_are_refused_by_the_layer() {
    for (line, cause) in [
        ("bench resnet18 --size 4000000000x4000000000", "node `image` (input): the shape"),
        ("bench resnet18 --size 100000", "node `max_pool` (MaxPool): a pooled plane must have fewer than"),
    ] {
        let refusal = Place::new().refused(line, 1);
        assert!(refusal.contains(cause), "{line}: {refusal}");
    }
}
