//! Files that svertka did not make are asked about, get a new last layer, and are trained.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::Place;
use std::fs;
use std::path::Path;

/// Words that make a run of seconds.
const QUICK: &str = "epochs=2 batch=8 rate=0.01";

/// A place with stripes, 12 x 12, and the networks of `reference/foreign.py`, which read 8 x 8.
fn place() -> Place {
    let place = Place::new();
    place.stripes("stripes", 12);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tasks/tests/fixtures/foreign");
    for name in ["pytorch", "keras", "squeezenet"] {
        let file = format!("{name}.onnx");
        fs::copy(fixtures.join(&file), place.path(&file)).unwrap();
    }
    place
}

#[test]
fn what_a_file_does_not_say_is_asked_for() {
    let place = place();
    for name in ["pytorch", "keras", "squeezenet"] {
        let error = place.refused(&format!("train stripes --model {name}.onnx --out run"), 2);
        for words in [
            &format!("{name}.onnx: the file does not say"),
            "--preprocess '[{ resize = [8, 8] }, { divide = 255 }]'",
            "--preprocess '[{ resize = [8, 8] }, \"bgr\", { subtract = [103.939, 116.779, 123.68] }]'",
        ] {
            assert!(error.contains(words), "{words} is not in {error}");
        }
    }
    assert!(!place.path("run").exists());
}

#[test]
fn what_does_not_fit_the_file_is_wrong_use() {
    let place = place();
    for (words, status, cause) in [
        (
            "--preprocess [{divide=255}]",
            2,
            "makes pictures of 12 x 12, the network reads 8 x 8; add { resize = [8, 8] }",
        ),
        ("--preprocess [{resize=8},{divide=[1,2]}]", 2, "2 numbers, the network reads 3 channels"),
        ("--preprocess [{divide=255},{resize=8}]", 2, "stands behind { divide = 255 }"),
        ("--preprocess [{resize=8},{divied=255}]", 2, "did you mean \"divide\"?"),
        ("--preprocess 8", 2, "is no list"),
    ] {
        let error = place.refused(&format!("train stripes --model pytorch.onnx {words}"), status);
        assert!(error.contains(cause), "{cause} is not in {error}");
    }
    let error = place.refused("train stripes --preprocess [{resize=12},{divide=255}]", 2);
    assert!(error.contains("{ divide = 255 } is for networks that were made elsewhere"), "{error}");
}

#[test]
fn networks_made_elsewhere_are_trained_and_go_on_as_ours() {
    let place = place();
    for name in ["pytorch", "keras", "squeezenet"] {
        let text = "--preprocess [{resize=[8,8]},\"bgr\",{divide=255},{subtract=[0.4,0.5,0.6]}]";
        let said = place.run(&format!("train stripes --model {name}.onnx {text} --out {name} {QUICK}"));
        assert_eq!(said.status, Some(0), "{said:?}");
        assert!(said.stderr.contains("is replaced by one of 2 classes"), "{said:?}");
        let classes =
            &place.json(&format!("predict {name}/model.onnx stripes/down/001.png --json"))[0]["classes"];
        let mut names: Vec<_> =
            classes.as_array().unwrap().iter().map(|class| class["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, [Some("across"), Some("down")]);
        place.json(&format!("eval {name} --json"));
        place.done(&format!("repeat {name} --steps 4"));
        // Of what was trained here, everything is known.
        place.done(&format!("train stripes --model {name} --out {name}-again {QUICK}"));
    }
    let error = place.refused("train stripes --model pytorch --preprocess [{resize=8},{divide=255}]", 2);
    assert!(error.contains("pytorch does its arithmetic itself"), "{error}");
}

#[test]
fn a_run_from_a_foreign_file_is_configured_by_what_it_wrote() {
    let place = place();
    let text = "--preprocess [{resize=[8,8]},{divide=255}]";
    place.done(&format!("train stripes --model pytorch.onnx {text} --out first {QUICK}"));
    let configuration = fs::read_to_string(place.path("first/config.toml")).unwrap();
    assert!(configuration.contains("divide = 255"), "{configuration}");
    place.done("train --config first/config.toml --out second");
    let model = |run: &str| fs::read(place.path(&format!("{run}/model.onnx"))).unwrap();
    assert!(model("first") == model("second"), "the same bits");
}

#[test]
fn show_tells_what_a_file_is_and_what_of_it_cannot_be_honoured() {
    let place = place();
    let said = place.run("model show pytorch.onnx");
    assert_eq!(said.status, Some(0), "{said:?}");
    for words in ["opset 17", "by pytorch", "weights in 5 tensors; ", "statistics in 2 tensors"] {
        assert!(said.stdout.contains(words), "{words} is not in {said:?}");
    }
    // Operators of the same length that nobody has.
    let mut bytes = fs::read(place.path("pytorch.onnx")).unwrap();
    for (known, unknown) in [(b"\x22\x04Relu", b"\x22\x04Relv"), (b"\x22\x04Gemm", b"\x22\x04Gems")] {
        let at = bytes.windows(known.len()).position(|part| part == known).unwrap();
        bytes[at..at + known.len()].copy_from_slice(unknown);
    }
    fs::write(place.path("strange.onnx"), bytes).unwrap();
    let error = place.refused("model show strange.onnx", 1);
    for words in ["2 nodes cannot be honoured", "(Relv, opset 17)", "(Gems, opset 17)"] {
        assert!(error.contains(words), "{words} is not in {error}");
    }
    assert!(!error.contains("Conv,"), "{error}");
}
