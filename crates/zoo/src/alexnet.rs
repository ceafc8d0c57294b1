//! AlexNet in one column. Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014.
//!
//! Names, sizes and initialisation are torchvision's (`torchvision/models/alexnet.py`).

use crate::{
    Card, Options, Target,
    card::{IMAGENET_MEAN, IMAGENET_STD},
};
use svertka_graph::{Builder, Graph, GraphError, builder::kernel};

pub(crate) static CARDS: &[Card] = &[Card {
    name: "alexnet",
    family: "AlexNet",
    paper: "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks",
    size: [224, 224],
    channels: 3,
    classes: 1000,
    target: Target::Class,
    dropout: 0.5,
    mean: IMAGENET_MEAN,
    std: IMAGENET_STD,
    parameters: 61_100_840,
    multiply_adds: 714_188_480,
    graph: alexnet,
}];

fn alexnet(options: &Options) -> Result<Graph, GraphError> {
    let network = Builder::new();
    let image = network.image(options.channels, options.size).normalise(&options.mean, &options.std);
    let pool = || kernel(3).stride(2);
    let features = image.sequence("features", |x| {
        let x = x.conv(64, kernel(11).stride(4).padding(2)).relu().max_pool(pool());
        let x = x.conv(192, kernel(5).padding(2)).relu().max_pool(pool());
        let x = x.conv(384, kernel(3).padding(1)).relu().conv(256, kernel(3).padding(1)).relu();
        x.conv(256, kernel(3).padding(1)).relu().max_pool(pool())
    });
    let features = features.name("avgpool").adaptive_average_pool(6).flatten();
    let logits = features.sequence("classifier", |x| {
        let hidden = x.dropout(options.dropout).linear(4096).relu();
        hidden.dropout(options.dropout).linear(4096).relu().linear(options.classes)
    });
    logits.classify();
    network.finish()
}
