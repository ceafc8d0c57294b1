//! LeNet-5. LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998.
//!
//! As it is taught today: Relu and max-pooling instead of scaled tanh and trainable subsampling, every map of
//! the second convolution sees every map of the first, and 28 pixels padded by 2 stand for the paper's 32.

use crate::{Card, Options, Target};
use svertka_graph::{Builder, Graph, GraphError, builder::kernel};

pub(crate) static CARDS: &[Card] = &[Card {
    name: "lenet5",
    family: "LeNet",
    paper: "LeCun et al. 1998, Gradient-based learning applied to document recognition",
    size: [28, 28],
    channels: 1,
    classes: 10,
    target: Target::Class,
    dropout: 0.0,
    // Of the 60,000 training digits of MNIST.
    mean: &[0.1307],
    std: &[0.3081],
    parameters: 61_706,
    multiply_adds: 416_520,
    graph: lenet,
}];

fn lenet(options: &Options) -> Result<Graph, GraphError> {
    let network = Builder::new();
    let image = network.image(options.channels, options.size).normalise(&options.mean, &options.std);
    let maps = image.name("conv1").conv(6, kernel(5).padding(2)).relu().max_pool(2);
    let maps = maps.name("conv2").conv(16, 5).relu().max_pool(2);
    let hidden = maps.flatten().name("fc1").linear(120).relu().dropout(options.dropout);
    let hidden = hidden.name("fc2").linear(84).relu().dropout(options.dropout);
    hidden.name("fc3").linear(options.classes).classify();
    network.finish()
}
