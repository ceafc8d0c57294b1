//! Gradients that `differentiate` derives agree with central differences on the reference engine.

mod problems;

use problems::{Problem, difference::check};
use std::collections::BTreeSet;
use svertka_graph::Rules;

#[test]
fn every_operator_agrees_with_central_differences() {
    let mut failures = Vec::new();
    for problem in problems::all() {
        for (name, graph) in problem.forms() {
            if let Err(error) = check(&problem, &graph, &Rules::default(), 3, true) {
                failures.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} problems fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_operator_with_a_rule_has_problems() {
    let problems = problems::all();
    let forms = problems.iter().flat_map(Problem::forms);
    let covered: BTreeSet<&str> = forms
        .flat_map(|(_, graph)| graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>())
        .collect();
    let missing: Vec<&str> = Rules::default().names().filter(|name| !covered.contains(name)).collect();
    assert!(missing.is_empty(), "no problem contains {missing:?}");
}
