//! Large weights are moved by the product that makes their gradient, which is then not stored (of more than
//! 256 rows it is, in scratch, while that product runs).

use crate::cpu::plan::{Home, Kind, Plan, Slot};

/// Gradients of so many elements are worth it: with the weights they no longer fit into a third-level cache together, so that
/// writing and reading them again is what an update takes its time for.
const LARGE: usize = 1024 * 1024;

/// Rewrites a plan whose caller makes a step on every batch alone, so that nobody else wants the gradients.
pub(in crate::cpu) fn run(plan: &mut Plan) {
    for place in (0..plan.gradients.len()).rev() {
        if let Some((index, weight)) = candidate(plan, place) {
            fuse(plan, index, place, weight);
        }
    }
}

/// The step that makes the gradient of a large weight alone, and the weight.
fn candidate(plan: &Plan, place: usize) -> Option<(usize, Slot)> {
    let (name, len) = &plan.gradients[place];
    let index = plan.steps.iter().position(|step| {
        let output = step.outputs.first().map(|&slot| &plan.values[slot].home);
        output == Some(&Home::Gradient(place)) && matches!(step.kind, Kind::Gemm(_, None))
    })?;
    let handed_in = |slot: &Slot| matches!(plan.values[*slot].home, Home::Parameter(_));
    if plan.steps[index].inputs.iter().any(handed_in) {
        return None;
    }
    let own = |home: &Home| matches!(home, Home::Parameter(other) if other == name);
    let weight = plan.values.iter().position(|value| own(&value.home))?;
    (*len >= LARGE && read_by_products(plan, weight)).then_some((index, weight))
}

/// Whether nothing but products reads a weight, so that no view of it is left behind.
fn read_by_products(plan: &Plan, weight: Slot) -> bool {
    let mut readers = plan.steps.iter().filter(|step| step.inputs.contains(&weight));
    !plan.outputs.contains(&weight) && readers.all(|step| matches!(step.kind, Kind::Gemm(..)))
}

/// Turns the step into one that moves the weight, behind everybody who reads it.
fn fuse(plan: &mut Plan, index: usize, place: usize, weight: Slot) {
    let mut step = plan.steps.remove(index);
    if let Kind::Gemm(gemm, _) = step.kind {
        step.kind = Kind::Update(gemm);
    }
    step.outputs = vec![weight];
    let last_reader = plan.steps.iter().rposition(|step| step.reads().any(|slot| slot == weight));
    plan.steps.insert(index.max(last_reader.map_or(0, |reader| reader + 1)), step);
    plan.updated.insert(0, plan.gradients.remove(place));
    for value in &mut plan.values {
        match &mut value.home {
            // Nobody writes it any more.
            Home::Gradient(other) if *other == place => value.home = Home::Arena,
            Home::Gradient(other) => *other -= usize::from(*other > place),
            _ => {}
        }
    }
}
