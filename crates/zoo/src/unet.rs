//! U-Net. Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image segmentation, 2015.
//!
//! As it is built today: padded convolutions keep the size, so that skips are joined whole and the classes are those
//! of every pixel. Height and width have to be multiples of 16.

use crate::{Card, Options, Target};
use svertka_graph::{
    Builder, Flow, Graph, GraphError, Initialiser,
    builder::{Initialisers, kernel},
};

pub(crate) static CARDS: &[Card] = &[Card {
    name: "unet",
    family: "U-Net",
    paper: "Ronneberger et al. 2015, U-Net: Convolutional networks for biomedical image segmentation",
    size: [256, 256],
    channels: 1,
    classes: 2,
    target: Target::Mask,
    dropout: 0.0,
    mean: &[0.5],
    std: &[0.5],
    parameters: 31_030_658,
    multiply_adds: 48_096_083_968,
    graph: unet,
}];

/// Channels of the levels from the top to the bottom.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 1024];

/// The paper's variance, 2/fan_in.
const INITIALISERS: Initialisers = Initialisers {
    conv: Initialiser::KaimingUniform { slope: 0.0 },
    linear: Initialiser::KaimingUniform { slope: 0.0 },
    bias: Some(Initialiser::Constant(0.0)),
};

fn unet(options: &Options) -> Result<Graph, GraphError> {
    let network = Builder::new().with_initialisers(INITIALISERS);
    let image = network.image(options.channels, options.size).normalise(&options.mean, &options.std);
    level(&image, options, 0).name("head").conv(options.classes, 1).classify();
    network.finish()
}

/// One level with everything below it: what it finds, joined with what comes up.
fn level<'b>(x: &Flow<'b>, options: &Options, depth: usize) -> Flow<'b> {
    let width = WIDTHS[depth];
    let skip = convolutions(x, &format!("down.{depth}"), width);
    if depth + 1 == WIDTHS.len() {
        return skip.dropout(options.dropout);
    }
    let below = level(&skip.max_pool(2), options, depth + 1);
    let up = below.name(&format!("up.{depth}")).conv_transpose(width, kernel(2).stride(2));
    convolutions(&skip.concat(&[&up]), &format!("join.{depth}"), width)
}

fn convolutions<'b>(x: &Flow<'b>, name: &str, width: usize) -> Flow<'b> {
    let conv = |x: &Flow<'b>| x.conv(width, kernel(3).padding(1)).relu();
    x.sequence(name, |x| conv(&conv(&x)))
}
