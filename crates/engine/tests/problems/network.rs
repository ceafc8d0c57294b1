//! Random networks. A seed becomes a [`Recipe`], a list of steps that can be changed before it is built.

use super::{Assembly, Fill, Problem, Random, batch, input, more, statistic, weight};
use std::cmp::Ordering;
use svertka_graph::{
    Op, Shape, Sizes, Tensor, ValueId,
    op::{
        Activation, AveragePool, BatchNormalization, Binary, Concat, Conv, ConvTranspose, CoordinateMode,
        Dropout, Flatten, Gemm, Lrn, MaxPool, NearestMode, Pad, PadMode, Reduce, ReduceKind, Reduction,
        Reshape, Resize, ResizeMode, ResizeTarget, SoftmaxCrossEntropyLoss, Squeeze, Target, Transpose,
        Unsqueeze, Window,
    },
};

/// The largest number of elements of a value, for speed.
const MOST_ELEMENTS: usize = 700;
/// The most nodes of a network.
const MOST_NODES: usize = 25;
/// What comes behind the last branch: concatenation, layer, class weights, loss.
const HEAD_NODES: usize = 4;

/// What a step reads besides earlier values.
#[derive(Clone, Debug, PartialEq)]
pub enum Operands {
    None,
    /// A weight that makes so many channels or columns, and perhaps a bias.
    Layer {
        out: usize,
        bias: bool,
    },
    /// One parameter of this shape, positive.
    Broadcast(Vec<usize>),
    /// Scale, bias, mean and variance.
    Norm,
    /// Places of an axis of this size, one list of them or one per row.
    Places {
        shape: Vec<usize>,
        size: usize,
        batch: bool,
    },
    /// A target, and perhaps class weights.
    Loss {
        weighted: bool,
    },
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub name: String,
    pub op: Op,
    /// Which values it reads: 0 is the picture, `i + 1` what step `i` puts out.
    pub sources: Vec<usize>,
    pub operands: Operands,
}

/// A network that can still be changed. Its last step puts out what the network does.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub seed: u64,
    /// The shape of the input, batch first.
    pub picture: Vec<usize>,
    pub steps: Vec<Step>,
}

/// The network of a seed.
pub fn network(seed: u64) -> Problem {
    recipe(seed).build().expect("every step was tried when it was chosen")
}

/// The steps of a seed's network.
pub fn recipe(seed: u64) -> Recipe {
    let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0x1405_7b7e_f767_814f);
    let mut picture =
        vec![random.within(1, 3), random.within(1, 4), random.within(1, 8), random.within(2, 7)];
    if random.one_in(5) {
        picture.remove(2);
    }
    let mut growing = Growing::new(Recipe { seed, picture, steps: Vec::new() });
    let body = random.within(0, MOST_NODES - HEAD_NODES);
    // Every branch that is left open costs a node to flatten it.
    let fits = |growing: &Growing| {
        let steps = growing.recipe.steps.len();
        steps < body && steps + growing.unread().len() + HEAD_NODES <= MOST_NODES - 2
    };
    while fits(&growing) {
        let step = body_step(&mut random, &growing.shapes);
        growing.push(step);
    }
    finish(&mut random, &mut growing);
    growing.recipe
}

impl Recipe {
    /// The problem, unless a step does not fit what it reads (which only a changed recipe can bring about).
    pub fn build(&self) -> Option<Problem> {
        let mut growing = Growing::new(Self { steps: Vec::new(), ..self.clone() });
        if !self.steps.iter().all(|step| growing.push(step.clone())) {
            return None;
        }
        let output = *growing.values.last()?;
        Some(growing.assembly.finish(&[output]))
    }

    /// Recipes with one step less, or with one value less in a concatenation.
    pub fn smaller(&self) -> Vec<Self> {
        let mut recipes = Vec::new();
        for (index, step) in self.steps.iter().enumerate().rev() {
            recipes.extend(step.sources.iter().map(|&source| self.without(index, source)));
            if matches!(step.op, Op::Concat(_)) && step.sources.len() > 1 {
                recipes.extend((0..step.sources.len()).map(|place| {
                    let mut recipe = self.clone();
                    recipe.steps[index].sources.remove(place);
                    recipe
                }));
            }
        }
        recipes
    }

    /// The recipe without step `index`; what read it reads the earlier value `instead`.
    fn without(&self, index: usize, instead: usize) -> Self {
        let mut recipe = self.clone();
        recipe.steps.remove(index);
        let moved = |source: usize| match source.cmp(&(index + 1)) {
            Ordering::Less => source,
            Ordering::Equal => instead,
            Ordering::Greater => source - 1,
        };
        for step in &mut recipe.steps[index..] {
            step.sources.iter_mut().for_each(|source| *source = moved(*source));
        }
        recipe
    }
}

/// A recipe and the graph that it has become so far.
struct Growing {
    recipe: Recipe,
    assembly: Assembly,
    /// The picture and the first output of every step.
    values: Vec<ValueId>,
    shapes: Vec<Vec<usize>>,
}

impl Growing {
    fn new(recipe: Recipe) -> Self {
        let mut assembly = Assembly::new(&format!("network {}", recipe.seed));
        let values = vec![assembly.operand("image", &batch(&recipe.picture))];
        let shapes = vec![recipe.picture.clone()];
        Self { recipe, assembly, values, shapes }
    }

    /// Values that nothing reads.
    fn unread(&self) -> Vec<usize> {
        let read = |value: &usize| self.recipe.steps.iter().any(|step| step.sources.contains(value));
        (0..self.values.len()).filter(|value| !read(value)).collect()
    }

    /// Appends the step if the graph takes it.
    fn push(&mut self, mut step: Step) -> bool {
        if step.name.is_empty() {
            step.name = format!("n{}", self.recipe.steps.len());
        }
        let before = self.assembly.clone();
        let Some((value, shape)) = self.try_push(&step) else {
            self.assembly = before;
            return false;
        };
        self.values.push(value);
        self.shapes.push(shape);
        self.recipe.steps.push(step);
        true
    }

    fn try_push(&mut self, step: &Step) -> Option<(ValueId, Vec<usize>)> {
        let first = self.shapes[*step.sources.first()?].clone();
        let mut inputs: Vec<ValueId> = step.sources.iter().map(|&source| self.values[source]).collect();
        let operands = self.operands(step, &first)?;
        inputs.extend(operands);
        let output = self.assembly.graph.add_node(&step.name, step.op.clone(), &inputs).ok()?[0];
        let shape: Shape = self.assembly.graph.shape(output).resolve(&Sizes::batch(self.recipe.picture[0]));
        let sizes = shape.sizes()?;
        let elements: usize = sizes.iter().product();
        // The batch has to stay what it is: then a network is one of the kind that people train.
        let keeps_batch = sizes.is_empty() || sizes[0] == self.recipe.picture[0];
        // The head joins values of any size.
        let in_head = matches!(step.op, Op::Concat(_)) && sizes.len() == 2;
        let fits = (1..=MOST_ELEMENTS).contains(&elements) || in_head;
        (fits && keeps_batch).then_some((output, sizes))
    }

    fn operands(&mut self, step: &Step, x: &[usize]) -> Option<Vec<ValueId>> {
        let name = &step.name;
        let mut operand =
            |suffix: &str, operand| self.assembly.operand(&format!("{name}.{suffix}"), &operand);
        let small = |shape: &[usize]| weight(shape).filled(Fill::Small);
        Some(match &step.operands {
            Operands::None => Vec::new(),
            Operands::Broadcast(shape) => vec![operand("factor", weight(shape).filled(Fill::Positive))],
            Operands::Places { shape, size, batch: rows } => {
                let of_rows = || batch(&[&x[..1], &shape[1..]].concat());
                let places = if *rows { of_rows() } else { input(shape) };
                vec![operand("places", places.filled(Fill::Labels(*size)))]
            }
            Operands::Layer { out, bias } => {
                let shape = layer_shape(&step.op, x, *out)?;
                let weight = operand("weight", small(&shape));
                let bias = bias.then(|| operand("bias", small(&[*out])));
                [weight].into_iter().chain(bias).collect()
            }
            Operands::Norm => {
                let channels = [*x.get(1)?];
                vec![
                    operand("scale", weight(&channels).filled(Fill::Positive)),
                    operand("bias", weight(&channels)),
                    operand("mean", statistic(&channels).filled(Fill::Small)),
                    operand("var", statistic(&channels)),
                ]
            }
            Operands::Loss { weighted } => self.loss_operands(step, x, *weighted)?,
        })
    }

    fn loss_operands(&mut self, step: &Step, scores: &[usize], weighted: bool) -> Option<Vec<ValueId>> {
        let Op::SoftmaxCrossEntropyLoss(loss) = step.op else { return None };
        let classes = *scores.get(1)?;
        let target = match loss.target {
            Target::Classes => batch(&[&scores[..1], &scores[2..]].concat()).filled(Fill::Labels(classes)),
            Target::Probabilities => batch(scores).filled(Fill::Probabilities),
        };
        let mut operands = vec![self.assembly.operand("target", &target)];
        if weighted {
            let weights = (0..classes).map(|class| 0.5 + class as f32).collect();
            let weights = Op::Constant(Tensor::f32(&[classes], weights)?);
            operands.push(self.assembly.node(&format!("{}.weights", step.name), weights, &[]));
        }
        Some(operands)
    }
}

/// The shape of the weight that makes `out` channels or columns of x.
fn layer_shape(op: &Op, x: &[usize], out: usize) -> Option<Vec<usize>> {
    let channels = *x.get(1)?;
    match op {
        Op::Conv(conv) => Some([&[out, channels / conv.group], conv.window.kernel_shape.as_slice()].concat()),
        Op::ConvTranspose(conv) => {
            Some([&[channels, out / conv.group], conv.window.kernel_shape.as_slice()].concat())
        }
        Op::Gemm(_) => Some(vec![out, channels]),
        _ => Some(vec![*x.last()?, out]),
    }
}

/// A step that may fit: mostly behind the newest value, sometimes behind an older one.
fn body_step(random: &mut Random, shapes: &[Vec<usize>]) -> Step {
    let source = if random.one_in(5) { random.below(shapes.len()) } else { shapes.len() - 1 };
    let x = &shapes[source];
    if random.one_in(5) {
        return more::step(random, source, x);
    }
    let single = |op| (op, vec![source], Operands::None);
    let (op, sources, operands) = match random.below(20) {
        0 | 1 => elementwise(random, source),
        2 | 3 => join(random, shapes, source),
        4 => (Op::Binary(binary(random)), vec![source], Operands::Broadcast(broadcast(random, x))),
        5 => single(Op::Dropout(Dropout { ratio: random.pick(&[0.0, 0.25, 0.5]) })),
        6 | 7 => {
            let norm = BatchNormalization { epsilon: 1e-3, frozen: random.one_in(3), ..Default::default() };
            (Op::BatchNormalization(norm), vec![source], Operands::Norm)
        }
        8 => single(shaping(random, x)),
        9 => {
            let axis = random.pick(&[1, -1, 2]);
            single(random.pick(&[Op::Softmax { axis }, Op::LogSoftmax { axis }]))
        }
        10 if x.len() == 2 => {
            let op = Op::Gemm(Gemm { alpha: 0.5, trans_b: true, ..Gemm::default() });
            (op, vec![source], Operands::Layer { out: random.within(1, 6), bias: random.one_in(2) })
        }
        10 => (Op::MatMul, vec![source], Operands::Layer { out: random.within(1, 6), bias: false }),
        _ if x.len() == 2 => single(Op::Unsqueeze(Unsqueeze { axes: vec![2] })),
        11..=13 => conv(random, source, x),
        _ => single(of_picture(random, x)),
    };
    Step { name: String::new(), op, sources, operands }
}

fn elementwise(random: &mut Random, source: usize) -> (Op, Vec<usize>, Operands) {
    let activation = random.pick(&[
        Activation::Relu,
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSwish,
        Activation::Clip { min: -0.5, max: 0.7 },
    ]);
    let op = if random.one_in(12) { Op::Identity } else { Op::Activation(activation) };
    (op, vec![source], Operands::None)
}

/// Two values become one: those of one shape, or of which one broadcasts to the other.
fn join(random: &mut Random, shapes: &[Vec<usize>], source: usize) -> (Op, Vec<usize>, Operands) {
    let x = &shapes[source];
    let fits = |other: &usize| {
        let y = &shapes[*other];
        y.len() == x.len() && y.iter().zip(x).all(|(a, b)| a == b || *a == 1 || *b == 1)
    };
    let other = random.pick(&(0..shapes.len()).filter(fits).collect::<Vec<_>>());
    let op = match random.below(6) {
        0..=2 => Op::Binary(Binary::Add),
        3 => Op::Binary(random.pick(&[Binary::Sub, Binary::Mul])),
        _ => Op::Concat(Concat { axis: random.pick(&[1, 1, -1]) }),
    };
    (op, vec![source, other], Operands::None)
}

fn binary(random: &mut Random) -> Binary {
    random.pick(&[Binary::Add, Binary::Sub, Binary::Mul, Binary::Div])
}

/// A shape without the batch, some extents of which are 1.
fn broadcast(random: &mut Random, x: &[usize]) -> Vec<usize> {
    x.iter().skip(1).map(|&size| if random.one_in(2) { 1 } else { size }).collect()
}

fn shaping(random: &mut Random, x: &[usize]) -> Op {
    let rank = x.len();
    match random.below(6) {
        0 if rank == 4 => {
            Op::Transpose(Transpose { perm: random.pick(&[vec![0, 1, 3, 2], vec![0, 2, 3, 1]]) })
        }
        0 if rank == 3 => Op::Transpose(Transpose { perm: vec![0, 2, 1] }),
        1 => Op::Flatten(Flatten { axis: 1 }),
        2 if rank == 4 => Op::Reshape(Reshape { shape: vec![0, 0, -1], allow_zero: false }),
        2 if rank == 3 => Op::Unsqueeze(Unsqueeze { axes: vec![random.pick(&[1, 2, 3])] }),
        3 if rank == 4 => Op::Squeeze(Squeeze { axes: vec![random.pick(&[2, 3])] }),
        _ => {
            let kind = random.pick(&[ReduceKind::Mean, ReduceKind::Sum]);
            let axes = random.pick(&[vec![-1], vec![1], vec![2], vec![1, 2]]);
            Op::Reduce(Reduce { kind, axes, keepdims: rank < 4 || random.one_in(2) })
        }
    }
}

fn window(random: &mut Random, axes: usize, pads_below_kernel: bool) -> Window {
    let kernel_shape: Vec<usize> = (0..axes).map(|_| random.within(1, 3)).collect();
    let strides = (0..axes).map(|_| random.pick(&[1, 1, 1, 2, 3])).collect();
    // A dilated window in the padding could see no pixel.
    let dilations =
        (0..axes).map(|_| if pads_below_kernel { 1 } else { random.pick(&[1, 1, 1, 2]) }).collect();
    let pads = (0..2 * axes).map(|side| random.below(kernel_shape[side % axes])).collect();
    Window { kernel_shape, strides, dilations, pads }
}

fn conv(random: &mut Random, source: usize, x: &[usize]) -> (Op, Vec<usize>, Operands) {
    let (axes, channels) = (x.len() - 2, x[1]);
    let groups: Vec<usize> = (1..=channels).filter(|&group| channels.is_multiple_of(group)).collect();
    let group = if random.one_in(2) { 1 } else { random.pick(&groups) };
    let out = group * random.within(1, (6 / group).max(1));
    let window = window(random, axes, false);
    let op = if random.one_in(4) {
        let output_padding = window.strides.iter().map(|&stride| random.below(stride)).collect();
        Op::ConvTranspose(ConvTranspose { window, group, output_padding })
    } else {
        Op::Conv(Conv { window, group })
    };
    (op, vec![source], Operands::Layer { out, bias: random.one_in(2) })
}

fn of_picture(random: &mut Random, x: &[usize]) -> Op {
    let axes = x.len() - 2;
    match random.below(10) {
        0 | 1 => Op::MaxPool(MaxPool { window: window(random, axes, true), ceil_mode: random.one_in(3) }),
        2 | 3 => {
            let window = window(random, axes, true);
            Op::AveragePool(AveragePool {
                window,
                ceil_mode: random.one_in(3),
                count_include_pad: random.one_in(2),
            })
        }
        4 => random.pick(&[Op::GlobalAveragePool, Op::GlobalMaxPool]),
        5 => Op::Lrn(Lrn { size: random.within(1, 5), alpha: 0.2, beta: 0.75, bias: 1.0 }),
        6 | 7 => {
            let mode = random.pick(&[
                PadMode::Constant(0.0),
                PadMode::Constant(0.5),
                PadMode::Reflect,
                PadMode::Edge,
                PadMode::Wrap,
            ]);
            let side = |random: &mut Random| {
                [0, 0].into_iter().chain((0..axes).map(|_| random.below(4) as i64 - 1)).collect::<Vec<_>>()
            };
            Op::Pad(Pad { mode, pads: [side(random), side(random)].concat() })
        }
        _ => {
            let mode = random.pick(&[
                ResizeMode::Linear { antialias: false },
                ResizeMode::Linear { antialias: false },
                ResizeMode::Nearest(NearestMode::RoundPreferFloor),
                ResizeMode::Nearest(NearestMode::Floor),
            ]);
            let coordinates = random.pick(&[
                CoordinateMode::HalfPixel,
                CoordinateMode::AlignCorners,
                CoordinateMode::Asymmetric,
            ]);
            let target = if random.one_in(2) {
                ResizeTarget::Scales((0..axes).map(|_| random.pick(&[0.5, 1.5, 2.0])).collect())
            } else {
                ResizeTarget::Sizes((0..axes).map(|_| random.within(1, 7)).collect())
            };
            Op::Resize(Resize { mode, coordinates, target })
        }
    }
}

/// The head: mostly all open branches, flattened, a fully connected layer and a loss; sometimes no loss, sometimes a loss
/// per pixel of the newest value.
fn finish(random: &mut Random, growing: &mut Growing) {
    let push = |growing: &mut Growing, op: Op, sources: Vec<usize>, operands: Operands| {
        growing.push(Step { name: String::new(), op, sources, operands });
        growing.values.len() - 1
    };
    let ending = random.below(8);
    let mut newest = growing.values.len() - 1;
    if ending > 0 || growing.recipe.steps.len() < 2 {
        let mut branches = growing.unread();
        for branch in &mut branches {
            *branch = push(growing, Op::Flatten(Flatten { axis: 1 }), vec![*branch], Operands::None);
        }
        newest = match branches[..] {
            [branch] => branch,
            _ => push(growing, Op::Concat(Concat { axis: 1 }), branches, Operands::None),
        };
        let layer = Operands::Layer { out: random.within(2, 5), bias: random.one_in(2) };
        newest = push(growing, Op::Gemm(Gemm { trans_b: true, ..Gemm::default() }), vec![newest], layer);
    }
    if ending < 7 || growing.recipe.steps.len() < 3 {
        let loss = SoftmaxCrossEntropyLoss {
            reduction: random.pick(&[Reduction::Mean, Reduction::Mean, Reduction::Sum, Reduction::None]),
            ignore_index: random.pick(&[None, None, Some(0)]),
            label_smoothing: random.pick(&[0.0, 0.0, 0.1]),
            target: random.pick(&[Target::Classes, Target::Classes, Target::Probabilities]),
        };
        let operands = Operands::Loss { weighted: random.one_in(3) };
        push(growing, Op::SoftmaxCrossEntropyLoss(loss), vec![newest], operands);
    }
}
