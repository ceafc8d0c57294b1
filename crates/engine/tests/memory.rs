//! How much scratch training needs, and that programs accept fewer rows.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::sync::{Arc, Mutex};
use svertka_engine::{
    EngineError, Machine, State,
    cpu::{Input, Purpose, RunKey, Workspace, lower},
};
use svertka_graph::{Graph, Parameters, Sizes, op::SoftmaxCrossEntropyLoss, with_loss};
use svertka_zoo as zoo;

/// The bound of peak scratch over the largest set of values alive at once.
const SLACK: f64 = 1.15;

fn network(name: &str) -> Graph {
    let card = zoo::find(name).unwrap();
    let graph = card.build(&card.options()).unwrap();
    with_loss(&graph, "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap()
}

#[test]
fn a_training_step_of_resnet18_is_placed_close_to_its_lower_bound() {
    let graph = network("resnet18");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let mut workspace = Workspace::new(Machine::new(2));
    let cost = plan.bind(&Sizes::batch(16), &state, &mut workspace).unwrap().cost();
    // Every activation that a gradient reads is alive at the end of `forward`: at least the outputs of 20 convolutions.
    assert!(cost.scratch_lower_bound > 250 << 20, "{cost:?}");
    assert!(cost.scratch_bytes as f64 <= SLACK * cost.scratch_lower_bound as f64, "{cost:?}");
}

#[test]
fn fewer_rows_give_the_loss_and_the_gradients_of_a_smaller_batch() {
    let graph = network("lenet5");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let mut state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let mut workspace = Workspace::new(Machine::new(2));
    let images: Vec<f32> = (0..5 * 784).map(|i| (i * 37 % 256) as f32).collect();
    let labels = [3, 1, 4, 1, 5];
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    let mut run = |batch| {
        let program = plan.bind(&Sizes::batch(batch), &state, &mut workspace).unwrap();
        let mut gradients = program.gradients();
        program.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
        let loss = program.output(&workspace, "loss").unwrap()[0];
        assert_eq!(program.output(&workspace, "logits").unwrap().len(), 5 * 10);
        program.backward(&mut workspace, &state, &inputs, &mut gradients).unwrap();
        (loss, gradients.get("conv1.weight").unwrap().to_vec())
    };
    let ((loss, gradient), (exact_loss, exact)) = (run(16), run(5));
    // Between batch sizes only tolerances hold: sums are cut by the problem.
    assert!((loss - exact_loss).abs() < 1e-5, "{loss} {exact_loss}");
    let largest = exact.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let worst = gradient.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-5 * largest, "{worst} of {largest}");
}

/// Every step is told once, packing once before them, and what they cost adds up to what the program costs.
#[test]
fn an_observer_is_told_every_step() {
    let graph = network("lenet5");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let mut state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let mut workspace = Workspace::new(Machine::new(2));
    let program = plan.bind(&Sizes::batch(3), &state, &mut workspace).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&told);
    workspace.set_observer(Some(Box::new(move |steps| book.lock().unwrap().push(steps.to_vec()))));
    let (images, labels) = (vec![0.0; 3 * 784], [0, 1, 2]);
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    program.forward(&mut workspace, &mut state, &inputs, RunKey::default()).unwrap();
    program.backward(&mut workspace, &state, &inputs, &mut program.gradients()).unwrap();

    let told = told.lock().unwrap();
    assert!(told[0].is_empty() && told[1..].iter().all(|steps| !steps.is_empty()), "{told:?}");
    let mut done = told.concat();
    done.sort_unstable();
    let steps = program.steps();
    assert_eq!(done, (0..steps.len()).collect::<Vec<_>>());
    let multiply_adds: u64 = steps.iter().map(|step| step.multiply_adds).sum();
    assert_eq!(multiply_adds, program.cost().multiply_adds);
    let conv = steps.iter().find(|step| step.kind == "Conv + bias + Relu").unwrap();
    // The second convolution: 6 maps of 14 x 14 to 16 of 10 x 10, with 16 x 6 x 5 x 5 weights and 16 biases.
    let moved = 3 * (6 * 14 * 14 + 16 * 10 * 10) + 16 * 6 * 25 + 16;
    assert_eq!((conv.bytes, conv.multiply_adds), (4 * moved, 3 * 16 * 100 * 6 * 25));
}

#[test]
fn what_does_not_fit_a_program_is_said() {
    let graph = network("lenet5");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let mut state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let mut workspace = Workspace::new(Machine::new(1));
    let program = plan.bind(&Sizes::batch(4), &state, &mut workspace).unwrap();
    let images = vec![0.0; 4 * 784];
    let mut forward = |images: &[f32], labels: &[i64]| {
        let inputs = [Input::F32(images), Input::I64(labels)];
        program.forward(&mut workspace, &mut state, &inputs, RunKey::default())
    };
    let message = |error: Result<(), EngineError>| error.unwrap_err().to_string();
    assert!(message(forward(&images[1..], &[0; 4])).contains("rows of 784 values"));
    assert!(message(forward(&images, &[0; 3])).contains("3 rows"));
    assert!(message(forward(&images, &[0, 1, 10, 2])).contains("sample 2 has class 10"));
    assert!(message(forward(&[], &[])).contains("1 to 4 rows"));
    let outputs = program.output(&workspace, "loss").unwrap_err();
    assert!(matches!(outputs, EngineError::Order(_)));
    let mut gradients = program.gradients();
    let backward = program.backward(&mut workspace, &state, &[], &mut gradients).unwrap_err();
    assert!(matches!(backward, EngineError::Order(_)), "{backward}");
}

#[test]
fn a_program_too_large_for_memory_says_how_much_it_needs() {
    let graph = network("lenet5");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let mut workspace = Workspace::new(Machine::new(1));
    let error = plan.bind(&Sizes::batch(1 << 50), &state, &mut workspace).unwrap_err().to_string();
    assert!(error.contains("memory") || error.contains("address space"), "{error}");
}

#[test]
fn a_program_larger_than_the_limit_is_refused_before_anything_is_allocated() {
    let graph = network("lenet5");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let bound = |batch, memory| {
        let mut workspace = Workspace::new(Machine::new(1)).with_memory_limit(memory);
        let program = plan.bind(&Sizes::batch(batch), &state, &mut workspace);
        (program.map(|program| program.memory_bytes(&state)), workspace.arena_bytes())
    };
    let needed = bound(8, None).0.unwrap();
    // At least the pictures, weights and their gradients, and the first layer's maps.
    assert!(needed > 4 * (8 * 784 + 2 * 61_706 + 8 * 6 * 784), "{needed}");
    let exact = u64::try_from(needed).unwrap();
    assert!(bound(8, Some(exact)).0.is_ok());
    let (refused, held) = bound(8, Some(exact - 1));
    assert_eq!((refused, held), (Err(EngineError::MemoryLimit { bytes: needed, available: exact - 1 }), 0));
    let text = bound(1 << 20, Some(1 << 30)).0.unwrap_err().to_string();
    assert!(
        text.ends_with(
            "bytes of memory are needed, 1073741824 are available; use a smaller batch or picture"
        )
    );
}

/// Whatever overflows, an extent, a length, a sum of lengths or of multiply-adds, the answer is an error.
#[test]
fn no_batch_is_so_large_that_its_sizes_wrap() {
    for name in ["lenet5", "resnet18_32px", "mobilenet_v2"] {
        let graph = network(name);
        let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
        let state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
        for exponent in 21..usize::BITS {
            let mut workspace = Workspace::new(Machine::new(1)).with_memory_limit(Some(1 << 30));
            let bound = plan.bind(&Sizes::batch(1 << exponent), &state, &mut workspace);
            let error = bound.map(|program| program.batch()).unwrap_err();
            let message = error.to_string();
            let fits = match error {
                EngineError::MemoryLimit { bytes, .. } | EngineError::Memory { bytes } => {
                    bytes > 1 << exponent
                }
                EngineError::Graph(_) | EngineError::Unsupported { .. } => {
                    message.contains("node `")
                        && (message.contains("memory") || message.contains("address space"))
                }
                _ => false,
            };
            assert!(fits, "{name}, a batch of 2^{exponent}: {message}");
        }
    }
}

#[test]
fn a_batch_without_rows_is_refused_by_name() {
    let graph = network("lenet5");
    let plan = Arc::new(lower(&graph, &Purpose::training()).unwrap());
    let state = State::new(&graph, &Parameters::initialise(&graph, 1).unwrap()).unwrap();
    let bound = plan.bind(&Sizes::batch(0), &state, &mut Workspace::new(Machine::new(1)));
    let message = bound.map(|program| program.batch()).unwrap_err().to_string();
    assert!(message.contains("node `normalise.centred`") && message.contains("empty"), "{message}");
}
