//! Checks what was told against the defaults, key by key.

use std::collections::BTreeMap;

use svertka_train::Settings;
use toml::{Table, Value};

use super::{Configuration, MODEL};
use crate::cli::failure::Failure;

/// Keys whose table depends on the `name` in it, and the names there are.
pub(super) const CHOICES: [(&str, &[&str]); 2] =
    [("optimiser", &["sgd", "adam", "adamw"]), ("schedule", &["constant", "step", "cosine", "one_cycle"])];

/// The configuration that was told, over the defaults of its choices.
pub(super) fn resolve(told: &Table) -> Result<Configuration, Failure> {
    let defaults = defaults(told)?;
    let mut complete = defaults.clone();
    for (key, value) in flatten(told) {
        let Some(default) = lookup(&defaults, &key) else { return Err(unknown(&key, &defaults)) };
        // A folder may be called 2024, and bands be counted.
        let value = if default.is_str() && value.is_integer() { value.to_string().into() } else { value };
        fits(&key, &value, default, &defaults)?;
        replace(&mut complete, &key, value);
    }
    Ok(complete.try_into::<Configuration>()?)
}

/// All keys with their defaults: those of the network's recipe; of another choice than the recipe's, its own.
pub(super) fn defaults(told: &Table) -> Result<Table, Failure> {
    let model = told.get("model").and_then(Value::as_str).unwrap_or(MODEL);
    let mut defaults = Table::try_from(Configuration::for_model(model))?;
    for (choice, names) in CHOICES {
        let Some(name) = told.get(choice).and_then(|table| table.get("name")) else { continue };
        let Some(known) = names.iter().find(|known| name.as_str() == Some(known)) else {
            let near = nearest(name.as_str().unwrap_or_default(), names.iter().copied());
            let text = format!("found {name}, wanted one of {}; did you mean {near}?", names.join(", "));
            return Err(Failure::usage(format!("{choice}.name: {text}")));
        };
        if defaults.get(choice).and_then(|table| table.get("name")) != Some(name) {
            let named: Value = Table::from_iter([("name".to_owned(), Value::from(*known))]).into();
            let settings: Settings = Table::from_iter([(choice.to_owned(), named)]).try_into()?;
            let own = Table::try_from(settings)?.remove(choice);
            defaults.extend(own.map(|own| (choice.to_owned(), own)));
        }
    }
    Ok(defaults)
}

/// Leaves of a table by their dotted keys. An empty table of a choice is no leaf.
pub(super) fn flatten(table: &Table) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                leaves
                    .extend(flatten(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            value => {
                leaves.insert(key.clone(), value.clone());
            }
        }
    }
    leaves
}

fn lookup<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((head, rest)) => lookup(table.get(head)?.as_table()?, rest),
        None => table.get(key).filter(|value| !value.is_table()),
    }
}

fn replace(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        Some((head, rest)) => {
            if let Some(inner) = table.get_mut(head).and_then(Value::as_table_mut) {
                replace(inner, rest, value);
            }
        }
        None => {
            table.insert(key.into(), value);
        }
    }
}

/// Whether a value can take its default's place.
fn fits(key: &str, value: &Value, default: &Value, defaults: &Table) -> Result<(), Failure> {
    let integer_for_number = value.is_integer() && default.is_float();
    if value.type_str() != default.type_str() && !integer_for_number {
        let (found, wanted) = (kind(value), kind(default));
        return Err(Failure::usage(format!(
            "{key}: found {found} ({value}), wanted {wanted} such as {default}"
        )));
    }
    let mut alone = defaults.clone();
    replace(&mut alone, key, value.clone());
    let taken = alone.try_into::<Configuration>();
    taken.map(drop).map_err(|error| Failure::usage(format!("{key}: found {value}: {}", error.message())))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// The error of a key that is not known, or not known to the choice that was made.
fn unknown(key: &str, defaults: &Table) -> Failure {
    for (choice, names) in CHOICES {
        for name in names {
            let table = Table::from_iter([("name".to_owned(), Value::from(*name))]);
            let other = self::defaults(&Table::from_iter([(choice.to_owned(), table.into())]));
            if other.is_ok_and(|other| lookup(&other, key).is_some()) {
                let chosen =
                    lookup(defaults, &format!("{choice}.name")).map(Value::to_string).unwrap_or_default();
                let text =
                    format!("{key} is a key of {choice}.name=\"{name}\", but {choice}.name is {chosen}");
                return Failure::usage(text);
            }
        }
    }
    let known = flatten(defaults);
    let near = nearest(key, known.keys().map(String::as_str));
    Failure::usage(format!("unknown key {key}; did you mean {near}?"))
}

/// The nearest of several words; the last part of a dotted key may stand for all of it.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let distance = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::damerau_levenshtein(word, known).min(strsim::damerau_levenshtein(word, last))
    };
    known.min_by_key(|known| distance(known)).unwrap_or_default()
}
