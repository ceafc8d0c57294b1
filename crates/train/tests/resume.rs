//! A run that was stopped or killed, and resumed, ends with the bits of one that was not.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod common;

use common::{Memory, Patterns, bits, convolutional, finished, job, patterns, settings, trainer};
use std::{fs, path::Path};
use svertka_train::{BEST, CHECKPOINT, Job, Log, Observer, Outcome, TrainError, log};

/// Everything that has a memory: momentum, an average, a schedule, gradients of two batches, broken samples, the best epoch.
const SETTINGS: &str = r#"{"epochs": 3, "batch": 8, "rate": 0.05, "accumulate": 2, "ema_decay": 0.8, "clip_norm": 1,
    "seed": 3, "max_broken": 2, "checkpoint_steps": 2, "workers": 1,
    "optimiser": {"name": "sgd", "nesterov": true}, "schedule": {"name": "cosine"}, "warmup": {"steps": 2}}"#;

/// Ten batches, the last of 3; five steps an epoch.
fn run_job() -> Job {
    let train = Patterns { broken: vec![3, 60], ..patterns(75, 1) };
    job(convolutional(), train, settings(SETTINGS))
}

/// A log and a memory at once.
struct Both(Log, Memory);

impl Observer for Both {
    fn observe(&mut self, event: &svertka_train::Event) -> std::io::Result<()> {
        self.0.observe(event)?;
        self.1.observe(event)
    }
}

fn start(folder: &Path) -> Both {
    Both(Log::create(folder.join("metrics.jsonl")).unwrap(), Memory::default())
}

/// Resumes until the end; the bits of what was kept.
fn resume(folder: &Path) -> Vec<(String, Vec<u32>)> {
    let mut trainer = trainer(run_job()).in_folder(folder);
    let position = trainer.resume().unwrap().unwrap();
    let log = Log::resume(folder.join("metrics.jsonl"), position.step).unwrap();
    bits(&finished(trainer.run(&mut Both(log, Memory::default())).unwrap()).parameters)
}

fn uninterrupted(folder: &Path) -> Vec<(String, Vec<u32>)> {
    let outcome = trainer(run_job()).in_folder(folder).run(&mut start(folder)).unwrap();
    bits(&finished(outcome).parameters)
}

/// Checkpoints hold everything, so equal files are equal runs; and the logs have the same steps.
fn assert_same(one: &Path, other: &Path) {
    for name in [CHECKPOINT, BEST] {
        assert!(fs::read(one.join(name)).unwrap() == fs::read(other.join(name)).unwrap(), "{name} differs");
    }
    let steps = |folder: &Path| log::losses(folder.join("metrics.jsonl"), 1000).unwrap();
    assert_eq!(steps(one), steps(other));
    assert_eq!(steps(one).len(), 15);
    let epochs = |folder: &Path| -> Vec<String> {
        let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        text.lines().filter(|line| line.contains("\"event\":\"epoch\"")).map(str::to_owned).collect()
    };
    assert_eq!(epochs(one), epochs(other));
    assert_eq!(epochs(one).len(), 3);
}

#[test]
fn a_run_that_was_asked_to_stop_in_the_middle_of_an_epoch() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = uninterrupted(whole.path());
    for stop_after in [3, 5, 8] {
        let mut observer = start(parts.path());
        observer.1.stop_after = Some(stop_after);
        let stop = observer.1.stop.clone();
        let outcome = trainer(run_job()).in_folder(parts.path()).stopped_by(stop).run(&mut observer).unwrap();
        let Outcome::Stopped(position) = outcome else { panic!("{outcome:?}") };
        assert_eq!(position.step, stop_after);
        assert_eq!(resume(parts.path()), expected);
        assert_same(whole.path(), parts.path());
    }
}

#[test]
fn a_run_that_was_killed_between_two_checkpoints() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = uninterrupted(whole.path());
    for die_after in [3, 9, 14] {
        let mut observer = start(parts.path());
        observer.1.die_after = Some(die_after);
        let error = trainer(run_job()).in_folder(parts.path()).run(&mut observer).unwrap_err();
        assert!(matches!(error, TrainError::Observer(_)), "{error}");
        assert_eq!(resume(parts.path()), expected);
        assert_same(whole.path(), parts.path());
    }
}

#[test]
fn a_finished_run_is_resumed_to_its_result() {
    let folder = tempfile::tempdir().unwrap();
    let expected = uninterrupted(folder.path());
    assert_eq!(resume(folder.path()), expected);
}

#[test]
fn other_settings_or_data_are_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    uninterrupted(folder.path());
    let refusal = |job: Job| {
        trainer(job).in_folder(folder.path()).resume().map(|_| ()).map_err(|error| error.to_string())
    };
    let mut other = run_job();
    (other.settings.batch, other.settings.seed) = (16, 4);
    let message = refusal(other).unwrap_err();
    assert!(
        message.contains("batch: 8 there, 16 now") && message.contains("seed: 3 there, 4 now"),
        "{message}"
    );
    let other = job(convolutional(), patterns(74, 1), settings(SETTINGS));
    assert!(refusal(other).unwrap_err().contains("train samples: 75 there, 74 now"));
    let mut other = run_job();
    (other.settings.workers, other.settings.checkpoint_steps) = (0, 100);
    assert_eq!(refusal(other), Ok(()), "what changes no result may change");
}

#[test]
fn a_damaged_checkpoint_is_named_and_a_missing_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(trainer(run_job()).in_folder(folder.path()).resume().unwrap(), None);
    uninterrupted(folder.path());
    let path = folder.path().join(CHECKPOINT);
    let bytes = fs::read(&path).unwrap();
    for cut in [0, 7, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let error = trainer(run_job()).in_folder(folder.path()).resume().unwrap_err().to_string();
        assert!(error.contains(CHECKPOINT), "{error}");
    }
    fs::copy(folder.path().join(BEST), &path).unwrap();
    let error = trainer(run_job()).in_folder(folder.path()).resume().unwrap_err().to_string();
    assert!(error.contains("no checkpoint"), "{error}");
}
