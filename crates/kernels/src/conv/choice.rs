use crate::Isa;
use std::{fmt, str::FromStr};

/// Which algorithms a plan may choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithms {
    /// All of them. Fast transforms have larger rounding errors: over the output's rms at most 3e-5 instead of 1e-5.
    #[default]
    Fastest,
    /// Winograd's tiles wherever they compute the problem, even if that takes longer.
    Winograd,
    /// Those that add up every product of the definition.
    Direct,
}

/// What a plan is made for, beside its problem: results depend on it, and on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The instruction set.
    pub isa: Isa,
    /// The algorithms to choose from.
    pub algorithms: Algorithms,
}

impl From<Isa> for Choice {
    /// All algorithms.
    fn from(isa: Isa) -> Self {
        Self { isa, algorithms: Algorithms::default() }
    }
}

impl fmt::Display for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fastest => "fastest",
            Self::Winograd => "winograd",
            Self::Direct => "direct",
        })
    }
}

impl FromStr for Algorithms {
    type Err = UnknownAlgorithms;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithms> {
        match text {
            "fastest" => Ok(Self::Fastest),
            "winograd" => Ok(Self::Winograd),
            "direct" => Ok(Self::Direct),
            _ => Err(UnknownAlgorithms(text.into())),
        }
    }
}

/// A word that names no [`Algorithms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithms(String);

impl fmt::Display for UnknownAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no choice of convolutions is called {}; there are fastest, winograd and direct", self.0)
    }
}

impl std::error::Error for UnknownAlgorithms {}
