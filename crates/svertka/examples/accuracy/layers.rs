//! Errors of each 3x3 convolution of a trained network, on what its layers see of real pictures.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::thread;

use svertka::engine::cpu::{Input, Purpose, Workspace, lower};
use svertka::engine::reference::{Array, evaluate};
use svertka::engine::{Machine, RunKey, State};
use svertka::graph::op::{Conv, SoftmaxCrossEntropyLoss};
use svertka::graph::surgery::extract;
use svertka::graph::{
    DataType, Dim, Graph, Initialiser, Node, Op, Parameter, Parameters, Role, Rules, Shape, Sizes, Tensor,
    TensorType, ValueId, differentiate, onnx, training_form, with_loss,
};
use svertka::image::{Channels, Filter, Size, decode};
use svertka::kernels::conv::Algorithms;

/// Limits of the largest error over the output's root mean square: where every product of the definition is added up, and
/// by tiles.
const DIRECT: f64 = 1e-5;
const TILES: f64 = 3e-5;

const PASSES: [&str; 3] = ["forward", "dx", "dw"];

/// A convolution among its neighbours: what it reads, its weights, and the gradient of the loss by its output.
struct Layer {
    name: String,
    conv: Conv,
    x: Tensor,
    weight: Tensor,
    dy: Tensor,
}

/// What a pass of a layer came to, over the root mean square of the twin.
struct Found {
    algorithm: &'static str,
    /// The largest error, and the root mean square of all.
    errors: [f64; 2],
    /// The twin's largest value.
    largest: f64,
}

impl Found {
    fn holds(&self) -> bool {
        self.errors[0] <= if self.algorithm.starts_with("winograd") { TILES } else { DIRECT }
    }
}

/// Prints the errors of every 3x3 convolution and fails if one is above its limit.
pub(crate) fn check(file: &str, pictures: &[&str]) -> Result<(), Box<dyn Error>> {
    let (graph, parameters) = onnx::load(file)?;
    println!("| layer | pass | direct: largest, rms | tiles: largest, rms | largest output |");
    println!("|---|---|---|---|---|");
    let mut holds = true;
    for layer in layers(&graph, &parameters, pictures)? {
        for (pass, [direct, tiles]) in PASSES.into_iter().zip(layer.errors()?) {
            let [a, b] =
                [&direct, &tiles].map(|found| found.errors.map(|error| format!("{error:.1e}")).join(", "));
            println!("| {} | {pass} | {a} | {b} | {:.0} |", layer.name, direct.largest);
            holds &= direct.holds() && tiles.holds();
        }
    }
    if holds {
        Ok(())
    } else {
        Err(format!("a limit ({DIRECT:e} direct, {TILES:e} by tiles) is passed").into())
    }
}

/// Every 3x3 convolution with its operands in a step of training on these pictures, of the first two classes in turn.
fn layers(graph: &Graph, parameters: &Parameters, pictures: &[&str]) -> Result<Vec<Layer>, Box<dyn Error>> {
    let scores = graph.nodes().iter().rev().find(|node| matches!(node.op, Op::Softmax { .. }));
    let scores = graph.value(scores.ok_or("the network ends in no softmax")?.inputs[0]).name.clone();
    let form = training_form(&with_loss(graph, &scores, SoftmaxCrossEntropyLoss::default(), None)?)?.graph;
    let convolutions: Vec<&Node> = form.nodes().iter().filter(|node| conv(node).is_some()).collect();
    let outputs: Vec<ValueId> = convolutions.iter().map(|node| node.outputs[0]).collect();
    let derived = differentiate(&form, &[form.expect("loss")?], &outputs, &Rules::default())?;
    let dy = derived.gradients.iter().map(|id| id.ok_or("the loss does not depend on a layer"));
    let dy = dy.collect::<Result<Vec<ValueId>, _>>()?;
    let x = convolutions.iter().map(|node| node.inputs[0]);
    let graph = extract(&derived.graph, &x.zip(dy).flat_map(|(x, dy)| [x, dy]).collect::<Vec<_>>())?;

    let images = images(&graph, pictures)?;
    let classes: Vec<i64> = (0..pictures.len() as i64).map(|picture| picture % 2).collect();
    let inputs = [Input::F32(&images), Input::I64(&classes)];
    let run = run(&graph, parameters, &Sizes::batch(pictures.len()), &inputs, Algorithms::Fastest)?;
    let mut values = run.outputs.into_iter();
    let layer = |node: &Node| {
        let (x, dy) = (values.next()?, values.next()?);
        let weight = parameters.get(&form.value(node.inputs[1]).name)?.clone();
        Some(Layer { name: node.name.clone(), conv: conv(node)?.clone(), x, weight, dy })
    };
    convolutions
        .into_iter()
        .map(layer)
        .collect::<Option<Vec<Layer>>>()
        .ok_or_else(|| "a layer has no weights".into())
}

fn conv(node: &Node) -> Option<&Conv> {
    match &node.op {
        Op::Conv(conv) if conv.window.kernel_shape == [3, 3] => Some(conv),
        _ => None,
    }
}

/// The pictures as the network's first input takes them.
fn images(graph: &Graph, pictures: &[&str]) -> Result<Vec<f32>, Box<dyn Error>> {
    let shape = graph.inputs().first().map(|&image| graph.shape(image)).ok_or("the network has no input")?;
    let extents: Vec<usize> = shape.iter().filter_map(Dim::fixed).collect();
    let [3, height, width] = extents[..] else { return Err(format!("the input is {shape}").into()) };
    let mut planes = vec![0.0; pictures.len() * 3 * height * width];
    for (file, planes) in pictures.iter().zip(planes.chunks_mut(3 * height * width)) {
        let picture = Channels::Rgb.convert(decode(&fs::read(file)?)?)?;
        picture.resize(Size { width, height }, Filter::default())?.write_planar(planes);
    }
    Ok(planes)
}

/// What a program puts out, and the algorithm of its last convolution.
struct Ran {
    outputs: Vec<Tensor>,
    algorithm: &'static str,
}

fn run(
    graph: &Graph,
    parameters: &Parameters,
    sizes: &Sizes,
    inputs: &[Input<'_>],
    convolutions: Algorithms,
) -> Result<Ran, Box<dyn Error>> {
    let needed = graph
        .parameters()
        .filter_map(|(_, value, _)| Some((value.name.clone(), parameters.get(&value.name)?.clone())));
    let state = State::new(graph, &needed.collect())?;
    let mut workspace = Workspace::new(Machine { convolutions, ..Machine::new(0) });
    let program = Arc::new(lower(graph, &Purpose::Inference)?).bind(sizes, &state, &mut workspace)?;
    program.infer(&mut workspace, &state, inputs)?;
    let shapes = graph.concrete_shapes(sizes)?;
    let tensor = |&id: &ValueId| {
        let values = program.output(&workspace, &graph.value(id).name)?.to_vec();
        Tensor::f32(&shapes[id.index()], values).ok_or_else(|| "an output does not fit its shape".into())
    };
    let outputs = graph.outputs().iter().map(tensor).collect::<Result<_, Box<dyn Error>>>()?;
    let algorithm = program.steps().iter().rev().find_map(|step| step.algorithm).unwrap_or_default();
    Ok(Ran { outputs, algorithm })
}

impl Layer {
    /// The errors of every pass, of direct sums and by tiles.
    fn errors(&self) -> Result<Vec<[Found; 2]>, Box<dyn Error>> {
        let passes = self.passes()?;
        let twin = |pass: &Graph| self.twin(pass).map_err(|error| error.to_string());
        let twins: Vec<Result<Vec<f64>, String>> = thread::scope(|scope| {
            let started: Vec<_> = passes.iter().map(|pass| scope.spawn(|| twin(pass))).collect();
            started
                .into_iter()
                .map(|twin| twin.join().unwrap_or_else(|_| Err("the twin panicked".into())))
                .collect()
        });
        let passes = passes.iter().zip(twins).map(|(pass, twin)| {
            let twin = twin?;
            Ok([self.error(pass, &twin, Algorithms::Direct)?, self.error(pass, &twin, Algorithms::Winograd)?])
        });
        passes.collect()
    }

    /// The convolution, the gradient of its input and that of its weights, each as a graph of `x`, `weight` and
    /// `gradient of y` that has one output.
    fn passes(&self) -> Result<[Graph; 3], Box<dyn Error>> {
        let mut graph = Graph::new();
        let x = graph.add_input("x", DataType::F32, Shape::fixed(self.x.shape()))?;
        let parameter =
            Parameter { role: Role::Weight, initialiser: Initialiser::Constant(0.0), frozen: false };
        let ty = TensorType::f32(Shape::fixed(self.weight.shape()));
        let weight = graph.add_parameter("weight", ty, parameter)?;
        let y = graph.add_node("y", Op::Conv(self.conv.clone()), &[x, weight])?[0];
        let derived = differentiate(&graph, &[y], &[x, weight], &Rules::default())?;
        let pass = |id: Option<ValueId>| {
            extract(&derived.graph, &[id.ok_or("no gradient")?]).map_err(Box::<dyn Error>::from)
        };
        Ok([pass(Some(y))?, pass(derived.gradients[0])?, pass(derived.gradients[1])?])
    }

    fn operand(&self, name: &str) -> &Tensor {
        if name == "x" { &self.x } else { &self.dy }
    }

    fn twin(&self, pass: &Graph) -> Result<Vec<f64>, Box<dyn Error>> {
        let names = pass.inputs().iter().map(|&id| pass.value(id).name.clone());
        let inputs: BTreeMap<String, Array> = names
            .map(|name| {
                let operand = self.operand(&name).into();
                (name, operand)
            })
            .collect();
        let values = evaluate(pass, &self.parameters(), &inputs, RunKey::default())?;
        Ok(values.of(pass.outputs()[0]).as_f64().ok_or("the twin's output is not real")?.to_vec())
    }

    fn error(&self, pass: &Graph, twin: &[f64], algorithms: Algorithms) -> Result<Found, Box<dyn Error>> {
        let names = pass.inputs().iter().map(|&id| pass.value(id).name.as_str());
        let inputs: Vec<Input<'_>> =
            names.map(|name| Input::F32(self.operand(name).as_f32().unwrap_or_default())).collect();
        let ran = run(pass, &self.parameters(), &Sizes::new(), &inputs, algorithms)?;
        let output = ran.outputs[0].as_f32().unwrap_or_default();
        let scale = rms(twin.iter().copied());
        let errors = || output.iter().zip(twin).map(|(&y, twin)| (f64::from(y) - twin).abs() / scale);
        let largest = twin.iter().fold(0.0, |largest: f64, y| largest.max(y.abs())) / scale;
        Ok(Found { algorithm: ran.algorithm, errors: [errors().fold(0.0, f64::max), rms(errors())], largest })
    }

    fn parameters(&self) -> Parameters {
        [("weight".to_owned(), self.weight.clone())].into_iter().collect()
    }
}

/// The root mean square.
fn rms(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}
