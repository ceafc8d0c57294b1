//! What a run that resumes another has to have in common with it.

use crate::{Facts, Settings, settings::FREE};
use serde_json::Value;
use std::fmt::{self, Write};
use svertka_data::Examples;
use svertka_graph::Graph;

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
        let mut names = Fnv::default();
        (0..part.len()).for_each(|index| names.add(&format!("{}\n", part.name(index))));
        facts.insert(format!("{name} names"), names.to_string());
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
    let mut hash = Fnv::default();
    hash.write_fmt(text).expect("a hash takes every text");
    hash.to_string()
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo), of a text that is never held whole.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = text.bytes().fold(self.0, step);
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text);
        Ok(())
    }
}

impl fmt::Display for Fnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // http://www.isthe.com/chongo/src/fnv/test_fnv.c: FNV-1a 64 of "foobar".
        assert_eq!(hash(format_args!("foo{}", "bar")), "85944171f73967e8");
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
