use super::check::{CHOICES, defaults, flatten};
use super::*;
use std::collections::BTreeSet;
use toml::Value;

fn told(file: &str, words: &[&str]) -> Result<Configuration, Failure> {
    let overrides = words.iter().map(|word| word.parse().unwrap()).collect();
    Configuration::from_layers(&[Layer::File(file.parse().unwrap()), Layer::Overrides(overrides)])
}

fn refusal(file: &str, words: &[&str]) -> String {
    match told(file, words).unwrap_err() {
        Failure::Usage(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_beats_the_file_and_the_file_the_defaults() {
    let both =
        told("epochs = 3\nrate = 1\n[optimiser]\nname = \"sgd\"\nmomentum = 0.5\n", &["epochs=4"]).unwrap();
    assert_eq!((both.settings.epochs, both.settings.rate, both.settings.batch), (4, 1.0, 64));
    let written = toml::to_string(&both.settings.optimiser).unwrap();
    assert!(written.contains("momentum = 0.5"), "{written}");
    assert_eq!(told("", &[]).unwrap(), Configuration::default());
}

#[test]
fn what_is_written_gives_the_same_again() {
    let words = ["schedule.name=one_cycle", "preprocess=[\"grey\", { resize = [8, 8] }]", "model=resnet18"];
    let first = told("", &words).unwrap();
    let text = first.to_toml().unwrap();
    assert_eq!(told(&text, &[]).unwrap(), first, "{text}");
    assert!(text.contains("pct_start = 0.3") && text.contains("max_broken = 0"), "{text}");
}

#[test]
fn another_choice_forgets_the_keys_of_the_first() {
    let file = Configuration::default().to_toml().unwrap();
    let adam = told(&file, &["optimiser.epsilon=0.5", "optimiser.name=adam"]).unwrap();
    let written = toml::to_string(&adam.settings.optimiser).unwrap();
    assert!(written.contains("epsilon = 0.5") && !written.contains("momentum"), "{written}");
}

#[test]
fn a_slip_in_a_key_is_answered_with_the_nearest() {
    assert_eq!(refusal("", &["epoch=3"]), "unknown key epoch; did you mean epochs?");
    let last_part = refusal("", &["weight_dcay=3"]);
    assert_eq!(last_part, "unknown key weight_dcay; did you mean optimiser.weight_decay?");
    let table = refusal("[optimizer]\nmomentum = 0\n", &[]);
    assert_eq!(table, "unknown key optimizer.momentum; did you mean optimiser.momentum?");
    let other = refusal("", &["optimiser.betas=[0, 0]"]);
    assert_eq!(other, "optimiser.betas is a key of optimiser.name=\"adam\", but optimiser.name is \"sgd\"");
    assert!(refusal("", &["optimiser.name=sdg"]).ends_with("did you mean sgd?"));
}

#[test]
fn wrong_types_say_key_found_and_wanted() {
    let text = refusal("", &["epochs=ten"]);
    assert_eq!(text, "epochs: found a text (\"ten\"), wanted a whole number such as 20");
    assert!(refusal("epochs = -3", &[]).starts_with("epochs: found -3: "));
    assert!(refusal("", &["keep=first"]).contains("expected `best` or `last`"));
    assert!(refusal("", &["preprocess=[{ resiez = 3 }]"]).contains("did you mean \"resize\"?"));
    assert!(refusal("", &["batch=0"]).contains("batch has to be at least 1"));
    assert!(refusal("", &["validation=1"]).contains("validation is 1"));
}

#[test]
fn a_number_can_be_a_name() {
    let named = told("", &["data=2024", "channels=5"]).unwrap();
    assert_eq!((named.data.as_str(), named.channels.as_str()), ("2024", "5"));
}

#[test]
fn words_are_toml_or_text() {
    let parsed = |text: &str| text.parse::<Override>().map(|parsed| parsed.value);
    assert_eq!(parsed("a=1"), Ok(Value::Integer(1)));
    assert_eq!(parsed("a.b=resnet18"), Ok(Value::String("resnet18".into())));
    assert_eq!(parsed("a=[1, 2]"), Ok(Value::Array(vec![1.into(), 2.into()])));
    assert_eq!(parsed("a="), Ok(Value::String(String::new())));
    for wrong in ["a", "=1", "a..b=1", "../x=1", "a b=1"] {
        assert!(wrong.parse::<Override>().is_err(), "{wrong}");
    }
}

/// Every key with its default, whatever the choices, is a row of `docs/configuration.md`, and nothing else is.
#[test]
fn the_documentation_has_every_key_with_its_default() {
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    let mut add = |told: &str| {
        let leaves = flatten(&defaults(&told.parse().unwrap()).unwrap());
        let chosen = |key: &str| key == "model" || key.ends_with(".name");
        let leaves = leaves.into_iter().filter(|(key, _)| told.is_empty() || !chosen(key));
        wanted.extend(leaves.map(|(key, value)| (key, value.to_string())));
    };
    add("");
    svertka_zoo::cards().for_each(|card| add(&format!("model = \"{}\"", card.name)));
    for (choice, names) in CHOICES {
        names.iter().for_each(|name| add(&format!("{choice}.name = \"{name}\"")));
    }
    let text = include_str!("../../../../../docs/configuration.md");
    let cells = |line: &str| line.split('`').map(ToOwned::to_owned).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `")).map(cells);
    let documented: BTreeSet<_> = rows.map(|cells| (cells[1].clone(), cells[3].clone())).collect();
    assert_eq!(documented, wanted);
}
