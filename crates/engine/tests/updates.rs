//! Steps at once: weights that are moved while their gradient is made have the bits of those moved behind it.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::sync::Arc;
use svertka_engine::{
    Adam, EngineError, Machine, Optimiser, RunKey, Sgd, State,
    cpu::{Input, Program, Purpose, Workspace, lower},
};
use svertka_graph::{
    Builder, DataType, Dim, Graph, Initialiser, Op, Parameter, Parameters, Role, Shape, Sizes, TensorType,
    op::{Activation, Binary, Gemm, SoftmaxCrossEntropyLoss},
    with_loss,
};

/// The side of pictures.
const SIDE: usize = 32;
const FEATURES: usize = SIDE * SIDE;

fn with_cross_entropy(graph: &Graph) -> Graph {
    with_loss(graph, "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap()
}

/// Two large layers, one of a width that is no multiple of anything, between small ones.
fn wide() -> Graph {
    let network = Builder::new();
    let x = network.image(1, [SIDE, SIDE]).normalise(&[0.5], &[0.25]).flatten();
    let x = x.name("fc1").linear(1027).relu().dropout(0.2).name("fc2").linear(1024).relu();
    x.name("fc3").linear(10).classify();
    with_cross_entropy(&network.finish().unwrap())
}

/// Two large layers of one weight.
fn shared() -> Graph {
    let mut graph = Graph::new();
    let shape = Shape::new([Dim::from("N"), Dim::from(FEATURES)]);
    let x = graph.add_input("x", DataType::F32, shape).unwrap();
    let mut parameter = |rows: usize, name: &str| {
        let initialiser = Initialiser::XavierUniform;
        let parameter = Parameter { role: Role::Weight, initialiser, frozen: false };
        let ty = TensorType::f32(Shape::fixed(&[rows, FEATURES]));
        graph.add_parameter(name, ty, parameter).unwrap()
    };
    let (twice, last) = (parameter(FEATURES, "twice"), parameter(10, "last"));
    let layer = Op::Gemm(Gemm { trans_b: true, ..Gemm::default() });
    let y = graph.add_node("first", layer.clone(), &[x, twice]).unwrap()[0];
    let z = graph.add_node("second", layer.clone(), &[y, twice]).unwrap()[0];
    let logits = graph.add_node("logits", layer, &[z, last]).unwrap()[0];
    graph.set_outputs(&[logits]);
    with_cross_entropy(&graph)
}

/// A large layer beside a small one, both of the same input: steps of the small one follow in the large one's stretch.
fn branches() -> Graph {
    let mut graph = Graph::new();
    let x = graph.add_input("x", DataType::F32, Shape::new([Dim::from("N"), Dim::from(FEATURES)])).unwrap();
    let layer = |graph: &mut Graph, name: &str, x, inputs: usize, outputs: usize| {
        let mut parameter = |name: String, shape: &[usize], initialiser| {
            let parameter = Parameter { role: Role::Weight, initialiser, frozen: false };
            graph.add_parameter(&name, TensorType::f32(Shape::fixed(shape)), parameter).unwrap()
        };
        let weight = parameter(format!("{name}.weight"), &[outputs, inputs], Initialiser::XavierUniform);
        let bias = parameter(format!("{name}.bias"), &[outputs], Initialiser::Constant(0.1));
        let op = Op::Gemm(Gemm { trans_b: true, ..Gemm::default() });
        graph.add_node(name, op, &[x, weight, bias]).unwrap()[0]
    };
    let small = layer(&mut graph, "small", x, FEATURES, 10);
    let large = layer(&mut graph, "large", x, FEATURES, 1024);
    let large = graph.add_node("relu", Op::Activation(Activation::Relu), &[large]).unwrap()[0];
    let last = layer(&mut graph, "last", large, 1024, 10);
    let logits = graph.add_node("logits", Op::Binary(Binary::Add), &[small, last]).unwrap()[0];
    graph.set_outputs(&[logits]);
    with_cross_entropy(&graph)
}

fn rules() -> Vec<Optimiser> {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..Sgd::new(0.05) };
    vec![
        Optimiser::Sgd(Sgd { weight_decay: 0.01, ..Sgd::new(0.05) }),
        Optimiser::Sgd(sgd),
        Optimiser::Sgd(Sgd { nesterov: true, ..sgd }),
        Optimiser::Adam(Adam { weight_decay: 0.01, ..Adam::new(1e-3) }),
        Optimiser::Adam(Adam::adamw(1e-3)),
    ]
}

/// A network that is trained on batches of so many rows, the first of which is the largest.
struct Run<'a> {
    graph: &'a Graph,
    rule: Optimiser,
    rows: &'a [usize],
    threads: usize,
}

impl Run<'_> {
    fn bind(&self, purpose: &Purpose) -> (Program, State, Workspace) {
        let plan = Arc::new(lower(self.graph, purpose).unwrap());
        let state = State::new(self.graph, &Parameters::initialise(self.graph, 1).unwrap()).unwrap();
        let mut workspace = Workspace::new(Machine::new(self.threads));
        let program = plan.bind(&Sizes::batch(self.rows[0]), &state, &mut workspace).unwrap();
        (program, state, workspace)
    }

    /// Every bit of the state behind the last step, and of the losses.
    fn train(&self, at_once: bool) -> Vec<u32> {
        let purpose = if at_once { Purpose::training_at_once() } else { Purpose::training() };
        let (program, mut state, mut workspace) = self.bind(&purpose);
        let mut gradients = program.gradients();
        let mut bits = Vec::new();
        for (step, &rows) in (0..).zip(self.rows) {
            let (images, labels) = batch(rows, step);
            let inputs = [Input::F32(&images), Input::I64(&labels)];
            let key = RunKey { seed: 7, step };
            program.forward(&mut workspace, &mut state, &inputs, key).unwrap();
            bits.push(program.output(&workspace, "loss").unwrap()[0].to_bits());
            if at_once {
                let before = state.version();
                program
                    .backward_and_update(&mut workspace, &mut state, &inputs, &mut gradients, &self.rule, 0.5)
                    .unwrap();
                assert_ne!(state.version(), before);
            } else {
                program.backward(&mut workspace, &state, &inputs, &mut gradients).unwrap();
                self.rule.update(workspace.machine(), &mut state, &mut gradients, 0.5);
            }
            assert_eq!(state.step, step + 1);
        }
        let names = state.entries().iter().map(|entry| state.values(&entry.name).unwrap());
        bits.extend(names.chain(state.slots.iter().map(Vec::as_slice)).flatten().map(|x| x.to_bits()));
        bits
    }
}

fn batch(rows: usize, step: u64) -> (Vec<f32>, Vec<i64>) {
    let pixel = |i: usize| ((i * 37 + step as usize * 101) % 256) as f32;
    ((0..rows * FEATURES).map(pixel).collect(), (0..rows as i64).map(|row| (row + 3) % 10).collect())
}

#[test]
fn weights_have_the_bits_of_an_update_behind_the_gradients() {
    let graph = wide();
    for rule in rules() {
        let run = |threads, at_once| Run { graph: &graph, rule, rows: &[5, 5, 3], threads }.train(at_once);
        let expected = run(2, false);
        for threads in [1, 2, 4] {
            assert!(run(threads, true) == expected, "{rule:?} on {threads} threads");
        }
    }
}

#[test]
fn layers_beside_a_moved_one_have_the_same_bits() {
    let (graph, rule) = (branches(), rules()[1]);
    let run = |at_once| Run { graph: &graph, rule, rows: &[24, 24, 17], threads: 2 }.train(at_once);
    assert!(run(true) == run(false));
}

#[test]
fn gradients_of_another_program_are_refused() {
    let graph = wide();
    let run = Run { graph: &graph, rule: rules()[0], rows: &[2], threads: 1 };
    let bind =
        |at_once: bool| run.bind(&if at_once { Purpose::training_at_once() } else { Purpose::training() });
    let (images, labels) = batch(2, 0);
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    let ((whole, ..), (at_once, mut state, mut workspace)) = (bind(false), bind(true));
    at_once.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
    let before = state.parameters();
    let (mut gradients, rule) = (whole.gradients(), run.rule);
    let made = at_once.backward_and_update(&mut workspace, &mut state, &inputs, &mut gradients, &rule, 1.0);
    assert!(matches!(made, Err(EngineError::Order(_))));
    assert!(state.parameters() == before);
    let (whole, mut state, mut workspace) = bind(false);
    whole.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
    let made = whole.backward(&mut workspace, &state, &inputs, &mut at_once.gradients());
    assert!(matches!(made, Err(EngineError::Order(_))));
}

/// Sums of more than 256 products are made in several goes, and the whole gradient is in scratch.
#[test]
fn large_batches_have_the_same_bits_too() {
    let (graph, rule) = (wide(), rules()[1]);
    let run = |at_once| Run { graph: &graph, rule, rows: &[300, 40], threads: 2 }.train(at_once);
    assert!(run(true) == run(false));
    let algorithm = |rows| {
        let run = Run { graph: &graph, rule, rows: &[rows], threads: 2 };
        let steps = run.bind(&Purpose::training_at_once()).0.steps();
        let step = steps.into_iter().find(|step| step.name == "gradient of fc1.weight").unwrap();
        (step.kind, step.algorithm, step.weights_moved)
    };
    let moved = (FEATURES * 1027) as u64;
    assert_eq!(algorithm(256), ("Gemm + update".to_owned(), Some("tile by tile"), moved));
    assert_eq!(algorithm(300), ("Gemm + update".to_owned(), Some("whole gradient"), moved));
}

/// The line of a plan in which a value is written, and those in which it is read.
fn lines(plan: &str, value: &str) -> (Option<usize>, Vec<usize>) {
    let sides = || plan.lines().map(|line| line.split_once(" <- ").unwrap_or((line, "")));
    let writes = sides().position(|(step, _)| step.starts_with(&format!("{value}: ")));
    let reads = sides().enumerate().filter(|(_, (_, inputs))| inputs.split(", ").any(|input| input == value));
    (writes, reads.map(|(line, _)| line).collect())
}

#[test]
fn large_weights_are_moved_behind_all_their_readers() {
    let plan = lower(&wide(), &Purpose::training_at_once()).unwrap().to_string();
    for (weight, readers) in [("fc1.weight", 1), ("fc2.weight", 2)] {
        let (update, reads) = lines(&plan, weight);
        assert_eq!(reads.len(), readers, "{plan}");
        assert!(reads.into_iter().all(|read| Some(read) < update), "{weight}\n{plan}");
        assert!(!plan.contains(&format!("gradient of {weight}")), "{plan}");
    }
    assert_eq!(plan.matches("Gemm + update").count(), 2, "{plan}");
    assert!(plan.contains("gradient of fc3.weight: Gemm <-"), "{plan}");
    assert!(plan.contains("gradient of fc2.bias: "), "{plan}");
}

#[test]
fn gradients_that_others_want_or_weights_that_are_shared_are_left_whole() {
    let asked_for = lower(&wide(), &Purpose::training()).unwrap().to_string();
    let twice = lower(&shared(), &Purpose::training_at_once()).unwrap().to_string();
    for (plan, gradient) in [(asked_for, "gradient of fc1.weight: Gemm <-"), (twice, "gradient of twice: ")] {
        assert!(!plan.contains("update") && plan.contains(gradient), "{plan}");
    }
    let graph = shared();
    let run = |at_once| Run { graph: &graph, rule: rules()[1], rows: &[4, 2], threads: 2 }.train(at_once);
    assert!(run(true) == run(false));
}

#[test]
fn memory_for_gradients_that_are_not_stored_is_not_needed() {
    let (graph, rule) = (wide(), rules()[0]);
    let run = Run { graph: &graph, rule, rows: &[4], threads: 1 };
    let [whole, at_once] =
        [Purpose::training(), Purpose::training_at_once()].map(|purpose| run.bind(&purpose));
    assert_eq!(at_once.0.trainable(), whole.0.trainable());
    let stored =
        |program: &Program| program.gradients().iter().map(|(_, values)| values.len()).sum::<usize>();
    let spared = 1027 * (FEATURES + 1024);
    assert_eq!(stored(&at_once.0) + spared, stored(&whole.0));
    let bytes = [&whole, &at_once].map(|(program, state, _)| program.memory_bytes(state));
    assert!(bytes[0] - bytes[1] >= 4 * spared as u128 * 9 / 10, "{bytes:?}");
}

#[test]
fn calls_that_would_take_others_gradients_are_refused() {
    let (graph, rule) = (wide(), rules()[1]);
    let run = Run { graph: &graph, rule, rows: &[2], threads: 1 };
    let (images, labels) = batch(2, 0);
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    let message = |error: Result<(), EngineError>| match error {
        Err(EngineError::Order(message)) => message,
        other => panic!("{other:?}"),
    };
    for (purpose, wanted) in
        [(Purpose::training_at_once(), "makes steps at once"), (Purpose::training(), "gradients of others")]
    {
        let (program, mut state, mut workspace) = run.bind(&purpose);
        let (mut gradients, before) = (program.gradients(), state.parameters());
        program.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
        let backward = program.backward(&mut workspace, &state, &inputs, &mut gradients);
        let found = if backward.is_err() {
            message(backward)
        } else {
            program.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
            let gradients = &mut gradients;
            message(program.backward_and_update(&mut workspace, &mut state, &inputs, gradients, &rule, 1.0))
        };
        assert!(found.contains(wanted), "{found}");
        assert!(state.parameters() == before && state.step == 0);
    }
}
