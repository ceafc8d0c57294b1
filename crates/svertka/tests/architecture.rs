//! The arrows between crates, and what the kernels may depend on, read from the manifests.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::{collections::BTreeMap, fs, path::Path};

/// What each crate may know of the others. An arrow that is not here is a wall.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernels", &[]),
    ("graph", &[]),
    ("image", &[]),
    ("report", &[]),
    ("engine", &["graph", "kernels"]),
    ("zoo", &["graph"]),
    ("data", &["image"]),
    ("train", &["data", "engine", "graph"]),
    ("tasks", &["data", "engine", "graph", "image", "train", "zoo"]),
    ("svertka", &["data", "engine", "graph", "image", "kernels", "report", "tasks", "train", "zoo"]),
];

/// Everything the arithmetic depends on: threads and log lines.
const KERNELS: &[&str] = &["libm", "rayon", "tracing"];

/// Names under `[dependencies]` of every crate, by folder.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let manifest: toml::Table = text.parse().unwrap();
        let names = manifest.get("dependencies").and_then(|value| value.as_table());
        let names = names.map(|table| table.keys().cloned().collect()).unwrap_or_default();
        found.insert(folder.file_name().unwrap().to_str().unwrap().to_owned(), names);
    }
    found
}

#[test]
fn crates_know_each_other_only_along_the_arrows() {
    let found = dependencies();
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let mut expected: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "a crate is missing from the table or from the folder");
    for (name, allowed) in ARROWS {
        let known = found[*name].iter().filter_map(|dependency| dependency.strip_prefix("svertka-"));
        for other in known {
            assert!(allowed.contains(&other), "{name} must not know {other}");
        }
    }
}

#[test]
fn kernels_depend_on_threads_and_log_lines_only() {
    assert_eq!(dependencies()["kernels"], KERNELS);
}
