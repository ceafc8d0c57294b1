//! VGG. Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, 2014.
//!
//! Names and initialisation are torchvision's (`torchvision/models/vgg.py`).

use crate::{
    Card, Options, Target,
    card::{IMAGENET_MEAN, IMAGENET_STD},
};
use svertka_graph::{
    Builder, Graph, GraphError, Initialiser,
    builder::{Initialisers, kernel},
};

pub(crate) static CARDS: &[Card] = &[Card {
    name: "vgg16",
    family: "VGG",
    paper: "Simonyan and Zisserman 2014, Very deep convolutional networks for large-scale image recognition",
    size: [224, 224],
    channels: 3,
    classes: 1000,
    target: Target::Class,
    dropout: 0.5,
    mean: IMAGENET_MEAN,
    std: IMAGENET_STD,
    parameters: 138_357_544,
    multiply_adds: 15_470_264_320,
    graph: |options| vgg(options, [2, 2, 3, 3, 3]),
}];

const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

const INITIALISERS: Initialisers = Initialisers {
    conv: Initialiser::KaimingNormalFanOut,
    linear: Initialiser::Normal { std: 0.01 },
    bias: Some(Initialiser::Constant(0.0)),
};

/// A VGG of so many convolutions between two poolings.
fn vgg(options: &Options, depths: [usize; 5]) -> Result<Graph, GraphError> {
    let network = Builder::new().with_initialisers(INITIALISERS);
    let image = network.image(options.channels, options.size).normalise(&options.mean, &options.std);
    let features = image.sequence("features", |x| {
        depths.into_iter().zip(WIDTHS).fold(x, |x, (depth, width)| {
            (0..depth).fold(x, |x, _| x.conv(width, kernel(3).padding(1)).relu()).max_pool(2)
        })
    });
    let features = features.name("avgpool").adaptive_average_pool(7).flatten();
    let logits = features.sequence("classifier", |x| {
        let hidden = x.linear(4096).relu().dropout(options.dropout);
        hidden.linear(4096).relu().dropout(options.dropout).linear(options.classes)
    });
    logits.classify();
    network.finish()
}
