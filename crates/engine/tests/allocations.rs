//! `forward`, `backward` and `update` allocate nothing after the first step, on any thread.
//!
//! One exception, which is not svertka's: entering the thread pool pushes a job into rayon's injector queue
//! (`crossbeam_deque::Injector`), which takes a new block of memory for every 63 jobs, and idle workers that steal keep
//! the books of `crossbeam_epoch`. What svertka allocated in a step it would allocate in every step, so fewer allocations
//! than steps are the pool's.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use svertka_engine::{
    Adam, Machine, Optimiser, State,
    cpu::{Input, Purpose, RunKey, Workspace, lower},
};
use svertka_graph::{
    Builder, Graph, Parameters, Sizes, Tensor, builder::kernel, op::SoftmaxCrossEntropyLoss, with_loss,
};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn network() -> Graph {
    let network = Builder::new();
    let x = network.image(3, [16, 16]).normalise(&[0.5], &[0.25]);
    let x = x.name("conv1").conv(8, kernel(3).padding(1)).batch_norm().relu().max_pool(2);
    let y = x.name("conv2").conv(8, kernel(3).padding(1)).name("bn2").batch_norm().add(&x).relu();
    // So many weights are moved while their gradient is made.
    let y = y.flatten().dropout(0.2).name("wide").linear(2048).relu();
    y.name("fc").linear(10).classify();
    let graph = network.finish().unwrap();
    with_loss(&graph, "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap()
}

fn parameters(graph: &Graph) -> Parameters {
    let tensor = |value: &svertka_graph::Value| {
        let shape = value.ty.shape.sizes().unwrap();
        let len: usize = shape.iter().product();
        let values = (0..len).map(|i| 0.1 + (i % 7) as f32 * 0.01).collect();
        (value.name.clone(), Tensor::f32(&shape, values).unwrap())
    };
    graph.parameters().map(|(_, value, _)| tensor(value)).collect()
}

#[test]
fn a_step_allocates_nothing_after_the_first() {
    for at_once in [false, true] {
        let found = allocations(at_once);
        assert!(found < STEPS as usize, "{found} allocations in {STEPS} steps, at once: {at_once}");
    }
}

const STEPS: u64 = 50;

fn allocations(at_once: bool) -> usize {
    let graph = network();
    let purpose = if at_once { Purpose::training_at_once() } else { Purpose::training() };
    let plan = Arc::new(lower(&graph, &purpose).unwrap());
    let mut state = State::new(&graph, &parameters(&graph)).unwrap();
    let mut workspace = Workspace::new(Machine::new(2));
    let program = plan.bind(&Sizes::batch(16), &state, &mut workspace).unwrap();
    let mut gradients = program.gradients();
    let images = vec![100.0; 16 * 3 * 16 * 16];
    let labels: Vec<i64> = (0..16).map(|i| i % 10).collect();
    let inputs = [Input::F32(&images), Input::I64(&labels)];
    let rule = Optimiser::Adam(Adam::new(1e-3));
    let mut step = |step| {
        program.forward(&mut workspace, &mut state, &inputs, RunKey { seed: 1, step }).unwrap();
        if at_once {
            let gradients = &mut gradients;
            program.backward_and_update(&mut workspace, &mut state, &inputs, gradients, &rule, 1.0).unwrap();
        } else {
            program.backward(&mut workspace, &state, &inputs, &mut gradients).unwrap();
            rule.update(workspace.machine(), &mut state, &mut gradients, 1.0);
        }
    };
    step(0);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (1..=STEPS).for_each(&mut step);
    ALLOCATIONS.load(Ordering::Relaxed) - before
}
