//! What a run that resumes another has to have in common with it.

use crate::{Facts, Settings, settings::FREE};
use serde_json::Value;
use std::{
    fmt::{self, Write},
    path::{Path, PathBuf},
};
use svertka_data::Examples;
use svertka_graph::{Fnv1a, Graph};

/// Settings that decide the result, the network's structure, and the samples of a part by number, shape and names.
pub(crate) fn facts(settings: &Settings, graph: &Graph, parts: [(&str, Option<&dyn Examples>); 2]) -> Facts {
    let mut facts = Facts::new();
    if let Ok(value) = serde_json::to_value(settings) {
        flatten("", &value, &mut facts);
    }
    FREE.iter().for_each(|name| drop(facts.remove(*name)));
    facts.insert("network".into(), hash(format_args!("{:?}{:?}", graph.nodes(), graph.values())));
    for (name, part) in parts {
        let Some(part) = part else { continue };
        facts.insert(format!("{name} samples"), part.len().to_string());
        facts.insert(format!("{name} shape"), format!("{:?}", part.input_shape()));
        facts.insert(format!("{name} names"), hash_names(part).to_string());
    }
    facts
}

/// `outer.inner` for nested tables.
fn flatten(prefix: &str, value: &Value, facts: &mut Facts) {
    let Value::Object(table) = value else {
        facts.insert(prefix.to_owned(), value.to_string());
        return;
    };
    for (name, value) in table {
        let dot = if prefix.is_empty() { "" } else { "." };
        flatten(&format!("{prefix}{dot}{name}"), value, facts);
    }
}

/// Lines that say what differs.
pub(crate) fn differences(there: &Facts, now: &Facts) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = there.keys().chain(now.keys()).collect();
    let shown = |facts: &Facts, name| facts.get(name).cloned().unwrap_or_else(|| "nothing".into());
    let differing = names.into_iter().filter(|name| there.get(*name) != now.get(*name));
    differing.map(|name| format!("{name}: {} there, {} now", shown(there, name), shown(now, name))).collect()
}

fn hash(text: fmt::Arguments<'_>) -> String {
    let mut hash = Fnv1a::default();
    hash.write_fmt(text).expect("a hash takes every text");
    hash.to_string()
}

/// The folder that all samples lie in. A data set that has moved, or is seen from another folder, is the same one.
fn common_folder(part: &dyn Examples) -> PathBuf {
    let folder = |name: &str| Path::new(name).parent().unwrap_or(Path::new("")).to_owned();
    let mut common = if part.is_empty() { PathBuf::new() } else { folder(&part.name(0)) };
    for index in 1..part.len() {
        let name = part.name(index);
        while !Path::new(&name).starts_with(&common) && common.pop() {}
    }
    common
}

/// The hash of all names, each without the folder that they have in common.
fn hash_names(part: &dyn Examples) -> Fnv1a {
    let folder = common_folder(part);
    let mut hash = Fnv1a::default();
    for name in (0..part.len()).map(|index| part.name(index)) {
        let path = Path::new(&name);
        hash.add(&format!("{}\n", path.strip_prefix(&folder).unwrap_or(path).display()));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use svertka_data::{SampleError, TargetKind, TargetMut};

    #[test]
    fn the_hash_is_the_published_one() {
        // http://www.isthe.com/chongo/src/fnv/test_fnv.c: FNV-1a 64 of "foobar".
        assert_eq!(hash(format_args!("foo{}", "bar")), "85944171f73967e8");
    }

    /// Samples that are nothing but names.
    struct Names(Vec<String>);

    impl Examples for Names {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn input_shape(&self) -> &[usize] {
            &[]
        }

        fn target_kind(&self) -> TargetKind {
            TargetKind::Class
        }

        fn write(&self, _: u64, _: usize, _: &mut [f32], _: TargetMut<'_>) -> Result<(), SampleError> {
            Ok(())
        }

        fn name(&self, index: usize) -> String {
            self.0[index].clone()
        }
    }

    #[test]
    fn a_data_set_that_was_moved_is_the_same_one() {
        let hash = |root: &str, files: [&str; 3]| {
            hash_names(&Names(files.map(|file| format!("{root}{file}")).to_vec())).finish()
        };
        let files = ["cat/1.png", "cat/2.png", "dog/1.png"];
        let here = hash("pets/", files);
        assert_eq!(here, hash("/mnt/data/pets/", files));
        assert_eq!(here, hash("../", files));
        assert_eq!(here, hash("", files));
        assert_ne!(here, hash("pets/", ["cat/1.png", "cat/3.png", "dog/1.png"]));
        assert_ne!(here, hash("pets/", ["cat/2.png", "cat/1.png", "dog/1.png"]));
        let archive = ["images[0]", "images[1]", "images[2]"];
        assert_eq!(hash("a/", archive), hash("/b/c/", archive));
    }

    #[test]
    fn differences_name_both_values() {
        let facts = |pairs: &[(&str, &str)]| -> Facts {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let there = facts(&[("batch", "32"), ("seed", "1")]);
        let now = facts(&[("batch", "64"), ("seed", "1"), ("data", "here")]);
        assert_eq!(differences(&there, &now), ["batch: 32 there, 64 now", "data: nothing there, here now"]);
    }
}
