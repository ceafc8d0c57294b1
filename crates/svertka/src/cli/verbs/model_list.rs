use clap::Args;
use serde::Serialize;
use svertka_report::{Column, table, thousands};
use svertka_zoo::{Card, cards};

use super::Run;
use crate::cli::console::{print, print_json};
use crate::cli::failure::Failure;

/// Lists the networks of the zoo
///
/// Parameters and multiply-adds are those of one picture of the size, channels and classes that the table says.
/// Training fits channels, size and classes to the data.
#[derive(Args)]
pub(super) struct ModelList {
    /// Print one JSON object per network
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    family: &'a str,
    parameters: u64,
    multiply_adds: u64,
    /// Height and width.
    size: [usize; 2],
    channels: usize,
    classes: usize,
    paper: &'a str,
}

impl Run for ModelList {
    fn run(self) -> Result<(), Failure> {
        if self.json {
            return cards().map(row).try_for_each(|row| print_json(&row));
        }
        let numbers = ["parameters", "multiply-adds", "input", "classes"].map(Column::right);
        let columns = [vec![Column::left("network")], numbers.into(), vec![Column::left("paper")]].concat();
        let rows: Vec<Vec<String>> = cards().map(cells).collect();
        print(&table(&columns, &rows))
    }
}

fn row(card: &Card) -> Row<'_> {
    Row {
        name: card.name,
        family: card.family,
        parameters: card.parameters,
        multiply_adds: card.multiply_adds,
        size: card.size,
        channels: card.channels,
        classes: card.classes,
        paper: card.paper,
    }
}

fn cells(card: &'static Card) -> Vec<String> {
    let [height, width] = card.size;
    vec![
        card.name.into(),
        thousands(card.parameters),
        thousands(card.multiply_adds),
        format!("{}×{height}×{width}", card.channels),
        card.classes.to_string(),
        card.paper.into(),
    ]
}
