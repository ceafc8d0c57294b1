//! One file for each convention that people store labelled pictures in.

pub(crate) mod cifar;
pub(crate) mod folder;
pub mod idx;
pub(crate) mod idx_pairs;
pub(crate) mod table;

use crate::{DataSet, Part};

/// Parts of a data set as their names in folders and tables say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartName {
    Train,
    Validation,
    Test,
}

impl PartName {
    pub(crate) const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The part that a name in any case means.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Validation),
            "test" | "testing" | "t10k" => Some(Self::Test),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// A data set of the parts in the order of [`PartName::ALL`].
pub(crate) fn assemble(name: String, classes: Vec<String>, parts: [Option<Part>; 3]) -> DataSet {
    let [train, validation, test] = parts;
    let train = train.unwrap_or_else(|| Part::from_files(Vec::new()));
    DataSet { name, classes, train, validation, test }
}
