use std::io::stdin;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use svertka_engine::cpu::Workspace;
use svertka_graph::{Graph, Parameters, Sizes, Tensor, Value};
use svertka_report::thousands;

use super::Run;
use crate::cli::bench::{
    Bench as Subject, Peak, Profile, Row, bandwidth, flops, median, planned_table, rows, timed_table,
};
use crate::cli::console::{print, print_json};
use crate::cli::environment::{check_parameters, machine, workspace};
use crate::cli::failure::Failure;
use crate::cli::memory;
use crate::cli::model::{Model, Side};

/// Steps before the first that counts.
const WARM_UP: usize = 2;
/// Steps that are measured at least and at most, and the seconds they may take beyond the least.
const STEPS: [usize; 2] = [5, 1000];
const BUDGET: f64 = 1.0;
/// Measurements of the machine's peak, of which the median is answered.
const PROBES: usize = 25;

/// Measures how fast a network computes, and where the time goes
///
/// Runs inference, or with `--train` training steps: forward, cross-entropy, backward, and SGD with momentum 0.9 and weight
/// decay 1e-4 on all weights; f32, statistics move, the batch is in memory. After two steps that do not count, the median of
/// at least five is told, beside the machine's peak of fused multiply-adds, which is measured between them.
///
/// The table tells, for each layer, its time, the arithmetic of its definition per second, and the least time it could take:
/// the larger of its products at the peak (of the chosen algorithm) and of the bytes it has to move at the bandwidth of a
/// copy in memory. What stays in a cache can beat the latter.
#[derive(Args)]
pub(super) struct Bench {
    /// Network of the zoo, .onnx file or run folder
    model: PathBuf,
    /// Measure training steps rather than inference
    #[arg(long)]
    train: bool,
    /// Pictures in a batch; the default is 1, with --train 16
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Height and width of the pictures, instead of those the network was made for: 64 or 48x64
    #[arg(long, value_name = "PX")]
    size: Option<Side>,
    /// Print what was chosen for each step, and run nothing
    #[arg(long, conflicts_with = "interactive")]
    plan: bool,
    /// Print one JSON object rather than a table
    #[arg(long)]
    json: bool,
    /// For programs that measure several contestants in turn: answer each line of standard input, a number of steps, with
    /// a JSON object of the `seconds` they took, or the line `probe` with the machine's `gflops`
    #[arg(long)]
    interactive: bool,
    /// Threads to compute with; 0: one per core. Changes no result
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    model: String,
    train: bool,
    batch: usize,
    size: Vec<usize>,
    threads: usize,
    isa: &'static str,
    version: &'static str,
    steps: usize,
    /// Pictures per second.
    rate: f64,
    median_s: f64,
    best_s: f64,
    /// Operations of convolutions and matrix products as their definitions count them, per second.
    gflops: f64,
    peak_gflops: f64,
    peak_share: f64,
    /// The most memory that the process held.
    peak_mb: Option<f64>,
}

#[derive(Serialize)]
struct Planned {
    multiply_adds: u64,
    memory_bytes: u64,
    steps: Vec<Row>,
}

/// The sizes of what is measured.
struct Shape {
    model: String,
    batch: usize,
    size: Vec<usize>,
}

impl Run for Bench {
    fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        let graph = model.graph(self.size)?;
        check_parameters(&graph)?;
        let told = self.batch.map(|batch| batch as usize);
        let usual = || Model::fixed_batch(&graph).unwrap_or(if self.train { 16 } else { 1 });
        let batch = told.unwrap_or_else(usual);
        let sizes = Model::sizes(&graph, Some(batch), self.size)?;
        let shape = Shape { model: model.name(), batch, size: side(&graph, &sizes) };
        if self.plan {
            let workspace = Workspace::new(machine(self.threads)?);
            let subject = Subject::new(&graph, &zeros(&graph), &sizes, self.train, workspace)?;
            return self.tell_plan(&subject);
        }
        let parameters = model.values(&graph)?;
        let subject = Subject::new(&graph, &parameters, &sizes, self.train, workspace(self.threads)?)?;
        drop((graph, parameters));
        if self.interactive { serve(subject) } else { self.measure(subject, shape) }
    }
}

impl Bench {
    fn tell_plan(&self, subject: &Subject) -> Result<(), Failure> {
        let steps = rows(subject);
        let multiply_adds = steps.iter().map(|row| row.multiply_adds).sum();
        let memory_bytes = subject.memory_bytes() as u64;
        if self.json {
            return print_json(&Planned { multiply_adds, memory_bytes, steps });
        }
        let table = planned_table(&steps);
        let [multiply_adds, memory] = [multiply_adds, memory_bytes].map(thousands);
        print(&format!("{table}\nmultiply-adds   {multiply_adds}\nmemory, bytes   {memory}\n"))
    }

    fn measure(&self, mut subject: Subject, shape: Shape) -> Result<(), Failure> {
        subject.fill();
        for _ in 0..WARM_UP {
            subject.step()?;
        }
        let (seconds, peaks) = repeat(&mut subject, None)?;
        let peak_mb = memory::peak().map(|bytes| bytes as f64 / 1e6);
        let measured = Measured { peak_mb, ..shape.measured(&subject, seconds, peaks) };
        if self.json {
            return print_json(&measured);
        }
        // Layers are told apart in steps of their own, which may be slower.
        let profile = Profile::default();
        subject.watch(&profile);
        let (_, peaks) = repeat(&mut subject, Some(&profile))?;
        let peak = Peak { flops: median(peaks).unwrap_or(f64::NAN), bandwidth: bandwidth(subject.machine()) };
        print(&(timed_table(&profile.rows(&subject), peak) + &measured.text(peak)))
    }
}

/// Makes steps, and measures the machine's peak before, between and behind them.
fn repeat(subject: &mut Subject, profile: Option<&Profile>) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    let (mut steps, mut peaks) = (Vec::new(), vec![flops(subject.machine())]);
    let begin = Instant::now();
    while steps.len() < STEPS[0] || steps.len() < STEPS[1] && begin.elapsed().as_secs_f64() < BUDGET {
        profile.inspect(|profile| profile.start());
        steps.push(subject.step()?);
        profile.inspect(|profile| profile.end());
        peaks.push(flops(subject.machine()));
    }
    Ok((steps, peaks))
}

impl Shape {
    fn measured(self, subject: &Subject, seconds: Vec<f64>, peaks: Vec<f64>) -> Measured {
        let steps = seconds.len();
        let best_s = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let [median_s, peak] = [seconds, peaks].map(|values| median(values).unwrap_or(f64::NAN));
        let gflops = 2e-9 * subject.program().cost().multiply_adds as f64 / median_s;
        Measured {
            model: self.model,
            train: subject.trains(),
            batch: self.batch,
            size: self.size,
            threads: subject.machine().threads.count(),
            isa: subject.machine().isa.name(),
            version: env!("CARGO_PKG_VERSION"),
            steps,
            rate: self.batch as f64 / median_s,
            median_s,
            best_s,
            gflops,
            peak_gflops: 1e-9 * peak,
            peak_share: 1e9 * gflops / peak,
            peak_mb: None,
        }
    }
}

impl Measured {
    fn text(&self, peak: Peak) -> String {
        let Self { model, batch, threads, isa, steps, rate, median_s, best_s, .. } = self;
        let what = if self.train { "training" } else { "inference" };
        let size = self.size.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
        let memory = self.peak_mb.map_or_else(|| "?".into(), |peak_mb| format!("{peak_mb:.0}"));
        format!(
            "\n{model}, {what}, batch {batch}, {size} pixels, {threads} threads, {isa}\n\
             pictures per second    {rate:.1}\n\
             step, ms               {:.2} (median of {steps}), {:.2} (best)\n\
             GFLOP/s                {:.1}, {:.0} % of the peak of {:.1}\n\
             copy in memory, GB/s   {:.1}\n\
             peak memory, MB        {memory}\n",
            1e3 * median_s,
            1e3 * best_s,
            self.gflops,
            100.0 * self.peak_share,
            self.peak_gflops,
            1e-9 * peak.bandwidth,
        )
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Steps { seconds: f64, peak_mb: Option<f64> },
    Probe { gflops: f64 },
}

/// Answers each line of standard input until it ends.
fn serve(mut subject: Subject) -> Result<(), Failure> {
    subject.fill();
    for line in stdin().lines() {
        print_json(&answer(&mut subject, line?.trim())?)?;
    }
    Ok(())
}

fn answer(subject: &mut Subject, line: &str) -> Result<Answer, Failure> {
    if line == "probe" {
        // Threads that have slept need a moment.
        let peaks = (0..PROBES).map(|_| flops(subject.machine())).collect();
        return Ok(Answer::Probe { gflops: 1e-9 * median(peaks).unwrap_or(f64::NAN) });
    }
    let count: usize = line.parse().map_err(|_| {
        Failure::usage(format!("standard input: a number of steps or `probe` is wanted, not {line:?}"))
    })?;
    let mut seconds = 0.0;
    for _ in 0..count {
        seconds += subject.step()?;
    }
    Ok(Answer::Steps { seconds, peak_mb: memory::peak().map(|bytes| bytes as f64 / 1e6) })
}

/// Values for a network that is not run.
fn zeros(graph: &Graph) -> Parameters {
    let zero = |value: &Value| {
        let shape = value.ty.shape.sizes()?;
        Some((value.name.clone(), Tensor::f32(&shape, vec![0.0; shape.iter().product()])?))
    };
    graph.parameters().filter_map(|(_, value, _)| zero(value)).collect()
}

/// The extents of a picture.
fn side(graph: &Graph, sizes: &Sizes) -> Vec<usize> {
    let shape = graph.inputs().first().map(|&id| graph.shape(id).resolve(sizes));
    let extents = shape.and_then(|shape| shape.sizes()).unwrap_or_default();
    extents.get(2..).unwrap_or_default().to_vec()
}
