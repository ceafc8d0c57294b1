//! Gradients of random networks agree with central differences on the reference engine.

mod problems;

use problems::{
    Problem,
    difference::check,
    network::{network, recipe},
    printed,
    shrink::{builder_code, shrink},
};
use std::collections::BTreeSet;
use svertka_graph::{Graph, Rules};

/// Every one of these seeds is a network.
const SEEDS: std::ops::Range<u64> = 0..500;

fn failure(problem: &Problem, rules: &Rules) -> Option<String> {
    problem.forms().into_iter().find_map(|(name, graph)| {
        check(problem, &graph, rules, 2, false).err().map(|error| format!("{name}: {error}"))
    })
}

#[test]
fn random_networks_agree_with_central_differences() {
    let rules = Rules::default();
    let mut failures = Vec::new();
    for seed in SEEDS {
        if failure(&network(seed), &rules).is_some() {
            let smallest =
                shrink(recipe(seed), |problem| failure(problem, &rules).is_some()).build().unwrap();
            let error = failure(&smallest, &rules).unwrap_or_default();
            failures.push(format!("{error}\n{}", builder_code(&smallest.graph)));
        }
    }
    assert!(failures.is_empty(), "{} networks fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn random_networks_have_3_to_25_nodes_of_every_operator() {
    let graphs: Vec<_> = SEEDS.map(|seed| network(seed).graph).collect();
    let sizes: BTreeSet<usize> = graphs.iter().map(|graph| graph.nodes().len()).collect();
    assert!(sizes.iter().all(|size| (3..=25).contains(size)) && sizes.len() > 20, "{sizes:?}");
    let used: BTreeSet<&str> = graphs.iter().flat_map(Graph::nodes).map(|node| node.op.name()).collect();
    let training = ["BatchNormTraining", "MaxPoolTraining", "DropoutTraining"];
    // Not every number is theirs to take, or what they return grows too fast; conditions are made by gradients.
    let special = ["Sqrt", "Log", "Reciprocal", "Pow", "Exp", "Where"];
    let left_out = |name: &&str| used.contains(name) || training.contains(name) || special.contains(name);
    let missing: Vec<&str> = Rules::default().names().filter(|name| !left_out(name)).collect();
    assert!(missing.is_empty(), "no network contains {missing:?}");
}

#[test]
fn a_wrong_rule_is_found_and_shrunk_to_the_nodes_that_show_it() {
    let mut rules = Rules::default();
    rules.set("Tanh", |backward| {
        let straight_through = backward.dy()?;
        backward.give(0, straight_through)
    });
    let fails = |problem: &Problem| failure(problem, &rules).is_some();
    let caught: Vec<u64> = SEEDS.filter(|&seed| fails(&network(seed))).collect();
    assert!(caught.len() > 25, "only the networks {caught:?} show it");
    for &seed in &caught[..20] {
        let smallest = shrink(recipe(seed), fails);
        assert_eq!(smallest.steps.len(), 1, "{smallest:?}");
        assert!(builder_code(&smallest.build().unwrap().graph).contains("Op::Activation(Tanh)"));
    }
}

#[test]
fn printed_code_builds_the_network_again() {
    let graph = network(printed::SEED).graph;
    let code = builder_code(&graph);
    assert_eq!(printed::network(), graph, "problems/printed.rs has to hold\n{code}");
    let file = include_str!("problems/printed.rs");
    assert!(file.contains(&code), "problems/printed.rs has to hold\n{code}");
}
