//! MODEL: a run folder, an `.onnx` file or a network of the zoo.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use svertka_graph::{Dim, Graph, Parameters, Sizes, onnx};
use svertka_zoo::{Card, cards, find};

use super::failure::Failure;

/// The name of a run's trained network.
pub(crate) const MODEL_FILE: &str = "model.onnx";

/// What MODEL stands for.
pub(crate) enum Model {
    /// A trained network from a file.
    File {
        /// The file.
        file: PathBuf,
        /// The run folder that it lies in, if it was named by that.
        run: Option<PathBuf>,
        graph: Box<Graph>,
        parameters: Parameters,
    },
    /// A network of the zoo, without values.
    Zoo(&'static Card),
}

impl Model {
    /// Opens what `text` stands for: a name of the zoo (a folder of that name is `./NAME`), or what exists.
    pub(crate) fn open(text: &Path) -> Result<Self, Failure> {
        if let Some(card) = text.to_str().and_then(|name| find(name).ok()) {
            return Ok(Self::Zoo(card));
        }
        if text.is_dir() {
            let file = text.join(MODEL_FILE);
            if !file.is_file() {
                let text = text.display();
                return Err(Failure::failed(format!("{text}: not a run: it holds no {MODEL_FILE}")));
            }
            return Self::load(file, Some(text.to_path_buf()));
        }
        let looks_like_a_file = text.extension().is_some() || text.components().count() > 1;
        if text.exists() || looks_like_a_file {
            return Self::load(text.to_path_buf(), None);
        }
        let name = text.to_string_lossy();
        find(&name).map(Self::Zoo).map_err(|error| {
            let names = cards().map(|card| card.name).collect::<Vec<_>>().join(", ");
            Failure::usage(format!("{error}; MODEL is a run folder, an .onnx file or one of {names}"))
        })
    }

    fn load(file: PathBuf, run: Option<PathBuf>) -> Result<Self, Failure> {
        if file.exists() && !file.is_file() {
            return Err(Failure::failed(format!("{}: not a regular file", file.display())));
        }
        let (graph, parameters) = onnx::load(&file)?;
        Ok(Self::File { file, run, graph: Box::new(graph), parameters })
    }

    /// What to call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Zoo(card) => card.name.into(),
            Self::File { file, run, .. } => run.as_ref().unwrap_or(file).display().to_string(),
        }
    }

    /// The trained network, with what it reads and tells apart.
    pub(crate) fn trained(self) -> Result<svertka_tasks::Model, Failure> {
        match self {
            Self::File { file, graph, parameters, .. } => {
                let model = svertka_tasks::Model::new(*graph, parameters);
                model.map_err(|error| Failure::from(error).at(file.display()))
            }
            Self::Zoo(card) => {
                let train = format!("train it first: svertka train DATA --model {}", card.name);
                Err(Failure::usage(format!(
                    "{} is a network of the zoo and knows nothing yet; {train}",
                    card.name
                )))
            }
        }
    }

    /// Values for its structure: its own, or drawn ones.
    pub(crate) fn values(self, graph: &Graph) -> Result<Parameters, Failure> {
        match self {
            Self::File { parameters, .. } => Ok(parameters),
            Self::Zoo(_) => Ok(Parameters::initialise(graph, 0)?),
        }
    }

    /// The run folder, if it was named by that.
    pub(crate) fn run(&self) -> Option<&Path> {
        match self {
            Self::File { run, .. } => run.as_deref(),
            Self::Zoo(_) => None,
        }
    }

    /// Its structure, for pictures of this size.
    ///
    /// # Errors
    /// Wrong use if a size is asked of a file whose pictures have another one.
    pub(crate) fn graph(&self, size: Option<Side>) -> Result<Graph, Failure> {
        if let (Self::File { graph, .. }, Some(_)) = (self, size) {
            Self::sizes(graph, None, size)?;
        }
        match self {
            Self::Zoo(card) => {
                let options = card.options();
                Ok(card.build(&size.map_or(options.clone(), |size| options.with_size(size.0)))?)
            }
            Self::File { graph, .. } => Ok((**graph).clone()),
        }
    }

    /// The rows that a network takes, where it takes no other number.
    pub(crate) fn fixed_batch(graph: &Graph) -> Option<usize> {
        graph.shape(*graph.inputs().first()?).first()?.fixed()
    }

    /// Numbers for the symbols of a graph's first input: its batch (1 if nothing is said), and height and width where they
    /// are open.
    pub(crate) fn sizes(graph: &Graph, batch: Option<usize>, size: Option<Side>) -> Result<Sizes, Failure> {
        let input = graph.inputs().first().ok_or_else(|| Failure::failed("the network has no input"))?;
        let shape = graph.shape(*input);
        let wanted = [batch, None, size.map(|size| size.0[0]), size.map(|size| size.0[1])];
        let mut sizes = Sizes::new();
        for (axis, (dim, wanted)) in shape.iter().zip(wanted).enumerate() {
            match (dim, wanted) {
                (Dim::Symbol(name), None) if axis == 0 => sizes = sizes.with(name, 1),
                (Dim::Symbol(name), Some(wanted)) => sizes = sizes.with(name, wanted),
                (Dim::Symbol(name), None) => {
                    return Err(Failure::usage(format!(
                        "the input is {shape}: give {name} a number with --size"
                    )));
                }
                (Dim::Fixed(_), None) => {}
                (Dim::Fixed(fixed), Some(wanted)) if *fixed == wanted => {}
                (Dim::Fixed(_), Some(_)) => {
                    return Err(Failure::usage(format!("the input of this network is fixed: {shape}")));
                }
            }
        }
        Ok(sizes)
    }
}

/// Height and width of pictures: `64` or `48x64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side(pub(crate) [usize; 2]);

impl FromStr for Side {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('x').map(|number| number.parse().ok().filter(|&pixels| pixels > 0));
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Some(side)), None, None) => Ok(Self([side, side])),
            (Some(Some(height)), Some(Some(width)), None) => Ok(Self([height, width])),
            _ => Err("a number of pixels, or HEIGHTxWIDTH"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_square_or_height_and_width() {
        assert_eq!("64".parse(), Ok(Side([64, 64])));
        assert_eq!("48x64".parse(), Ok(Side([48, 64])));
        for wrong in ["", "0", "x", "4x", "1x2x3", "-4", "4x0"] {
            assert!(wrong.parse::<Side>().is_err(), "{wrong}");
        }
    }
}
