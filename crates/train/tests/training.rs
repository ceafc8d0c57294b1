//! What the loop does to weights, and what it reports.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::{
    Memory, Patterns, bits, convolutional, finished, job, linear, patterns, settings, trainer, wide,
};
use std::sync::Arc;
use svertka_engine::Machine;
use svertka_graph::{Parameters, surgery};
use svertka_train::{
    Accuracy, EpochEnd, EvaluationJob, EvaluationOptions, Event, Settings, TrainError, Trainer, evaluate,
};

const PLAIN: &str = r#"{"epochs": 1, "batch": 8, "rate": 0.1, "workers": 0, "keep": "last",
    "optimiser": {"name": "sgd", "momentum": 0}}"#;

/// Largest difference of sums of a few dozen f32 products that were added in another order.
const ROUNDING: f64 = 1e-6;

fn largest_difference(one: &Parameters, other: &Parameters) -> f64 {
    let values = |parameters: &Parameters| -> Vec<f64> {
        let all = parameters.iter().flat_map(|(_, tensor)| tensor.as_f32().unwrap().to_vec());
        all.map(f64::from).collect()
    };
    values(one).iter().zip(values(other)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn epochs(memory: &Memory) -> Vec<EpochEnd> {
    let epoch = |event: &Event| match event {
        Event::Epoch(epoch) => Some(epoch.clone()),
        _ => None,
    };
    memory.events.iter().filter_map(epoch).collect()
}

#[test]
fn workers_and_threads_change_no_bit() {
    let run = |workers, threads| {
        let mut settings = settings(r#"{"epochs": 2, "batch": 8, "rate": 0.01}"#);
        settings.workers = workers;
        let job = job(convolutional(), patterns(45, 1), settings);
        let mut memory = Memory::default();
        let outcome = Trainer::new(job, Machine::new(threads)).unwrap().run(&mut memory).unwrap();
        (bits(&finished(outcome).parameters), memory.steps())
    };
    let expected = run(0, 1);
    for (workers, threads) in [(1, 1), (4, 1), (0, 2), (4, 2)] {
        assert!(run(workers, threads) == expected, "{workers} workers, {threads} threads");
    }
}

#[test]
fn every_sample_is_learnt_from_and_the_loss_falls() {
    let mut memory = Memory::default();
    let settings = settings(r#"{"epochs": 12, "batch": 8, "rate": 0.02}"#);
    let trained =
        finished(trainer(job(convolutional(), patterns(60, 1), settings)).run(&mut memory).unwrap());
    let samples: usize = memory.steps().iter().map(|step| step.2).sum();
    assert_eq!(samples, 12 * 60);
    assert_eq!(memory.steps().iter().map(|step| step.0).collect::<Vec<_>>(), (1..=96).collect::<Vec<_>>());
    let epochs = epochs(&memory);
    assert!(epochs[11].train_loss < 0.5 * epochs[0].train_loss, "{epochs:?}");

    let accuracies: Vec<f64> = epochs.iter().map(|epoch| epoch.validation_accuracy().unwrap()).collect();
    let best = trained.best.unwrap();
    assert_eq!(best.metric, accuracies.iter().copied().fold(0.0, f64::max));
    assert_eq!(trained.epoch, Some(best.epoch));
    let last_best = epochs.iter().rev().find(|epoch| epoch.best).unwrap();
    assert_eq!(last_best.epoch, best.epoch);
    let options = EvaluationOptions { batch: 7, workers: 0, max_broken: 0 };
    let (graph, part) = (convolutional(), Arc::new(patterns(20, 99)));
    let parameters = &trained.parameters;
    let job = EvaluationJob {
        graph: &graph,
        parameters,
        examples: part,
        options,
        workspace: Machine::single().into(),
    };
    let (measured, _) = evaluate(job, &mut Accuracy::default()).unwrap();
    assert_eq!((measured.metric, measured.samples), (best.metric, 20));
    assert!((measured.loss - best.loss).abs() < ROUNDING);
}

#[test]
fn accumulated_batches_count_as_one() {
    // 21 samples: the last step has batches of 8 and 5, or 12 and 9 behind none.
    for (batch, samples, network) in
        [(8, 21, linear as fn() -> _), (8, 32, linear), (12, 45, linear), (8, 21, wide)]
    {
        let run = |batch, accumulate| {
            let mut settings = settings(PLAIN);
            (settings.batch, settings.accumulate) = (batch, accumulate);
            let mut memory = Memory::default();
            let job = job(network(), patterns(samples, 1), settings);
            let outcome = trainer(job).run(&mut memory).unwrap();
            (finished(outcome).parameters, memory.steps())
        };
        let (parts, whole) = (run(batch, 2), run(2 * batch, 1));
        assert!(largest_difference(&parts.0, &whole.0) < ROUNDING);
        assert_eq!(parts.1.len(), whole.1.len());
        for (part, whole) in parts.1.iter().zip(&whole.1) {
            assert_eq!((part.0, part.2), (whole.0, whole.2));
            assert!((f32::from_bits(part.1) - f32::from_bits(whole.1)).abs() < ROUNDING as f32);
        }
    }
}

#[test]
fn a_clipped_step_is_as_long_as_allowed() {
    let step = |clip_norm| {
        let mut settings = settings(PLAIN);
        (settings.clip_norm, settings.rate) = (clip_norm, 1.0);
        let mut trainer = trainer(job(linear(), patterns(8, 1), settings));
        let before = trainer.parameters();
        trainer.replay(1).unwrap();
        (before, trainer.parameters())
    };
    let length = |(before, after): &(Parameters, Parameters)| {
        let squares = before.iter().zip(after.iter()).flat_map(|((_, a), (_, b))| {
            let (a, b) = (a.as_f32().unwrap(), b.as_f32().unwrap());
            a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).collect::<Vec<_>>()
        });
        squares.sum::<f64>().sqrt()
    };
    let free = step(0.0);
    assert!(length(&free) > 0.1, "{}", length(&free));
    assert!((length(&step(0.01)) - 0.01).abs() < 1e-5);
    assert_eq!(bits(&step(100.0).1), bits(&free.1), "a short gradient is left alone");
}

#[test]
fn the_average_follows_its_formula() {
    let decay = 0.9;
    let run = |steps| {
        let mut trainer = trainer(job(convolutional(), patterns(24, 1), settings(PLAIN)));
        trainer.replay(steps).unwrap();
        trainer.parameters()
    };
    let values = |parameters: &Parameters| -> Vec<f64> {
        parameters.iter().flat_map(|(_, tensor)| tensor.as_f32().unwrap().to_vec()).map(f64::from).collect()
    };
    let mut expected = values(&run(0));
    for step in 1..=3 {
        let next = values(&run(step));
        expected.iter_mut().zip(next).for_each(|(mean, value)| *mean = decay * *mean + (1.0 - decay) * value);
    }
    let mut settings = settings(PLAIN);
    settings.ema_decay = decay;
    let trained = finished(
        trainer(job(convolutional(), patterns(24, 1), settings)).run(&mut Memory::default()).unwrap(),
    );
    for (found, expected) in values(&trained.parameters).iter().zip(expected) {
        assert!((found - expected).abs() < ROUNDING, "{found} {expected}");
    }
}

#[test]
fn evaluating_the_average_leaves_the_weights_alone() {
    let run = |validated: bool| {
        let mut settings = settings(PLAIN);
        (settings.epochs, settings.ema_decay) = (3, 0.5);
        let mut job = job(convolutional(), patterns(24, 1), settings);
        if !validated {
            job.validation = None;
        }
        let (mut trainer, mut memory) = (trainer(job), Memory::default());
        let trained = finished(trainer.run(&mut memory).unwrap());
        assert_eq!(trained.best.is_some(), validated);
        assert_ne!(bits(&trained.parameters), bits(&trainer.parameters()), "the average is kept");
        (bits(&trainer.parameters()), bits(&trained.parameters), memory.steps())
    };
    assert!(run(true) == run(false));
}

#[test]
fn frozen_parameters_are_untouched() {
    let graph = surgery::freeze(&convolutional(), "bn.*").unwrap();
    let mut trainer = trainer(job(graph.clone(), patterns(24, 1), settings(PLAIN)));
    let before = trainer.parameters();
    trainer.run(&mut Memory::default()).unwrap();
    let after = trainer.parameters();
    for (_, value, parameter) in graph.parameters() {
        let same = before.get(&value.name) == after.get(&value.name);
        assert_eq!(same, parameter.frozen, "{}", value.name);
        assert_eq!(parameter.frozen, value.name.starts_with("bn."), "{}", value.name);
    }
}

#[test]
fn a_loss_that_is_not_finite_names_step_rate_and_samples() {
    let train = Patterns { poisoned: vec![4], ..patterns(8, 1) };
    let error = trainer(job(linear(), train, settings(PLAIN))).run(&mut Memory::default()).unwrap_err();
    let message = error.to_string();
    let TrainError::NotFinite { step: 1, samples, value, .. } = error else { panic!("{message}") };
    assert!(value.is_nan());
    assert_eq!(samples.len(), 8);
    assert!(samples.contains(&"sample-4".to_owned()));
    assert!(message.starts_with("step 1: the loss is NaN at learning rate 0.1"), "{message}");
}

/// Where the norm of the gradient is limited, or batches are gathered, weights wait for whole gradients.
#[test]
fn a_step_at_once_has_the_bits_of_one_that_waits_for_all_gradients() {
    for optimiser in [r#"{"name": "sgd", "nesterov": true, "weight_decay": 0.01}"#, r#"{"name": "adamw"}"#] {
        let text = format!(
            r#"{{"epochs": 2, "batch": 8, "rate": 0.01, "workers": 0, "ema_decay": 0.5, "optimiser": {optimiser}}}"#
        );
        // The last batch has 5 samples.
        let run = |clip_norm, threads| {
            let settings = Settings { clip_norm, ..settings(&text) };
            let mut memory = Memory::default();
            let mut trainer =
                Trainer::new(job(wide(), patterns(21, 1), settings), Machine::new(threads)).unwrap();
            let average = finished(trainer.run(&mut memory).unwrap()).parameters;
            (bits(&trainer.parameters()), bits(&average), memory.steps())
        };
        let waiting = run(1e30, 1);
        assert!(run(0.0, 1) == waiting && run(0.0, 2) == waiting, "{optimiser}");
    }
}

#[test]
fn a_loss_that_is_not_finite_moves_nothing() {
    for clip_norm in [0.0, 1.0] {
        let train = Patterns { poisoned: vec![4], ..patterns(8, 1) };
        let mut trainer = trainer(job(wide(), train, Settings { clip_norm, ..settings(PLAIN) }));
        let before = bits(&trainer.parameters());
        trainer.run(&mut Memory::default()).unwrap_err();
        assert!(bits(&trainer.parameters()) == before, "clipped at {clip_norm}");
    }
}

#[test]
fn broken_samples_are_named_once_and_too_many_end_the_run() {
    let train = Patterns { broken: vec![2, 9], ..patterns(20, 1) };
    let mut settings = settings(PLAIN);
    (settings.epochs, settings.max_broken) = (2, 2);
    let mut memory = Memory::default();
    trainer(job(linear(), train.clone(), settings.clone())).run(&mut memory).unwrap();
    let broken = |event: &Event| match event {
        Event::Broken(sample) => Some(sample.broken.to_string()),
        _ => None,
    };
    let mut named: Vec<String> = memory.events.iter().filter_map(broken).collect();
    named.sort();
    assert_eq!(named, ["sample-2: torn", "sample-9: torn"]);
    assert_eq!(memory.steps().iter().map(|step| step.2).sum::<usize>(), 2 * 18);
    settings.max_broken = 1;
    let error = trainer(job(linear(), train, settings)).run(&mut Memory::default()).unwrap_err().to_string();
    assert!(error.contains("sample-2") && error.contains("sample-9"), "{error}");
}

#[test]
fn a_replay_has_the_losses_of_the_run() {
    let make = || {
        let mut settings = settings(PLAIN);
        settings.epochs = 3;
        trainer(job(convolutional(), patterns(20, 1), settings))
    };
    let mut memory = Memory::default();
    make().run(&mut memory).unwrap();
    let all: Vec<_> = memory.steps().iter().map(|step| (step.0, step.1)).collect();
    assert_eq!(make().replay(5).unwrap(), all[..5]);
    assert_eq!(make().replay(100).unwrap(), all);
}

#[test]
fn what_does_not_fit_is_named_before_anything_runs() {
    let refusal = |train: Patterns, graph| {
        let result = Trainer::new(job(graph, train, settings(PLAIN)), Machine::single());
        result.err().unwrap().to_string()
    };
    assert!(refusal(patterns(0, 1), linear()).contains("no samples to learn from"));
    let network = svertka_graph::Builder::new();
    network.image(3, [6, 6]).flatten().linear(3).classify();
    let network = network.finish().unwrap();
    assert!(refusal(patterns(8, 1), network.clone()).contains("add a loss"));
    let with_loss = svertka_graph::with_loss(&network, "logits", Default::default(), None).unwrap();
    assert!(refusal(patterns(8, 1), with_loss).contains("the samples have [1, 6, 6]"));
    let train = Patterns { mislabelled: Some(3), ..patterns(8, 1) };
    let error = trainer(job(linear(), train, settings(PLAIN))).run(&mut Memory::default()).unwrap_err();
    assert_eq!(error.to_string(), "sample-3: class 7, but the network tells 3 classes apart, 0 to 2");
}
