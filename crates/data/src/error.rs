//! What can be wrong with data: with a set as a whole, or with one sample.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use svertka_image::{DecodeError, Size, TransformError};

use crate::IdxError;

/// Why a data set cannot be used. Every message names the file or folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Read {
        /// File or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// An IDX file that contradicts itself.
    #[error("{}: {source}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IdxError,
    },
    /// A file or folder that contradicts its convention.
    #[error("{}: {cause}", path.display())]
    Invalid {
        /// File or folder.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Nothing in a path looks like a data set.
    #[error(
        "{}: no data set found; expected folders of pictures by class, IDX pairs, CIFAR binaries or a CSV/TSV of path and label",
        path.display()
    )]
    Unrecognised {
        /// What was opened.
        path: PathBuf,
    },
    /// A set that cannot be trained on: no training part.
    #[error("{name}: there is no training part")]
    NoTraining {
        /// Name of the set.
        name: String,
    },
    /// A set that cannot be trained on: nothing to tell apart.
    #[error("{name}: only one class ({class}); training needs at least two")]
    OneClass {
        /// Name of the set.
        name: String,
        /// Its class.
        class: String,
    },
    /// No picture of a part can be read.
    #[error("no picture can be read; the first: {first}")]
    NoPicture {
        /// The first failure.
        first: Broken,
    },
    /// Pictures of several sizes, and preprocessing that does not make them equal.
    #[error("pictures differ in size ({first}, {second}); add a resize, such as [{{ resize = [{}, {}] }}]", first.height, first.width)]
    SizesDiffer {
        /// One size.
        first: Size,
        /// Another.
        second: Size,
    },
}

impl Error {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn invalid(path: &Path, cause: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_path_buf(), cause: cause.into() }
    }
}

/// Why one sample cannot be used. The sample's name is added where it is known: [`Broken`].
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The operating system refused.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A file longer than any picture has a right to be.
    #[error("{bytes} bytes, limit {limit}")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Not a picture, or a damaged one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Preprocessing does not apply to it.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// Another shape than the rest.
    #[error("shape {found:?} after preprocessing, expected {expected:?}{}", resize_advice(found, expected))]
    Shape {
        /// What it has.
        found: Vec<usize>,
        /// What the network is to read.
        expected: Vec<usize>,
    },
    /// Code that prepares samples failed in a way it did not foresee.
    #[error("panicked: {0}")]
    Panicked(String),
    /// A task's own reason.
    #[error("{0}")]
    Other(String),
}

/// What to do about pictures [C, H, W] of another size than the first ones.
fn resize_advice(found: &[usize], expected: &[usize]) -> String {
    match (found, expected) {
        (&[channels, ..], &[expected, height, width]) if channels == expected => {
            format!(
                "; pictures differ in size: set preprocess to a list with a resize, such as [{{ resize = [{height}, {width}] }}]"
            )
        }
        _ => String::new(),
    }
}

/// A sample that cannot be used, by name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Broken {
    /// Its index in its part.
    pub index: usize,
    /// File, or archive and position.
    pub name: String,
    /// What is wrong.
    pub cause: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.cause)
    }
}
