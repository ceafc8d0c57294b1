//! What a file carries about itself, by key.

use crate::{Recipe, TaskError, inputs::image, pairs::PAIRS, targets::class};
use svertka_graph::Graph;

const TASK: &str = "svertka.task";
const CLASSES: &str = "svertka.classes";
const CHANNELS: &str = "svertka.channels";
const PREPROCESS: &str = "svertka.preprocess";
const RECIPE: &str = "svertka.recipe";

/// Writes what a task and its recipe say into a graph, in place of what it said before.
pub(crate) fn write(
    graph: &mut Graph,
    input: &image::Input,
    target: &class::Target,
    recipe: Option<&Recipe>,
) {
    let json = |value| serde_json::to_string(value);
    set(graph, TASK, PAIRS[0].name.to_owned());
    set(graph, CLASSES, json(&target.classes).expect("a list of texts is JSON"));
    set(graph, CHANNELS, input.channels.to_string());
    set(graph, PREPROCESS, input.preprocess.to_string());
    if let Some(recipe) = recipe {
        set(graph, RECIPE, serde_json::to_string(recipe).expect("names and numbers are JSON"));
    }
}

fn set(graph: &mut Graph, key: &str, value: String) {
    graph.metadata.retain(|(own, _)| own != key);
    graph.metadata.push((key.to_owned(), value));
}

/// What a graph says about its pair, if it is one of ours.
pub(crate) fn check_task(graph: &Graph) -> Result<(), TaskError> {
    let unknown = get(graph, TASK).filter(|name| PAIRS.iter().all(|pair| pair.name != *name));
    unknown.map_or(Ok(()), |name| {
        Err(TaskError::Metadata { key: TASK, reason: format!("`{name}` is no task of this version") })
    })
}

pub(crate) fn classes(graph: &Graph) -> Result<Option<Vec<String>>, TaskError> {
    parsed(graph, CLASSES, |text| serde_json::from_str(text))
}

pub(crate) fn recipe(graph: &Graph) -> Result<Option<Recipe>, TaskError> {
    parsed(graph, RECIPE, |text| serde_json::from_str(text))
}

/// Both must be there, or neither counts.
pub(crate) fn input(graph: &Graph) -> Result<Option<image::Input>, TaskError> {
    let channels = parsed(graph, CHANNELS, str::parse)?;
    let preprocess = parsed(graph, PREPROCESS, str::parse)?;
    Ok(channels.zip(preprocess).map(|(channels, preprocess)| image::Input { channels, preprocess }))
}

fn parsed<T, E: ToString>(
    graph: &Graph,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, TaskError> {
    let error = |error: E| TaskError::Metadata { key, reason: error.to_string() };
    get(graph, key).map(|text| parse(text).map_err(error)).transpose()
}

fn get<'a>(graph: &'a Graph, key: &str) -> Option<&'a str> {
    graph.metadata.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
}
