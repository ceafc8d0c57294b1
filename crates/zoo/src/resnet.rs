//! Residual networks. He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015.
//!
//! Names, strides and initialisation are torchvision's (`torchvision/models/resnet.py`). `resnet18_32px` is what pictures as
//! small as CIFAR's are usually given to: the same stages behind a stem that keeps their size.

use crate::{
    Card, Options, Target,
    card::{GraphFunction, IMAGENET_MEAN, IMAGENET_STD},
};
use svertka_graph::{
    Builder, Flow, Graph, GraphError, Initialiser,
    builder::{Kernel, kernel},
};

pub(crate) static CARDS: &[Card] = &[
    card("resnet18", 11_689_512, 1_814_073_344, |options| {
        resnet(options, halving_stem, basic_block, [2, 2, 2, 2])
    }),
    card("resnet34", 21_797_672, 3_663_761_408, |options| {
        resnet(options, halving_stem, basic_block, [3, 4, 6, 3])
    }),
    Card {
        size: [32, 32],
        classes: 10,
        // Of the 50,000 training pictures of CIFAR-10.
        mean: &[0.4914, 0.4822, 0.4465],
        std: &[0.2470, 0.2435, 0.2616],
        ..card("resnet18_32px", 11_173_962, 555_422_720, |options| {
            resnet(options, plain_stem, basic_block, [2, 2, 2, 2])
        })
    },
];

const fn card(name: &'static str, parameters: u64, multiply_adds: u64, graph: GraphFunction) -> Card {
    Card {
        name,
        family: "ResNet",
        paper: "He et al. 2015, Deep residual learning for image recognition",
        size: [224, 224],
        channels: 3,
        classes: 1000,
        target: Target::Class,
        dropout: 0.0,
        mean: IMAGENET_MEAN,
        std: IMAGENET_STD,
        parameters,
        multiply_adds,
        graph,
    }
}

/// A residual block: from its input, the width of its stage and its stride to its output.
type Block = for<'b> fn(&Flow<'b>, usize, usize) -> Flow<'b>;

/// What is in front of the stages: from the picture to their input.
type Stem = for<'b> fn(&Flow<'b>) -> Flow<'b>;

fn resnet(options: &Options, stem: Stem, block: Block, depths: [usize; 4]) -> Result<Graph, GraphError> {
    let network = Builder::new();
    let image = network.image(options.channels, options.size).normalise(&options.mean, &options.std);
    let mut x = stem(&image);
    for (stage, depth) in depths.into_iter().enumerate() {
        x = x.sequence(&format!("layer{}", stage + 1), |x| {
            (0..depth).fold(x, |x, index| {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                x.block(|x| block(&x, 64 << stage, stride))
            })
        });
    }
    let features = x.global_average_pool().flatten().dropout(options.dropout);
    features.name("fc").linear(options.classes).classify();
    network.finish()
}

/// Takes the paper's 224 pixels to 56.
fn halving_stem<'b>(image: &Flow<'b>) -> Flow<'b> {
    let x = conv(&image.name("conv1"), 64, kernel(7).stride(2).padding(3));
    x.name("bn1").batch_norm().relu().max_pool(kernel(3).stride(2).padding(1))
}

fn plain_stem<'b>(image: &Flow<'b>) -> Flow<'b> {
    conv(&image.name("conv1"), 64, kernel(3).padding(1)).name("bn1").batch_norm().relu()
}

fn basic_block<'b>(x: &Flow<'b>, channels: usize, stride: usize) -> Flow<'b> {
    let main = conv(&x.name("conv1"), channels, kernel(3).stride(stride).padding(1));
    let main = conv(&main.name("bn1").batch_norm().relu().name("conv2"), channels, kernel(3).padding(1));
    let main = main.name("bn2").batch_norm();
    main.add(&shortcut(x, channels, stride)).relu()
}

/// The input itself, or where the block changes its shape, a projection of it.
fn shortcut<'b>(x: &Flow<'b>, channels: usize, stride: usize) -> Flow<'b> {
    let same = stride == 1 && x.shape().is_some_and(|shape| shape[1] == channels.into());
    if same {
        return x.clone();
    }
    x.sequence("downsample", |x| conv(&x, channels, kernel(1).stride(stride)).batch_norm())
}

/// Batch normalisation follows and has the bias.
fn conv<'b>(x: &Flow<'b>, channels: usize, kernel: Kernel) -> Flow<'b> {
    x.conv(channels, kernel.without_bias().initialiser(Initialiser::KaimingNormalFanOut))
}
