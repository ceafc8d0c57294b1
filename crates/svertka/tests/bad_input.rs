//! Everything that can be wrong gives one clear error that names the file and the cause, the right status, and no panic.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::{Place, idx, png};
use std::fs;

/// A place with a small set of stripes.
fn place() -> Place {
    let place = Place::new();
    place.stripes("stripes", 4);
    place
}

fn has(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in: {text}"));
}

#[test]
fn broken_pictures_are_named_with_their_cause() {
    let whole = fs::read(place().path("stripes/down/001.png")).unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("truncated.png", &whole[..whole.len() / 2], "truncated"),
        ("mislabelled.jpg", b"GIF89a and so on", "not a picture"),
        ("empty.png", b"", "zero bytes"),
        ("notes.txt", b"a shopping list", "not a picture"),
    ];
    for (name, bytes, cause) in cases {
        let place = place();
        place.write(&format!("stripes/down/{name}"), bytes);
        let file = format!("stripes/down/{name}");
        let error = place.refused("data check stripes", 1);
        has(&error, &["1 sample is broken", "max_broken"]);
        has(&place.run("data check stripes").stdout, &[name, cause]);
        let train = "train stripes --out run epochs=1 batch=4 validation=0";
        let said = place.run(train);
        assert_eq!(said.status, Some(1), "{said:?}");
        has(&said.stderr, &["error: ", &file, cause]);
        fs::remove_dir_all(place.path("run")).unwrap();
        let skipped = place.run(&format!("{train} max_broken=1"));
        assert_eq!(skipped.status, Some(0), "{skipped:?}");
        has(&skipped.stderr, &["skipped", &file, cause]);
        let predicted = place.run(&format!("predict run {file} stripes/down/001.png"));
        assert_eq!((predicted.status, predicted.stdout.lines().count()), (Some(1), 1), "{predicted:?}");
        has(&predicted.stderr, &[&file, cause]);
    }
}

#[test]
fn a_png_that_is_called_jpg_is_a_picture() {
    let place = place();
    fs::rename(place.path("stripes/down/001.png"), place.path("stripes/down/001.jpg")).unwrap();
    place.done("data check stripes");
}

#[test]
fn folders_that_are_no_data_set_are_refused() {
    let place = place();
    fs::create_dir(place.path("empty")).unwrap();
    fs::create_dir_all(place.path("hollow/cat")).unwrap();
    place.write("flat/a.png", b"");
    place.stripes("single", 3);
    fs::remove_dir_all(place.path("single/down")).unwrap();
    for (folder, cause) in [
        ("empty", "empty folder"),
        ("hollow", "no files"),
        ("flat", "no folders of classes"),
        ("single", "only one class (across)"),
        ("nowhere", "No such file"),
    ] {
        for verb in ["data check", "train --out run"] {
            has(&place.refused(&format!("{verb} {folder}"), 1), &[folder, cause]);
        }
        assert!(
            !place.path("run").exists(),
            "{folder}: nothing is written before the data is known to be sound"
        );
    }
}

#[test]
fn idx_files_that_contradict_themselves_are_refused() {
    let pixels = [7; 4 * 64];
    let images = idx(&[4, 8, 8], &pixels);
    let labels = idx(&[4], &[0, 1, 0, 1]);
    let huge = idx(&[1 << 31, 1 << 5, 1 << 4], &pixels);
    let cases: [(&str, &[u8], &[u8]); 5] = [
        ("more labels than pictures", &images, &idx(&[5], &[0; 5])),
        ("pictures cut short", &images[..100], &labels),
        ("2^40 items", &huge, &labels),
        ("no IDX", b"hello", &labels),
        ("labels of two axes", &images, &idx(&[2, 2], &[0; 4])),
    ];
    for (name, images, labels) in cases {
        let place = Place::new();
        place.write("set/train-images-idx3-ubyte", images);
        place.write("set/train-labels-idx1-ubyte", labels);
        let error = place.refused("train set", 1);
        has(&error, &["set/train-"]);
        assert!(error.len() < 400, "{name}: {error}");
    }
}

#[test]
fn labels_out_of_range_are_refused() {
    let place = Place::new();
    let mut record = vec![10];
    record.extend([0; 3072]);
    place.write("cifar/data_batch_1.bin", &record);
    has(&place.refused("train cifar", 1), &["data_batch_1.bin", "label 10", "out of range"]);
}

#[test]
fn models_that_cannot_be_read_are_refused() {
    let place = place();
    place.done("train stripes --out run epochs=1 batch=4");
    let whole = fs::read(place.path("run/model.onnx")).unwrap();
    place.write("truncated.onnx", &whole[..whole.len() / 2]);
    place.write("text.onnx", b"hello");
    place.write("empty.onnx", b"");
    fs::create_dir(place.path("folder")).unwrap();
    for (model, status, cause) in [
        ("truncated.onnx", 1, "truncated.onnx"),
        ("text.onnx", 1, "text.onnx"),
        ("empty.onnx", 1, "empty.onnx"),
        ("missing.onnx", 1, "No such file"),
        ("folder", 1, "no model.onnx"),
        ("lenet6", 2, "did you mean `lenet5`"),
    ] {
        for verb in ["eval", "model show"] {
            has(&place.refused(&format!("{verb} {model}"), status), &[cause]);
        }
        has(&place.refused(&format!("predict {model} stripes/down/001.png"), status), &[cause]);
        has(&place.refused(&format!("train stripes --model {model}"), status), &[cause]);
    }
    has(&place.refused("eval lenet5", 2), &["train it first"]);
    has(&place.refused("predict lenet5 stripes/down/001.png", 2), &["train it first"]);
    has(&place.refused("train stripes --model unet", 2), &["unet", "a class for every pixel"]);
}

#[test]
fn data_of_other_classes_or_sizes_is_refused_by_name() {
    let place = place();
    place.done("train stripes --out run epochs=1 batch=4");
    fs::rename(place.path("stripes/down"), place.path("stripes/zebra")).unwrap();
    has(&place.refused("eval run stripes", 1), &["zebra", "across, down"]);
    png(&place.path("stripes/across/other.png"), 20, 30, &[3; 600]);
    has(&place.refused("train stripes preprocess=[\"grey\"]", 1), &["differ in size", "resize"]);
}

#[test]
fn wrong_configuration_is_wrong_use() {
    let place = place();
    place.write("slip.toml", b"epochs = 2\n[optimiser]\nmomentun = 0.5\n");
    place.write("broken.toml", b"epochs = 2\nrate = = 3\n");
    for (words, status, cause) in [
        ("epoch=3", 2, "unknown key epoch; did you mean epochs?"),
        ("epochs=ten", 2, "epochs: found a text"),
        ("--config slip.toml", 2, "did you mean optimiser.momentum?"),
        ("--config broken.toml", 2, "broken.toml, line 2"),
        ("--config missing.toml", 1, "missing.toml: No such file"),
        ("model=lenet6", 2, "did you mean `lenet5`"),
        ("stripes", 2, "two data sets"),
        ("--epochs 3", 2, "--epochs"),
        ("--threads many", 2, "many"),
    ] {
        has(&place.refused(&format!("train stripes {words}"), status), &[cause]);
    }
    has(&place.refused("fly", 2), &["fly"]);
    has(&place.refused("train --resume stripes", 1), &["not a run"]);
    has(&place.refused("repeat nowhere", 1), &["nowhere"]);
    assert_eq!(place.run("").status, Some(2));
}

#[test]
fn a_resumed_run_keeps_its_settings() {
    let place = place();
    place.done("train stripes --out run epochs=1 batch=4");
    has(&place.refused("train --resume run epochs=2", 1), &["checkpoint.safetensors", "epochs"]);
    has(&place.refused("train stripes --resume run", 2), &["DATA"]);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let place = place();
    let error = place.refused("train stripes --out run epochs=50 batch=4 rate=1e30 warmup.epochs=0", 1);
    has(&error, &["step", "rate", "stripes/"]);
}

#[test]
fn environment_that_makes_no_sense_is_wrong_use() {
    let place = place();
    for (name, value) in [("SVERTKA_ISA", "avx1024"), ("SVERTKA_CONV", "fft"), ("SVERTKA_LOG", "a=b=c")] {
        let output = place.command("model show lenet5 --train").env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        has(&String::from_utf8(output.stderr).unwrap(), &["error: ", name]);
    }
}

#[cfg(unix)]
#[test]
fn files_that_never_end_are_refused() {
    let place = place();
    place.done("train stripes --out run epochs=1 batch=4");
    has(&place.refused("eval /dev/zero", 1), &["/dev/zero: not a regular file"]);
    has(
        &place.run("predict run /dev/zero stripes").stderr,
        &["/dev/zero: not a regular file", "stripes: a folder"],
    );
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = place();
    place.write("file", b"");
    // Below a file nothing can be made, whoever asks: root may write to any folder.
    has(&place.refused("train stripes --out file/run", 1), &["file/run"]);
    has(&place.refused("data show stripes -o file/sheet.svg", 1), &["file/sheet.svg"]);
    has(&place.refused("model draw lenet5 -o nowhere/lenet.svg", 1), &["nowhere/lenet.svg"]);
}

#[test]
fn a_word_with_an_equals_sign_is_no_data_set() {
    let place = Place::new();
    assert!(place.refused("train label-smoothing=0.1", 2).contains("label-smoothing"));
}
