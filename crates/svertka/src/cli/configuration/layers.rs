//! Where a configuration comes from: a file, or words of the command line.

use std::path::Path;
use std::str::FromStr;

use toml::{Table, Value};

use crate::cli::failure::Failure;

/// Part of a configuration.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    /// A file.
    File(Table),
    /// The command line.
    Overrides(Vec<Override>),
}

/// `key=value`, the key with dots between tables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Override {
    pub(crate) key: String,
    pub(crate) value: Value,
}

impl Override {
    pub(crate) fn new(key: &str, value: impl Into<Value>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl FromStr for Override {
    type Err = String;

    /// The value is TOML, or where it is none, a text: `rate=0.01`, `model=resnet18`, `preprocess=[{ resize = 32 }]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is no key=value"))?;
        let word =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !key.split('.').all(word) {
            return Err(format!("{key:?} is no key"));
        }
        let parsed = format!("value = {value}").parse::<Table>().ok().filter(|table| table.len() == 1);
        let value = parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| value.into());
        Ok(Self { key: key.into(), value })
    }
}

impl Layer {
    /// Reads a file.
    pub(crate) fn file(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::from(error).at(path.display()))?;
        let table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Failure::usage(format!("{}, line {line}: {}", path.display(), error.message()))
        })?;
        Ok(Self::File(table))
    }

    /// Lays it over what was told before.
    pub(super) fn apply(&self, told: &mut Table) -> Result<(), Failure> {
        match self {
            Self::File(table) => merge(told, table.clone()),
            Self::Overrides(overrides) => {
                // The name of a choice first: it clears what was told of another choice, not what is told with it.
                let (names, rest): (Vec<_>, Vec<_>) =
                    overrides.iter().partition(|o| o.key.ends_with(".name"));
                for each in names.into_iter().chain(rest) {
                    set(told, &each.key, each.value.clone())?;
                }
            }
        }
        Ok(())
    }
}

fn merge(told: &mut Table, table: Table) {
    for (key, value) in table {
        match (told.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                told.insert(key, value);
            }
        }
    }
}

fn set(told: &mut Table, key: &str, value: Value) -> Result<(), Failure> {
    let Some((table, rest)) = key.split_once('.') else {
        // Keys of another choice make no sense for this one.
        if key == "name" && told.get(key).is_some_and(|before| *before != value) {
            told.clear();
        }
        told.insert(key.into(), value);
        return Ok(());
    };
    match told.entry(table).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => set(inner, rest, value),
        other => Err(Failure::usage(format!("{table}: found {other}, so there is no {key}"))),
    }
}
