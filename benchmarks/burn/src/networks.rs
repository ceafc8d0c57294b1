//! LeNet-5 and ResNet-18 as `reference/networks.py` and torchvision have them.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// From pictures to scores.
pub trait Network {
    /// `[N, C, H, W] -> [N, classes]`
    fn forward(&self, x: Tensor<4>) -> Tensor<2>;
}

fn padding(amount: usize) -> PaddingConfig2d {
    PaddingConfig2d::Explicit(amount, amount, amount, amount)
}

/// LeNet-5.
#[derive(Module, Debug)]
pub struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: MaxPool2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet {
    /// With first values.
    pub fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([1, 6], [5, 5]).with_padding(padding(2)).init(device),
            conv2: Conv2dConfig::new([6, 16], [5, 5]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            fc1: LinearConfig::new(400, 120).init(device),
            fc2: LinearConfig::new(120, 84).init(device),
            fc3: LinearConfig::new(84, 10).init(device),
        }
    }
}

impl Network for LeNet {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(x)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten::<2>(1, 3)));
        self.fc3.forward(relu(self.fc2.forward(x)))
    }
}

/// A convolution without a bias and its batch normalisation.
#[derive(Module, Debug)]
struct Normed {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Normed {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let conv = Conv2dConfig::new(channels, [kernel, kernel]).with_stride([stride, stride]);
        let conv = conv.with_padding(padding(kernel / 2)).with_bias(false).init(device);
        Self { conv, norm: BatchNormConfig::new(channels[1]).init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

#[derive(Module, Debug)]
struct Block {
    first: Normed,
    second: Normed,
    shortcut: Option<Normed>,
}

impl Block {
    fn new([inputs, outputs]: [usize; 2], stride: usize, device: &Device) -> Self {
        let projected = stride != 1 || inputs != outputs;
        Self {
            first: Normed::new([inputs, outputs], 3, stride, device),
            second: Normed::new([outputs, outputs], 3, 1, device),
            shortcut: projected.then(|| Normed::new([inputs, outputs], 1, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let main = self.second.forward(relu(self.first.forward(x.clone())));
        let side = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x.clone()));
        relu(main + side)
    }
}

/// ResNet-18.
#[derive(Module, Debug)]
pub struct ResNet18 {
    stem: Normed,
    pool: MaxPool2d,
    blocks: Vec<Block>,
    fc: Linear,
}

impl ResNet18 {
    /// With first values.
    pub fn new(device: &Device) -> Self {
        let stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)];
        let stage = |(inputs, outputs, stride)| {
            [Block::new([inputs, outputs], stride, device), Block::new([outputs, outputs], 1, device)]
        };
        Self {
            stem: Normed::new([3, 64], 7, 2, device),
            pool: MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(padding(1)).init(),
            blocks: stages.into_iter().flat_map(stage).collect(),
            fc: LinearConfig::new(512, 1000).init(device),
        }
    }
}

impl Network for ResNet18 {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.stem.forward(x)));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.fc.forward(x.mean_dim(3).mean_dim(2).flatten::<2>(1, 3))
    }
}
