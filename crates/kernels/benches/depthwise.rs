//! Depthwise convolutions of MobileNetV2, forward and both gradients, beside a probe that does nothing but read and write
//! as many bytes on as many threads: `cargo bench -p svertka-kernels --bench depthwise [-- NAME [THREADS [cold]]]`.
//!
//! Each activation counts once: GB/s of what is read and written, GFLOP/s, and the probe's time over the kernel's.
//! Figures are medians of runs that alternate with the probe. `cold` empties the caches before each run, as the layers in
//! between do in a step of training; else smaller layers stay in the last-level cache.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::{hint::black_box, time::Instant};
use svertka_kernels::{
    Epilogue, Machine, SharedMut, Store,
    conv::{
        ConvInputGradientPlan, ConvPlan, ConvProblem, ConvShape, ConvWeightGradientPlan, Pictures, Source,
    },
    simd::{Kernel, Lanes},
};

/// Seconds that a figure may take.
const BUDGET: f64 = 0.25;

/// f32 of what empties the caches.
const OTHERS: usize = 16 * 1024 * 1024;
/// f32 of a cache line.
const LINE: usize = 16;

/// Name, batch, channels, input side, kernel side, stride.
const LAYERS: [(&str, [usize; 5]); 13] = [
    ("3x3 32ch 112", [16, 32, 112, 3, 1]),
    ("3x3/2 96ch 112", [16, 96, 112, 3, 2]),
    ("3x3 144ch 56", [16, 144, 56, 3, 1]),
    ("3x3/2 144ch 56", [16, 144, 56, 3, 2]),
    ("3x3 192ch 28", [16, 192, 28, 3, 1]),
    ("3x3/2 192ch 28", [16, 192, 28, 3, 2]),
    ("3x3 384ch 14", [16, 384, 14, 3, 1]),
    ("3x3 576ch 14", [16, 576, 14, 3, 1]),
    ("3x3/2 576ch 14", [16, 576, 14, 3, 2]),
    ("3x3 960ch 7", [16, 960, 7, 3, 1]),
    ("5x5 240ch 28", [16, 240, 28, 5, 1]),
    ("5x5/2 144ch 56", [16, 144, 56, 5, 2]),
    ("7x7 96ch 56", [16, 96, 56, 7, 1]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let wanted = |name: &str| arguments.first().is_none_or(|part| name.contains(part.as_str()));
    let threads = arguments.get(1).and_then(|threads| threads.parse().ok()).unwrap_or(0);
    let machine = Machine::new(threads);
    let mut others = vec![0.0; if arguments.get(2).is_some() { OTHERS } else { 0 }];
    println!("{:?}, {:?}; GB/s, GFLOP/s (share of the probe)", machine.isa, machine.threads);
    println!("{:18}{:>22}{:>22}{:>22}", "", "forward", "input grad.", "weight grad.");
    for (name, sizes) in LAYERS.into_iter().filter(|(name, _)| wanted(name)) {
        let cells = layer(&machine, sizes, &mut others).map(|[bytes, flops, share]| {
            let share = format!("({:.0} %)", 100.0 * share);
            format!("{bytes:7.1}{flops:7.1} {share:>7}")
        });
        println!("{name:18}{}", cells.concat());
    }
}

/// GB/s, GFLOP/s and the share of the probe, of each pass.
fn layer(
    machine: &Machine,
    [batch, channels, side, kernel, stride]: [usize; 5],
    others: &mut [f32],
) -> [[f64; 3]; 3] {
    let problem = ConvProblem::new(ConvShape {
        strides: [stride; 2],
        pads: [kernel / 2; 4],
        groups: channels,
        ..ConvShape::new(batch, channels, channels, [side; 2], [kernel; 2])
    })
    .expect("the table's shapes are possible");
    let threads = machine.threads.count();
    let lens = [batch * problem.input_len(), batch * problem.output_len()];
    let [mut x, mut y] = lens.map(|len| vec![0.5; len + LINE]);
    let [x, y] = [&mut x, &mut y].map(|values| aligned(values));
    let work = [4e-9 * (lens[0] + lens[1]) as f64, 2e-9 * (batch * problem.multiply_adds()) as f64];
    let weights = vec![0.25; problem.weights_len()];

    let plan = ConvPlan::new(problem, Source::default(), machine.choice()).expect("there is no border");
    let (mut packed, mut scratch) =
        (vec![0.0; plan.packing().packed_len()], vec![0.0; plan.scratch_len(threads)]);
    plan.packing().pack(machine, &weights, &mut packed);
    let forward = measure(machine, work, [&mut *x, &mut *y, &mut *others], [false, true], |x, y| {
        plan.forward(machine, Pictures::new(batch, x), &packed, &Epilogue::default(), y, &mut scratch);
    });

    let plan = ConvInputGradientPlan::new(problem, machine.choice());
    let (mut packed, mut scratch) =
        (vec![0.0; plan.packing().packed_len()], vec![0.0; plan.scratch_len(threads)]);
    plan.packing().pack(machine, &weights, &mut packed);
    let input = measure(machine, work, [&mut *x, &mut *y, &mut *others], [true, false], |x, y| {
        plan.run(machine, Pictures::new(batch, y), &packed, &Epilogue::default(), x, &mut scratch);
    });

    let plan = ConvWeightGradientPlan::new(problem, Source::default(), machine.choice()).expect("as above");
    let (mut dw, mut scratch) = (vec![0.0; problem.weights_len()], vec![0.0; plan.scratch_len(threads)]);
    let weight = measure(machine, work, [&mut *x, &mut *y, &mut *others], [false, false], |x, y| {
        plan.run(machine, Pictures::new(batch, x), y, &mut dw, Store::Overwrite, &mut scratch);
    });
    [forward, input, weight]
}

/// From the start of a cache line on, as an arena gives them.
fn aligned(values: &mut [f32]) -> &mut [f32] {
    let start = values.as_ptr().align_offset(4 * LINE);
    let end = values.len() - LINE + start;
    &mut values[start..end]
}

/// Runs `body`, worth `work` GB and GFLOP, alternating with the probe, which writes x and y as `writes` says.
fn measure(
    machine: &Machine,
    work: [f64; 2],
    [x, y, others]: [&mut [f32]; 3],
    writes: [bool; 2],
    mut body: impl FnMut(&mut [f32], &mut [f32]),
) -> [f64; 3] {
    let [mut times, mut probes] = [Vec::new(), Vec::new()];
    let begin = Instant::now();
    while times.len() < 5 || (begin.elapsed().as_secs_f64() < BUDGET && times.len() < 500) {
        stream(machine, others, true);
        let start = Instant::now();
        body(x, y);
        times.push(start.elapsed().as_secs_f64());
        stream(machine, others, true);
        let start = Instant::now();
        stream(machine, x, writes[0]);
        stream(machine, y, writes[1]);
        probes.push(start.elapsed().as_secs_f64());
    }
    let [time, probe] = [times, probes].map(median);
    [work[0] / time, work[1] / time, probe / time]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Reads, or writes, all of `values` on all threads.
fn stream(machine: &Machine, values: &mut [f32], write: bool) {
    let (len, shared) = (values.len(), SharedMut::new(values));
    machine.threads.run(32, |_, part| {
        let [start, end] = [part, part + 1].map(|part| len * part / 32);
        // SAFETY: parts do not overlap.
        let values = unsafe { shared.slice(start, end - start) };
        if write {
            values.fill(black_box(0.5));
        } else {
            black_box(machine.isa.run(Read(values)));
        }
    });
}

/// Sums of as many lanes as hide the latency of an addition.
struct Read<'a>(&'a [f32]);

impl Kernel for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let mut sums = [lanes.splat(0.0); 8];
        for values in self.0.chunks_exact(8 * L::COUNT) {
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a chunk has eight vectors.
                *sum = lanes.add(*sum, unsafe { lanes.load(values.as_ptr().add(index * L::COUNT)) });
            }
        }
        sums.into_iter().map(|sum| lanes.sum(sum)).sum()
    }
}
