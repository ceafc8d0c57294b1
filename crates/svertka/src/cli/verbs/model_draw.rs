use std::path::PathBuf;

use clap::Args;
use svertka_report::draw;

use super::Run;
use crate::cli::diagram::diagram;
use crate::cli::failure::Failure;
use crate::cli::files::write;
use crate::cli::model::{Model, Side};

/// Draws a network as SVG: layers as boxes, values as arrows with their shapes
///
/// Batch normalisations and activations stand in the box of the layer before them.
#[derive(Args)]
pub(super) struct ModelDraw {
    /// Run folder, .onnx file or network of the zoo
    model: PathBuf,
    /// Where to write the drawing
    #[arg(short, long, value_name = "FILE.svg")]
    output: PathBuf,
    /// Height and width of the pictures, instead of those the network was made for: 64 or 48x64
    #[arg(long, value_name = "PX")]
    size: Option<Side>,
    /// Give every node its own box
    #[arg(long)]
    nodes: bool,
}

impl Run for ModelDraw {
    fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        let diagram = diagram(&model.graph(self.size)?, &model.name(), self.nodes);
        write(&self.output, draw(&diagram)?.as_bytes())
    }
}
