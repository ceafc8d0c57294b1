//! Where the time of a step goes, layer by layer, beside the least that each layer could take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;
use svertka_engine::cpu::{Observer, StepCost};
use svertka_report::{Column, table, thousands};

use super::Bench;

/// Seconds that each step of a program took, run by run.
#[derive(Clone, Default)]
pub(crate) struct Profile(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    last: Option<Instant>,
    /// By step; `None` is the packing of weights.
    seconds: BTreeMap<Option<usize>, Vec<f64>>,
    /// From the last step of the program to the end.
    update: Vec<f64>,
}

impl Profile {
    /// What is told when something is done.
    pub(super) fn observer(&self) -> Observer {
        let book = Arc::clone(&self.0);
        Box::new(move |steps| book.lock().unwrap_or_else(PoisonError::into_inner).note(steps))
    }

    /// The next part begins now.
    pub(crate) fn start(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last = Some(Instant::now());
    }

    /// All is done that belongs to a step of training.
    pub(crate) fn end(&self) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = book.last.take().map(|last| last.elapsed().as_secs_f64());
        book.update.extend(seconds);
    }
}

impl Book {
    fn note(&mut self, steps: &[usize]) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            // A program that is observed tells its steps one by one.
            let step = steps.first().copied();
            self.seconds.entry(step).or_default().push((now - last).as_secs_f64());
        }
    }
}

/// What a step does, and what it took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// What is done.
    pub(crate) kind: String,
    /// How, where there is a choice, and by how many rows at once where a thread takes pieces of the batch.
    pub(crate) algorithm: String,
    /// `forward`, `backward` or `update`.
    pub(crate) part: &'static str,
    /// As the definitions of its operators count them.
    pub(crate) multiply_adds: u64,
    /// Those that the algorithm does.
    pub(crate) products: u64,
    /// What has to be read and written, once.
    pub(crate) bytes: u64,
    /// The median of all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
}

impl Row {
    fn of(step: &StepCost) -> Self {
        let pieces = step.piece.map(|rows| format!("pieces of {rows}"));
        let algorithm: Vec<String> = step.algorithm.map(str::to_owned).into_iter().chain(pieces).collect();
        Self {
            name: step.name.clone(),
            kind: step.kind.clone(),
            algorithm: algorithm.join(", "),
            part: if step.backward { "backward" } else { "forward" },
            multiply_adds: step.multiply_adds,
            products: step.products(),
            // A momentum is read and written.
            bytes: step.bytes + 2 * 4 * step.weights_moved,
            seconds: None,
        }
    }

    /// Work that is no step of the program.
    fn beside(name: &str, part: &'static str, bytes: u64) -> Self {
        let [kind, algorithm] = [String::new(), String::new()];
        let name = name.to_owned();
        Self { name, kind, algorithm, part, multiply_adds: 0, products: 0, bytes, seconds: None }
    }

    /// The seconds that nothing could beat on this machine: the products at its peak, or the bytes at its bandwidth.
    pub(crate) fn bound(&self, peak: Peak) -> f64 {
        (2.0 * self.products as f64 / peak.flops).max(self.bytes as f64 / peak.bandwidth)
    }
}

/// What a machine does at most: operations and bytes per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    pub(crate) flops: f64,
    pub(crate) bandwidth: f64,
}

/// What a program consists of, without views, which do nothing.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let steps = bench.program().steps();
    steps.iter().filter(|step| step.bytes > 0).map(Row::of).collect()
}

impl Profile {
    /// What was measured, in order.
    pub(crate) fn rows(&self, bench: &Bench) -> Vec<Row> {
        let steps = bench.program().steps();
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = Vec::new();
        for (index, seconds) in &book.seconds {
            let row = match index.map(|index| &steps[index]) {
                None => Row::beside("packed weights", "forward", 0),
                Some(step) if step.bytes == 0 => continue,
                Some(step) => Row::of(step),
            };
            rows.push(Row { seconds: median(seconds.clone()), ..row });
        }
        if bench.trains() {
            let row = Row::beside("update", "update", bench.update_bytes());
            rows.push(Row { seconds: median(book.update.clone()), ..row });
        }
        rows
    }
}

/// `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The rows with their times beside what they could be, and the sums of each part.
pub(crate) fn timed_table(rows: &[Row], peak: Peak) -> String {
    let names = ["layer", "step", "algorithm"].map(Column::left);
    let numbers = ["ms", "GFLOP/s", "of peak", "bytes", "bound, ms", "of bound"].map(Column::right);
    let mut cells: Vec<Vec<String>> = rows.iter().map(|row| timed_cells(row, peak)).collect();
    cells.push(Vec::new());
    let parts = ["forward", "backward", "update", "total"];
    let part = |part: &&'static str| timed_sum(rows, part, peak);
    cells.extend(parts.iter().filter_map(part));
    table(&[&names[..], &numbers[..]].concat(), &cells)
}

fn timed_cells(row: &Row, peak: Peak) -> Vec<String> {
    let seconds = row.seconds.unwrap_or(f64::NAN);
    let bound = row.bound(peak);
    let names = [row.name.clone(), row.kind.clone(), row.algorithm.clone()];
    [names.to_vec(), numbers(seconds, row.multiply_adds, row.bytes, bound, peak)].concat()
}

fn numbers(seconds: f64, multiply_adds: u64, bytes: u64, bound: f64, peak: Peak) -> Vec<String> {
    let flops = 2.0 * multiply_adds as f64 / seconds;
    let arithmetic = |text: String| if multiply_adds > 0 { text } else { String::new() };
    vec![
        format!("{:.3}", 1e3 * seconds),
        arithmetic(format!("{:.1}", 1e-9 * flops)),
        arithmetic(format!("{:.0} %", 100.0 * flops / peak.flops)),
        thousands(bytes),
        format!("{:.3}", 1e3 * bound),
        format!("{:.0} %", 100.0 * bound / seconds),
    ]
}

/// The sum of the rows of a part, or of all; `None` if there are none.
fn timed_sum(rows: &[Row], part: &'static str, peak: Peak) -> Option<Vec<String>> {
    let chosen: Vec<&Row> = rows.iter().filter(|row| part == "total" || row.part == part).collect();
    let seconds: f64 = chosen.iter().filter_map(|row| row.seconds).sum();
    let multiply_adds = chosen.iter().map(|row| row.multiply_adds).sum();
    let bytes = chosen.iter().map(|row| row.bytes).sum();
    let bound = chosen.iter().map(|row| row.bound(peak)).sum();
    let names = vec![part.to_owned(), String::new(), String::new()];
    (!chosen.is_empty()).then(|| [names, numbers(seconds, multiply_adds, bytes, bound, peak)].concat())
}

/// The rows with what was chosen for them.
pub(crate) fn planned_table(rows: &[Row]) -> String {
    let names = ["layer", "step", "algorithm", "part"].map(Column::left);
    let numbers = ["multiply-adds", "products", "bytes"].map(Column::right);
    let count = |count: u64| if count == 0 { String::new() } else { thousands(count) };
    let cells = |row: &Row| {
        let numbers = [row.multiply_adds, row.products, row.bytes].map(count);
        let names = [row.name.clone(), row.kind.clone(), row.algorithm.clone(), row.part.to_owned()];
        [&names[..], &numbers[..]].concat()
    };
    table(&[&names[..], &numbers[..]].concat(), &rows.iter().map(cells).collect::<Vec<_>>())
}
