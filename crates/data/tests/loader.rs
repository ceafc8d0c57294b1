//! The loader: same bits for any number of workers, resumed or not; broken samples; early ends.
#![allow(clippy::unwrap_used)] // a panic in a test is its report

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Folder, png};
use svertka_data::random::Random;
use svertka_data::{
    Batch, Broken, Examples, Loader, LoaderError, LoaderOptions, Pictures, SampleError, TargetKind,
    TargetMut, Targets, digits, open,
};
use svertka_image::{Channels, Preprocess};

/// Numbers that depend on (epoch, index), prepared in uneven times. Some are broken, and one panics.
struct Uneven {
    len: usize,
    broken: fn(usize) -> bool,
    panics: fn(usize) -> bool,
    written: AtomicUsize,
}

impl Uneven {
    fn new(len: usize) -> Self {
        Self { len, broken: |_| false, panics: |_| false, written: AtomicUsize::new(0) }
    }
}

impl Examples for Uneven {
    fn len(&self) -> usize {
        self.len
    }

    fn input_shape(&self) -> &[usize] {
        &[2]
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Dense(vec![1])
    }

    fn write(
        &self,
        epoch: u64,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), SampleError> {
        self.written.fetch_add(1, Ordering::SeqCst);
        let mut random = Random::for_sample(1, epoch, index as u64);
        thread::sleep(Duration::from_micros(random.below(300)));
        if (self.broken)(index) {
            return Err(SampleError::Other("broken".into()));
        }
        assert!(!(self.panics)(index), "sample {index} is hostile");
        input.copy_from_slice(&[random.uniform(), index as f32]);
        if let TargetMut::Dense(values) = target {
            values[0] = epoch as f32;
        }
        Ok(())
    }

    fn name(&self, index: usize) -> String {
        format!("sample-{index}")
    }
}

fn loader(examples: Uneven, options: LoaderOptions) -> Loader {
    Loader::new(Arc::new(examples), options).unwrap()
}

type Record = (usize, usize, Vec<u32>, Vec<usize>, Vec<String>);

fn record(batch: &Batch) -> Record {
    let bits = batch.input.iter().map(|value| value.to_bits()).collect();
    let broken = batch.broken.iter().map(ToString::to_string).collect();
    (batch.number, batch.rows, bits, batch.indices.clone(), broken)
}

fn records(loader: &Loader, epoch: u64, first: usize) -> Vec<Record> {
    loader.epoch(epoch, first).map(|batch| record(&batch.unwrap())).collect()
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    let of = |workers, prefetch| {
        let examples = Uneven { broken: |index| index % 17 == 3, ..Uneven::new(203) };
        let options =
            LoaderOptions { batch_size: 8, seed: 5, workers, prefetch, max_broken: 20, ..Default::default() };
        let loader = loader(examples, options);
        [records(&loader, 0, 0), records(&loader, 1, 0)]
    };
    let expected = of(0, 4);
    assert_eq!(expected[0].len(), 26);
    assert_ne!(expected[0][0].3, expected[1][0].3, "epochs have different orders");
    for (workers, prefetch) in [(1, 4), (4, 4), (4, 0), (2, 100)] {
        assert_eq!(of(workers, prefetch), expected, "{workers} workers, {prefetch} ahead");
    }
}

#[test]
fn an_epoch_resumed_in_its_middle_goes_on_as_it_would_have() {
    for workers in [0, 3] {
        let options = LoaderOptions { batch_size: 10, workers, ..Default::default() };
        let loader = loader(Uneven::new(95), options);
        let whole = records(&loader, 2, 0);
        assert_eq!(whole[4..], records(&loader, 2, 4));
        assert_eq!(loader.epoch(2, 4).position(), 4);
        assert_eq!(records(&loader, 2, 10), []);
        assert_eq!(records(&loader, 2, 99), []);
    }
}

#[test]
fn every_sample_comes_once_and_the_order_is_the_seeds() {
    let order = |seed, shuffle| {
        let options = LoaderOptions { batch_size: 7, seed, shuffle, workers: 2, ..Default::default() };
        records(&loader(Uneven::new(50), options), 0, 0).into_iter().flat_map(|r| r.3).collect::<Vec<_>>()
    };
    let everything: Vec<_> = (0..50).collect();
    let mut drawn = order(1, true);
    assert_ne!(drawn, order(2, true));
    assert_ne!(drawn, everything);
    drawn.sort_unstable();
    assert_eq!(drawn, everything);
    assert_eq!(order(1, false), everything);
}

#[test]
fn the_last_batch_is_short_or_left_out() {
    let rows = |drop_last| {
        let options = LoaderOptions { batch_size: 8, drop_last, ..Default::default() };
        let loader = loader(Uneven::new(20), options);
        let rows: Vec<_> = records(&loader, 0, 0).iter().map(|record| record.1).collect();
        assert_eq!(rows.len(), loader.batches());
        rows
    };
    assert_eq!(rows(false), [8, 8, 4]);
    assert_eq!(rows(true), [8, 8]);
    let none = loader(Uneven::new(0), LoaderOptions::default());
    assert!(none.epoch(0, 0).next().is_none());
    let zero = LoaderOptions { batch_size: 0, ..Default::default() };
    assert!(matches!(Loader::new(Arc::new(Uneven::new(1)), zero), Err(LoaderError::BatchSize)));
}

#[test]
fn broken_samples_are_named_and_rows_shrink() {
    for workers in [0, 2] {
        let examples = Uneven { broken: |i| i == 1, panics: |i| i == 2, ..Uneven::new(6) };
        let options =
            LoaderOptions { batch_size: 4, shuffle: false, workers, max_broken: 2, ..Default::default() };
        let loader = loader(examples, options);
        let batches = records(&loader, 0, 0);
        assert_eq!((batches[0].1, batches[0].2.len(), &batches[0].3[..]), (2, 4, &[0, 3][..]));
        assert_eq!(batches[0].4, ["sample-1: broken", "sample-2: panicked: sample 2 is hostile"]);
        assert_eq!(records(&loader, 1, 0).len(), 2, "a sample broken again does not count again");
        assert_eq!(loader.broken().len(), 2);
    }
}

#[test]
fn too_many_broken_samples_end_the_epoch_with_their_list() {
    for workers in [0, 2] {
        let examples = Uneven { broken: |i| i % 5 == 0, ..Uneven::new(100) };
        let options =
            LoaderOptions { batch_size: 10, shuffle: false, workers, max_broken: 5, ..Default::default() };
        let loader = loader(examples, options);
        let mut epoch = loader.epoch(0, 0);
        assert!(epoch.next().unwrap().is_ok());
        assert!(epoch.next().unwrap().is_ok());
        let error = epoch.next().unwrap().unwrap_err().to_string();
        assert!(
            error.starts_with("6 broken samples, at most 5 may be skipped:\n  sample-0: broken"),
            "{error}"
        );
        assert!(epoch.next().is_none());
    }
}

#[test]
fn remembered_samples_count_as_broken() {
    let broken = Uneven { broken: |index| index == 3, ..Uneven::new(10) };
    let options = LoaderOptions { max_broken: 1, ..LoaderOptions::default() };
    let loader = loader(broken, options);
    loader.remember([Broken { index: 7, name: "7".into(), cause: "broken before".into() }]);
    let error = loader.epoch(0, 0).next().unwrap().unwrap_err();
    let LoaderError::TooManyBroken { limit: 1, broken } = error else { panic!("{error}") };
    assert_eq!(broken.iter().map(|sample| sample.index).collect::<Vec<_>>(), [3, 7]);
}

#[test]
fn an_epoch_dropped_early_ends_its_workers() {
    let examples = Arc::new(Uneven::new(10_000));
    let options = LoaderOptions { batch_size: 4, workers: 4, prefetch: 6, ..Default::default() };
    let loader = Loader::new(Arc::clone(&examples) as Arc<dyn Examples>, options).unwrap();
    for taken in [0, 1, 3] {
        let mut epoch = loader.epoch(0, 0);
        epoch.by_ref().take(taken).for_each(|batch| assert!(batch.is_ok()));
        drop(epoch);
    }
    // Dropping joins the workers: nothing is written afterwards, and nobody else holds the samples.
    let written = examples.written.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(examples.written.load(Ordering::SeqCst), written);
    assert!(written <= (4 + 3 * 6) * 4, "no more than the window was prepared: {written}");
    drop(loader);
    assert_eq!(Arc::strong_count(&examples), 1);
}

#[test]
fn memory_is_used_again() {
    let options = LoaderOptions { batch_size: 16, shuffle: false, ..Default::default() };
    let loader = loader(Uneven::new(64), options);
    let places: Vec<_> = loader.epoch(0, 0).map(|batch| batch.unwrap().input.as_ptr()).collect();
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{places:?}");
}

#[test]
fn digits_become_planes_and_classes() {
    let test = digits().test.unwrap();
    let pictures = Pictures::new(test.clone(), Preprocess::default(), Channels::Grey).unwrap();
    let options = LoaderOptions { batch_size: 3, shuffle: false, ..Default::default() };
    let loader = Loader::new(Arc::new(pictures), options).unwrap();
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    let bytes: Vec<f32> = (0..3).flat_map(|i| test.bytes(i).unwrap().into_owned()).map(f32::from).collect();
    assert_eq!(batch.input, bytes);
    assert_eq!(batch.target, Targets::Class(test.labels().take(3).map(|label| label as i64).collect()));
}

#[test]
fn files_that_are_broken_are_skipped_by_name() {
    let folder = Folder::new();
    folder.write("cats/a.png", &png(2, 2, 1));
    folder.write("cats/b.png", &png(2, 2, 1)[..40]);
    folder.write("dogs/c.png", &png(3, 2, 1));
    folder.write("dogs/d.png", &png(2, 2, 7));
    folder.write("dogs/e.png", b"<html>");
    let part = open(folder.path()).unwrap().train;
    let preprocess = "[{ crop = [0, 0, 2, 2] }]".parse().unwrap();
    let pictures = Pictures::new(part, preprocess, Channels::Rgb).unwrap();
    let options = LoaderOptions { shuffle: false, max_broken: 2, ..Default::default() };
    let loader = Loader::new(Arc::new(pictures), options).unwrap();
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    assert_eq!((batch.rows, &batch.indices[..]), (3, &[0, 2, 3][..]));
    assert_eq!(batch.input[24..], [7.0; 12]);
    let broken: Vec<_> = batch.broken.iter().map(ToString::to_string).collect();
    assert!(broken[0].ends_with("b.png: not a PNG (truncated after 40 bytes)"), "{broken:?}");
    assert!(broken[1].contains("e.png: not a picture: starts with \"<html>\""), "{broken:?}");
}
