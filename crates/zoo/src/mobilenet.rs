//! MobileNetV2. Sandler, Howard, Zhu, Zhmoginov, Chen: Inverted residuals and linear bottlenecks, 2018.
//!
//! Names and initialisation are torchvision's (`torchvision/models/mobilenetv2.py`).

use crate::{
    Card, Options, Target,
    card::{IMAGENET_MEAN, IMAGENET_STD},
};
use svertka_graph::{
    Builder, Flow, Graph, GraphError, Initialiser,
    builder::{Initialisers, Kernel, kernel},
};

pub(crate) static CARDS: &[Card] = &[Card {
    name: "mobilenet_v2",
    family: "MobileNetV2",
    paper: "Sandler et al. 2018, MobileNetV2: Inverted residuals and linear bottlenecks",
    size: [224, 224],
    channels: 3,
    classes: 1000,
    target: Target::Class,
    dropout: 0.2,
    mean: IMAGENET_MEAN,
    std: IMAGENET_STD,
    parameters: 3_504_872,
    multiply_adds: 300_774_272,
    graph: mobilenet_v2,
}];

/// Rows of the paper's table 2: expansion, output channels, blocks, stride of the first.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

const INITIALISERS: Initialisers = Initialisers {
    conv: Initialiser::KaimingNormalFanOut,
    linear: Initialiser::Normal { std: 0.01 },
    bias: Some(Initialiser::Constant(0.0)),
};

fn mobilenet_v2(options: &Options) -> Result<Graph, GraphError> {
    let network = Builder::new().with_initialisers(INITIALISERS);
    let image = network.image(options.channels, options.size).normalise(&options.mean, &options.std);
    let features = image.sequence("features", |x| {
        let x = conv(&x, 32, kernel(3).stride(2).padding(1));
        let x = STAGES.into_iter().fold(x, |x, [expansion, channels, blocks, stride]| {
            let strides = std::iter::once(stride).chain(std::iter::repeat(1)).take(blocks);
            strides.fold(x, |x, stride| x.block(|x| inverted_residual(&x, expansion, channels, stride)))
        });
        conv(&x, 1280, kernel(1))
    });
    let pooled = features.global_average_pool().flatten();
    pooled.sequence("classifier", |x| x.dropout(options.dropout).linear(options.classes)).classify();
    network.finish()
}

/// Widens, filters each channel alone, narrows without an activation.
fn inverted_residual<'b>(x: &Flow<'b>, expansion: usize, channels: usize, stride: usize) -> Flow<'b> {
    let shape = x.shape();
    let inputs = shape.as_ref().and_then(|shape| shape.get(1)?.fixed()).unwrap_or(0);
    let hidden = inputs * expansion;
    let y = x.sequence("conv", |x| {
        let wide = if expansion == 1 { x } else { conv(&x, hidden, kernel(1)) };
        let filtered = conv(&wide, hidden, kernel(3).stride(stride).padding(1).groups(hidden));
        filtered.conv(channels, kernel(1).without_bias()).batch_norm()
    });
    if stride == 1 && inputs == channels { x.add(&y) } else { y }
}

/// A convolution with its batch normalisation and ReLU6.
fn conv<'b>(x: &Flow<'b>, channels: usize, kernel: Kernel) -> Flow<'b> {
    x.block(|x| x.name("0").conv(channels, kernel.without_bias()).name("1").batch_norm().relu6())
}
