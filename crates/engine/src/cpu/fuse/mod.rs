//! Fusions: small rewritings of a plan's steps, in the order in which they are run.

mod activation;
mod add;
mod cross_entropy;
mod direct_gradient;
mod fold_norm;
mod lift;
mod norm_gradient;
mod numbers;
mod source;
pub(super) mod update;

pub(super) use direct_gradient::is_column_sum;

use super::plan::{Plan, Slot};

/// Every fusion, in order. Each makes a plan that computes the same and leaves values that nobody reads.
const PASSES: [fn(&mut Plan); 10] = [
    numbers::run,
    lift::run,
    source::run,
    cross_entropy::run,
    norm_gradient::run,
    fold_norm::run,
    add::run,
    activation::run,
    remove_unread,
    direct_gradient::run,
];

pub(super) fn run(plan: &mut Plan) {
    for pass in PASSES {
        pass(plan);
    }
}

/// Applies a rewriting to every step. One that returns true has changed the steps at its index: they are looked at again.
fn each_step(plan: &mut Plan, rewrite: fn(&mut Plan, usize) -> bool) {
    let mut index = 0;
    while index < plan.steps.len() {
        if !rewrite(plan, index) {
            index += 1;
        }
    }
}

/// Drops steps whose outputs nobody reads.
fn remove_unread(plan: &mut Plan) {
    loop {
        let unread =
            plan.steps.iter().rposition(|step| !step.outputs.iter().any(|&slot| is_wanted(plan, slot)));
        match unread {
            Some(index) => drop(plan.steps.remove(index)),
            None => return,
        }
    }
}

fn is_wanted(plan: &Plan, slot: Slot) -> bool {
    use super::plan::Home;
    matches!(plan.values[slot].home, Home::Gradient(_)) || plan.uses(slot) > 0
}

/// Whether two slots have the same shape in the graph, so that no broadcasting is meant.
fn same_shape(plan: &Plan, a: Slot, b: Slot) -> bool {
    plan.graph.shape(plan.values[a].value) == plan.graph.shape(plan.values[b].value)
}
