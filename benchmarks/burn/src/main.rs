//! Training steps in Burn on its Flex back end, for `make bench-all`: reads a number of steps per line from standard input
//! and answers with the seconds they took.
//!
//! Usage: `burn-training NETWORK BATCH THREADS`. A step is forward, cross-entropy, backward and SGD with momentum 0.9 and
//! weight decay 1e-4; the batch is in memory.

mod networks;

use std::error::Error;
use std::io::stdin;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use networks::{LeNet, Network, ResNet18};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, batch, threads] = &arguments[..] else {
        return Err("NETWORK BATCH THREADS are wanted".into());
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let device = Device::flex().autodiff();
    match name.as_str() {
        "lenet5" => serve(LeNet::new(&device), &device, batch.parse()?, [1, 28, 28], 10),
        "resnet18" => serve(ResNet18::new(&device), &device, batch.parse()?, [3, 224, 224], 1000),
        other => Err(format!("there is no network {other} here; there are lenet5 and resnet18").into()),
    }
}

fn serve<N: Network + Module>(
    mut network: N,
    device: &Device,
    batch: usize,
    [channels, height, width]: [usize; 3],
    classes: usize,
) -> Result<(), Box<dyn Error>> {
    let shape = [batch, channels, height, width];
    let images = Tensor::<4>::random(shape, Distribution::Uniform(0.0, 1.0), device);
    let labels: Vec<i64> = (0..batch).map(|index| (index % classes) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(labels.as_slice(), device);
    let loss = CrossEntropyLossConfig::new().init(device);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let decay = WeightDecayConfig::new(1e-4);
    let mut rule = SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(Some(decay)).init();
    for line in stdin().lines() {
        let steps: usize = line?.trim().parse()?;
        let start = Instant::now();
        for _ in 0..steps {
            let scores = network.forward(images.clone());
            let gradients = loss.forward(scores, labels.clone()).backward();
            let gradients = GradientsParams::from_grads(gradients, &network);
            network = rule.step(0.001, network, gradients);
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({ "seconds": seconds, "peak_mb": peak_mb() }));
    }
    Ok(())
}

/// The most memory that this process has held, where the system (Linux) tells.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0 / 1e6)
}
