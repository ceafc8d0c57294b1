//! What a training step takes where numbers are too small for their full precision, beside one on usual numbers.

use std::error::Error;
use std::time::Instant;

use svertka::engine::Machine;
use svertka::graph::{Graph, Parameters, Tensor};
use svertka::zoo::{Card, find};

use crate::run::Run;

/// Networks and batches.
const NETWORKS: [(&str, usize); 2] = [("lenet5", 128), ("resnet18_32px", 32)];

/// Factors of pictures and weights.
const SCALES: [(&str, [f32; 2]); 4] = [
    ("usual", [1.0, 1.0]),
    ("denormal pictures", [1e-42, 1.0]),
    ("denormal weights", [1.0, 1e-39]),
    ("denormal products", [1e-20, 1e-20]),
];

/// Steps of each kind, in turn; the first does not count.
const STEPS: usize = 8;

/// Prints the median times of steps whose operands are scaled, and their ratios to the usual.
pub(crate) fn measure() -> Result<(), Box<dyn Error>> {
    println!("| network | numbers | step, ms | ratio |");
    println!("|---|---|---|---|");
    for (name, batch) in NETWORKS {
        let card = find(name)?;
        let mut subjects = Vec::new();
        for (_, scales) in SCALES {
            subjects.push(Subject::new(card, batch, scales)?);
        }
        for _ in 0..STEPS {
            subjects.iter_mut().try_for_each(Subject::step)?;
        }
        let medians: Vec<f64> = subjects.into_iter().map(Subject::median).collect();
        for ((numbers, _), median) in SCALES.iter().zip(&medians) {
            println!("| {name} | {numbers} | {:.1} | {:.2} |", 1e3 * median, median / medians[0]);
        }
    }
    Ok(())
}

/// A network, its batch, and what its steps took.
struct Subject {
    run: Run,
    pictures: Vec<f32>,
    classes: Vec<i64>,
    seconds: Vec<f64>,
}

impl Subject {
    fn new(card: &Card, batch: usize, [pictures, weights]: [f32; 2]) -> Result<Self, Box<dyn Error>> {
        let mut options = card.options();
        // As they are, pixels would be moved to usual numbers.
        (options.mean, options.std) = (vec![0.0], vec![1.0]);
        let network = card.build(&options)?;
        let parameters = scaled(&network, weights)?;
        // Weights do not move, else they would leave the range.
        let run = Run::new(&network, &parameters, batch, Machine::new(0), 0.0)?;
        let pixels = batch * card.channels * card.size[0] * card.size[1];
        Ok(Self {
            run,
            pictures: (0..pixels).map(|index| pictures * (index * 7919 % 256) as f32).collect(),
            classes: (0..batch).map(|index| (index % card.classes) as i64).collect(),
            seconds: Vec::new(),
        })
    }

    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        self.run.step(&self.pictures, &self.classes)?;
        self.seconds.push(start.elapsed().as_secs_f64());
        Ok(())
    }

    fn median(mut self) -> f64 {
        let seconds = &mut self.seconds[1..];
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

/// First values; matrices times `factor`, and vectors of linear layers 0, which would hide small sums.
fn scaled(network: &Graph, factor: f32) -> Result<Parameters, Box<dyn Error>> {
    let mut parameters = Parameters::initialise(network, 0)?;
    for (_, value, _) in network.parameters() {
        let matrix = value.ty.shape.rank() > 1;
        let factor = if matrix {
            factor
        } else if value.name.ends_with("bias") {
            0.0
        } else {
            1.0
        };
        let values = parameters.get_mut(&value.name).and_then(Tensor::as_f32_mut);
        values.into_iter().flatten().for_each(|value| *value *= factor);
    }
    Ok(parameters)
}
