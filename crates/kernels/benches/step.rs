//! What surrounds the products of a training step, network by network: milliseconds and GB/s of every layer, forward and
//! backward, beside a copy measured in the same moments: `cargo bench -p svertka-kernels --bench step [-- NETWORK]`.
//!
//! Bytes are those that have to move: every operand is counted once, read or written. The copy's two operands are larger
//! than any cache, its figure is what memory gives.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Instant;
use svertka_kernels::{
    Machine, Store,
    activation::Activation,
    elementwise::{BinaryOp, copy_into},
    gemm::ColumnSumPlan,
    layout::{BlockCopy, Gather},
    loss::{CrossEntropy, Target, Targets},
    norm::{self, BatchNorm, BatchStatistics, Gradients, Inputs, OutputGradient, Running},
    optimiser::Sgd,
    pool::{GlobalPool, Pool, Window},
};

/// Seconds that a figure may take.
const BUDGET: f64 = 0.15;

/// One layer: forward and backward.
#[derive(Clone, Copy, Debug)]
enum Layer {
    /// With what is fused behind it.
    Norm(Behind),
    /// Kernel, stride, pad.
    MaxPool(usize, usize, usize),
    GlobalAverage,
    /// The function and its gradient, as steps of their own.
    Relu,
    /// The sum of two gradients.
    Add,
    /// Two halves, joined and split.
    Concat,
    /// Planar to channels-last and back.
    Transpose,
    /// The gradient of a bias.
    ColumnSum,
    Lrn,
    /// Loss and gradient; the side is 1.
    CrossEntropy,
    /// SGD with momentum and weight decay; the channels are parameters.
    Update,
}
use Layer::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behind {
    Nothing,
    Relu,
    AddRelu,
    Clip,
    Add,
}

/// How often, a layer, and batch, side, channels of its input.
type Row = (usize, Layer, [usize; 3]);

const NETWORKS: [(&str, &[Row]); 7] = [
    ("resnet18-b16", &RESNET18),
    ("mobilenet_v2-b16", &MOBILENET_V2),
    ("lenet5-b128", &LENET5),
    ("vgg16-b4", &VGG16),
    ("unet-b2", &UNET),
    ("alexnet-b32", &ALEXNET),
    ("others", &OTHERS),
];

const RESNET18: [Row; 17] = [
    (1, Norm(Behind::Relu), [16, 112, 64]),
    (1, MaxPool(3, 2, 1), [16, 112, 64]),
    (2, Norm(Behind::Relu), [16, 56, 64]),
    (2, Norm(Behind::AddRelu), [16, 56, 64]),
    (2, Norm(Behind::Relu), [16, 28, 128]),
    (2, Norm(Behind::AddRelu), [16, 28, 128]),
    (1, Norm(Behind::Nothing), [16, 28, 128]),
    (2, Norm(Behind::Relu), [16, 14, 256]),
    (2, Norm(Behind::AddRelu), [16, 14, 256]),
    (1, Norm(Behind::Nothing), [16, 14, 256]),
    (2, Norm(Behind::Relu), [16, 7, 512]),
    (2, Norm(Behind::AddRelu), [16, 7, 512]),
    (1, Norm(Behind::Nothing), [16, 7, 512]),
    (3, Add, [16, 56, 64]),
    (2, Add, [16, 28, 128]),
    (1, GlobalAverage, [16, 7, 512]),
    (1, Update, [1, 1, 11_700_000]),
];

const MOBILENET_V2: [Row; 25] = [
    (2, Norm(Behind::Clip), [16, 112, 32]),
    (1, Norm(Behind::Nothing), [16, 112, 16]),
    (1, Norm(Behind::Clip), [16, 112, 96]),
    (1, Norm(Behind::Clip), [16, 56, 96]),
    (1, Norm(Behind::Nothing), [16, 56, 24]),
    (1, Norm(Behind::Add), [16, 56, 24]),
    (3, Norm(Behind::Clip), [16, 56, 144]),
    (1, Norm(Behind::Clip), [16, 28, 144]),
    (1, Norm(Behind::Nothing), [16, 28, 32]),
    (2, Norm(Behind::Add), [16, 28, 32]),
    (5, Norm(Behind::Clip), [16, 28, 192]),
    (1, Norm(Behind::Clip), [16, 14, 192]),
    (1, Norm(Behind::Nothing), [16, 14, 64]),
    (3, Norm(Behind::Add), [16, 14, 64]),
    (8, Norm(Behind::Clip), [16, 14, 384]),
    (3, Norm(Behind::Add), [16, 14, 96]),
    (5, Norm(Behind::Clip), [16, 14, 576]),
    (1, Norm(Behind::Clip), [16, 7, 576]),
    (3, Norm(Behind::Add), [16, 7, 160]),
    (6, Norm(Behind::Clip), [16, 7, 960]),
    (1, Norm(Behind::Nothing), [16, 7, 320]),
    (1, Norm(Behind::Clip), [16, 7, 1280]),
    (1, Add, [16, 56, 24]),
    (1, GlobalAverage, [16, 7, 1280]),
    (1, Update, [1, 1, 3_500_000]),
];

const LENET5: [Row; 7] = [
    (1, Relu, [128, 28, 6]),
    (1, MaxPool(2, 2, 0), [128, 28, 6]),
    (1, MaxPool(2, 2, 0), [128, 10, 16]),
    (1, ColumnSum, [128, 28, 6]),
    (1, Transpose, [128, 5, 16]),
    (1, CrossEntropy, [128, 1, 10]),
    (1, Update, [1, 1, 61_706]),
];

const VGG16: [Row; 14] = [
    (2, Relu, [4, 224, 64]),
    (2, ColumnSum, [4, 224, 64]),
    (1, MaxPool(2, 2, 0), [4, 224, 64]),
    (2, Relu, [4, 112, 128]),
    (2, ColumnSum, [4, 112, 128]),
    (1, MaxPool(2, 2, 0), [4, 112, 128]),
    (3, Relu, [4, 56, 256]),
    (3, ColumnSum, [4, 56, 256]),
    (1, MaxPool(2, 2, 0), [4, 56, 256]),
    (3, Relu, [4, 28, 512]),
    (3, ColumnSum, [4, 28, 512]),
    (1, MaxPool(2, 2, 0), [4, 28, 512]),
    (1, Transpose, [4, 7, 512]),
    (1, Update, [1, 1, 138_357_544]),
];

const UNET: [Row; 14] = [
    (4, Relu, [2, 256, 64]),
    (4, ColumnSum, [2, 256, 64]),
    (1, MaxPool(2, 2, 0), [2, 256, 64]),
    (1, Concat, [2, 256, 128]),
    (1, Add, [2, 256, 64]),
    (4, Relu, [2, 128, 128]),
    (1, MaxPool(2, 2, 0), [2, 128, 128]),
    (1, Concat, [2, 128, 256]),
    (4, Relu, [2, 64, 256]),
    (1, MaxPool(2, 2, 0), [2, 64, 256]),
    (1, Concat, [2, 64, 512]),
    (1, Transpose, [2, 256, 2]),
    (1, CrossEntropy, [2, 256, 2]),
    (1, Update, [1, 1, 31_000_000]),
];

const ALEXNET: [Row; 8] = [
    (1, Relu, [32, 55, 64]),
    (1, MaxPool(3, 2, 0), [32, 55, 64]),
    (1, ColumnSum, [32, 55, 64]),
    (1, Relu, [32, 27, 192]),
    (1, MaxPool(3, 2, 0), [32, 27, 192]),
    (1, MaxPool(3, 2, 0), [32, 13, 256]),
    (1, CrossEntropy, [32, 1, 1000]),
    (1, Update, [1, 1, 61_100_840]),
];

const OTHERS: [Row; 3] = [(1, Lrn, [32, 55, 96]), (1, Transpose, [16, 56, 64]), (1, Transpose, [16, 224, 3])];

fn main() {
    let wanted: Option<String> = std::env::args().skip(1).find(|argument| argument != "--bench");
    let machine = Machine::new(0);
    println!("{:?}, {:?}", machine.isa, machine.threads);
    for (name, rows) in
        NETWORKS.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|part| name.contains(part)))
    {
        network(&machine, name, rows);
    }
}

fn network(machine: &Machine, name: &str, rows: &[Row]) {
    println!("{name:48}{:>22}{:>22}{:>8}", "forward ms (GB/s)", "backward ms (GB/s)", "copy");
    let mut totals = [0.0; 2];
    for &(count, layer, sizes) in rows {
        let [forward, backward, copy] = measure(machine, layer, sizes);
        for (total, figure) in totals.iter_mut().zip([&forward, &backward]) {
            *total += count as f64 * figure.seconds;
        }
        let label = format!("{count} x {layer:?} {sizes:?}");
        println!("{label:48}{forward:>22}{backward:>22}{:8.1}", copy.rate());
    }
    let [forward, backward] = totals.map(|seconds| 1e3 * seconds);
    println!("{:48}{forward:13.2}{backward:22.2}\n", "sum");
}

/// The median time of something that moves so many bytes.
#[derive(Clone, Copy, Default)]
struct Figure {
    seconds: f64,
    bytes: usize,
}

impl Figure {
    fn rate(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { 1e-9 * self.bytes as f64 / self.seconds }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.bytes == 0 {
            return f.pad("-");
        }
        f.pad(&format!("{:.3} ({:5.1})", 1e3 * self.seconds, self.rate()))
    }
}

/// Something to run, and how many f32 it moves at least.
struct Work<'a> {
    moved: usize,
    run: Box<dyn FnMut(&Machine) + 'a>,
}

impl<'a> Work<'a> {
    fn new(moved: usize, run: impl FnMut(&Machine) + 'a) -> Self {
        Self { moved, run: Box::new(run) }
    }

    fn nothing() -> Self {
        Self::new(0, |_| {})
    }
}

/// Forward, backward and copy, in turns.
fn time(machine: &Machine, mut works: [Work<'_>; 2]) -> [Figure; 3] {
    const COPY: usize = 16 << 20;
    let (from, mut to) = (vec![1.0f32; COPY], vec![0.0f32; COPY]);
    works.iter_mut().for_each(|work| (work.run)(machine));
    let mut times = [const { Vec::new() }; 3];
    let begin = Instant::now();
    while times[0].len() < 3 || (begin.elapsed().as_secs_f64() < BUDGET && times[0].len() < 200) {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (work.run)(machine);
            times.push(start.elapsed().as_secs_f64());
        }
        if times[2].len() < 3 {
            let start = Instant::now();
            copy_into(machine, &from, &mut to);
            times[2].push(start.elapsed().as_secs_f64());
        }
    }
    let [forward, backward, copy] = times.map(median);
    let [a, b] = [works[0].moved, works[1].moved];
    [(forward, a), (backward, b), (copy, 2 * COPY)]
        .map(|(seconds, moved)| Figure { seconds, bytes: 4 * moved })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect()
}

fn measure(machine: &Machine, layer: Layer, sizes: [usize; 3]) -> [Figure; 3] {
    match layer {
        Norm(behind) => norm(machine, behind, sizes),
        MaxPool(kernel, stride, pad) => max_pool(machine, [kernel, stride, pad], sizes),
        GlobalAverage => global_average(machine, sizes),
        Relu => relu(machine, sizes),
        Add => add(machine, sizes),
        Concat => concat(machine, sizes),
        Transpose => transpose(machine, sizes),
        ColumnSum => column_sum(machine, sizes),
        Lrn => lrn(machine, sizes),
        CrossEntropy => cross_entropy(machine, sizes),
        Update => update(machine, sizes[2]),
    }
}

fn norm(machine: &Machine, behind: Behind, [batch, side, channels]: [usize; 3]) -> [Figure; 3] {
    let activation = match behind {
        Behind::Nothing | Behind::Add => None,
        Behind::Relu | Behind::AddRelu => Some(Activation::Relu),
        Behind::Clip => Some(Activation::Clip { min: 0.0, max: 6.0 }),
    };
    let adds = matches!(behind, Behind::Add | Behind::AddRelu);
    let norm = BatchNorm::new(batch, side * side, channels, 1e-5).expect("sizes are positive");
    let norm = norm.with_activation(activation);
    let len = norm.len(batch);
    let (x, residual, dy) = (values(len), values(if adds { len } else { 0 }), values(len));
    let (mut y_values, mut dx) = (vec![0.0; len + 16], values(len));
    let y_start = y_values.as_ptr().align_offset(64);
    let y = &mut y_values[y_start..y_start + len];
    let mut dresidual = vec![0.0; if behind == Behind::AddRelu { len } else { 0 }];
    let [scale, bias] = [vec![1.5; channels], vec![0.1; channels]];
    let [mut mean, mut inv_std, mut running_mean, mut running_var] = [(); 4].map(|()| vec![0.5; channels]);
    let [mut scratch, mut backward_scratch] = [(); 2].map(|()| vec![0.0; norm.scratch_len()]);
    let [mut dscale, mut dbias] = [(); 2].map(|()| vec![0.0; channels]);
    let residual = adds.then_some(&residual[..]);
    let (fixed_mean, fixed_inv_std) = (vec![0.0; channels], vec![1.0; channels]);
    let saved_y = values(if behind == Behind::AddRelu { len } else { 0 });
    let forward = Work::new((2 + usize::from(adds)) * len, |machine| {
        let mut saved = BatchStatistics { mean: &mut mean, inv_std: &mut inv_std };
        let running = Some(Running { mean: &mut running_mean, variance: &mut running_var, weight: 0.1 });
        norm.statistics_into(machine, batch, &x, &mut saved, running, &mut scratch);
        let inputs =
            Inputs { x: &x, residual, scale: &scale, bias: &bias, mean: saved.mean, inv_std: saved.inv_std };
        norm.normalise_into(machine, batch, &inputs, y);
    });
    let operands = 3 + 2 * usize::from(behind == Behind::AddRelu);
    let backward = Work::new(operands * len, |machine| {
        let inputs = Inputs {
            // dx takes the place of x.
            x: &[],
            residual: None,
            scale: &scale,
            bias: &bias,
            mean: &fixed_mean,
            inv_std: &fixed_inv_std,
        };
        let gradients = Gradients {
            dx: Some(&mut dx),
            dresidual: (behind == Behind::AddRelu).then_some(&mut dresidual[..]),
            dscale: &mut dscale,
            dbias: &mut dbias,
        };
        let output = OutputGradient { y: &saved_y, dy: &dy };
        norm.gradient_into(machine, batch, &inputs, output, gradients, &mut backward_scratch);
    });
    time(machine, [forward, backward])
}

fn max_pool(
    machine: &Machine,
    [kernel, stride, pad]: [usize; 3],
    [batch, side, channels]: [usize; 3],
) -> [Figure; 3] {
    let window = Window { stride, pad_begin: pad, pad_end: pad, ..Window::new(kernel) };
    let pool = Pool::new(batch, channels, [side; 2], [window; 2], false).expect("windows fit");
    let (x, dy) = (values(pool.input_len(batch)), values(pool.output_len(batch)));
    let (mut y, mut places, mut dx) = (vec![0.0; dy.len()], vec![0; dy.len()], vec![0.0; x.len()]);
    pool.max_into(machine, batch, &x, &mut y, Some(&mut places));
    let known = places.clone();
    let moved = x.len() + dy.len();
    let forward = Work::new(moved, |machine| pool.max_into(machine, batch, &x, &mut y, Some(&mut places)));
    let backward = Work::new(moved, |machine| pool.max_gradient_into(machine, batch, &known, &dy, &mut dx));
    time(machine, [forward, backward])
}

fn global_average(machine: &Machine, [batch, side, channels]: [usize; 3]) -> [Figure; 3] {
    let pool = GlobalPool::new(batch, side * side, channels).expect("sizes are positive");
    let (x, dy) = (values(batch * side * side * channels), values(batch * channels));
    let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
    let moved = x.len() + dy.len();
    let forward = Work::new(moved, |machine| pool.average_into(machine, batch, &x, &mut y));
    let backward = Work::new(moved, |machine| pool.average_gradient_into(machine, batch, &dy, &mut dx));
    time(machine, [forward, backward])
}

fn relu(machine: &Machine, sizes: [usize; 3]) -> [Figure; 3] {
    let len = sizes[0] * sizes[1] * sizes[1] * sizes[2];
    let (mut x, saved, mut dy) = (values(len), values(len), values(len));
    let forward = Work::new(2 * len, |machine| Activation::Relu.apply_in_place(machine, &mut x));
    let backward = Work::new(3 * len, |machine| Activation::Relu.gradient_in_place(machine, &saved, &mut dy));
    time(machine, [forward, backward])
}

fn add(machine: &Machine, sizes: [usize; 3]) -> [Figure; 3] {
    let len = sizes[0] * sizes[1] * sizes[1] * sizes[2];
    let (mut a, b) = (values(len), values(len));
    let backward = Work::new(3 * len, |machine| BinaryOp::Add.apply_in_place(machine, &mut a, &b));
    time(machine, [Work::nothing(), backward])
}

fn concat(machine: &Machine, [batch, side, channels]: [usize; 3]) -> [Figure; 3] {
    let (pixels, half) = (batch * side * side, channels / 2);
    let [a, b] = [(); 2].map(|()| values(pixels * half));
    let [mut da, mut db] = [(); 2].map(|()| values(pixels * half));
    let (mut y, dy) = (vec![0.0; pixels * channels], values(pixels * channels));
    let forward = Work::new(2 * pixels * channels, |machine| {
        BlockCopy::concat(half, 0, channels, 1).copy(machine, pixels, &a, &mut y);
        BlockCopy::concat(half, half, channels, 1).copy(machine, pixels, &b, &mut y);
    });
    let backward = Work::new(2 * pixels * channels, |machine| {
        BlockCopy::split(half, 0, channels, 1).copy(machine, pixels, &dy, &mut da);
        BlockCopy::split(half, half, channels, 1).copy(machine, pixels, &dy, &mut db);
    });
    time(machine, [forward, backward])
}

fn transpose(machine: &Machine, [batch, side, channels]: [usize; 3]) -> [Figure; 3] {
    let pixels = side * side;
    let to_last = Gather::transpose(&[batch, channels, pixels], &[0, 2, 1]).expect("a permutation");
    let to_planar = Gather::transpose(&[batch, pixels, channels], &[0, 2, 1]).expect("a permutation");
    let x = values(batch * pixels * channels);
    let [mut last, mut planar] = [(); 2].map(|()| vec![0.0; x.len()]);
    let forward = Work::new(2 * x.len(), |machine| to_last.copy_into(machine, batch, &x, &mut last));
    let backward = Work::new(2 * x.len(), |machine| to_planar.copy_into(machine, batch, &x, &mut planar));
    time(machine, [forward, backward])
}

fn column_sum(machine: &Machine, [batch, side, channels]: [usize; 3]) -> [Figure; 3] {
    let rows = batch * side * side;
    let plan = ColumnSumPlan::new(rows, channels, machine.isa);
    let (x, mut sums, mut scratch) =
        (values(rows * channels), vec![0.0; channels], vec![0.0; plan.scratch_len()]);
    let backward = Work::new(x.len(), |machine| {
        plan.run(machine, rows, &x, &mut sums, Store::Overwrite, &mut scratch);
    });
    time(machine, [Work::nothing(), backward])
}

fn lrn(machine: &Machine, [batch, side, channels]: [usize; 3]) -> [Figure; 3] {
    let lrn = norm::Lrn::new(side * side, channels, 5, [1e-4, 0.75, 2.0]).expect("sizes are positive");
    let len = batch * side * side * channels;
    let (x, dy) = (values(len), values(len));
    let [mut y, mut dx] = [(); 2].map(|()| vec![0.0; len]);
    let mut scratch = vec![0.0; lrn.scratch_len(machine)];
    let forward = Work::new(2 * len, |machine| lrn.apply_into(machine, batch, &x, &mut y));
    let backward = Work::new(3 * len, |machine| {
        lrn.gradient_into(machine, batch, &x, &dy, &mut dx, &mut scratch);
    });
    time(machine, [forward, backward])
}

fn cross_entropy(machine: &Machine, [batch, side, classes]: [usize; 3]) -> [Figure; 3] {
    let inner = side * side;
    let loss = CrossEntropy::new(classes, inner).expect("sizes are positive");
    let scores = values(batch * classes * inner);
    let labels: Vec<i64> = (0..batch * inner).map(|i| (i % classes) as i64).collect();
    let target = || Target { values: Targets::Labels(&labels), class_weights: None };
    let [mut logs, mut saved, mut dscores] = [(); 3].map(|()| vec![0.0; scores.len()]);
    let (mut value, mut unused) = ([0.0], [0.0]);
    loss.forward_into(machine, batch, &scores, target(), &mut unused, &mut saved).expect("labels fit");
    let forward = Work::new(2 * scores.len(), |machine| {
        loss.forward_into(machine, batch, &scores, target(), &mut value, &mut logs).expect("labels fit");
    });
    let backward = Work::new(2 * scores.len(), |machine| {
        loss.gradient_into(machine, batch, &saved, target(), &[1.0], &mut dscores).expect("labels fit");
    });
    time(machine, [forward, backward])
}

fn update(machine: &Machine, parameters: usize) -> [Figure; 3] {
    let rule = Sgd { momentum: 0.9, weight_decay: 1e-4, ..Sgd::new(1e-3) };
    let (mut weights, gradients, mut momentum) =
        (values(parameters), values(parameters), vec![0.0; parameters]);
    let backward = Work::new(5 * parameters, |machine| {
        rule.update(false, 1.0, &mut weights, &mut momentum).run(machine, &gradients);
    });
    time(machine, [Work::nothing(), backward])
}
