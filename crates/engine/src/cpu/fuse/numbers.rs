//! Integers and truth values that are handed in are written down as numbers before anything computes with them; class
//! labels of a loss are read as they are.

use crate::cpu::{
    layout,
    plan::{Home, Kind, Plan, Slot, Step},
};
use svertka_graph::{DataType, Op, op::Internal};

pub(super) fn run(plan: &mut Plan) {
    for input in 0..plan.graph.inputs().len() {
        let slot = plan.graph.inputs()[input].index();
        if plan.graph.value(plan.values[slot].value).ty.dtype != DataType::F32 && is_computed_with(plan, slot)
        {
            write_down(plan, slot);
        }
    }
}

fn write_down(plan: &mut Plan, slot: Slot) {
    let name = format!("{} (numbers)", plan.values[slot].name);
    let numbers = plan.add_value(name.clone(), slot, layout::PARAMETERS);
    debug_assert_eq!(plan.values[numbers].home, Home::Arena);
    for step in &mut plan.steps {
        for index in 0..step.inputs.len() {
            if step.inputs[index] == slot && !reads_labels(&step.kind, index) {
                step.inputs[index] = numbers;
            }
        }
    }
    plan.outputs.iter_mut().filter(|output| **output == slot).for_each(|output| *output = numbers);
    let step =
        Step { name, kind: Kind::Numbers, inputs: vec![slot], outputs: vec![numbers], backward: false };
    plan.steps.insert(0, step);
}

fn is_computed_with(plan: &Plan, slot: Slot) -> bool {
    let computes = |step: &Step| {
        step.inputs
            .iter()
            .enumerate()
            .any(|(index, &input)| input == slot && !reads_labels(&step.kind, index))
    };
    plan.outputs.contains(&slot) || plan.steps.iter().any(computes)
}

fn reads_labels(kind: &Kind, index: usize) -> bool {
    let loss = matches!(
        kind,
        Kind::Op(Op::SoftmaxCrossEntropyLoss(_) | Op::Internal(Internal::SoftmaxCrossEntropyGradient(_)))
    );
    loss && index == 1
}
