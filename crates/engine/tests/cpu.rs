//! The compiling engine against the reference engine: outputs and gradients, on every problem and every random network.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod problems;

use problems::{
    Problem, Random,
    network::{network, recipe},
    shrink::{builder_code, shrink},
};
use std::{collections::BTreeMap, sync::Arc};
use svertka_engine::{
    EngineError, Isa, Machine, RunKey, State,
    cpu::{Input, Plan, Program, Purpose, Workspace, lower},
    reference::{Array, evaluate},
};
use svertka_graph::{
    DataType, Graph, Initialiser, Origin, Parameter, Role, Rules, Sizes, Tensor, TensorType, ValueId,
    differentiate, training_form,
};

const KEY: RunKey = RunKey { seed: 11, step: 3 };

/// Allowed error as a share of the largest element, for sums of some hundred products in f32 (each rounds to 6e-8) that
/// pass through up to 25 operators, some of which divide by small deviations.
const RELATIVE: f64 = 2e-4;
/// Allowed error where everything cancels, as gradients do that pass a normalisation by the statistics of few values.
const ABSOLUTE: f64 = 3e-4;

/// Inputs that are real numbers become weights, so that their gradients are asked for too.
fn with_inputs_as_weights(problem: &Problem) -> Problem {
    let mut changed = Problem { name: format!("{} (inputs as weights)", problem.name), ..problem.clone() };
    let mut graph = Graph::new();
    let mut ids: Vec<ValueId> = Vec::new();
    for value in problem.graph.values() {
        let id = match &value.origin {
            Origin::Input if value.ty.dtype == DataType::F32 && value.name != "target" => {
                let array = changed.inputs.remove(&value.name).unwrap();
                let values = array.as_f64().unwrap().iter().map(|&x| x as f32).collect();
                let tensor = Tensor::f32(array.shape(), values).unwrap();
                changed.parameters.insert(&value.name, tensor);
                let initialiser = Initialiser::Constant(0.0);
                let parameter = Parameter { role: Role::Weight, initialiser, frozen: false };
                let ty = TensorType::f32(svertka_graph::Shape::fixed(array.shape()));
                graph.add_parameter(&value.name, ty, parameter)
            }
            Origin::Input => graph.add_input(&value.name, value.ty.dtype, value.ty.shape.clone()),
            Origin::Parameter(parameter) => {
                graph.add_parameter(&value.name, value.ty.clone(), parameter.clone())
            }
            Origin::Node { output: 1.., .. } => continue,
            Origin::Node { node, .. } => {
                let node = problem.graph.node(*node);
                let inputs: Vec<ValueId> = node.inputs.iter().map(|id| ids[id.index()]).collect();
                let names: Vec<&str> =
                    node.outputs.iter().map(|&id| problem.graph.value(id).name.as_str()).collect();
                let outputs =
                    graph.add_node_with_outputs(&node.name, node.op.clone(), &inputs, &names).unwrap();
                ids.extend(&outputs);
                continue;
            }
        };
        ids.push(id.unwrap());
    }
    let outputs: Vec<ValueId> = problem.graph.outputs().iter().map(|id| ids[id.index()]).collect();
    graph.set_outputs(&outputs);
    changed.graph = graph;
    changed
}

/// What an engine makes of a problem: outputs and gradients of weights by name.
type Results = BTreeMap<String, Vec<f64>>;

/// Gradients of outputs that come from outside, by the name of the input that takes them.
fn seeds(graph: &Graph, problem: &Problem) -> BTreeMap<String, Array> {
    let values = evaluate(graph, &problem.parameters, &problem.inputs, KEY).unwrap();
    let mut random = Random(99);
    let mut seed = |id: &ValueId| {
        let output = values.of(*id);
        let elements =
            output.as_f64().unwrap().iter().map(|_| f64::from((2.0 * random.unit() - 1.0) as f32)).collect();
        let name = format!("gradient of {}", graph.value(*id).name);
        (!output.shape().is_empty()).then(|| (name, Array::real(output.shape(), elements).unwrap()))
    };
    graph.outputs().iter().filter_map(&mut seed).collect()
}

fn trainable(graph: &Graph) -> Vec<ValueId> {
    graph.parameters().filter(|(_, _, p)| p.role == Role::Weight && !p.frozen).map(|(id, ..)| id).collect()
}

fn by_reference(problem: &Problem, seeds: &BTreeMap<String, Array>) -> Results {
    let form = training_form(&problem.graph).unwrap().graph;
    let wrt = trainable(&form);
    let derived = differentiate(&form, form.outputs(), &wrt, &Rules::default()).unwrap();
    let mut inputs = problem.inputs.clone();
    inputs.extend(seeds.iter().map(|(name, array)| (name.clone(), array.clone())));
    let values = evaluate(&derived.graph, &problem.parameters, &inputs, KEY).unwrap();
    let output = |&id: &ValueId| (form.value(id).name.clone(), values.of(id).as_f64().unwrap().to_vec());
    let mut results: Results = form.outputs().iter().map(output).collect();
    for (id, gradient) in wrt.iter().zip(&derived.gradients) {
        if let Some(gradient) = gradient {
            let name = format!("gradient of {}", form.value(*id).name);
            results.insert(name, values.of(*gradient).as_f64().unwrap().to_vec());
        }
    }
    results
}

struct Operands {
    real: Vec<Vec<f32>>,
    integers: Vec<Vec<i64>>,
    is_real: Vec<bool>,
}

impl Operands {
    fn new<'a>(arrays: impl Iterator<Item = &'a Array>) -> Self {
        let mut operands = Self { real: Vec::new(), integers: Vec::new(), is_real: Vec::new() };
        for array in arrays {
            operands.is_real.push(array.as_f64().is_some());
            match array.as_f64() {
                Some(values) => operands.real.push(values.iter().map(|&x| x as f32).collect()),
                None => operands.integers.push(array.as_i64().unwrap().to_vec()),
            }
        }
        operands
    }

    fn inputs(&self) -> Vec<Input<'_>> {
        let (mut real, mut integers) = (self.real.iter(), self.integers.iter());
        let next = |&is_real: &bool| match is_real {
            true => Input::F32(real.next().unwrap()),
            false => Input::I64(integers.next().unwrap()),
        };
        self.is_real.iter().map(next).collect()
    }
}

/// Numbers for the symbols of inputs, and of outputs whose gradients are inputs.
fn sizes(problem: &Problem, seeds: &BTreeMap<String, Array>) -> Sizes {
    let mut sizes = Sizes::new();
    for id in problem.graph.inputs().iter().chain(problem.graph.outputs()) {
        let value = problem.graph.value(*id);
        let array =
            problem.inputs.get(&value.name).or_else(|| seeds.get(&format!("gradient of {}", value.name)));
        for (dim, &size) in value.ty.shape.iter().zip(array.map(Array::shape).unwrap_or_default()) {
            if dim.fixed().is_none() {
                sizes = sizes.with(&dim.to_string(), size);
            }
        }
    }
    sizes
}

fn two_threads(isa: Isa) -> Machine {
    Machine { isa, ..Machine::new(2) }
}

fn outputs(problem: &Problem, program: &Program, workspace: &Workspace) -> Result<Results, EngineError> {
    let name = |&id: &ValueId| problem.graph.value(id).name.clone();
    problem
        .graph
        .outputs()
        .iter()
        .map(name)
        .map(|name| {
            let values = program.output(workspace, &name)?.iter().copied().map(f64::from).collect();
            Ok((name, values))
        })
        .collect()
}

fn by_cpu(
    problem: &Problem,
    seeds: &BTreeMap<String, Array>,
    machine: Machine,
) -> Result<Results, EngineError> {
    bound_for(problem, seeds, &sizes(problem, seeds), machine)
}

/// The problem in a program that was bound for these sizes, which may have more rows.
fn bound_for(
    problem: &Problem,
    seeds: &BTreeMap<String, Array>,
    sizes: &Sizes,
    machine: Machine,
) -> Result<Results, EngineError> {
    let of = problem.graph.outputs().iter().map(|&id| problem.graph.value(id).name.clone()).collect();
    let plan: Arc<Plan> = lower(&problem.graph, &Purpose::Training { of, at_once: false })?.into();
    let mut state = State::new(&problem.graph, &problem.parameters)?;
    let mut workspace = Workspace::new(machine);
    let program = plan.bind(sizes, &state, &mut workspace)?;
    let names: Vec<String> =
        problem.graph.inputs().iter().map(|&id| problem.graph.value(id).name.clone()).collect();
    let forward = Operands::new(names.iter().map(|name| &problem.inputs[name]));
    program.forward(&mut workspace, &mut state, &forward.inputs(), KEY)?;
    let mut results = outputs(problem, &program, &workspace)?;
    let seeded =
        problem.graph.outputs().iter().map(|&id| format!("gradient of {}", problem.graph.value(id).name));
    let seeds = seeded.filter_map(|name| seeds.get(&name));
    let backward = Operands::new(names.iter().map(|name| &problem.inputs[name]).chain(seeds));
    let mut gradients = program.gradients();
    program.backward(&mut workspace, &state, &backward.inputs(), &mut gradients)?;
    for (name, values) in gradients.iter() {
        results.insert(format!("gradient of {name}"), values.iter().copied().map(f64::from).collect());
    }
    Ok(results)
}

/// The graph as it stands, through the compiling engine's inference.
fn inferred_by_cpu(problem: &Problem, isa: Isa) -> Result<Results, EngineError> {
    let plan: Arc<Plan> = lower(&problem.graph, &Purpose::Inference)?.into();
    let state = State::new(&problem.graph, &problem.parameters)?;
    let mut workspace = Workspace::new(two_threads(isa));
    let program = plan.bind(&sizes(problem, &BTreeMap::new()), &state, &mut workspace)?;
    let names = problem.graph.inputs().iter().map(|&id| &problem.graph.value(id).name);
    let operands = Operands::new(names.map(|name| &problem.inputs[name]));
    program.infer(&mut workspace, &state, &operands.inputs())?;
    outputs(problem, &program, &workspace)
}

fn inferred_by_reference(problem: &Problem) -> Results {
    let values = evaluate(&problem.graph, &problem.parameters, &problem.inputs, KEY).unwrap();
    let output =
        |&id: &ValueId| (problem.graph.value(id).name.clone(), values.of(id).as_f64().unwrap().to_vec());
    problem.graph.outputs().iter().map(output).collect()
}

fn difference(found: &Results, expected: &Results) -> Option<String> {
    if found.keys().ne(expected.keys()) {
        return Some(format!("{:?} instead of {:?}", found.keys(), expected.keys()));
    }
    found.iter().find_map(|(name, values)| {
        let expected = &expected[name];
        let largest = expected.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let off = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
        let worst = values
            .iter()
            .zip(expected)
            .map(off)
            .fold(0.0, |worst: f64, x| if x > worst || x.is_nan() { x } else { worst });
        let fits = values.len() == expected.len() && worst <= RELATIVE * largest + ABSOLUTE;
        (!fits).then(|| format!("{name} is off by {worst:.1e} of {largest:.1e}"))
    })
}

fn failure(problem: &Problem, isa: Isa) -> Option<String> {
    let seeds = seeds(&training_form(&problem.graph).unwrap().graph, problem);
    let compare = |found: Result<Results, EngineError>, expected: &Results| match found {
        Ok(found) => difference(&found, expected),
        Err(error) => Some(error.to_string()),
    };
    compare(by_cpu(problem, &seeds, two_threads(isa)), &by_reference(problem, &seeds))
        .map(|error| format!("training: {error}"))
        .or_else(|| {
            compare(inferred_by_cpu(problem, isa), &inferred_by_reference(problem))
                .map(|error| format!("inference: {error}"))
        })
}

fn both_forms(problem: &Problem, isa: Isa) -> Option<String> {
    failure(problem, isa).or_else(|| {
        failure(&with_inputs_as_weights(problem), isa).map(|error| format!("inputs as weights: {error}"))
    })
}

#[test]
fn every_problem_agrees_with_the_reference() {
    let mut failures = Vec::new();
    for isa in Isa::available() {
        for problem in problems::all() {
            if let Some(error) = both_forms(&problem, isa) {
                failures.push(format!("{} ({isa:?}): {error}", problem.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} problems fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn random_networks_agree_with_the_reference() {
    let isa = Isa::detect();
    let mut failures = Vec::new();
    for seed in 0..500 {
        if both_forms(&network(seed), isa).is_some() {
            let smallest =
                shrink(recipe(seed), |problem| both_forms(problem, isa).is_some()).build().unwrap();
            let error = both_forms(&smallest, isa).unwrap_or_default();
            failures.push(format!("seed {seed}: {error}\n{}", builder_code(&smallest.graph)));
        }
    }
    let shown = failures[..failures.len().min(12)].join("\n");
    assert!(failures.is_empty(), "{} networks fail:\n{shown}", failures.len());
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for seed in 0..100 {
        let problem = network(seed);
        let seeds = seeds(&training_form(&problem.graph).unwrap().graph, &problem);
        let run = |threads| by_cpu(&problem, &seeds, Machine::new(threads)).unwrap();
        let bits =
            |results: Results| -> Vec<u64> { results.into_values().flatten().map(f64::to_bits).collect() };
        let one = bits(run(1));
        assert_eq!(one, bits(run(2)), "seed {seed}, two threads");
        assert_eq!(one, bits(run(4)), "seed {seed}, four threads");
    }
}

/// Enough rows for steps to take the batch in pieces, the last of which is shorter.
const MANY_ROWS: usize = 21;

fn with_many_rows(seed: u64) -> Option<Problem> {
    let mut recipe = recipe(seed);
    recipe.picture[0] = MANY_ROWS;
    recipe.build()
}

/// How many steps of a training program take the batch in pieces.
fn steps_in_pieces(problem: &Problem) -> usize {
    let of = problem.graph.outputs().iter().map(|&id| problem.graph.value(id).name.clone()).collect();
    let plan = Arc::new(lower(&problem.graph, &Purpose::Training { of, at_once: false }).unwrap());
    let state = State::new(&problem.graph, &problem.parameters).unwrap();
    let sizes = Sizes::batch(MANY_ROWS);
    let program = plan.bind(&sizes, &state, &mut Workspace::new(Machine::single()));
    program.map_or(0, |program| program.steps().iter().filter(|step| step.piece.is_some()).count())
}

#[test]
fn batches_in_pieces_agree_with_the_reference_on_any_number_of_threads() {
    let (mut failures, mut in_pieces) = (Vec::new(), 0);
    for problem in (0..200).filter_map(with_many_rows) {
        in_pieces += steps_in_pieces(&problem);
        let seeds = seeds(&training_form(&problem.graph).unwrap().graph, &problem);
        let [one, two, four] =
            [1, 2, 4].map(|threads| by_cpu(&problem, &seeds, Machine::new(threads)).unwrap());
        assert!(one == two && one == four, "{}: results depend on the number of threads", problem.name);
        if let Some(error) = difference(&one, &by_reference(&problem, &seeds)) {
            failures.push(format!("{}: {error}\n{}", problem.name, builder_code(&problem.graph)));
        }
    }
    assert!(in_pieces > 400, "only {in_pieces} steps took the batch in pieces");
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

/// The problem without the last row of its batch, if the symbol `N` counts more than one.
fn with_one_row_less(problem: &Problem) -> Option<(Problem, usize)> {
    let leads = |name: &str| {
        let id = problem.graph.find(name)?;
        problem.graph.shape(id).first().filter(|dim| dim.to_string() == "N").cloned()
    };
    let mut fewer = problem.clone();
    let mut rows = None;
    for (name, array) in &mut fewer.inputs {
        if leads(name).is_none() || array.shape()[0] < 2 {
            continue;
        }
        let mut shape = array.shape().to_vec();
        rows = Some(shape[0]);
        shape[0] -= 1;
        let len = shape.iter().product();
        *array = match array.as_f64() {
            Some(values) => Array::real(&shape, values[..len].to_vec()),
            None => Array::integers(&shape, array.as_i64().unwrap()[..len].to_vec()),
        }
        .unwrap();
    }
    let possible = fewer.graph.concrete_shapes(&sizes(&fewer, &BTreeMap::new())).is_ok();
    rows.filter(|_| possible).map(|rows| (fewer, rows))
}

#[test]
fn programs_that_accept_fewer_rows_work_on_those_that_are_there() {
    let (mut failures, mut compared) = (Vec::new(), 0);
    let problems = problems::all().into_iter().chain((0..300).map(network));
    let problems = problems.chain((0..100).filter_map(with_many_rows));
    for (fewer, rows) in problems.filter_map(|problem| with_one_row_less(&problem)) {
        let seeds = seeds(&training_form(&fewer.graph).unwrap().graph, &fewer);
        let sizes = sizes(&fewer, &seeds).with("N", rows);
        match bound_for(&fewer, &seeds, &sizes, two_threads(Isa::detect())) {
            Ok(found) => {
                compared += 1;
                let difference = difference(&found, &by_reference(&fewer, &seeds));
                failures.extend(
                    difference
                        .map(|error| format!("{}: {error}\n{}", fewer.name, builder_code(&fewer.graph))),
                );
            }
            // Programs in which the rows do not lead everywhere refuse them.
            Err(EngineError::Input { .. } | EngineError::Order(_) | EngineError::Graph(_)) => {}
            Err(error) => failures.push(format!("{}: {error}", fewer.name)),
        }
    }
    assert!(compared > 100, "only {compared} programs accepted fewer rows");
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}
