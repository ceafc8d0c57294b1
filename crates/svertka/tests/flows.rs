//! What people do with the command, from beginning to end, on tiny data.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::{Place, said};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Words that make a run of seconds.
const QUICK: &str = "epochs=3 batch=8 rate=0.05";

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn train_eval_predict_repeat() {
    let place = Place::new();
    place.stripes("stripes", 30);
    let report = &place.json(&format!("train stripes --out run --json {QUICK} epochs=12"))[0];
    assert_eq!(report["run"], "run");
    assert_eq!(report["validation"]["samples"], 6);
    assert_eq!((&report["test"], &report["split"]["validation"]), (&Value::Null, &6.into()));
    for file in ["config.toml", "metrics.jsonl", "curves.svg", "model.onnx", "checkpoint.safetensors"] {
        assert!(place.path("run").join(file).metadata().unwrap().len() > 100, "{file}");
    }

    let whole = &place.json("eval run stripes --json")[0];
    assert_eq!(whole["samples"], 60);
    assert!(whole["accuracy"].as_f64().unwrap() > 0.95, "{whole}");
    let own = &place.json("eval run --json")[0];
    assert_eq!((&own["part"], &own["samples"]), (&"validation".into(), &6.into()));
    assert_eq!(
        (&own["accuracy"], &own["loss"]),
        (&report["validation"]["accuracy"], &report["validation"]["loss"])
    );

    let elsewhere = place.command("eval ../run --json").current_dir(place.path("stripes")).output();
    assert_eq!(said(elsewhere.unwrap()).status, Some(0), "a run finds its data from any folder");

    let files = "stripes/down/001.png stripes/across/002.png";
    let predictions = place.json(&format!("predict run/model.onnx {files} --json"));
    for (prediction, class) in predictions.iter().zip(["down", "across"]) {
        assert!(prediction["file"].as_str().unwrap().contains(class));
        assert_eq!(prediction["classes"][0]["name"], class);
        let probabilities = prediction["classes"].as_array().unwrap().iter();
        let sum: f64 = probabilities.map(|class| class["probability"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
    assert_eq!(place.json("repeat run --steps 20 --json")[0]["steps"], 20);
    assert!(place.done("model show run").contains("Conv"));
}

#[test]
fn a_log_that_was_tampered_with_is_found() {
    let place = Place::new();
    place.stripes("stripes", 12);
    place.done(&format!("train stripes --out run {QUICK}"));
    let log = read(place.path("run/metrics.jsonl"));
    let line = log.lines().find(|line| line.contains("\"step\":2,")).unwrap();
    let bits = line.split("\"loss_bits\":").nth(1).unwrap().split(',').next().unwrap();
    place.write("run/metrics.jsonl", log.replace(bits, "1065353216").as_bytes());
    assert!(place.refused("repeat run", 1).contains("step 2: loss 1 (0x3f800000) in the log"));
}

#[test]
fn runs_are_counted_and_the_configuration_written_out_trains_the_same() {
    let place = Place::new();
    place.stripes("stripes", 12);
    place.done(&format!("train stripes {QUICK}"));
    place.done("train --config runs/stripes-lenet5-1/config.toml --threads 1 workers=0");
    let model = |run: &str| fs::read(place.path(&format!("runs/{run}/model.onnx"))).unwrap();
    assert!(model("stripes-lenet5-1") == model("stripes-lenet5-2"), "threads and workers change no bit");
    let refusal = place.refused("train stripes --out runs/stripes-lenet5-1", 1);
    assert!(refusal.contains("not empty") && refusal.contains("--resume"), "{refusal}");
}

#[test]
fn a_finished_run_without_its_checkpoint_is_left_as_it_is() {
    let place = Place::new();
    place.stripes("stripes", 12);
    place.done(&format!("train stripes --out run {QUICK}"));
    fs::remove_file(place.path("run/checkpoint.safetensors")).unwrap();
    let before = (read(place.path("run/metrics.jsonl")), fs::read(place.path("run/model.onnx")).unwrap());
    assert!(place.refused("train --resume run", 1).contains("without a checkpoint"));
    let after = (read(place.path("run/metrics.jsonl")), fs::read(place.path("run/model.onnx")).unwrap());
    assert!(before == after, "the log or the model has changed");
}

#[test]
fn names_of_the_digits_and_of_the_zoo_are_never_taken_for_folders() {
    let place = Place::new();
    place.stripes("digits", 12);
    place.stripes("lenet5", 12);
    assert_eq!(place.json("data check --json")[0], place.json("data check digits --json")[0]);
    assert!(place.done("model show lenet5").contains("61,706"));
    assert!(place.done("data check ./digits").contains("down"));
}

#[test]
fn a_trained_network_is_trained_further_on_other_classes() {
    let place = Place::new();
    place.stripes("stripes", 12);
    place.done(&format!("train stripes --out first {QUICK}"));
    fs::rename(place.path("stripes/down"), place.path("stripes/zebra")).unwrap();
    place.done(&format!("train stripes --model first --out second {QUICK}"));
    let classes = &place.json("predict second stripes/zebra/001.png --json")[0]["classes"];
    let mut names: Vec<_> = classes.as_array().unwrap().iter().map(|class| class["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [Some("across"), Some("zebra")]);
}

#[test]
fn the_digits_are_at_hand() {
    let place = Place::new();
    let report = &place.json("train --out run --json epochs=2")[0];
    assert_eq!(report["test"]["samples"], 1_500);
    assert!(report["test"]["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    let measured = &place.json("eval run/model.onnx --json")[0];
    assert_eq!(measured["accuracy"], report["test"]["accuracy"]);
}

/// Steps that a run has logged.
fn steps(log: &Path) -> usize {
    fs::read_to_string(log).unwrap_or_default().matches("\"event\":\"step\"").count()
}

/// A run of many steps that writes a checkpoint at every seventh.
const LONG: &str = "train stripes epochs=60 batch=4 rate=0.01 checkpoint_steps=7 --threads 1 --out";

#[test]
fn a_run_that_is_killed_and_resumed_ends_with_the_same_bits() {
    let place = Place::new();
    place.stripes("stripes", 20);
    place.done(&format!("{LONG} whole"));
    let mut child = place.command(&format!("{LONG} killed")).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&place.path("killed/metrics.jsonl"), 40);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed_after = steps(&place.path("killed/metrics.jsonl"));
    assert!(
        killed_after < 540 && !place.path("killed/model.onnx").exists(),
        "killed too late: {killed_after}"
    );
    place.done("train --resume killed");
    let model = |run: &str| fs::read(place.path(&format!("{run}/model.onnx"))).unwrap();
    assert!(model("whole") == model("killed"), "the same bits");
    assert_eq!(steps(&place.path("killed/metrics.jsonl")), steps(&place.path("whole/metrics.jsonl")));
    place.done("repeat killed");
}

fn wait_for(log: &Path, count: usize) {
    let begun = Instant::now();
    while steps(log) < count {
        assert!(begun.elapsed() < Duration::from_secs(120), "the run does not get going");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_writes_a_checkpoint_and_says_how_to_go_on() {
    let place = Place::new();
    place.stripes("stripes", 20);
    let line = format!("{LONG} run epochs=100000");
    let child = place.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&place.path("run/metrics.jsonl"), 10);
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let said = said(child.wait_with_output().unwrap());
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("svertka train --resume run"), "{said:?}");
    assert!(place.path("run/checkpoint.safetensors").exists());
    assert!(place.path("run/curves.svg").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child =
        place.command("model list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let said = said(child.wait_with_output().unwrap());
    assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""));
}

#[test]
fn models_are_listed_shown_and_drawn() {
    let place = Place::new();
    assert!(place.done("model list").contains("61,706"));
    let listed = place.json("model list --json");
    assert!(listed.iter().any(|row| row["name"] == "resnet18" && row["parameters"] == 11_689_512));
    let shown = &place.json("model show lenet5 --json")[0];
    assert_eq!((&shown["parameters"], &shown["multiply_adds"]), (&61_706.into(), &416_520.into()));
    let text = place.done("model show resnet18 --train --batch 2 --size 64");
    assert!(text.contains("peak scratch") && text.contains("lower bound"), "{text}");
    assert!(place.done("model show lenet5 --train --plan").contains("softmax + cross-entropy"));
    place.done("model draw resnet18 -o resnet18.svg");
    let drawing = read(place.path("resnet18.svg"));
    assert!(drawing.starts_with("<svg") && drawing.contains("Conv + BatchNorm + Relu"));
}

#[test]
fn data_is_checked_and_shown() {
    let place = Place::new();
    place.stripes("stripes", 3);
    let report = &place.json("data check stripes --json")[0];
    assert_eq!(report["parts"][0]["samples"], 6);
    place.done("data show stripes -o sheet.svg");
    assert_eq!(read(place.path("sheet.svg")).matches("data:image/png").count(), 6);
    assert!(place.done("data check").contains("8,500") || place.done("data check").contains("8500"));
}
