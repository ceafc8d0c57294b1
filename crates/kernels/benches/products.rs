//! GFLOP/s of convolutions and matrix products, forward and both gradients, beside the machine's peak of fused
//! multiply-adds measured in the same moments: `cargo bench -p svertka-kernels --bench products [-- NAME [THREADS]]`.
//!
//! Multiply-adds count twice, and fast transforms count as what they replace. Each figure is the median of runs that
//! alternate with the probe of the peak. Convolutions pack their weights in every run, as a training step does.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::{
    ops::{Deref, DerefMut},
    time::Instant,
};
use svertka_kernels::{
    Epilogue, Machine, Store,
    conv::{
        Algorithms, ConvInputGradientPlan, ConvPlan, ConvProblem, ConvShape, ConvWeightGradientPlan,
        Pictures, Source,
    },
    gemm::{Addend, GemmCall, GemmPlan, GemmProblem, Right},
    probe,
};

/// Seconds that a figure may take.
const BUDGET: f64 = 0.4;

/// Name, batch, channels in and out, input side, kernel side, stride, pad.
const CONVOLUTIONS: [(&str, [usize; 7]); 32] = [
    ("LeNet first 5x5", [128, 1, 6, 28, 5, 1, 2]),
    ("LeNet second 5x5", [128, 6, 16, 14, 5, 1, 0]),
    ("3x3 64ch 56", [16, 64, 64, 56, 3, 1, 1]),
    ("3x3 128ch 28", [16, 128, 128, 28, 3, 1, 1]),
    ("3x3 256ch 14", [16, 256, 256, 14, 3, 1, 1]),
    ("3x3 512ch 7", [16, 512, 512, 7, 3, 1, 1]),
    ("3x3 64ch 224", [4, 64, 64, 224, 3, 1, 1]),
    ("3x3 512ch 14", [4, 512, 512, 14, 3, 1, 1]),
    ("3x3 512ch 28", [4, 512, 512, 28, 3, 1, 1]),
    ("3x3/2 64-128 56", [16, 64, 128, 56, 3, 2, 1]),
    ("stem 7x7/2 RGB 224", [16, 3, 64, 224, 7, 2, 3]),
    ("stem 3x3 RGB-64 224", [4, 3, 64, 224, 3, 1, 1]),
    ("stem 3x3/2 RGB-32 224", [16, 3, 32, 224, 3, 2, 1]),
    ("stem 11x11/4 RGB-64 224", [32, 3, 64, 224, 11, 4, 2]),
    ("stem 3x3 grey-64 256", [2, 1, 64, 256, 3, 1, 1]),
    ("1x1 64-256 56", [16, 64, 256, 56, 1, 1, 0]),
    ("1x1 256-64 56", [16, 256, 64, 56, 1, 1, 0]),
    ("1x1 16-96 112", [16, 16, 96, 112, 1, 1, 0]),
    ("1x1 96-24 56", [16, 96, 24, 56, 1, 1, 0]),
    ("1x1 24-144 56", [16, 24, 144, 56, 1, 1, 0]),
    ("1x1 144-24 56", [16, 144, 24, 56, 1, 1, 0]),
    ("1x1 32-16 112", [16, 32, 16, 112, 1, 1, 0]),
    ("1x1 320-1280 7", [16, 320, 1280, 7, 1, 1, 0]),
    ("1x1/2 64-128 56", [16, 64, 128, 56, 1, 2, 0]),
    ("1x1/2 256-512 14", [16, 256, 512, 14, 1, 2, 0]),
    ("3x3/2 256-512 14", [16, 256, 512, 14, 3, 2, 1]),
    ("5x5 64-192 27", [32, 64, 192, 27, 5, 1, 2]),
    ("transposed 2x2 128-64", [2, 64, 128, 256, 2, 2, 0]),
    ("transposed 2x2 256-128", [2, 128, 256, 128, 2, 2, 0]),
    ("transposed 2x2 512-256", [2, 256, 512, 64, 2, 2, 0]),
    ("transposed 2x2 1024-512", [2, 512, 1024, 32, 2, 2, 0]),
    ("depthwise 3x3 96ch 56", [16, 96, 96, 56, 3, 1, 1]),
];

/// Name, batch, inputs, outputs.
const FULLY_CONNECTED: [(&str, [usize; 3]); 8] = [
    ("FC 400-120", [128, 400, 120]),
    ("FC 9216-4096", [128, 9216, 4096]),
    ("FC 25088-4096 batch 4", [4, 25088, 4096]),
    ("FC 9216-4096 batch 32", [32, 9216, 4096]),
    ("FC 4096-4096 batch 32", [32, 4096, 4096]),
    ("FC 4096-1000 batch 32", [32, 4096, 1000]),
    ("FC 512-1000 one row", [1, 512, 1000]),
    ("FC 4096-4096 one row", [1, 4096, 4096]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let wanted = |name: &str| arguments.first().is_none_or(|part| name.contains(part.as_str()));
    let threads = arguments.get(1).and_then(|threads| threads.parse().ok()).unwrap_or(0);
    let mut machine = Machine::new(threads);
    println!("{:?}, {:?}; GFLOP/s (share of the peak)", machine.isa, machine.threads);
    println!("{:36}{:>16}{:>16}{:>16}{:>8}", "", "forward", "input grad.", "weight grad.", "peak");
    for (name, sizes) in CONVOLUTIONS.into_iter().filter(|(name, _)| wanted(name)) {
        for (algorithms, figures) in convolution(&mut machine, sizes, name.starts_with("depthwise")) {
            print_row(&format!("{name} {algorithms}"), figures);
        }
    }
    for (name, sizes) in FULLY_CONNECTED.into_iter().filter(|(name, _)| wanted(name)) {
        print_row(name, fully_connected(&machine, sizes));
    }
}

/// `len` values from the start of a cache line on, as an arena gives them.
struct Buffer {
    values: Vec<f32>,
    start: usize,
}

fn buffer(value: f32, len: usize) -> Buffer {
    let values = vec![value; len + 16];
    let start = values.as_ptr().align_offset(64);
    Buffer { values, start }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..]
    }
}

/// GFLOP/s of something, and of the peak meanwhile.
type Figure = [f64; 2];

fn print_row(name: &str, figures: [Figure; 3]) {
    let cell = |[speed, peak]: Figure| format!("{speed:9.1} ({:3.0} %)", 100.0 * speed / peak);
    let peak = figures.iter().map(|figure| figure[1]).sum::<f64>() / 3.0;
    println!("{name:36}{}{}{}{peak:8.0}", cell(figures[0]), cell(figures[1]), cell(figures[2]));
}

/// The figures of the direct algorithms and, where there are others, of the fastest.
fn convolution(machine: &mut Machine, sizes: [usize; 7], depthwise: bool) -> Vec<(String, [Figure; 3])> {
    let [batch, in_channels, out_channels, side, kernel, stride, pad] = sizes;
    let problem = ConvProblem::new(ConvShape {
        strides: [stride; 2],
        pads: [pad; 4],
        groups: if depthwise { in_channels } else { 1 },
        ..ConvShape::new(batch, in_channels, out_channels, [side; 2], [kernel; 2])
    })
    .expect("the table's shapes are possible");
    let mut rows: Vec<(String, _)> = Vec::new();
    for algorithms in [Algorithms::Direct, Algorithms::Fastest] {
        machine.convolutions = algorithms;
        let names = algorithm_names(machine, problem);
        if rows.iter().all(|(others, _)| *others != names) {
            rows.push((names, passes(machine, problem)));
        }
    }
    rows
}

/// The algorithms of the three passes, once where they are one.
fn algorithm_names(machine: &Machine, problem: ConvProblem) -> String {
    let choice = machine.choice();
    let mut names = vec![
        ConvPlan::new(problem, Source::default(), choice).expect("there is no border").algorithm(),
        ConvInputGradientPlan::new(problem, choice).algorithm(),
        ConvWeightGradientPlan::new(problem, Source::default(), choice).expect("as above").algorithm(),
    ];
    names.dedup();
    names.join(", ")
}

/// Forward, gradient of the input, gradient of the weights.
fn passes(machine: &Machine, problem: ConvProblem) -> [Figure; 3] {
    let (threads, batch) = (machine.threads.count(), problem.batch);
    let (mut x, weights) = (buffer(0.5, batch * problem.input_len()), buffer(0.25, problem.weights_len()));
    let (mut y, mut dw) = (buffer(0.5, batch * problem.output_len()), buffer(0.0, problem.weights_len()));
    let work = 2e-9 * (batch * problem.multiply_adds()) as f64;
    let plan = ConvPlan::new(problem, Source::default(), machine.choice()).expect("there is no border");
    let mut packed = buffer(0.0, plan.packing().packed_len());
    let mut scratch = buffer(0.0, plan.scratch_len(threads));
    let forward = measure(machine, work, || {
        plan.packing().pack(machine, &weights, &mut packed);
        let x = Pictures::new(batch, &x);
        plan.forward(machine, x, &packed, &Epilogue::default(), &mut y, &mut scratch);
    });
    let plan = ConvInputGradientPlan::new(problem, machine.choice());
    let mut packed = buffer(0.0, plan.packing().packed_len());
    let mut scratch = buffer(0.0, plan.scratch_len(threads));
    let input = measure(machine, work, || {
        plan.packing().pack(machine, &weights, &mut packed);
        let dy = Pictures::new(batch, &y);
        plan.run(machine, dy, &packed, &Epilogue::default(), &mut x, &mut scratch);
    });
    let plan = ConvWeightGradientPlan::new(problem, Source::default(), machine.choice()).expect("as above");
    let mut scratch = buffer(0.0, plan.scratch_len(threads));
    let weight = measure(machine, work, || {
        let x = Pictures::new(batch, &x);
        plan.run(machine, x, &y, &mut dw, Store::Overwrite, &mut scratch);
    });
    [forward, input, weight]
}

fn fully_connected(machine: &Machine, [batch, inputs, outputs]: [usize; 3]) -> [Figure; 3] {
    let (x, weights) = (buffer(0.5, batch * inputs), buffer(0.25, outputs * inputs));
    let y = buffer(0.5, batch * outputs);
    let problem = |rows, columns, depth| GemmProblem::new(rows, columns, depth).expect("sizes are positive");
    let forward = problem(batch, outputs, inputs).trans_b();
    // Training packs its changing weights on the fly, a single row (inference) has them packed.
    [
        product(machine, forward, [&x, &weights], batch == 1),
        product(machine, problem(batch, inputs, outputs), [&y, &weights], batch == 1),
        product(machine, problem(outputs, inputs, batch).trans_a(), [&y, &x], false),
    ]
}

fn product(machine: &Machine, problem: GemmProblem, [a, b]: [&[f32]; 2], pack: bool) -> Figure {
    let plan = GemmPlan::new(problem, machine.isa);
    let mut packed = buffer(0.0, plan.packed_len());
    let mut scratch = buffer(0.0, plan.scratch_len(machine.threads.count()));
    let mut y = buffer(0.0, problem.rows * problem.columns);
    plan.pack(machine, b, &mut packed);
    let b = if pack { Right::Packed(&packed) } else { Right::Plain(b) };
    let call = GemmCall { present: plan.whole(), a, b, addend: Addend::None, activation: None };
    measure(machine, 2e-9 * problem.multiply_adds() as f64, || {
        plan.multiply(machine, &call, &mut y, &mut scratch);
    })
}

/// Runs `body`, worth `work` GFLOP, alternating with the probe; medians of both.
fn measure(machine: &Machine, work: f64, mut body: impl FnMut()) -> Figure {
    body();
    if let (1, Some(before)) = (machine.threads.count(), processor_seconds()) {
        return measure_alone(machine, work, body, before);
    }
    let [mut times, mut peaks] = [Vec::new(), Vec::new()];
    let begin = Instant::now();
    while times.len() < 5 || (begin.elapsed().as_secs_f64() < BUDGET && times.len() < 1000) {
        let start = Instant::now();
        body();
        times.push(start.elapsed().as_secs_f64());
        if times.len() % 8 == 1 {
            peaks.push(peak(machine));
        }
    }
    [work / median(times), median(peaks)]
}

/// The same on one thread by its processor time, which other programs lengthen least.
fn measure_alone(machine: &Machine, work: f64, mut body: impl FnMut(), begin: f64) -> Figure {
    let since = |begin: f64| processor_seconds().map_or(f64::NAN, |now| now - begin);
    let mut runs = 0.0;
    while runs < 3.0 || since(begin) < BUDGET {
        body();
        runs += 1.0;
    }
    let speed = work * runs / since(begin);
    let begin = processor_seconds().unwrap_or(f64::NAN);
    let wall = Instant::now();
    let peak = peak(machine);
    [speed, peak * wall.elapsed().as_secs_f64() / since(begin)]
}

/// Seconds this thread has run, where the system (Linux) tells.
fn processor_seconds() -> Option<f64> {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(nanoseconds.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// GFLOP/s of fused multiply-adds in registers, on all threads at once.
fn peak(machine: &Machine) -> f64 {
    let start = Instant::now();
    2e-9 * probe::multiply_adds(machine, 4_000_000) as f64 / start.elapsed().as_secs_f64()
}
