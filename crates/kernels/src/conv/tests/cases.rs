use crate::{
    Isa, Machine,
    activation::{self, Activation},
    conv::*,
    epilogue::{Epilogue, Store},
    testing::{Draw, aligned, difference, narrow, widen},
};

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pass {
    Forward,
    InputGradient,
    WeightGradient,
}

/// A generated problem with everything that a call can ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) problem: ConvProblem,
    pub(super) rows: usize,
    store: Store,
    source: Source,
    activation: Option<Activation>,
    bias: bool,
    add: bool,
    /// One element of every operand is this, if anything.
    special: Option<f32>,
    algorithms: Algorithms,
    /// What x and dy are, of normal numbers.
    values: fn(f64) -> f64,
    seed: u64,
}

const ACTIVATIONS: [Option<Activation>; 8] = [
    None,
    Some(Activation::Relu),
    Some(Activation::LeakyRelu { alpha: 0.1 }),
    Some(Activation::Sigmoid),
    Some(Activation::Tanh),
    Some(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }),
    Some(Activation::HardSwish),
    Some(Activation::Clip { min: -0.5, max: 0.75 }),
];

/// The shapes that the issue names, then generated ones.
pub(super) fn cases() -> impl Iterator<Item = Case> {
    let generated = (0..240).filter_map(|seed| {
        let random = &mut Draw::new(seed);
        ConvProblem::new(random_shape(random)).ok().map(|problem| Case::new(problem, random, seed))
    });
    named_shapes()
        .into_iter()
        .zip(1000..)
        .map(|(shape, seed)| Case::new(ConvProblem::new(shape).unwrap(), &mut Draw::new(seed), seed))
        .chain(generated)
        .chain(tile_cases())
        .chain(depthwise_cases())
        .chain(few_channel_cases())
        .chain(deep_cases())
}

/// Generated problems of small pictures and more channels than a chunk has products, at strides that leave phases without
/// taps too.
fn deep_cases() -> impl Iterator<Item = Case> {
    (5000..5030).filter_map(|seed| {
        let random = &mut Draw::new(seed);
        let channels = [random.pick(&[8, 257, 300, 520]), random.pick(&[8, 257, 300, 520])];
        let kernel = random.pick(&[[1, 1], [1, 1], [1, 2], [2, 1], [3, 3]]);
        let shape = ConvShape {
            strides: random.pick(&[[1, 1], [2, 2], [2, 2], [3, 2], [1, 3]]),
            pads: std::array::from_fn(|_| random.size(0, 1)),
            ..ConvShape::new(
                random.size(1, 3),
                channels[0],
                channels[1],
                [random.size(1, 5), random.size(1, 5)],
                kernel,
            )
        };
        Some(Case::new(ConvProblem::new(shape).ok()?, random, seed))
    })
}

/// Generated problems of few channels: planes of one and several blocks of rows, rows that end inside a vector or not, and
/// gradients that are scattered, at strides and with padding too.
fn few_channel_cases() -> impl Iterator<Item = Case> {
    (4000..4100).filter_map(|seed| {
        let random = &mut Draw::new(seed);
        let sizes = [1, 3, 5, 8, 12, 13, 16, 21, 28, 37, 64];
        let kernel = [random.pick(&[1, 2, 3, 3, 5]), random.pick(&[2, 3, 3, 5, 9])];
        let strides = random.pick(&[[1, 1], [1, 1], [1, 1], [2, 2], [1, 3]]);
        let shape = ConvShape {
            strides,
            dilations: random.pick(&[[1, 1], [1, 1], [2, 1], [1, 2]]),
            pads: std::array::from_fn(|_| random.size(0, 2)),
            ..ConvShape::new(
                random.pick(&[1, 2, 5, 19]),
                random.size(1, 4),
                random.size(1, 9),
                [random.pick(&sizes), random.pick(&sizes)],
                kernel,
            )
        };
        Some(Case::new(ConvProblem::new(shape).ok()?, random, seed))
    })
}

/// Generated depthwise problems: kernels with loops of their own and others, every way in which blocks of pixels meet the
/// edges, channels that fill vectors and pairs of them or not.
fn depthwise_cases() -> impl Iterator<Item = Case> {
    (3000..3120).filter_map(|seed| {
        let random = &mut Draw::new(seed);
        let channels = random.pick(&[2, 8, 15, 16, 17, 24, 40, 48]);
        let (kernel, stride) = (random.pick(&[1, 2, 3, 3, 3, 5, 5, 7]), random.pick(&[1, 1, 2, 2, 3]));
        let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 23, 28];
        let shape = ConvShape {
            groups: channels,
            strides: [stride, if random.size(0, 5) == 0 { 3 - stride.min(2) } else { stride }],
            dilations: [1, random.pick(&[1, 1, 1, 1, 1, 2])],
            pads: if random.coin() {
                [kernel / 2; 4]
            } else {
                std::array::from_fn(|_| random.size(0, kernel))
            },
            ..ConvShape::new(
                random.pick(&[1, 2, 5]),
                channels,
                channels,
                [random.pick(&sizes), random.pick(&sizes)],
                [kernel, if random.size(0, 5) == 0 { 3 } else { kernel }],
            )
        };
        let problem = ConvProblem::new(shape).ok()?;
        let mut case = Case::new(problem, random, seed);
        if random.size(0, 3) > 0 {
            case.source = Source::default();
        }
        Some(case)
    })
}

/// Generated problems that Winograd's tiles compute: pictures smaller and larger than a tile, channels that fill vectors or
/// not, enough tiles and panels for several blocks and passes.
pub(super) fn tile_cases() -> impl Iterator<Item = Case> {
    (2000..2060).filter_map(|seed| {
        let random = &mut Draw::new(seed);
        let channels = [1, 3, 8, 16, 17, 24, 48];
        let sizes = [1, 2, 3, 4, 5, 6, 7, 9, 13, 23];
        let [pads, shift] = [random.size(0, 2), random.size(0, 1)];
        let shape = ConvShape::new(
            random.pick(&[1, 2, 5]),
            random.pick(&channels),
            random.pick(&channels),
            [random.pick(&sizes), random.pick(&sizes)],
            [3, 3],
        );
        let shape = ConvShape { pads: [pads, pads + shift, pads, pads], ..shape };
        let case = Case::new(ConvProblem::new(shape).ok()?, random, seed);
        Some(Case { algorithms: Algorithms::Winograd, ..case })
    })
}

/// LeNet's layers, a residual network's, depthwise ones, and enough pictures and channels that every way of cutting
/// the work into tasks occurs.
fn named_shapes() -> Vec<ConvShape> {
    let shape = ConvShape::new;
    let same = |shape: ConvShape| ConvShape { pads: [shape.kernel[0] / 2; 4], ..shape };
    vec![
        same(shape(5, 1, 6, [28, 28], [5, 5])),
        shape(5, 6, 16, [14, 14], [5, 5]),
        shape(30, 16, 120, [5, 5], [5, 5]),
        same(shape(2, 64, 64, [9, 9], [3, 3])),
        same(ConvShape { strides: [2, 2], ..shape(2, 3, 64, [33, 31], [7, 7]) }),
        same(ConvShape { strides: [2, 2], ..shape(1, 17, 33, [12, 13], [3, 3]) }),
        ConvShape { strides: [2, 2], ..shape(2, 16, 48, [8, 8], [1, 1]) },
        shape(2, 128, 130, [6, 6], [1, 1]),
        same(shape(1, 130, 140, [7, 7], [3, 3])),
        same(ConvShape { groups: 24, ..shape(2, 24, 24, [11, 10], [3, 3]) }),
        same(ConvShape { groups: 17, strides: [2, 2], ..shape(3, 17, 17, [9, 9], [5, 5]) }),
        same(ConvShape { groups: 530, ..shape(2, 530, 530, [9, 6], [3, 3]) }),
        same(ConvShape { groups: 16, strides: [2, 2], ..shape(1, 16, 16, [67, 40], [3, 3]) }),
        ConvShape { groups: 3, ..shape(2, 6, 51, [7, 7], [3, 3]) },
        shape(2, 5, 7, [1, 1500], [1, 9]),
        same(ConvShape { strides: [1, 2], ..shape(1, 3, 18, [3, 700], [3, 3]) }),
        ConvShape { groups: 9, pads: [0, 4, 0, 4], ..shape(2, 9, 9, [1, 601], [1, 9]) },
        ConvShape { strides: [1, 3], dilations: [1, 4], ..shape(3, 4, 20, [1, 61], [1, 3]) },
        shape(70, 3, 10, [1, 1], [1, 1]),
        same(shape(1, 264, 280, [6, 5], [3, 3])),
        same(shape(3, 3, 64, [30, 28], [3, 3])),
        same(ConvShape { strides: [4, 4], pads: [2; 4], ..shape(2, 3, 32, [47, 43], [11, 11]) }),
        shape(2, 24, 144, [14, 14], [1, 1]),
        ConvShape { strides: [2, 2], ..shape(2, 32, 16, [16, 16], [2, 2]) },
    ]
}

fn random_shape(random: &mut Draw) -> ConvShape {
    let channels = [1, 2, 3, 6, 16, 17];
    let groups = random.pick(&[1, 1, 1, 2, 3, 5]);
    let depthwise = random.size(0, 4) == 0;
    let [inputs, outputs] = [random.pick(&channels), random.pick(&channels)];
    let [in_channels, out_channels] =
        if depthwise { [groups; 2] } else { [groups * inputs, groups * outputs] };
    let one_axis = random.size(0, 3) == 0;
    let mut pair = |choices: &[usize], flat: usize| {
        [if one_axis { flat } else { random.pick(choices) }, random.pick(choices)]
    };
    let (input, kernel) = (pair(&[1, 2, 3, 5, 7, 8, 11, 14], 1), pair(&[1, 2, 3, 3, 5], 1));
    let (strides, dilations) = (pair(&[1, 1, 2, 3, 5], 1), pair(&[1, 1, 1, 2, 3], 1));
    let ([top, bottom], [left, right]) = (pair(&[0, 1, 2], 0), pair(&[0, 1, 3], 0));
    let [top, bottom] = if one_axis { [0, 0] } else { [top, bottom] };
    ConvShape {
        groups,
        strides,
        dilations,
        pads: [top, left, bottom, right],
        ..ConvShape::new(random.pick(&[1, 2, 3, 7]), in_channels, out_channels, input, kernel)
    }
}

fn random_source(random: &mut Draw, problem: &ConvProblem) -> Source {
    let pads = std::array::from_fn(|_| random.size(0, 2));
    let modes = [BorderMode::Constant(0.5), BorderMode::Reflect, BorderMode::Edge, BorderMode::Wrap];
    let source = Source {
        layout: random.pick(&[Layout::ChannelsLast, Layout::ChannelsLast, Layout::Planar]),
        affine: random.size(0, 2) == 0,
        border: Some(Border { pads, mode: random.pick(&modes) }).filter(|_| random.coin()),
    };
    if source.picture(problem).is_ok() { source } else { Source { border: None, ..source } }
}

/// The tensors of a call, in the layouts of the plans.
struct Operands {
    x: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    weights: Vec<f32>,
    dy: Vec<f32>,
    bias: Vec<f32>,
    add: Vec<f32>,
    out: Vec<f32>,
}

impl Case {
    fn new(problem: ConvProblem, random: &mut Draw, seed: u64) -> Self {
        let store = random.pick(&[Store::Overwrite, Store::Overwrite, Store::Accumulate]);
        Self {
            problem,
            rows: if random.size(0, 2) == 0 { random.size(1, problem.batch) } else { problem.batch },
            store,
            source: random_source(random, &problem),
            activation: random.pick(&ACTIVATIONS),
            bias: random.coin(),
            add: store == Store::Overwrite && random.size(0, 2) == 0,
            special: None,
            algorithms: Algorithms::default(),
            values: |x| x,
            seed,
        }
    }

    /// The same case with `value` in the middle of every operand, and without the functions that would hide it.
    pub(super) fn with_special(self, value: f32) -> Self {
        Self { special: Some(value), activation: self.activation.filter(|f| *f == Activation::Relu), ..self }
    }

    /// All pictures, with x and dy of `values` of normal numbers, and nothing done to the sums.
    pub(super) fn dense(problem: ConvProblem, values: fn(f64) -> f64, seed: u64) -> Self {
        let case = Self::new(problem, &mut Draw::new(seed), seed).plain();
        let case = Self { rows: problem.batch, bias: false, add: false, values, ..case };
        case.with_store(Store::Overwrite)
    }

    pub(super) fn with_algorithms(self, algorithms: Algorithms) -> Self {
        Self { algorithms, ..self }
    }

    pub(super) fn direct(self) -> Self {
        Self { algorithms: Algorithms::Direct, ..self }
    }

    /// The same case on pictures as they lie, and with no function that could hide a value.
    pub(super) fn plain(self) -> Self {
        Self { source: Source::default(), activation: None, ..self }
    }

    pub(super) fn with_store(self, store: Store) -> Self {
        Self { store, ..self }
    }

    pub(super) fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    fn out_len(&self, pass: Pass) -> usize {
        match pass {
            Pass::Forward => self.problem.batch * self.problem.output_len(),
            Pass::InputGradient => self.problem.batch * self.problem.input_len(),
            Pass::WeightGradient => self.problem.weights_len(),
        }
    }

    fn operands(&self, pass: Pass) -> Operands {
        let (p, mut random) = (&self.problem, Draw::new(self.seed ^ 0x5eed));
        let mut values = |len| narrow(&random.normal(len));
        let picture = self.source.picture(p).unwrap();
        let channels = p.in_channels.max(p.out_channels);
        let map = |values: Vec<f32>| values.into_iter().map(|x| (self.values)(f64::from(x)) as f32).collect();
        let mut operands = Operands {
            x: map(values(p.batch * picture[0] * picture[1] * p.in_channels)),
            scale: values(p.in_channels),
            shift: values(p.in_channels),
            weights: values(p.weights_len()),
            dy: map(values(p.batch * p.output_len())),
            bias: values(channels),
            add: values(self.out_len(pass)),
            out: values(self.out_len(pass)),
        };
        if let Some(value) = self.special {
            let len = self.rows * operands.x.len() / p.batch;
            operands.x[len / 2] = value;
            let len = self.rows * p.output_len();
            operands.dy[len / 2] = value;
        }
        operands
    }

    pub(super) fn run(&self, pass: Pass, isa: Isa, threads: usize) -> Vec<f32> {
        let operands = self.operands(pass);
        let machine = Machine { convolutions: self.algorithms, isa, ..Machine::new(threads) };
        self.run_on(pass, &machine, &operands, &operands.out)
    }

    /// Runs with an output that holds `value` everywhere.
    pub(super) fn run_over(&self, value: f32, pass: Pass) -> Vec<f32> {
        let operands = self.operands(pass);
        let machine = Machine { convolutions: self.algorithms, ..Machine::single() };
        self.run_on(pass, &machine, &operands, &vec![value; operands.out.len()])
    }

    fn run_on(&self, pass: Pass, machine: &Machine, operands: &Operands, out: &[f32]) -> Vec<f32> {
        aligned(out, |out| self.run_into(pass, machine, operands, out))
    }

    fn run_into(&self, pass: Pass, machine: &Machine, operands: &Operands, out: &mut [f32]) {
        let (problem, source, choice) = (self.problem, self.source, machine.choice());
        let threads = machine.threads.count();
        let Operands { x, scale, shift, weights, dy, .. } = operands;
        let x = match source.affine {
            true => Pictures::with_affine(self.rows, x, scale, shift),
            false => Pictures::new(self.rows, x),
        };
        let epilogue = Epilogue {
            bias: self.bias.then_some(&operands.bias[..]),
            add: self.add.then_some(&operands.add[..]),
            activation: self.activation,
            store: self.store,
        };
        let scratch = |len: usize| vec![f32::NAN; len];
        let packed = |packing: Packing| {
            let mut packed = vec![f32::NAN; packing.packed_len()];
            packing.pack(machine, weights, &mut packed);
            packed
        };
        match pass {
            Pass::Forward => {
                let plan = ConvPlan::new(problem, source, choice).unwrap();
                let scratch = &mut scratch(plan.scratch_len(threads));
                plan.forward(machine, x, &packed(plan.packing()), &epilogue, out, scratch);
            }
            Pass::InputGradient => {
                let plan = ConvInputGradientPlan::new(problem, choice);
                let (scratch, dy) = (&mut scratch(plan.scratch_len(threads)), Pictures::new(self.rows, dy));
                plan.run(machine, dy, &packed(plan.packing()), &epilogue, out, scratch);
            }
            Pass::WeightGradient => {
                let plan = ConvWeightGradientPlan::new(problem, source, choice).unwrap();
                let scratch = &mut scratch(plan.scratch_len(threads));
                plan.run(machine, x, dy, out, self.store, scratch);
            }
        }
    }

    /// The twin on operands to which `map` was applied, in the layout of the plan.
    pub(super) fn expected(&self, pass: Pass, map: impl Fn(f64) -> f64 + Copy) -> Vec<f64> {
        let operands = self.operands(pass);
        let problem = self.problem.with_batch(self.rows).unwrap();
        let mapped = |values: &[f32]| widen(values).into_iter().map(map).collect::<Vec<f64>>();
        let (weights, x) = (mapped(&operands.weights), self.seen(&problem, &operands, map));
        let pixels = problem.output()[0] * problem.output()[1];
        let dy = planar(&mapped(&operands.dy), self.rows, pixels, problem.out_channels);
        let old = mapped(&operands.out);
        match pass {
            Pass::Forward => {
                let product = reference::forward(&problem, &x, &weights);
                self.finished(&product, pixels, problem.out_channels, &operands, &old, map)
            }
            Pass::InputGradient => {
                let product = reference::input_gradient(&problem, &weights, &dy);
                let pixels = problem.input[0] * problem.input[1];
                self.finished(&product, pixels, problem.in_channels, &operands, &old, map)
            }
            Pass::WeightGradient => {
                let gradient = reference::weight_gradient(&problem, &x, &dy).into_iter();
                let keep = f64::from(u8::from(self.store == Store::Accumulate));
                gradient.zip(old).map(|(dw, old)| dw + keep * old).collect()
            }
        }
    }

    fn seen(&self, problem: &ConvProblem, operands: &Operands, map: impl Fn(f64) -> f64) -> Vec<f64> {
        let picture = self.source.picture(problem).unwrap();
        let pixels = picture[0] * picture[1];
        let x = match self.source.layout {
            Layout::ChannelsLast => planar(&widen(&operands.x), self.rows, pixels, problem.in_channels),
            Layout::Planar => widen(&operands.x[..self.rows * pixels * problem.in_channels]),
        };
        let (scale, shift) = (widen(&operands.scale), widen(&operands.shift));
        let affine = self.source.affine.then_some((&scale[..], &shift[..]));
        let seen = reference::read_source(problem, &self.source, picture, &x, affine);
        seen.into_iter().map(map).collect()
    }

    /// The epilogue of the twin's product `[N, C, P]`, as `[N, P, C]`; absent pictures hold what they held.
    fn finished(
        &self,
        product: &[f64],
        pixels: usize,
        channels: usize,
        operands: &Operands,
        old: &[f64],
        map: impl Fn(f64) -> f64,
    ) -> Vec<f64> {
        let apply = |x: f64| self.activation.map_or(x, |f| activation::reference::apply(f, x));
        let mut out = old.to_vec();
        for (at, out) in out.iter_mut().enumerate().take(product.len()) {
            let (n, pixel, channel) = (at / (pixels * channels), at / channels % pixels, at % channels);
            let mut value = product[(n * channels + channel) * pixels + pixel];
            value += if self.bias { map(f64::from(operands.bias[channel])) } else { 0.0 };
            value += if self.add { map(f64::from(operands.add[at])) } else { 0.0 };
            value += if self.store == Store::Accumulate { *out } else { 0.0 };
            *out = apply(value);
        }
        out
    }

    pub(super) fn algorithm(&self, pass: Pass, isa: Isa) -> &'static str {
        let choice = Choice { isa, algorithms: self.algorithms };
        match pass {
            Pass::Forward => ConvPlan::new(self.problem, self.source, choice).unwrap().algorithm(),
            Pass::InputGradient => ConvInputGradientPlan::new(self.problem, choice).algorithm(),
            Pass::WeightGradient => {
                ConvWeightGradientPlan::new(self.problem, self.source, choice).unwrap().algorithm()
            }
        }
    }

    /// For each output, whether its tile of 4 x 4 reads the special element of x or dy; of a plain case.
    pub(super) fn near_special(&self, pass: Pass) -> Vec<bool> {
        let p = &self.problem;
        let [top, left, ..] = p.pads;
        let [input, output, channels, pads] = match pass {
            Pass::Forward => [p.input, p.output(), [p.in_channels, p.out_channels], [top, left]],
            _ => [
                p.output(),
                p.input,
                [p.out_channels, p.in_channels],
                [2_usize.wrapping_sub(top), 2_usize.wrapping_sub(left)],
            ],
        };
        let special = self.rows * input[0] * input[1] * channels[0] / 2 / channels[0];
        let (picture, pixel) = (special / (input[0] * input[1]), special % (input[0] * input[1]));
        let special = [pixel / input[1], pixel % input[1]];
        let near = |at: usize| {
            let pixel = at / channels[1] % (output[0] * output[1]);
            let at_axis = [pixel / output[1], pixel % output[1]];
            let reads = |axis: usize| {
                let first = at_axis[axis] / 4 * 4;
                (first..first + 6).contains(&special[axis].wrapping_add(pads[axis]))
            };
            at / channels[1] / (output[0] * output[1]) == picture && reads(0) && reads(1)
        };
        (0..self.out_len(pass)).map(near).collect()
    }

    /// Compares a pass with its twin. The scale of an element is the sum of its terms' magnitudes; of tiles the largest
    /// such sum, because an error in a tile reaches all its elements.
    pub(super) fn difference(&self, pass: Pass, isa: Isa, tolerance: f64) -> Option<String> {
        let scale = Self { activation: None, ..*self }.expected(pass, f64::abs);
        let largest = scale.iter().fold(0.0, |largest: f64, scale| largest.max(scale.abs()));
        let tiles = self.algorithm(pass, isa) == "winograd 4x4";
        let scale = |at: usize| 1.0 + if tiles { largest } else { scale[at].abs() };
        difference(&self.run(pass, isa, 2), &self.expected(pass, |x| x), scale, tolerance)
    }
}

/// `[N, P, C]` to `[N, C, P]`.
fn planar(values: &[f64], rows: usize, pixels: usize, channels: usize) -> Vec<f64> {
    let mut out = vec![0.0; rows * pixels * channels];
    for (at, &value) in values[..out.len()].iter().enumerate() {
        let (n, pixel, channel) = (at / (pixels * channels), at / channels % pixels, at % channels);
        out[(n * channels + channel) * pixels + pixel] = value;
    }
    out
}
