//! Layers with parameters, and those that act on every element.

use super::{Flow, Kernel, Padding, State, refusal};
use crate::{
    GraphError, Initialiser, Op, Role, Shape, Tensor, ValueId,
    op::{
        Activation, BatchNormalization, Binary, Conv, ConvTranspose, Dropout, Flatten, Gemm, Lrn, Pad, Window,
    },
};

impl Flow<'_> {
    /// `out_channels` convolutions, with parameters `weight [O, C/groups, k…]` and `bias [O]`.
    ///
    /// Shape: `[N, C, H, W] -> [N, O, ⌊(H + 2p − d(k−1) − 1)/s⌋ + 1, …]`; `[N, C, L]` likewise. A padding
    /// other than zeros becomes a `Pad` before the `Conv`.
    pub fn conv(&self, out_channels: usize, kernel: impl Into<Kernel>) -> Self {
        let kernel = kernel.into();
        self.layer("conv", |state, name, x| state.conv(name, x, out_channels, &kernel))
    }

    /// `out_channels` transposed convolutions, with parameters `weight [C, O/groups, k…]` and `bias [O]`.
    ///
    /// Shape: `[N, C, H, W] -> [N, O, s(H−1) + output_padding + d(k−1) + 1 − 2p, …]`; `[N, C, L]` likewise.
    pub fn conv_transpose(&self, out_channels: usize, kernel: impl Into<Kernel>) -> Self {
        let kernel = kernel.into();
        self.layer("conv_transpose", |state, name, x| state.conv_transpose(name, x, out_channels, &kernel))
    }

    /// A fully connected layer, with parameters `weight [out_features, F]` and `bias [out_features]`.
    ///
    /// Shape: `[N, F] -> [N, out_features]`.
    pub fn linear(&self, out_features: usize) -> Self {
        self.layer("linear", |state, name, x| state.linear(name, x, out_features, true))
    }

    /// A fully connected layer without a bias.
    pub fn linear_without_bias(&self, out_features: usize) -> Self {
        self.layer("linear", |state, name, x| state.linear(name, x, out_features, false))
    }

    /// Batch normalisation (Ioffe and Szegedy 2015) with parameters `weight`, `bias`, `running_mean`,
    /// `running_var`, all `[C]`; epsilon 1e-5, PyTorch's momentum 0.1.
    pub fn batch_norm(&self) -> Self {
        self.batch_norm_with(BatchNormalization::default())
    }

    /// Batch normalisation with other settings.
    pub fn batch_norm_with(&self, norm: BatchNormalization) -> Self {
        self.layer("batch_norm", |state, name, x| state.batch_norm(name, x, norm))
    }

    /// Local response normalisation (Krizhevsky et al. 2012).
    pub fn lrn(&self, lrn: Lrn) -> Self {
        self.apply(Op::Lrn(lrn))
    }

    /// `(x/255 − mean) / std` per channel of a picture whose elements are 0 to 255, as the two nodes
    /// `(x − 255·mean) / (255·std)`. `mean` and `std` are those of pixels from 0 to 1, one number or one per
    /// channel.
    pub fn normalise(&self, mean: &[f32], std: &[f32]) -> Self {
        self.layer("normalise", |state, name, x| {
            if !std.iter().all(|&std| std > 0.0) {
                return Err(refusal(name, "normalise")(format!("std has to be positive, got {std:?}")));
            }
            let mean = state.per_channel(&format!("{name}.mean"), x, mean)?;
            let std = state.per_channel(&format!("{name}.std"), x, std)?;
            let centred = state.node(&format!("{name}.centred"), Op::Binary(Binary::Sub), &[x, mean])?;
            state.node(name, Op::Binary(Binary::Div), &[centred, std])
        })
    }

    /// Any activation.
    pub fn activation(&self, activation: Activation) -> Self {
        self.apply(Op::Activation(activation))
    }

    /// max(x, 0)
    pub fn relu(&self) -> Self {
        self.activation(Activation::Relu)
    }

    /// min(max(x, 0), 6)
    pub fn relu6(&self) -> Self {
        self.activation(Activation::Clip { min: 0.0, max: 6.0 })
    }

    /// x for x > 0, `slope`·x otherwise.
    pub fn leaky_relu(&self, slope: f32) -> Self {
        self.activation(Activation::LeakyRelu { alpha: slope })
    }

    /// 1 / (1 + e⁻ˣ)
    pub fn sigmoid(&self) -> Self {
        self.activation(Activation::Sigmoid)
    }

    /// tanh x
    pub fn tanh(&self) -> Self {
        self.activation(Activation::Tanh)
    }

    /// max(0, min(1, x/6 + 1/2)), PyTorch's (ONNX's default slope is 0.2).
    pub fn hard_sigmoid(&self) -> Self {
        self.activation(Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 })
    }

    /// x · max(0, min(1, x/6 + 1/2))
    pub fn hard_swish(&self) -> Self {
        self.activation(Activation::HardSwish)
    }

    /// Softmax along an axis; negative counts from the end.
    pub fn softmax(&self, axis: i64) -> Self {
        self.apply(Op::Softmax { axis })
    }

    /// Logarithm of softmax along an axis; negative counts from the end.
    pub fn log_softmax(&self, axis: i64) -> Self {
        self.apply(Op::LogSoftmax { axis })
    }

    /// Dropout of single elements with probability `ratio` (Srivastava et al. 2014); 0 leaves it out, though it keeps
    /// its place in a sequence.
    pub fn dropout(&self, ratio: f32) -> Self {
        self.layer("dropout", |state, name, x| match ratio {
            0.0 => Ok(x),
            _ => state.node(name, Op::Dropout(Dropout { ratio }), &[x]),
        })
    }

    /// Dropout of whole channels with probability `ratio` (Tompson et al. 2015): x times the dropout of ones
    /// `[N, C, 1…]`.
    ///
    /// The ones are the clipping of the channels' maxima to the range from 1 to 1: ONNX operators whose shape
    /// follows the batch and whose gradient is 0.
    pub fn spatial_dropout(&self, ratio: f32) -> Self {
        self.layer("spatial_dropout", |state, name, x| {
            let peak = state.node(&format!("{name}.peak"), Op::GlobalMaxPool, &[x])?;
            let one = Activation::Clip { min: 1.0, max: 1.0 };
            let ones = state.node(&format!("{name}.ones"), Op::Activation(one), &[peak])?;
            let kept = state.node(&format!("{name}.kept"), Op::Dropout(Dropout { ratio }), &[ones])?;
            state.node(name, Op::Binary(Binary::Mul), &[x, kept])
        })
    }

    /// `[N, C, H, W] -> [N, C·H·W]`
    pub fn flatten(&self) -> Self {
        self.apply(Op::Flatten(Flatten { axis: 1 }))
    }
}

impl State {
    fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        out_channels: usize,
        kernel: &Kernel,
    ) -> Result<ValueId, GraphError> {
        let refuse = refusal(name, "Conv");
        kernel.allow(&["padding_mode", "groups", "without_bias", "initialiser"]).map_err(&refuse)?;
        let channels = self.channels(x).map_err(&refuse)?;
        let mut window = kernel.window(self.spatial_axes(x), &1.into()).map_err(&refuse)?;
        let per_group = share(channels, kernel.groups).map_err(&refuse)?;
        let x = match kernel.padding_mode {
            Padding::Zeros => x,
            mode => self.pad(&format!("{name}.pad"), x, mode, &mut window)?,
        };
        let weight = [&[out_channels, per_group], &window.kernel_shape[..]].concat();
        let initialiser = kernel.initialiser.unwrap_or(self.initialisers.conv);
        let inputs = self.weighted(name, x, &weight, kernel.bias.then_some(out_channels), initialiser)?;
        self.node(name, Op::Conv(Conv { window, group: kernel.groups }), &inputs)
    }

    fn conv_transpose(
        &mut self,
        name: &str,
        x: ValueId,
        out_channels: usize,
        kernel: &Kernel,
    ) -> Result<ValueId, GraphError> {
        let refuse = refusal(name, "ConvTranspose");
        kernel.allow(&["groups", "without_bias", "initialiser", "output_padding"]).map_err(&refuse)?;
        let channels = self.channels(x).map_err(&refuse)?;
        let axes = self.spatial_axes(x);
        let window = kernel.window(axes, &1.into()).map_err(&refuse)?;
        let output_padding = kernel.output_padding.per_axis(axes, "output_padding").map_err(&refuse)?;
        let per_group = share(out_channels, kernel.groups).map_err(&refuse)?;
        let weight = [&[channels, per_group], &window.kernel_shape[..]].concat();
        let initialiser = kernel.initialiser.unwrap_or(self.initialisers.conv);
        let inputs = self.weighted(name, x, &weight, kernel.bias.then_some(out_channels), initialiser)?;
        let conv = ConvTranspose { window, group: kernel.groups, output_padding };
        self.node(name, Op::ConvTranspose(conv), &inputs)
    }

    fn linear(
        &mut self,
        name: &str,
        x: ValueId,
        out_features: usize,
        bias: bool,
    ) -> Result<ValueId, GraphError> {
        let in_features = self.channels(x).map_err(refusal(name, "Gemm"))?;
        let bias = bias.then_some(out_features);
        let inputs = self.weighted(name, x, &[out_features, in_features], bias, self.initialisers.linear)?;
        self.node(name, Op::Gemm(Gemm { trans_b: true, ..Gemm::default() }), &inputs)
    }

    /// x, a weight and, where there is one, a bias.
    fn weighted(
        &mut self,
        name: &str,
        x: ValueId,
        weight: &[usize],
        bias: Option<usize>,
        initialiser: Initialiser,
    ) -> Result<Vec<ValueId>, GraphError> {
        if weight.contains(&0) {
            let reason = format!("its weight would be empty: {}", Shape::fixed(weight));
            return Err(GraphError::Parameter { name: format!("{name}.weight"), reason });
        }
        let mut inputs = vec![x, self.weight(&format!("{name}.weight"), weight, initialiser)?];
        if let Some(len) = bias {
            let fan_in: f64 = weight[1..].iter().map(|&extent| extent as f64).product();
            let bound = fan_in.max(1.0).sqrt().recip() as f32;
            let initialiser = self.initialisers.bias.unwrap_or(Initialiser::Uniform { bound });
            inputs.push(self.weight(&format!("{name}.bias"), &[len], initialiser)?);
        }
        Ok(inputs)
    }

    /// Pads x as `window` asks and leaves the window without padding.
    fn pad(
        &mut self,
        name: &str,
        x: ValueId,
        padding: Padding,
        window: &mut Window,
    ) -> Result<ValueId, GraphError> {
        let amounts: Vec<i64> =
            window.pads.iter().map(|&pad| i64::try_from(pad).unwrap_or(i64::MAX)).collect();
        let (begins, ends) = amounts.split_at(window.axes());
        let pads = [&[0, 0], begins, &[0, 0], ends].concat();
        window.pads.fill(0);
        self.node(name, Op::Pad(Pad { mode: padding.mode(), pads }), &[x])
    }

    fn batch_norm(
        &mut self,
        name: &str,
        x: ValueId,
        norm: BatchNormalization,
    ) -> Result<ValueId, GraphError> {
        let channels = self.channels(x).map_err(refusal(name, "BatchNormalization"))?;
        let mut inputs = vec![x];
        for (what, role, value) in [
            ("weight", Role::Weight, 1.0),
            ("bias", Role::Weight, 0.0),
            ("running_mean", Role::Statistic, 0.0),
            ("running_var", Role::Statistic, 1.0),
        ] {
            let initialiser = Initialiser::Constant(value);
            inputs.push(self.parameter(&format!("{name}.{what}"), &[channels], role, initialiser)?);
        }
        self.node(name, Op::BatchNormalization(norm), &inputs)
    }

    /// 255 times one number per channel (or one for all), shaped to broadcast over `x`.
    fn per_channel(&mut self, name: &str, x: ValueId, values: &[f32]) -> Result<ValueId, GraphError> {
        let refuse = refusal(name, "Constant");
        let channels = self.channels(x).map_err(&refuse)?;
        if values.len() != 1 && values.len() != channels {
            return Err(refuse(format!("{} values for {channels} channels", values.len())));
        }
        let scaled = (0..channels).map(|channel| (255.0 * f64::from(values[channel % values.len()])) as f32);
        let shape = [vec![1, channels], vec![1; self.spatial_axes(x)]].concat();
        let tensor =
            Tensor::f32(&shape, scaled.collect()).ok_or_else(|| refuse("has no elements".to_owned()))?;
        self.constant(name, tensor)
    }
}

/// The channels of one of `groups` groups.
fn share(channels: usize, groups: usize) -> Result<usize, String> {
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("{channels} channels cannot be cut into {groups} groups"));
    }
    Ok(channels / groups)
}
