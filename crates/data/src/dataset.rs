//! The data set: classes and parts, opened from whatever a path holds.

use std::path::Path;

use svertka_image::{Channels, Size};

use crate::readers::{cifar, folder, idx_pairs, table};
use crate::{Broken, Error, Part, Probe};

/// Pictures in classes, in up to three parts.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Name of the folder or file it came from.
    pub name: String,
    /// Names of the classes; a label is an index into them.
    pub classes: Vec<String>,
    /// What is learnt from. Empty if the data holds only a part to evaluate on.
    pub train: Part,
    /// What settings and the best epoch are chosen on.
    pub validation: Option<Part>,
    /// What the final accuracy is measured on.
    pub test: Option<Part>,
}

impl DataSet {
    /// Parts that there are, by name.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &Part)> {
        let train = (!self.train.is_empty()).then_some(("train", &self.train));
        let validation = self.validation.as_ref().map(|part| ("validation", part));
        let test = self.test.as_ref().map(|part| ("test", part));
        [train, validation, test].into_iter().flatten()
    }

    /// The part to evaluate a finished model on, by name: test, else validation, else all there is.
    pub fn evaluation(&self) -> (&'static str, &Part) {
        self.parts().last().unwrap_or(("train", &self.train))
    }

    /// Whether a classifier can be trained on it.
    ///
    /// # Errors
    /// [`Error::NoTraining`], [`Error::OneClass`].
    pub fn check_trainable(&self) -> Result<(), Error> {
        let name = self.name.clone();
        let Some(first) = self.train.labels().next() else { return Err(Error::NoTraining { name }) };
        if self.train.labels().all(|label| label == first) {
            return Err(Error::OneClass { name, class: self.classes[first].clone() });
        }
        Ok(())
    }

    /// What the first pictures look like, of the training part if there is one.
    ///
    /// # Errors
    /// [`Error::NoPicture`] if none can be read.
    pub fn probe(&self) -> Result<Probe, Error> {
        let part = self.parts().next().map_or(&self.train, |(_, part)| part);
        part.probe().map_err(|first| no_picture(first, &self.name))
    }

    /// Channels that suit the pictures: [`Probe::channels`].
    ///
    /// # Errors
    /// As [`DataSet::probe`].
    pub fn channels(&self) -> Result<Channels, Error> {
        Ok(self.probe()?.channels)
    }

    /// Size of the pictures, if the first ones have one size.
    ///
    /// # Errors
    /// As [`DataSet::probe`].
    pub fn common_size(&self) -> Result<Option<Size>, Error> {
        Ok(self.probe()?.size)
    }
}

pub(crate) fn no_picture(first: Option<Broken>, name: &str) -> Error {
    let nothing = || Broken { index: 0, name: name.to_string(), cause: "no samples".into() };
    Error::NoPicture { first: first.unwrap_or_else(nothing) }
}

/// Opens whatever a path holds.
///
/// | what | how it is known |
/// |---|---|
/// | table | a `.csv` or `.tsv` file; a folder with one whose first rows name files that exist |
/// | IDX | `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`, plain or `.gz` |
/// | CIFAR-10, CIFAR-100 | `data_batch_1.bin` … and `test_batch.bin`; `train.bin` and `test.bin` |
/// | pictures by class | `CLASS/file`, with or without `train`, `val` (`valid`, `validation`, `dev`), `test` above |
///
/// # Errors
/// An [`Error`] that names the file or folder; [`Error::Unrecognised`] if nothing of the above is there.
pub fn open(path: impl AsRef<Path>) -> Result<DataSet, Error> {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path).map_err(Error::read(path))?;
    if metadata.is_file() {
        return if table::has_extension(path) { table::open(path) } else { Err(unrecognised(path)) };
    }
    if let Some(pairs) = idx_pairs::find(path)? {
        return idx_pairs::open(path, &pairs);
    }
    if let Some(kind) = cifar::detect(path) {
        return cifar::open(path, kind);
    }
    if let Some(file) = table::find(path)? {
        return table::open(&file);
    }
    folder::open(path)
}

pub(crate) fn unrecognised(path: &Path) -> Error {
    Error::Unrecognised { path: path.to_path_buf() }
}

/// Last component of a path, resolved where it is `.` or `..`.
pub(crate) fn name_of(path: &Path) -> String {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    resolved.file_name().unwrap_or(resolved.as_os_str()).to_string_lossy().into_owned()
}
