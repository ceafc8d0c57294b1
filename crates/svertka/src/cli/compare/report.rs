//! What a comparison has found, for people and for machines.

use serde::Serialize;
use svertka_engine::compare::{Comparison, Difference};
use svertka_graph::{Graph, Node, Shape, ValueId};
use svertka_report::{Column, table};

use crate::cli::failure::Failure;

/// Names that are listed where there are many.
const NAMES: usize = 5;
/// Nodes of the table of the worst.
const WORST: usize = 20;

/// What was found. Errors that are infinite are `null` in JSON.
#[derive(Serialize)]
pub(crate) struct Report {
    a: String,
    b: String,
    input: String,
    tolerance: f64,
    /// Nodes of A.
    nodes: usize,
    /// Those of which an output was compared.
    compared: usize,
    /// Those that diverge.
    diverging: usize,
    /// Nodes of A of which B has no value.
    missing: Vec<String>,
    /// Values of B that A lacks.
    beyond: Vec<String>,
    first: Option<First>,
    /// Outputs of the fused program.
    fused: Vec<Value>,
    values: Vec<Line>,
}

/// A value beside the expected one.
#[derive(Clone, Serialize)]
struct Value {
    value: String,
    shape: Vec<usize>,
    expected_shape: Vec<usize>,
    absolute: f64,
    relative: f64,
    diverges: bool,
    worst: Option<Element>,
}

#[derive(Clone, Serialize)]
struct Element {
    index: Vec<usize>,
    found: f64,
    expected: f64,
}

/// A node with its worst output.
#[derive(Clone, Serialize)]
struct Line {
    node: String,
    op: &'static str,
    #[serde(flatten)]
    value: Value,
}

/// The first node that diverges, with what it reads.
#[derive(Serialize)]
struct First {
    #[serde(flatten)]
    line: Line,
    inputs: Vec<Read>,
}

#[derive(Serialize)]
struct Read {
    name: String,
    #[serde(flatten)]
    value: Option<Value>,
    #[serde(skip)]
    shape: Shape,
}

impl Value {
    fn new(name: &str, difference: &Difference, tolerance: f64) -> Self {
        let element = |worst: &svertka_engine::compare::Worst| Element {
            index: worst.index.clone(),
            found: worst.found,
            expected: worst.expected,
        };
        Self {
            value: name.to_owned(),
            shape: difference.shape.clone(),
            expected_shape: difference.expected_shape.clone(),
            absolute: difference.absolute,
            relative: difference.relative(),
            diverges: difference.diverges(tolerance),
            worst: difference.worst.as_ref().map(element),
        }
    }

    fn shape(&self) -> String {
        Shape::fixed(&self.shape).to_string()
    }

    /// The error in words, with its place.
    fn error(&self) -> String {
        if self.shape != self.expected_shape {
            return format!("its shape is {}, expected {}", self.shape(), Shape::fixed(&self.expected_shape));
        }
        match &self.worst {
            None => "equal".into(),
            Some(Element { index, found, expected }) => {
                let [found, expected] = [*found, *expected].map(number);
                format!(
                    "{:.2e} of the largest magnitude, {:.2e} at {index:?}: {found}, expected {expected}",
                    self.relative, self.absolute
                )
            }
        }
    }
}

impl Line {
    fn new(graph: &Graph, node: &Node, id: ValueId, difference: &Difference, tolerance: f64) -> Self {
        let value = Value::new(&graph.value(id).name, difference, tolerance);
        Self { node: node.name.clone(), op: node.op.name(), value }
    }

    fn name(&self) -> String {
        format!("`{}` ({})", self.node, self.op)
    }

    fn cells(&self) -> Vec<String> {
        let numbers = [self.value.absolute, self.value.relative].map(|error| format!("{error:.2e}"));
        [vec![self.node.clone(), self.op.into(), self.value.shape()], numbers.into()].concat()
    }
}

impl Report {
    pub(super) fn new(graph: &Graph, comparison: &Comparison, [a, b]: [String; 2], input: &str) -> Self {
        let tolerance = comparison.tolerance;
        let values: Vec<Line> = comparison
            .nodes(graph)
            .map(|(node, id, found)| Line::new(graph, node, id, found, tolerance))
            .collect();
        let lacking = graph.nodes().iter().filter(|node| comparison.worst_output(node).is_none());
        let first = comparison.diverging(graph).next();
        let read = |&id: &ValueId| {
            let (name, shape) = (graph.value(id).name.clone(), graph.shape(id).clone());
            let value = comparison.of(id).map(|difference| Value::new(&name, difference, tolerance));
            Read { name, value, shape }
        };
        Self {
            a,
            b,
            input: input.to_owned(),
            tolerance,
            nodes: graph.nodes().len(),
            compared: values.len(),
            diverging: comparison.diverging(graph).count(),
            missing: lacking.map(|node| node.name.clone()).collect(),
            beyond: Vec::new(),
            first: first.map(|(node, id, difference)| First {
                line: Line::new(graph, node, id, difference, tolerance),
                inputs: node.inputs.iter().map(read).collect(),
            }),
            fused: Vec::new(),
            values,
        }
    }

    /// With names of values that only B has.
    pub(super) fn with_beyond(self, beyond: Vec<String>) -> Self {
        Self { beyond, ..self }
    }

    /// With the outputs as the fused program computes them.
    pub(super) fn with_fused(self, outputs: &[(String, Difference)]) -> Self {
        let value = |(name, difference): &(String, Difference)| Value::new(name, difference, self.tolerance);
        Self { fused: outputs.iter().map(value).collect(), ..self }
    }

    /// A failure, in one line, if something diverges or nothing could be compared.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        if self.compared == 0 {
            let Self { a, b, .. } = self;
            let what = format!("{b}: no value has the name of one of {a}, or is an output at the same place");
            return Err(Failure::failed(what));
        }
        let Self { diverging, compared, .. } = self;
        if let Some(first) = &self.first {
            let what = format!("{diverging} of {compared} nodes diverge, the first is {}", first.line.name());
            return Err(Failure::failed(what));
        }
        match self.fused.iter().find(|output| output.diverges) {
            Some(output) => Err(Failure::failed(format!(
                "no node diverges alone, but the output `{}` of the fused program does: look at what is fused",
                output.value
            ))),
            None => Ok(()),
        }
    }

    /// What people read; with a table of the worst nodes if they ask for it.
    pub(crate) fn text(&self, verbose: bool) -> String {
        let mut text = format!("A       {}\nB       {}\ninput   {}\n", self.a, self.b, self.input);
        text += &format!("nodes   {} of {} compared", self.compared, self.nodes);
        text += &listed("; without a value to compare with", &self.missing);
        text += &listed("; values of B that A lacks", &self.beyond);
        text += "\n";
        if verbose {
            text += &format!("\n{}\n", self.table());
        }
        text += &self.told_first();
        let fused = self.fused.iter().filter(|output| output.diverges && self.first.is_none());
        fused.for_each(|output| text += &format!("fused   output `{}`: {}\n", output.value, output.error()));
        text
    }

    fn told_first(&self) -> String {
        if self.compared == 0 {
            return String::new();
        }
        let Some(First { line, inputs }) = &self.first else {
            let worst = self.worst().first().map(|line| {
                format!("; the largest error is that of node {}, {}", line.name(), line.value.error())
            });
            return format!(
                "every compared node is within {:e}{}\n",
                self.tolerance,
                worst.unwrap_or_default()
            );
        };
        let mut text = format!("first   node {} {}\n", line.name(), line.value.shape());
        text += &format!("        output `{}`: {}\n", line.value.value, line.value.error());
        for Read { name, value, shape } in inputs {
            let (shape, error) = match value {
                Some(value) => (value.shape(), value.error()),
                None => (shape.to_string(), "not compared".into()),
            };
            text += &format!("        input `{name}` {shape}: {error}\n");
        }
        text
    }

    /// Nodes, those with the largest errors first.
    fn worst(&self) -> Vec<&Line> {
        let mut lines: Vec<&Line> = self.values.iter().collect();
        lines.sort_by(|a, b| b.value.relative.total_cmp(&a.value.relative));
        lines
    }

    fn table(&self) -> String {
        let names = ["node", "operator", "output"].map(Column::left);
        let errors = ["error", "relative"].map(Column::right);
        let rows: Vec<Vec<String>> = self.worst().into_iter().take(WORST).map(Line::cells).collect();
        table(&[names.to_vec(), errors.to_vec()].concat(), &rows)
    }
}

/// An element with the digits that f32 has; large integers with all of theirs.
fn number(element: f64) -> String {
    let narrow = element as f32;
    match element.abs() {
        1e-4..1e7 | 0.0 => narrow.to_string(),
        small if small < 1e-4 => format!("{narrow:e}"),
        _ if element.fract() == 0.0 => element.to_string(),
        _ => format!("{narrow:e}"),
    }
}

/// How many there are and what the first are called; nothing if there are none.
fn listed(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > NAMES { ", …" } else { "" };
    let first: Vec<String> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    format!("{what}: {} ({}{more})", names.len(), first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use svertka_engine::reference::Array;
    use svertka_graph::{DataType, Op};

    #[test]
    fn elements_have_the_digits_of_their_type() {
        let written = [0.0, 0.1f32.into(), -1.5e-9, 123456789.0, f64::NAN, f64::INFINITY].map(number);
        assert_eq!(written, ["0", "0.1", "-1.5e-9", "123456789", "NaN", "inf"]);
    }

    #[test]
    fn a_fused_program_that_diverges_alone_is_told() {
        let mut graph = Graph::new();
        let x = graph.add_input("x", DataType::F32, Shape::fixed(&[2])).unwrap();
        let y = graph.add_node("y", Op::Identity, &[x]).unwrap();
        graph.set_outputs(&y);
        let array = |last| Array::real(&[2], vec![1.0, last]).unwrap();
        let equal = Difference::between(&array(2.0), &array(2.0));
        let comparison = Comparison::new(&graph, 1e-4, |_| Ok::<_, ()>(Some(equal.clone()))).unwrap();
        let report = || Report::new(&graph, &comparison, ["a", "b"].map(str::to_owned), "drawn");
        assert!(report().with_fused(&[("y".into(), equal.clone())]).verdict().is_ok());
        let differs = Difference::between(&array(2.5), &array(2.0));
        let report = report().with_fused(&[("y".into(), differs)]);
        let Err(Failure::Failed(message)) = report.verdict() else { panic!("it diverges") };
        assert!(message.contains("no node diverges alone") && message.contains("`y`"), "{message}");
        let text = report.text(false);
        assert!(
            text.contains("fused   output `y`: 2.50e-1 of the largest magnitude, 5.00e-1 at [1]"),
            "{text}"
        );
    }
}
