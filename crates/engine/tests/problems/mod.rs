//! Problems for engines: one table over all operators, and random networks from seeds. Whoever adds an operator adds its
//! problems here, and they are checked in every engine.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a panic here is a test's report")]

pub mod difference;
mod elementwise;
mod functions;
mod loss;
pub mod more;
mod moving;
pub mod network;
mod norm;
pub mod printed;
pub mod shrink;

mod product;
mod shaping;

mod window;

use std::collections::BTreeMap;
use svertka_engine::reference::{Array, Elements};
use svertka_graph::{
    DataType, Dim, Graph, Initialiser, Op, Parameter, Parameters, Role, Shape, Tensor, TensorType, ValueId,
    training_form,
};

/// A graph with values for its parameters and inputs. All of them are exact in f32.
#[derive(Clone, Debug)]
pub struct Problem {
    pub name: String,
    pub graph: Graph,
    pub parameters: Parameters,
    pub inputs: BTreeMap<String, Array>,
}

impl Problem {
    /// The graph as it stands, and in training form where that is another one.
    pub fn forms(&self) -> Vec<(String, Graph)> {
        let training = training_form(&self.graph).unwrap().graph;
        let mut forms = vec![(self.name.clone(), self.graph.clone())];
        if training != self.graph {
            forms.push((format!("{} (training)", self.name), training));
        }
        forms
    }
}

/// What gradients are taken of: inputs and parameters that are real numbers, but for targets.
pub fn differentiable(graph: &Graph) -> Vec<ValueId> {
    let leaves = graph.inputs().iter().copied().chain(graph.parameters().map(|(id, ..)| id));
    let real = |id: &ValueId| graph.value(*id).ty.dtype == DataType::F32 && graph.value(*id).name != "target";
    leaves.filter(real).collect()
}

/// Every problem of the table.
pub fn all() -> Vec<Problem> {
    [window::problems(), norm::problems(), product::problems(), elementwise::problems()]
        .into_iter()
        .chain([shaping::problems(), loss::problems(), functions::problems(), moving::problems()])
        .flatten()
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Uniform over [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What an operand is filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// From −2 to 2, all different and none 0, so that no maximum is tied and no value lies on a kink at 0.
    Distinct,
    /// From 0.5 to 2.
    Positive,
    /// From −0.4 to 0.4, for weights.
    Small,
    /// Class indices below this.
    Labels(usize),
    /// Truth values.
    Truths,
    /// Along axis 1, positive numbers whose sum is 1.
    Probabilities,
}

/// An input of the operator under test.
#[derive(Clone, Debug)]
pub struct Operand {
    shape: Vec<usize>,
    fill: Fill,
    /// The parameter's role; `None` for an input of the graph.
    role: Option<Role>,
    /// Whether the input's first axis is the symbol N.
    batch: bool,
}

/// An input whose first axis is the batch.
pub fn batch(shape: &[usize]) -> Operand {
    Operand { batch: true, ..input(shape) }
}

/// An input of known shape.
pub fn input(shape: &[usize]) -> Operand {
    Operand { shape: shape.to_vec(), fill: Fill::Distinct, role: None, batch: false }
}

/// A weight.
pub fn weight(shape: &[usize]) -> Operand {
    Operand { role: Some(Role::Weight), ..input(shape) }
}

/// A statistic that is positive, such as a variance.
pub fn statistic(shape: &[usize]) -> Operand {
    Operand { role: Some(Role::Statistic), fill: Fill::Positive, ..input(shape) }
}

impl Operand {
    pub fn filled(self, fill: Fill) -> Self {
        Self { fill, ..self }
    }
}

/// A problem of one operator; its first output is the graph's.
pub fn one(op: Op, operands: &[Operand]) -> Problem {
    let name = format!("{op:?} of {}", operands.iter().map(|o| format!("{:?}", o.shape)).collect::<String>());
    let mut assembly = Assembly::new(&name);
    let names = ["x", "y", "z", "mean", "var", "f"];
    let ids: Vec<ValueId> =
        operands.iter().zip(names).map(|(operand, name)| assembly.operand(name, operand)).collect();
    let outputs = assembly.graph.add_node("op", op, &ids).unwrap_or_else(|error| panic!("{name}: {error}"));
    assembly.finish(&outputs[..1])
}

/// A problem in the making. What an operand is filled with depends on the problem's and its own name.
#[derive(Clone)]
pub struct Assembly {
    pub graph: Graph,
    name: String,
    parameters: Parameters,
    inputs: BTreeMap<String, Array>,
}

impl Assembly {
    pub fn new(name: &str) -> Self {
        let (parameters, inputs) = Default::default();
        Self { graph: Graph::new(), name: name.to_owned(), parameters, inputs }
    }

    pub fn operand(&mut self, name: &str, operand: &Operand) -> ValueId {
        let bytes = self.name.bytes().chain(name.bytes());
        let seed = bytes.fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let elements = fill(operand.fill, &operand.shape, &mut Random(seed));
        let dtype = match (&elements, operand.fill) {
            (_, Fill::Truths) => DataType::Bool,
            (Elements::I64(_), _) => DataType::I64,
            (Elements::F64(_), _) => DataType::F32,
        };
        let shape = Shape::fixed(&operand.shape);
        if let Some(role) = operand.role {
            let parameter = Parameter { role, initialiser: Initialiser::Constant(0.0), frozen: false };
            self.parameters.insert(name, tensor(&operand.shape, &elements));
            return self.graph.add_parameter(name, TensorType { dtype, shape }, parameter).unwrap();
        }
        self.inputs.insert(name.to_owned(), Array::new(&operand.shape, elements).unwrap());
        let symbol = operand.batch.then(|| Dim::symbol("N"));
        let rest = shape.iter().skip(usize::from(operand.batch)).cloned();
        self.graph.add_input(name, dtype, symbol.into_iter().chain(rest).collect()).unwrap()
    }

    pub fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        self.graph.add_node(name, op, inputs).unwrap()[0]
    }

    pub fn finish(mut self, outputs: &[ValueId]) -> Problem {
        self.graph.set_outputs(outputs);
        let Self { graph, name, parameters, inputs } = self;
        Problem { name, graph, parameters, inputs }
    }
}

fn tensor(shape: &[usize], elements: &Elements) -> Tensor {
    match elements {
        Elements::F64(values) => Tensor::f32(shape, values.iter().map(|&x| x as f32).collect()).unwrap(),
        Elements::I64(values) => Tensor::i64(shape, values.clone()).unwrap(),
    }
}

fn fill(fill: Fill, shape: &[usize], random: &mut Random) -> Elements {
    let count: usize = shape.iter().product();
    let exact = |x: f64| f64::from(x as f32);
    let mut uniform = |low: f64, high: f64| {
        (0..count).map(|_| exact(low + (high - low) * random.unit())).collect::<Vec<f64>>()
    };
    match fill {
        Fill::Distinct => Elements::F64(distinct(count, random).into_iter().map(exact).collect()),
        Fill::Positive => Elements::F64(uniform(0.5, 2.0)),
        Fill::Small => Elements::F64(uniform(-0.4, 0.4)),
        Fill::Truths => Elements::I64((0..count).map(|_| random.below(2) as i64).collect()),
        Fill::Labels(classes) => Elements::I64((0..count).map(|_| random.below(classes) as i64).collect()),
        Fill::Probabilities => {
            let (mut values, classes) = (uniform(0.5, 2.0), shape[1]);
            let inner: usize = shape[2..].iter().product();
            for block in values.chunks_mut(classes * inner) {
                for i in 0..inner {
                    let sum: f64 = (0..classes).map(|class| block[class * inner + i]).sum();
                    (0..classes).for_each(|class| block[class * inner + i] /= sum);
                }
            }
            Elements::F64(values.into_iter().map(exact).collect())
        }
    }
}

/// One from each of as many equal parts of (−2, 2), shuffled. Random within its part, so that no sum of a few is a round
/// number; off the part's borders, so that no two are near each other, nor to 0.
fn distinct(count: usize, random: &mut Random) -> Vec<f64> {
    let step = 4.0 / count as f64;
    let mut values: Vec<f64> =
        (0..count).map(|i| (i as f64 + 0.2 + 0.25 * random.unit()) * step - 2.0).collect();
    for i in (1..count).rev() {
        values.swap(i, random.below(i + 1));
    }
    values
}
