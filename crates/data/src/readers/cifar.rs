//! CIFAR's binary version: <https://www.cs.toronto.edu/~kriz/cifar.html>. Records of one label (CIFAR-100: a coarse and a
//! fine one) and 3 x 32 x 32 pixels, plane by plane.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use svertka_image::Size;

use super::assemble;
use super::idx_pairs::interleave;
use crate::dataset::name_of;
use crate::part::Pixels;
use crate::{DataSet, Error, Part};

const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;

/// Longest file read: a hundred times the authors'.
const MAX_FILE: u64 = 1 << 34;

/// What differs between the two sets.
pub(crate) struct Kind {
    /// Bytes before a record's pixels; the last of them is the label used.
    labels: usize,
    classes: usize,
    names: &'static str,
    test: &'static str,
}

const CIFAR10: Kind = Kind { labels: 1, classes: 10, names: "batches.meta.txt", test: "test_batch.bin" };
const CIFAR100: Kind = Kind { labels: 2, classes: 100, names: "fine_label_names.txt", test: "test.bin" };

/// Which of the two sets a folder holds.
pub(crate) fn detect(folder: &Path) -> Option<&'static Kind> {
    let holds = |file: &str| folder.join(file).is_file();
    if holds("data_batch_1.bin") || holds(CIFAR10.test) {
        Some(&CIFAR10)
    } else if holds("train.bin") || (holds(CIFAR100.test) && holds(CIFAR100.names)) {
        Some(&CIFAR100)
    } else {
        None
    }
}

pub(crate) fn open(folder: &Path, kind: &Kind) -> Result<DataSet, Error> {
    let train: Vec<PathBuf> = if kind.classes == CIFAR10.classes {
        let batches = (1..).map(|i| folder.join(format!("data_batch_{i}.bin")));
        batches.take_while(|path| path.is_file()).collect()
    } else {
        [folder.join("train.bin")].into_iter().filter(|path| path.is_file()).collect()
    };
    let test: Vec<PathBuf> = [folder.join(kind.test)].into_iter().filter(|path| path.is_file()).collect();
    let classes = class_names(&folder.join(kind.names), kind)?;
    let parts = [part(folder, &train, kind)?, None, part(folder, &test, kind)?];
    Ok(assemble(name_of(folder), classes, parts))
}

fn class_names(path: &Path, kind: &Kind) -> Result<Vec<String>, Error> {
    if !path.is_file() {
        return Ok((0..kind.classes).map(|class| class.to_string()).collect());
    }
    let text = std::fs::read_to_string(path).map_err(Error::read(path))?;
    let names: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() == kind.classes {
        return Ok(names);
    }
    Err(Error::invalid(path, format!("{} class names, expected {}", names.len(), kind.classes)))
}

fn part(folder: &Path, files: &[PathBuf], kind: &Kind) -> Result<Option<Part>, Error> {
    if files.is_empty() {
        return Ok(None);
    }
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        append(file, kind, &mut bytes, &mut labels)?;
    }
    let origin = if let [file] = files { file.clone() } else { folder.join("data_batch_*.bin") };
    let size = Size::square(SIDE);
    let pixels = Pixels { origin: origin.display().to_string(), size, channels: 3, bytes };
    Ok(Some(Part::from_pixels(pixels, labels)))
}

fn append(path: &Path, kind: &Kind, pixels: &mut Vec<u8>, labels: &mut Vec<usize>) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::read(path))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(Error::read(path))?;
    let record = kind.labels + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let cause = format!("{} bytes are not a number of records of {record}", bytes.len());
        return Err(Error::invalid(path, cause));
    }
    for (item, record) in bytes.chunks_exact(record).enumerate() {
        let label = usize::from(record[kind.labels - 1]);
        if label >= kind.classes {
            let cause = format!("label {label} of item {item} is out of range: {} classes", kind.classes);
            return Err(Error::invalid(path, cause));
        }
        labels.push(label);
        pixels.extend(interleave(&record[kind.labels..], 3, SIDE * SIDE));
    }
    Ok(())
}
