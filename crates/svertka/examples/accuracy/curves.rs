//! Loss curves of a small residual network on CIFAR-10: how far fast convolutions lead away from direct ones, beside how far
//! a perturbation of the pictures does that is about as small as a rounding error.

use std::error::Error;
use std::sync::Arc;

use svertka::data::random::Random;
use svertka::data::{Loader, LoaderOptions, Pictures, Targets, open};
use svertka::engine::Machine;
use svertka::graph::Parameters;
use svertka::image::{Channels, Preprocess};
use svertka::kernels::conv::Algorithms;
use svertka::zoo::find;

use crate::run::Run;

const NETWORK: &str = "resnet18_32px";
const STEPS: usize = 200;
const BATCH: usize = 16;
/// The pictures of the perturbed run are multiplied by one plus or minus this.
const PERTURBATION: f32 = 1e-6;
/// The usual 0.1 for 128 pictures, scaled to the batch.
const LEARNING_RATE: f64 = 0.1 * BATCH as f64 / 128.0;

/// Prints, for each seed, the mean absolute differences of loss curves, and fails if in the mean over the seeds that of fast
/// and direct is the larger one.
pub(crate) fn check(cifar: &str, seeds: &[&str]) -> Result<(), Box<dyn Error>> {
    let pictures = Arc::new(Pictures::new(open(cifar)?.train, Preprocess::default(), Channels::Rgb)?);
    println!("| seed | first loss | mean of the last 20 | fast - direct | perturbed - direct |");
    println!("|---|---|---|---|---|");
    let mut sums = [0.0; 2];
    for seed in seeds {
        let [fast, direct, perturbed] = curves(&pictures, seed.parse()?)?;
        let differences = [&fast, &perturbed].map(|curve| distance(curve, &direct));
        let last = direct[STEPS - 20..].iter().sum::<f64>() / 20.0;
        let [fast, perturbed] = differences;
        println!("| {seed} | {:.4} | {last:.4} | {fast:.5} | {perturbed:.5} |", direct[0]);
        sums = [sums[0] + fast, sums[1] + perturbed];
    }
    let [fast, perturbed] = sums.map(|sum| sum / seeds.len() as f64);
    println!("| mean | | | {fast:.5} | {perturbed:.5} |");
    if fast <= perturbed {
        Ok(())
    } else {
        Err("fast convolutions lead further away than the perturbation".into())
    }
}

/// The mean absolute difference.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
}

/// The losses of three runs from the same weights on the same batches: fast, direct, and direct on perturbed pictures.
fn curves(pictures: &Arc<Pictures>, seed: u64) -> Result<[Vec<f64>; 3], Box<dyn Error>> {
    let options = LoaderOptions { batch_size: BATCH, drop_last: true, seed, ..LoaderOptions::default() };
    let loader = Loader::new(pictures.clone(), options)?;
    let card = find(NETWORK)?;
    let network = card.build(&card.options())?;
    let parameters = Parameters::initialise(&network, seed)?;
    let run = |convolutions| {
        let machine = Machine { convolutions, ..Machine::new(0) };
        Run::new(&network, &parameters, BATCH, machine, LEARNING_RATE)
    };
    let (mut fast, mut direct) = (run(Algorithms::Fastest)?, run(Algorithms::Direct)?);
    let (mut perturbed, mut random) = (run(Algorithms::Direct)?, Random::new(seed));
    let mut curves = [const { Vec::new() }; 3];
    for batch in loader.epoch(0, 0).take(STEPS) {
        let batch = batch?;
        let Targets::Class(classes) = &batch.target else { return Err("the targets are no classes".into()) };
        let sign = |random: &mut Random| if random.below(2) == 0 { PERTURBATION } else { -PERTURBATION };
        let moved: Vec<f32> = batch.input.iter().map(|x| x * (1.0 + sign(&mut random))).collect();
        curves[0].push(fast.step(&batch.input, classes)?);
        curves[1].push(direct.step(&batch.input, classes)?);
        curves[2].push(perturbed.step(&moved, classes)?);
    }
    Ok(curves)
}
