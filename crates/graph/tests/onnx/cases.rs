//! One small graph per operator and setting, and two whole networks: what files are tested with.

// Helpers of tests: a panic there is the report.
#![allow(clippy::unwrap_used)]

#[path = "more.rs"]
mod more;

use svertka_graph::{
    DataType, Dim, Graph, Initialiser, Op, Parameter, Parameters, Role, Shape, Tensor, TensorType, ValueId,
    op::*,
};

/// A graph with values.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) parameters: Parameters,
}

/// A graph in the making, whose parameters get values at once.
pub(crate) struct Maker {
    pub(crate) graph: Graph,
    pub(crate) parameters: Parameters,
    state: u32,
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self { graph: Graph::new(), parameters: Parameters::new(), state: 1 }
    }

    /// Numbers in [-1, 1), from a linear congruential generator (Numerical Recipes).
    fn numbers(&mut self, count: usize) -> Vec<f32> {
        let next = |state: &mut u32| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (*state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next(&mut self.state)).collect()
    }

    pub(crate) fn input(&mut self, name: &str, dims: &[usize]) -> ValueId {
        self.graph.add_input(name, DataType::F32, Shape::fixed(dims)).unwrap()
    }

    /// An input whose first axis is the symbol N.
    pub(crate) fn batch(&mut self, name: &str, dims: &[usize]) -> ValueId {
        let dims = std::iter::once(Dim::symbol("N")).chain(dims.iter().map(|&size| Dim::Fixed(size)));
        self.graph.add_input(name, DataType::F32, Shape::new(dims)).unwrap()
    }

    pub(crate) fn labels(&mut self, name: &str, dims: &[usize]) -> ValueId {
        self.graph.add_input(name, DataType::I64, Shape::fixed(dims)).unwrap()
    }

    pub(crate) fn parameter(
        &mut self,
        name: &str,
        dims: &[usize],
        role: Role,
        initialiser: Initialiser,
    ) -> ValueId {
        let mut data = self.numbers(dims.iter().product());
        if name.ends_with("var") {
            data.iter_mut().for_each(|value| *value = value.abs() + 0.5);
        }
        self.parameters.insert(name, Tensor::f32(dims, data).unwrap());
        let parameter = Parameter { role, initialiser, frozen: false };
        self.graph.add_parameter(name, TensorType::f32(Shape::fixed(dims)), parameter).unwrap()
    }

    pub(crate) fn weight(&mut self, name: &str, dims: &[usize]) -> ValueId {
        self.parameter(name, dims, Role::Weight, Initialiser::KaimingUniform { slope: 5f32.sqrt() })
    }

    pub(crate) fn bias(&mut self, name: &str, dims: &[usize]) -> ValueId {
        self.parameter(name, dims, Role::Weight, Initialiser::Uniform { bound: 0.1 })
    }

    pub(crate) fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        self.graph.add_node(name, op, inputs).unwrap()[0]
    }

    pub(crate) fn conv(&mut self, name: &str, x: ValueId, dims: &[usize], window: Window) -> ValueId {
        let weight = self.weight(&format!("{name}.weight"), dims);
        self.node(name, Op::Conv(Conv { window, group: 1 }), &[x, weight])
    }

    pub(crate) fn linear(&mut self, name: &str, x: ValueId, inputs: usize, outputs: usize) -> ValueId {
        let weight = self.weight(&format!("{name}.weight"), &[outputs, inputs]);
        let bias = self.bias(&format!("{name}.bias"), &[outputs]);
        self.node(name, Op::Gemm(Gemm { trans_b: true, ..Gemm::default() }), &[x, weight, bias])
    }

    pub(crate) fn batch_norm(&mut self, name: &str, x: ValueId, channels: usize) -> ValueId {
        let constant = |value| Initialiser::Constant(value);
        let scale = self.parameter(&format!("{name}.weight"), &[channels], Role::Weight, constant(1.0));
        let bias = self.parameter(&format!("{name}.bias"), &[channels], Role::Weight, constant(0.0));
        let mean =
            self.parameter(&format!("{name}.running_mean"), &[channels], Role::Statistic, constant(0.0));
        let var = self.parameter(&format!("{name}.running_var"), &[channels], Role::Statistic, constant(1.0));
        self.node(name, Op::BatchNormalization(BatchNormalization::default()), &[x, scale, bias, mean, var])
    }

    pub(crate) fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.node(name, Op::Activation(Activation::Relu), &[x])
    }

    pub(crate) fn finish(mut self, name: &str, outputs: &[ValueId]) -> Case {
        self.graph.set_outputs(outputs);
        Case { name: name.to_owned(), graph: self.graph, parameters: self.parameters }
    }
}

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(of_one_input());
    cases.extend(convolutions());
    cases.extend(of_matrices());
    cases.extend(of_several_inputs());
    cases.extend(losses());
    cases.extend(more::all());
    cases.extend([lenet(), resnet18()]);
    cases
}

/// An operator on one picture `[N, …]`.
pub(crate) fn unary(name: &str, op: Op, dims: &[usize]) -> Case {
    let mut maker = Maker::new();
    let x = maker.batch("x", dims);
    let y = maker.node("y", op, &[x]);
    maker.finish(name, &[y])
}

fn of_one_input() -> Vec<Case> {
    let mut cases: Vec<Case> =
        activations().into_iter().map(|(name, op)| unary(name, op, &[3, 5, 4])).collect();
    cases.extend(pools().into_iter().map(|(name, op)| unary(name, op, &[3, 9, 8])));
    cases.extend(shapings().into_iter().map(|(name, op)| unary(name, op, &[3, 5, 4])));
    cases.extend(resizes().into_iter().map(|(name, op)| unary(name, op, &[2, 5, 4])));
    let line = Window { pads: vec![1, 2], ..Window::new(&[3]).stride(2) };
    cases.push(unary("max_pool_1d", Op::MaxPool(MaxPool { window: line, ceil_mode: false }), &[2, 9]));
    cases.push(unary("global_average_pool_1d", Op::GlobalAveragePool, &[2, 7]));
    let target = ResizeTarget::Scales(vec![2.5]);
    let resize = Resize {
        mode: ResizeMode::Linear { antialias: false },
        coordinates: CoordinateMode::HalfPixel,
        target,
    };
    cases.push(unary("resize_1d", Op::Resize(resize), &[2, 7]));
    let mut maker = Maker::new();
    let x = maker.input("x", &[1, 3, 1, 5]);
    let squeezed = maker.node("squeezed", Op::Squeeze(Squeeze { axes: vec![] }), &[x]);
    cases.push(maker.finish("squeeze_all", &[squeezed]));
    cases
}

fn activations() -> Vec<(&'static str, Op)> {
    let clip = |min, max| Op::Activation(Activation::Clip { min, max });
    vec![
        ("relu", Op::Activation(Activation::Relu)),
        ("leaky_relu", Op::Activation(Activation::LeakyRelu { alpha: 0.2 })),
        ("sigmoid", Op::Activation(Activation::Sigmoid)),
        ("tanh", Op::Activation(Activation::Tanh)),
        ("hard_sigmoid", Op::Activation(Activation::HardSigmoid { alpha: 0.25, beta: 0.4 })),
        ("hard_swish", Op::Activation(Activation::HardSwish)),
        ("clip_both", clip(0.0, 6.0)),
        ("clip_below", clip(-0.5, f32::INFINITY)),
        ("clip_above", clip(f32::NEG_INFINITY, 0.5)),
        ("clip_neither", clip(f32::NEG_INFINITY, f32::INFINITY)),
        ("softmax_last", Op::Softmax { axis: -1 }),
        ("softmax_channels", Op::Softmax { axis: 1 }),
        ("log_softmax", Op::LogSoftmax { axis: 1 }),
        ("dropout", Op::Dropout(Dropout { ratio: 0.3 })),
        ("lrn", Op::Lrn(Lrn { size: 3, alpha: 1e-3, beta: 0.5, bias: 2.0 })),
        ("identity", Op::Identity),
    ]
}

fn pools() -> Vec<(&'static str, Op)> {
    let max = |window, ceil_mode| Op::MaxPool(MaxPool { window, ceil_mode });
    let average = |window, ceil_mode, count_include_pad| {
        Op::AveragePool(AveragePool { window, ceil_mode, count_include_pad })
    };
    let two = || Window::new(&[2, 2]).stride(2);
    let uneven = || Window { pads: vec![1, 0, 2, 1], strides: vec![2, 1], ..Window::new(&[3, 2]) };
    let dilated = || Window { dilations: vec![2, 3], ..Window::new(&[3, 2]).pad(1) };
    vec![
        ("max_pool", max(two(), false)),
        ("max_pool_ceil", max(two(), true)),
        ("max_pool_overlapping", max(Window::new(&[3, 3]).stride(2).pad(1), false)),
        ("max_pool_padded_ceil", max(Window::new(&[3, 3]).stride(2).pad(1), true)),
        ("max_pool_uneven", max(uneven(), false)),
        ("max_pool_dilated", max(dilated(), false)),
        ("max_pool_skipping", max(Window::new(&[1, 1]).stride(3), true)),
        ("average_pool", average(two(), false, false)),
        ("average_pool_ceil", average(two(), true, false)),
        ("average_pool_padded", average(Window::new(&[3, 3]).stride(2).pad(1), false, false)),
        ("average_pool_include_pad", average(Window::new(&[3, 3]).stride(2).pad(1), false, true)),
        ("average_pool_include_pad_ceil", average(Window::new(&[3, 3]).stride(2).pad(1), true, true)),
        ("average_pool_uneven", average(uneven(), false, true)),
        ("average_pool_dilated", average(dilated(), false, false)),
        ("global_average_pool", Op::GlobalAveragePool),
        ("global_max_pool", Op::GlobalMaxPool),
    ]
}

fn shapings() -> Vec<(&'static str, Op)> {
    let pad = |mode, pads: &[i64]| Op::Pad(Pad { mode, pads: pads.to_vec() });
    let all_sides = [0, 0, 1, 2, 0, 0, 3, 2];
    let reshape = |shape: &[i64]| Op::Reshape(Reshape { shape: shape.to_vec(), allow_zero: false });
    let reduce = |kind, axes: &[i64], keepdims| Op::Reduce(Reduce { kind, axes: axes.to_vec(), keepdims });
    vec![
        ("pad_zeros", pad(PadMode::Constant(0.0), &all_sides)),
        ("pad_constant", pad(PadMode::Constant(-1.5), &[1, 0, 0, 2, 0, 1, 1, 0])),
        ("pad_crop", pad(PadMode::Constant(0.0), &[0, 0, -1, 2, 0, 0, -2, 1])),
        ("pad_reflect", pad(PadMode::Reflect, &all_sides)),
        ("pad_edge", pad(PadMode::Edge, &all_sides)),
        ("pad_wrap", pad(PadMode::Wrap, &all_sides)),
        ("flatten", Op::Flatten(Flatten { axis: 1 })),
        ("flatten_negative", Op::Flatten(Flatten { axis: -1 })),
        ("flatten_all", Op::Flatten(Flatten { axis: 4 })),
        ("reshape", reshape(&[0, 3, -1])),
        ("reshape_rest", reshape(&[-1, 60])),
        ("transpose", Op::Transpose(Transpose { perm: vec![0, 2, 3, 1] })),
        ("unsqueeze", Op::Unsqueeze(Unsqueeze { axes: vec![0, -1] })),
        ("reduce_mean", reduce(ReduceKind::Mean, &[2, 3], true)),
        ("reduce_mean_dropped", reduce(ReduceKind::Mean, &[-1, 1], false)),
        ("reduce_mean_all", reduce(ReduceKind::Mean, &[], false)),
        ("reduce_sum", reduce(ReduceKind::Sum, &[1], false)),
        ("reduce_sum_all", reduce(ReduceKind::Sum, &[], true)),
    ]
}

fn resizes() -> Vec<(&'static str, Op)> {
    use {CoordinateMode::*, NearestMode::*, ResizeMode::*};
    let scales = |scales: [f32; 2]| ResizeTarget::Scales(scales.to_vec());
    let sizes = |sizes: [usize; 2]| ResizeTarget::Sizes(sizes.to_vec());
    let resize = |mode, coordinates, target| Op::Resize(Resize { mode, coordinates, target });
    vec![
        ("resize_nearest", resize(Nearest(Floor), Asymmetric, scales([2.0, 2.0]))),
        ("resize_nearest_floor", resize(Nearest(RoundPreferFloor), HalfPixel, scales([0.6, 1.5]))),
        ("resize_nearest_up", resize(Nearest(RoundPreferCeil), AlignCorners, sizes([7, 3]))),
        ("resize_nearest_ceil", resize(Nearest(Ceil), Asymmetric, sizes([8, 9]))),
        ("resize_linear", resize(Linear { antialias: false }, HalfPixel, scales([2.0, 2.0]))),
        ("resize_linear_align", resize(Linear { antialias: false }, AlignCorners, sizes([9, 7]))),
        ("resize_linear_pytorch", resize(Linear { antialias: false }, PytorchHalfPixel, sizes([1, 8]))),
        ("resize_linear_down", resize(Linear { antialias: false }, HalfPixel, scales([0.5, 0.8]))),
    ]
}

fn convolutions() -> Vec<Case> {
    let windows = [
        ("conv_3x3", Window::new(&[3, 3]).pad(1), 1),
        ("conv_strided", Window { strides: vec![2, 3], ..Window::new(&[3, 2]) }, 1),
        ("conv_uneven_pads", Window { pads: vec![0, 1, 2, 3], ..Window::new(&[3, 3]) }, 2),
        ("conv_dilated", Window { dilations: vec![2, 3], ..Window::new(&[3, 2]) }, 1),
        ("conv_depthwise", Window::new(&[3, 3]).pad(1), 4),
        ("conv_1d", Window { pads: vec![2, 0], ..Window::new(&[3]).stride(2) }, 2),
    ];
    let conv = windows.into_iter().map(|(name, window, group)| conv_case(name, window, group));
    let transposed = [
        ("conv_transpose", Window::new(&[2, 2]).stride(2), 1, 0),
        ("conv_transpose_padded", Window::new(&[3, 3]).stride(2).pad(1), 2, 1),
        ("conv_transpose_dilated", Window { dilations: vec![1, 2], ..Window::new(&[3, 2]) }, 1, 0),
        ("conv_transpose_1d", Window { pads: vec![1, 0], ..Window::new(&[4]).stride(3) }, 1, 2),
    ];
    let transposed = transposed
        .into_iter()
        .map(|(name, window, group, padding)| conv_transpose_case(name, window, group, padding));
    conv.chain(transposed).collect()
}

/// 4 channels to 8, with a bias.
fn conv_case(name: &str, window: Window, group: usize) -> Case {
    let mut maker = Maker::new();
    let x = maker.batch("x", &[&[4], &[9, 8][..window.axes()]].concat());
    let weight = maker.weight("conv.weight", &[&[8, 4 / group], &window.kernel_shape[..]].concat());
    let bias = maker.bias("conv.bias", &[8]);
    let y = maker.node("conv", Op::Conv(Conv { window, group }), &[x, weight, bias]);
    maker.finish(name, &[y])
}

/// 4 channels to 6, without a bias.
fn conv_transpose_case(name: &str, window: Window, group: usize, padding: usize) -> Case {
    let mut maker = Maker::new();
    let x = maker.batch("x", &[&[4], &[5, 6][..window.axes()]].concat());
    let weight = maker.weight("up.weight", &[&[4, 6 / group], &window.kernel_shape[..]].concat());
    let output_padding = vec![padding; window.axes()];
    let y =
        maker.node("up", Op::ConvTranspose(ConvTranspose { window, group, output_padding }), &[x, weight]);
    maker.finish(name, &[y])
}

fn of_matrices() -> Vec<Case> {
    let gemm = |name: &str, gemm: Gemm, a: [usize; 2], b: [usize; 2], c: Option<&[usize]>| {
        let mut maker = Maker::new();
        let mut inputs = vec![maker.input("a", &a), maker.weight("b", &b)];
        inputs.extend(c.map(|dims| maker.bias("c", dims)));
        let y = maker.node("y", Op::Gemm(gemm), &inputs);
        maker.finish(name, &[y])
    };
    let matmul = |name: &str, a: &[usize], b: &[usize]| {
        let mut maker = Maker::new();
        let (a, b) = (maker.input("a", a), maker.weight("b", b));
        let y = maker.node("y", Op::MatMul, &[a, b]);
        maker.finish(name, &[y])
    };
    let factors = Gemm { alpha: 0.5, beta: -2.0, trans_a: true, trans_b: false };
    vec![
        gemm("gemm_linear", Gemm { trans_b: true, ..Gemm::default() }, [3, 5], [4, 5], Some(&[4])),
        gemm("gemm_plain", Gemm::default(), [3, 5], [5, 4], None),
        gemm("gemm_factors", factors, [5, 3], [5, 4], Some(&[3, 1])),
        gemm("gemm_scalar", Gemm::default(), [3, 5], [5, 4], Some(&[])),
        matmul("matmul", &[3, 5], &[5, 4]),
        matmul("matmul_batches", &[2, 1, 3, 5], &[4, 5, 6]),
        matmul("matmul_vector", &[3, 5], &[5]),
    ]
}

fn of_several_inputs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, op) in [("add", Binary::Add), ("sub", Binary::Sub), ("mul", Binary::Mul), ("div", Binary::Div)]
    {
        let mut maker = Maker::new();
        let (a, b) = (
            maker.batch("a", &[3, 4]),
            maker.parameter("b.var", &[3, 1], Role::Constant, Initialiser::Dirac),
        );
        let y = maker.node("y", Op::Binary(op), &[a, b]);
        cases.push(maker.finish(name, &[y]));
    }
    for (name, axis) in [("concat", 1), ("concat_negative", -1)] {
        let mut maker = Maker::new();
        let inputs = [maker.batch("a", &[3, 4]), maker.batch("b", &[3, 4]), maker.weight("c", &[1, 3, 4])];
        let sum = maker.node("sum", Op::Binary(Binary::Add), &[inputs[0], inputs[2]]);
        let y = maker.node("y", Op::Concat(Concat { axis }), &[inputs[0], inputs[1], sum]);
        cases.push(maker.finish(name, &[y]));
    }
    let mut maker = Maker::new();
    let x = maker.batch("x", &[4, 5, 6]);
    let y = maker.batch_norm("bn", x, 4);
    cases.push(maker.finish("batch_normalization", &[y]));
    cases.push(constants());
    cases.push(everything_that_travels_beside());
    cases
}

fn constants() -> Case {
    let mut maker = Maker::new();
    let x = maker.input("x", &[2, 3]);
    let row = maker.node("row", Op::Constant(Tensor::f32(&[3], vec![1.0, -2.5, 1e-30]).unwrap()), &[]);
    let number = maker.node("number", Op::Constant(Tensor::scalar(4.0)), &[]);
    let labels = maker.node("labels", Op::Constant(Tensor::i64(&[2], vec![i64::MIN, 7]).unwrap()), &[]);
    let sum = maker.node("sum", Op::Binary(Binary::Add), &[x, row]);
    let scaled = maker.node("scaled", Op::Binary(Binary::Mul), &[sum, number]);
    maker.finish("constant", &[scaled, labels])
}

/// Roles against the structure, frozen things, integers, an order of its own, metadata, names that clash.
fn everything_that_travels_beside() -> Case {
    let mut maker = Maker::new();
    let unused = maker.parameter("unused", &[0, 3], Role::Statistic, Initialiser::Normal { std: 0.02 });
    let late = maker.weight("late", &[2]);
    let x = maker.input("x", &[1, 2, 3, 4]);
    let frozen = BatchNormalization { epsilon: 1e-3, momentum: 0.8, frozen: true };
    let vectors = ["s", "b", "m", "v.var"]
        .map(|name| maker.parameter(name, &[2], Role::Constant, Initialiser::XavierUniform));
    let [s, b, m, v] = vectors;
    let y = maker.node("y", Op::BatchNormalization(frozen), &[x, s, b, m, v]);
    let z = maker.node("z", Op::Dropout(Dropout { ratio: 0.5 }), &[y]);
    maker.node("z.ratio", Op::Identity, &[late]);
    let types = TensorType::i64(Shape::fixed(&[3]));
    let parameter = Parameter { role: Role::Constant, initialiser: Initialiser::Constant(0.0), frozen: true };
    maker.graph.add_parameter("numbers", types, parameter).unwrap();
    maker.parameters.insert("numbers", Tensor::i64(&[3], vec![-1, 0, i64::MAX]).unwrap());
    maker.graph.parameter_mut(unused).unwrap().frozen = true;
    maker.graph.rename(y, "normalised picture").unwrap();
    maker.graph.metadata = vec![("classes".into(), "cat\ndog".into()), ("empty".into(), String::new())];
    maker.finish("travels_beside", &[z])
}

fn losses() -> Vec<Case> {
    let loss = |name: &str, reduction, ignore_index, weighted| {
        let mut maker = Maker::new();
        let mut inputs = vec![maker.input("scores", &[3, 5]), maker.labels("target", &[3])];
        if weighted {
            inputs.push(maker.parameter("classes.var", &[5], Role::Constant, Initialiser::Constant(1.0)));
        }
        let op = SoftmaxCrossEntropyLoss { reduction, ignore_index, ..Default::default() };
        let outputs = maker.graph.add_node("loss", Op::SoftmaxCrossEntropyLoss(op), &inputs).unwrap();
        maker.finish(name, &outputs)
    };
    vec![
        loss("loss_mean", Reduction::Mean, None, false),
        loss("loss_sum_weighted", Reduction::Sum, None, true),
        loss("loss_none_ignoring", Reduction::None, Some(2), true),
    ]
}

/// LeNet-5 (LeCun et al. 1998) as PyTorch's tutorials have it.
pub(crate) fn lenet() -> Case {
    let mut maker = Maker::new();
    let pool = || Op::MaxPool(MaxPool { window: Window::new(&[2, 2]).stride(2), ceil_mode: false });
    let x = maker.batch("image", &[1, 28, 28]);
    let x = maker.conv("conv1", x, &[6, 1, 5, 5], Window::new(&[5, 5]).pad(2));
    let x = maker.relu("relu1", x);
    let x = maker.node("pool1", pool(), &[x]);
    let x = maker.conv("conv2", x, &[16, 6, 5, 5], Window::new(&[5, 5]));
    let x = maker.relu("relu2", x);
    let x = maker.node("pool2", pool(), &[x]);
    let x = maker.node("flat", Op::Flatten(Flatten { axis: 1 }), &[x]);
    let x = maker.linear("fc1", x, 400, 120);
    let x = maker.relu("relu3", x);
    let x = maker.linear("fc2", x, 120, 84);
    let x = maker.relu("relu4", x);
    let logits = maker.linear("logits", x, 84, 10);
    let probabilities = maker.node("probabilities", Op::Softmax { axis: 1 }, &[logits]);
    maker.finish("lenet", &[logits, probabilities])
}

/// The structure of ResNet-18 (He et al. 2015) with a sixteenth of its channels, on pictures of any size.
pub(crate) fn resnet18() -> Case {
    let mut maker = Maker::new();
    let shape = Shape::new(["N".into(), 3.into(), "H".into(), "W".into()]);
    let x = maker.graph.add_input("image", DataType::F32, shape).unwrap();
    let x = maker.conv("conv1", x, &[4, 3, 7, 7], Window::new(&[7, 7]).stride(2).pad(3));
    let x = maker.batch_norm("bn1", x, 4);
    let x = maker.relu("relu", x);
    let window = Window::new(&[3, 3]).stride(2).pad(1);
    let mut x = maker.node("maxpool", Op::MaxPool(MaxPool { window, ceil_mode: false }), &[x]);
    for (layer, channels) in [4, 8, 16, 32].into_iter().enumerate() {
        for block in 0..2 {
            let stride = if layer > 0 && block == 0 { 2 } else { 1 };
            x = basic_block(&mut maker, &format!("layer{}.{block}", layer + 1), x, channels, stride);
        }
    }
    let x = maker.node("avgpool", Op::GlobalAveragePool, &[x]);
    let x = maker.node("flatten", Op::Flatten(Flatten { axis: 1 }), &[x]);
    let logits = maker.linear("fc", x, 32, 10);
    maker.finish("resnet18", &[logits])
}

fn basic_block(maker: &mut Maker, name: &str, x: ValueId, channels: usize, stride: usize) -> ValueId {
    let inputs = if stride == 1 { channels } else { channels / 2 };
    let three = || Window::new(&[3, 3]).pad(1);
    let main = maker.conv(&format!("{name}.conv1"), x, &[channels, inputs, 3, 3], three().stride(stride));
    let main = maker.batch_norm(&format!("{name}.bn1"), main, channels);
    let main = maker.relu(&format!("{name}.relu1"), main);
    let main = maker.conv(&format!("{name}.conv2"), main, &[channels, channels, 3, 3], three());
    let main = maker.batch_norm(&format!("{name}.bn2"), main, channels);
    let skip = if stride == 1 {
        x
    } else {
        let skip = format!("{name}.downsample.0");
        let skip = maker.conv(&skip, x, &[channels, inputs, 1, 1], Window::new(&[1, 1]).stride(stride));
        maker.batch_norm(&format!("{name}.downsample.1"), skip, channels)
    };
    let sum = maker.node(&format!("{name}.add"), Op::Binary(Binary::Add), &[main, skip]);
    maker.relu(&format!("{name}.relu2"), sum)
}
