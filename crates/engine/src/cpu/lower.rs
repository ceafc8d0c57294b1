use super::{
    fuse, layout,
    plan::{Home, Kind, Plan, Slot, Step},
};
use crate::{EngineError, state::numbers};
use svertka_graph::{Graph, Op, Role, Rules, ValueId, differentiate, training_form};

/// What a program is for. Train or infer is said here and per node (frozen or not), never guessed.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// The graph's outputs: dropout is the identity, batch normalisation uses gathered statistics.
    Inference,
    /// The graph's outputs in training form, and the gradients of all trainable weights.
    Training {
        /// The values that are differentiated. A scalar (a loss) counts as 1; of any other value the gradient is
        /// handed to `backward`.
        of: Vec<String>,
        /// A step is made on every batch alone, by [`Program::backward_and_update`](super::Program::backward_and_update).
        /// Nobody else wants the gradients then, and those of large fully connected layers are not kept: the product
        /// that makes them moves the weights.
        at_once: bool,
    },
}

impl Purpose {
    /// Training on the value named `loss`; what is done with the gradients is the caller's.
    pub fn training() -> Self {
        Purpose::Training { of: vec!["loss".to_owned()], at_once: false }
    }

    /// Training on the value named `loss`, with a step on every batch alone.
    pub fn training_at_once() -> Self {
        Purpose::Training { of: vec!["loss".to_owned()], at_once: true }
    }
}

/// Compiles a graph for a purpose, without sizes.
///
/// # Errors
/// [`EngineError::Graph`] where no gradient exists or a name is unknown; [`EngineError::Unsupported`] where this engine
/// has no kernel.
pub fn lower(graph: &Graph, purpose: &Purpose) -> Result<Plan, EngineError> {
    check_constants(graph)?;
    let mut plan = match purpose {
        Purpose::Inference => inference(graph.clone()),
        Purpose::Training { of, .. } => training(graph, of)?,
    };
    fuse::run(&mut plan);
    if matches!(purpose, Purpose::Training { at_once: true, .. }) {
        fuse::update::run(&mut plan);
    }
    layout::run(&mut plan);
    Ok(plan)
}

/// Integers are kept as f32.
fn check_constants(graph: &Graph) -> Result<(), EngineError> {
    for node in graph.nodes() {
        if matches!(&node.op, Op::Constant(tensor) if numbers(tensor).is_none()) {
            let reason = "it has integers above 2^24, which programs do not hold exactly".to_owned();
            return Err(EngineError::Unsupported {
                node: node.name.clone(),
                op: "Constant".to_owned(),
                reason,
            });
        }
    }
    Ok(())
}

fn inference(graph: Graph) -> Plan {
    let mut plan = Plan::new(graph);
    let nodes = plan.graph.nodes().len();
    plan.steps = steps(&plan.graph, nodes);
    plan.outputs = plan.graph.outputs().iter().map(|id| id.index()).collect();
    plan
}

fn training(graph: &Graph, of: &[String]) -> Result<Plan, EngineError> {
    let form = training_form(graph)?;
    let of = of.iter().map(|name| form.graph.expect(name)).collect::<Result<Vec<_>, _>>()?;
    let wrt: Vec<ValueId> = trainable(&form.graph);
    let derived = differentiate(&form.graph, &of, &wrt, &Rules::default())?;
    let mut plan = Plan::new(derived.graph);
    plan.steps = steps(&plan.graph, derived.forward_nodes);
    plan.outputs = form.graph.outputs().iter().map(|id| id.index()).collect();
    let handed_in = |id: &&ValueId| plan.graph.inputs().contains(id);
    plan.seeds = derived.seeds.iter().filter(handed_in).map(|id| id.index()).collect();
    plan.updates = form.updates.iter().map(|(statistic, next)| (statistic.index(), next.index())).collect();
    accumulate(&mut plan, &wrt, &derived.gradients);
    Ok(plan)
}

fn trainable(graph: &Graph) -> Vec<ValueId> {
    let learns =
        graph.parameters().filter(|(_, _, parameter)| parameter.role == Role::Weight && !parameter.frozen);
    learns.map(|(id, ..)| id).collect()
}

/// One step per node; constants are no steps, their values are at home in the plan.
fn steps(graph: &Graph, forward_nodes: usize) -> Vec<Step> {
    let step = |(index, node): (usize, &svertka_graph::Node)| {
        let slots = |ids: &[ValueId]| ids.iter().map(|id| id.index()).collect();
        (!matches!(node.op, Op::Constant(_))).then(|| Step {
            name: node.name.clone(),
            kind: Kind::Op(node.op.clone()),
            inputs: slots(&node.inputs),
            outputs: slots(&node.outputs),
            backward: index >= forward_nodes,
        })
    };
    graph.nodes().iter().enumerate().filter_map(step).collect()
}

/// Appends, right behind the step that finishes each gradient, its addition to the parameter's accumulated gradient.
fn accumulate(plan: &mut Plan, wrt: &[ValueId], gradients: &[Option<ValueId>]) {
    let mut finished: Vec<(usize, Slot, Slot)> = wrt
        .iter()
        .zip(gradients)
        .filter_map(|(parameter, gradient)| {
            let gradient = (*gradient)?.index();
            Some((plan.producer(gradient).unwrap_or(plan.steps.len()), parameter.index(), gradient))
        })
        .collect();
    finished.sort_unstable();
    for (place, &(_, parameter, gradient)) in finished.iter().enumerate() {
        let value = &plan.values[parameter];
        let elements = plan.graph.shape(value.value).elements().unwrap_or(0);
        let name = value.name.clone();
        plan.gradients.push((name.clone(), elements));
        let output = plan.add_value(format!("gradient of {name}"), parameter, layout::PARAMETERS);
        plan.values[output].home = Home::Gradient(place);
        let step = Step {
            name,
            kind: Kind::Accumulate,
            inputs: vec![gradient],
            outputs: vec![output],
            backward: true,
        };
        let behind = plan.producer(gradient).map_or(plan.steps.len(), |producer| producer + 1);
        plan.steps.insert(behind, step);
    }
}
