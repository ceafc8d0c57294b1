//! Tiny data, tiny networks, and an observer that remembers.

#![allow(dead_code, reason = "not every test file needs every helper")]

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use svertka_data::{Examples, SampleError, TargetKind, TargetMut, random::Random};
use svertka_engine::Machine;
use svertka_graph::{Builder, Flow, Graph, Parameters, op::SoftmaxCrossEntropyLoss, with_loss};
use svertka_train::{Accuracy, Event, Job, Observer, Outcome, Settings, Trained, Trainer};

/// Noise around a pattern per class: 6 x 6 pixels, three classes.
#[derive(Clone, Default)]
pub(crate) struct Patterns {
    pub(crate) samples: usize,
    pub(crate) seed: u64,
    /// Samples that cannot be used.
    pub(crate) broken: Vec<usize>,
    /// Samples whose pixels are NaN.
    pub(crate) poisoned: Vec<usize>,
    /// A sample of class 7.
    pub(crate) mislabelled: Option<usize>,
}

pub(crate) fn patterns(samples: usize, seed: u64) -> Patterns {
    Patterns { samples, seed, ..Patterns::default() }
}

impl Examples for Patterns {
    fn len(&self) -> usize {
        self.samples
    }

    fn input_shape(&self) -> &[usize] {
        &[1, 6, 6]
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Class
    }

    fn write(
        &self,
        epoch: u64,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), SampleError> {
        if self.broken.contains(&index) {
            return Err(SampleError::Other("torn".into()));
        }
        let class = index % 3;
        let mut random = Random::for_sample(self.seed, epoch, index as u64);
        for (place, value) in input.iter_mut().enumerate() {
            *value = 2.0 * random.uniform() - 1.0 + if place % 3 == class { 1.0 } else { 0.0 };
        }
        if self.poisoned.contains(&index) {
            input.fill(f32::NAN);
        }
        let TargetMut::Class(label) = target else { return Err(SampleError::Other("classes".into())) };
        *label = if self.mislabelled == Some(index) { 7 } else { class as i64 };
        Ok(())
    }

    fn name(&self, index: usize) -> String {
        format!("sample-{index}")
    }
}

fn network(layers: impl for<'b> Fn(Flow<'b>) -> Flow<'b>) -> Graph {
    let builder = Builder::new();
    layers(builder.image(1, [6, 6])).name("fc").linear(3).classify();
    with_loss(&builder.finish().unwrap(), "logits", SoftmaxCrossEntropyLoss::default(), None).unwrap()
}

/// A convolution, batch normalisation, pooling, dropout: everything that remembers something.
pub(crate) fn convolutional() -> Graph {
    network(|x| {
        let maps = x.name("conv").conv(4, 3).name("bn").batch_norm().relu().max_pool(2);
        maps.flatten().dropout(0.2)
    })
}

/// Nothing in which samples of a batch meet but the mean of their losses.
pub(crate) fn linear() -> Graph {
    network(|x| x.flatten())
}

/// A million weights in one layer: they are moved while their gradient is made.
pub(crate) fn wide() -> Graph {
    network(|x| x.flatten().name("fc1").linear(1024).relu().name("fc2").linear(1024).relu())
}

pub(crate) fn settings(text: &str) -> Settings {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn job(graph: Graph, train: Patterns, settings: Settings) -> Job {
    let parameters = Parameters::initialise(&graph, 5).unwrap();
    Job {
        graph,
        parameters,
        train: Arc::new(train),
        validation: Some(Arc::new(patterns(20, 99))),
        metric: Box::new(Accuracy::default()),
        settings,
    }
}

pub(crate) fn trainer(job: Job) -> Trainer {
    Trainer::new(job, Machine::single()).unwrap()
}

/// Remembers all events; after a step it may pull a switch, or fail as a killed process does.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) events: Vec<Event>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) stop_after: Option<u64>,
    pub(crate) die_after: Option<u64>,
}

impl Observer for Memory {
    fn observe(&mut self, event: &Event) -> io::Result<()> {
        self.events.push(event.clone());
        if let Event::Step(step) = event {
            if self.stop_after == Some(step.step) {
                self.stop.store(true, Ordering::Relaxed);
            }
            if self.die_after == Some(step.step) {
                return Err(io::Error::other("killed"));
            }
        }
        Ok(())
    }
}

impl Memory {
    /// Number, bits of the loss and samples of every step.
    pub(crate) fn steps(&self) -> Vec<(u64, u32, usize)> {
        let step = |event: &Event| match event {
            Event::Step(step) => Some((step.step, step.loss_bits, step.samples)),
            _ => None,
        };
        self.events.iter().filter_map(step).collect()
    }
}

pub(crate) fn finished(outcome: Outcome) -> Trained {
    match outcome {
        Outcome::Finished(trained) => trained,
        Outcome::Stopped(position) => panic!("stopped at {position:?}"),
    }
}

/// All bits of all values, in the order of their names.
pub(crate) fn bits(parameters: &Parameters) -> Vec<(String, Vec<u32>)> {
    let all = parameters.iter().map(|(name, tensor)| {
        (name.to_owned(), tensor.as_f32().unwrap().iter().map(|value| value.to_bits()).collect())
    });
    all.collect()
}
