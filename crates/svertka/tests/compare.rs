//! `model compare`: files, engines and ONNX Runtime's values, and everything that can be wrong with them.

#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::{Place, png};
use serde_json::Value;
use std::fs;
use std::path::Path;
use svertka::graph::{Graph, Parameters, onnx, surgery::rename};

/// `network.onnx` and the folder `values` of what ONNX Runtime computes: `reference/compare_fixtures.py`.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/compare");
/// The values of its second convolution.
const CONV2: &str = "values/%2Fconv2%2FConv_output_0.npy";

/// A place with the fixtures.
fn place() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("values")).unwrap();
    fs::copy(format!("{FIXTURES}/network.onnx"), place.path("network.onnx")).unwrap();
    for entry in fs::read_dir(format!("{FIXTURES}/values")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), place.path("values").join(entry.file_name())).unwrap();
    }
    place
}

/// Writes the network under another name, after a change.
fn changed(place: &Place, name: &str, change: impl FnOnce(&mut Graph, &mut Parameters)) {
    let (mut graph, mut parameters) = onnx::load(place.path("network.onnx")).unwrap();
    change(&mut graph, &mut parameters);
    onnx::save(place.path(name), &graph, &parameters).unwrap();
}

fn shift(parameters: &mut Parameters, name: &str, by: f32) {
    parameters.get_mut(name).unwrap().as_f32_mut().unwrap()[0] += by;
}

/// Changes the last element of a file of f4.
fn poke(path: &Path, change: impl FnOnce(f32) -> f32) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - 4;
    let old = f32::from_le_bytes(bytes[at..].try_into().unwrap());
    bytes[at..].copy_from_slice(&change(old).to_le_bytes());
    fs::write(path, bytes).unwrap();
}

/// A file of f4 that claims to hold elements of another type.
fn retyped(file: &[u8], kind: &[u8; 3]) -> Vec<u8> {
    let at = file.windows(3).position(|window| window == b"<f4").unwrap();
    [&file[..at], kind, &file[at + 3..]].concat()
}

/// The report of a comparison in which something diverges.
fn diverging(place: &Place, line: &str) -> Value {
    let said = place.run(&format!("{line} --json"));
    assert_eq!(said.status, Some(1), "{line}: {said:?}");
    assert!(said.stderr.starts_with("error: "), "{said:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

fn has(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in: {text}"));
}

#[test]
fn the_engines_and_onnx_runtime_agree() {
    let place = place();
    for other in ["values", "reference", "cpu", "network.onnx"] {
        let report = &place.json(&format!("model compare network.onnx {other} --json"))[0];
        let counts = ["nodes", "compared", "diverging"].map(|key| report[key].as_u64().unwrap());
        assert_eq!(counts, [7, 7, 0], "{report}");
        assert_eq!(
            (&report["first"], &report["beyond"][0], &report["missing"][0]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(report["fused"][0]["value"], "logits", "{report}");
    }
    has(
        &place.done("model compare network.onnx values"),
        &["7 of 7 compared", "every compared node is within 1e-4", "values of another runtime"],
    );
    let drawn = place.done("model compare network.onnx reference --batch 3 --verbose");
    has(&drawn, &["drawn from seed 0, 3×2×8×8", "--on", "operator", "3×4×6×6"]);
    has(&place.done("model compare lenet5 reference"), &["drawn from seed 0, 2×1×28×28"]);
}

#[test]
fn the_node_that_reads_a_changed_weight_is_named() {
    let place = place();
    changed(&place, "other.onnx", |_, parameters| shift(parameters, "conv2.weight", 0.5));
    for line in ["other.onnx network.onnx", "network.onnx other.onnx", "other.onnx values"] {
        let report = diverging(&place, &format!("model compare {line}"));
        let first = &report["first"];
        assert_eq!((&first["node"], &first["op"]), (&"/conv2/Conv".into(), &"Conv".into()), "{line}");
        assert!(first["relative"].as_f64().unwrap() > 1e-3, "{first}");
        assert_eq!(first["inputs"][0]["name"], "/Relu_output_0");
        assert_eq!(first["inputs"][0]["diverges"], false);
    }
    let text = place.run("model compare other.onnx network.onnx").stdout;
    has(
        &text,
        &[
            "first   node `/conv2/Conv` (Conv) 2×3×4×4",
            "input `/Relu_output_0` 2×4×6×6: equal",
            "input `conv2.weight`",
        ],
    );
    has(
        &place.refused("model compare other.onnx network.onnx", 1),
        &["5 of 7 nodes diverge", "`/conv2/Conv` (Conv)"],
    );
    place.done("model compare other.onnx network.onnx --tolerance 1e9");
}

#[test]
fn nan_and_other_shapes_diverge_where_they_arise() {
    let place = place();
    poke(&place.path(CONV2), |_| f32::NAN);
    let first = &diverging(&place, "model compare network.onnx values --tolerance 1e9")["first"];
    assert_eq!((&first["node"], &first["worst"]["index"]), (&"/conv2/Conv".into(), &vec![1, 2, 3, 3].into()));
    assert_eq!(first["absolute"], Value::Null, "infinite");
    let relu = place.path("values/%2FRelu_output_0.npy");
    fs::copy(place.path("values/logits.npy"), relu).unwrap();
    let said = place.run("model compare network.onnx values");
    has(&said.stdout, &["node `/Relu` (Relu) 2×4×6×6", "its shape is 2×4×6×6, expected 2×5"]);
    assert_eq!(said.status, Some(1));
}

#[test]
fn names_that_only_one_side_has_are_counted() {
    let place = place();
    fs::remove_file(place.path(CONV2)).unwrap();
    fs::copy(place.path("values/logits.npy"), place.path("values/a%20b.npy")).unwrap();
    let report = &place.json("model compare network.onnx values --json")[0];
    assert_eq!(report["compared"], 6);
    assert_eq!((&report["missing"], &report["beyond"]), (&vec!["/conv2/Conv"].into(), &vec!["a b"].into()));
    changed(&place, "other.onnx", |graph, _| {
        for name in ["/Relu_output_0", "logits", "image"] {
            *graph = rename(graph, name, &format!("other {name}")).unwrap();
        }
    });
    let report = &place.json("model compare network.onnx other.onnx --json")[0];
    assert_eq!(report["compared"], 6, "logits is matched by its place");
    assert_eq!(report["beyond"], Value::from(vec!["other /Relu_output_0"]));
    changed(&place, "strange.onnx", |graph, _| {
        let names: Vec<String> =
            graph.nodes().iter().map(|node| graph.value(node.outputs[0]).name.clone()).collect();
        names.iter().for_each(|name| *graph = rename(graph, name, &format!("{name} of another")).unwrap());
    });
    assert_eq!(place.json("model compare network.onnx strange.onnx --json")[0]["compared"], 1);
    for name in [
        "a%20b",
        "logits",
        "%2FRelu_output_0",
        "%2Fconv1%2FConv_output_0",
        "%2Fnorm_output_0",
        "%2Fpool_output_0",
        "%2FFlatten_output_0",
    ] {
        fs::remove_file(place.path("values").join(format!("{name}.npy"))).unwrap();
    }
    has(&place.refused("model compare network.onnx values", 1), &["values", "no value has the name"]);
}

#[test]
fn inputs_are_read_from_arrays_folders_and_pictures() {
    let place = place();
    let image = "values/image.npy";
    for on in [image, "values"] {
        has(
            &place.done(&format!("model compare network.onnx reference --on {on}")),
            &[&format!("input   {on}\n")],
        );
    }
    png(&place.path("grey.png"), 40, 30, &[99; 1200]);
    let report = &place.json("model compare lenet5 reference --on grey.png --json")[0];
    assert_eq!((&report["input"], &report["values"][0]["shape"][0]), (&"grey.png".into(), &1.into()));
    // TensorProto: dims 1 and 2, float, raw data.
    let mut tensor = vec![0x08, 1, 0x08, 2, 0x08, 8, 0x08, 8, 0x10, 1, 0x4a, 0x80, 0x04];
    tensor.extend((0..128).flat_map(|index| (index as f32).to_le_bytes()));
    place.write("image.pb", &tensor);
    place.done("model compare network.onnx reference --on image.pb");
    fs::remove_file(place.path(image)).unwrap();
    has(&place.refused("model compare network.onnx values", 2), &["no values of the input", "--on"]);
    has(
        &place.refused("model compare network.onnx reference --on values", 1),
        &["values: ", "the input `image`"],
    );
}

#[test]
fn broken_files_are_named_with_their_cause() {
    let place = place();
    let whole = fs::read(place.path(CONV2)).unwrap();
    let halves = retyped(&whole, b"<f2");
    let cases: [(&[u8], &str); 4] = [
        (&whole[..whole.len() - 10], "damaged"),
        (&whole[..20], "ends within its header"),
        (b"", "does not begin as one"),
        (&halves, "elements of type <f2"),
    ];
    for (bytes, cause) in cases {
        place.write(CONV2, bytes);
        has(&place.refused("model compare network.onnx values", 1), &[CONV2, cause]);
        has(
            &place.refused(&format!("model compare network.onnx reference --on {CONV2}"), 1),
            &[CONV2, cause],
        );
    }
    place.write(CONV2, &whole);
    for (file, bytes) in [("text.pb", &b"hello"[..]), ("empty.pb", b""), ("cut.pb", &[0x08, 1, 0x4a, 9])] {
        place.write(file, bytes);
        has(&place.refused(&format!("model compare network.onnx reference --on {file}"), 1), &[file]);
    }
    fs::copy(place.path(CONV2), place.path("values/%2.npy")).unwrap();
    has(&place.refused("model compare network.onnx values", 1), &["%2.npy", "percent-encoded"]);
    fs::remove_file(place.path("values/%2.npy")).unwrap();
    place.write("values/logits.pb", b"");
    has(&place.refused("model compare network.onnx values", 1), &["logits.npy", "logits.pb"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let place = place();
    fs::create_dir(place.path("empty")).unwrap();
    place.write("note.txt", b"a shopping list");
    let logits = "values/logits.npy";
    let integers = retyped(&fs::read(place.path("values/image.npy")).unwrap(), b"<i4");
    place.write("integers.npy", &integers);
    for (line, status, words) in [
        ("network.onnx", 2, ["<B>", "svertka help"]),
        ("network.onnx empty", 1, ["empty", "no values"]),
        ("network.onnx missing", 2, ["missing", "folder of another runtime's values"]),
        ("network.onnx missing/values", 1, ["missing/values", "No such file"]),
        ("missing.onnx cpu", 1, ["missing.onnx", "No such file"]),
        ("network.onnx cpu --on missing.npy", 1, ["missing.npy", "No such file"]),
        ("network.onnx cpu --on note.txt", 1, ["note.txt", "not a picture"]),
        ("network.onnx cpu --tolerance=-1", 2, ["--tolerance", "from 0 on"]),
        ("network.onnx cpu --tolerance nan", 2, ["--tolerance", "from 0 on"]),
        ("network.onnx cpu --batch 2 --on values", 2, ["--batch", "--on"]),
        ("network.onnx values --batch 2", 2, ["values", "--batch"]),
        ("network.onnx cpu --batch 0", 2, ["--batch", "0"]),
    ] {
        has(&place.refused(&format!("model compare {line}"), status), &words);
    }
    has(
        &place.refused(&format!("model compare network.onnx cpu --on {logits}"), 1),
        &[logits, "`image`", "N×2×8×8", "[2, 5]"],
    );
    has(
        &place.refused("model compare network.onnx cpu --on integers.npy", 1),
        &["integers.npy", "has to be f32"],
    );
}
