//! Networks that were made elsewhere get the face of ours: input `image`, pictures `[N, C, H, W]` of 0 to 255; outputs
//! `logits` and `probabilities`; any number of rows.

use crate::{Model, TaskError, metadata};
use svertka_graph::{
    DataType, Dim, Graph, GraphError, Initialiser, Op, Parameter, Parameters, Role, Shape, Tensor,
    TensorType, ValueId,
    op::{Binary, Conv, Window},
    surgery,
};
use svertka_image::{Affine, Preparation, Preprocess};

/// Whether a file says nothing of how a picture becomes its input: it was made elsewhere.
///
/// # Errors
/// [`TaskError::Metadata`] for what makes no sense.
pub fn is_foreign(graph: &Graph) -> Result<bool, TaskError> {
    Ok(metadata::input(graph)?.is_none())
}

/// `[C, H, W]` of the pictures that a network made elsewhere reads, in whatever order it reads them; an extent that it leaves
/// open is none.
///
/// # Errors
/// [`TaskError::Mismatch`] if it has several inputs, or its one input is no batch of pictures of known channels.
pub fn reads(graph: &Graph) -> Result<(usize, [Option<usize>; 2]), TaskError> {
    pictures(&surgery::channels_first(graph)?)
}

fn pictures(graph: &Graph) -> Result<(usize, [Option<usize>; 2]), TaskError> {
    let described = |&id: &ValueId| format!("`{}` ({})", graph.value(id).name, graph.value(id).ty);
    if let &[input] = graph.inputs()
        && let [_, channels, height, width] = &graph.shape(input)[..]
        && let Some(channels) = channels.fixed().filter(|&channels| channels > 0)
        && graph.value(input).ty.dtype == DataType::F32
    {
        return Ok((channels, [height.fixed(), width.fixed()]));
    }
    let found: Vec<String> = graph.inputs().iter().map(described).collect();
    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
    Err(TaskError::Mismatch(format!("the network reads {found}, not one batch of pictures [N, C, H, W]")))
}

/// A network made elsewhere as a model of ours. Tensors that were written once because they were equal are parameters of their
/// own, the batch is freed, channels are put in front, a softmax at its end is taken
/// out of what is trained, and the arithmetic of `preparation` becomes its first nodes. Classes are numbered.
///
/// `size` is `[height, width]` of the pictures that the preparation makes; it settles what the network leaves open.
///
/// # Errors
/// [`TaskError::Mismatch`] if the network reads no pictures of this size, or the arithmetic is for other channels;
/// [`TaskError::Graph`], which names the node, if the batch cannot be freed or there are no scores of classes.
pub fn adopt(
    graph: &Graph,
    parameters: Parameters,
    preparation: &Preparation,
    size: [usize; 2],
) -> Result<Model, TaskError> {
    let (graph, parameters) = surgery::own_parameters(graph, parameters)?;
    let graph = surgery::free_batch(&surgery::channels_first(&graph)?)?;
    let (channels, own) = pictures(&graph)?;
    if own.iter().zip(size).any(|(own, size)| own.is_some_and(|own| own != size)) {
        let [height, width] = size;
        let shape = graph.shape(graph.inputs()[0]);
        return Err(TaskError::Mismatch(format!(
            "pictures of {height} x {width}, but the network reads {shape}"
        )));
    }
    let affine = preparation.affine(channels).map_err(|error| TaskError::Mismatch(error.to_string()))?;
    let rows = graph.shape(graph.inputs()[0])[0].clone();
    let shape = [rows, channels.into(), size[0].into(), size[1].into()];
    let mut front = Front::new(Shape::new(shape), parameters)?;
    front.arithmetic(&affine)?;
    let graph = surgery::append(&front.graph, &surgery::classifier(&graph)?)?;
    model(graph, front.parameters, &preparation.pictures)
}

fn model(graph: Graph, mut parameters: Parameters, pictures: &Preprocess) -> Result<Model, TaskError> {
    let unused: Vec<String> = parameters
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| graph.find(name).is_none())
        .collect();
    unused.iter().for_each(|name| drop(parameters.remove(name)));
    let mut model = Model::new(graph, parameters)?;
    model.input.preprocess = pictures.clone();
    Ok(model)
}

/// What stands in front of a network.
struct Front {
    graph: Graph,
    parameters: Parameters,
    at: ValueId,
    channels: usize,
}

impl Front {
    fn new(shape: Shape, parameters: Parameters) -> Result<Self, GraphError> {
        let channels = shape.get(1).and_then(Dim::fixed).unwrap_or_default();
        let mut graph = Graph::new();
        let at = graph.add_input("image", DataType::F32, shape)?;
        graph.set_outputs(&[at]);
        Ok(Self { graph, parameters, at, channels })
    }

    fn arithmetic(&mut self, affine: &Affine) -> Result<(), GraphError> {
        if affine.reversed {
            self.reverse()?;
        }
        for (name, op, values, neutral) in
            [("subtract", Binary::Sub, &affine.subtract, 0.0), ("divide", Binary::Div, &affine.divide, 1.0)]
        {
            if values.iter().any(|&value| value != neutral) {
                self.binary(name, op, values)?;
            }
        }
        Ok(())
    }

    /// Channels the other way round: a 1×1 convolution that copies each, which is exact.
    fn reverse(&mut self) -> Result<(), GraphError> {
        let count = self.channels;
        let mut weight = vec![0.0; count * count];
        (0..count).for_each(|channel| weight[channel * count + count - 1 - channel] = 1.0);
        let shape = [count, count, 1, 1];
        let constant =
            Parameter { role: Role::Constant, initialiser: Initialiser::Constant(0.0), frozen: false };
        let name = "preprocess.bgr.weight";
        let id = self.graph.add_parameter(name, TensorType::f32(Shape::fixed(&shape)), constant)?;
        if let Some(weight) = Tensor::f32(&shape, weight) {
            self.parameters.insert(name, weight);
        }
        let conv = Conv { window: Window::new(&[1, 1]), group: 1 };
        self.add("preprocess.bgr", Op::Conv(conv), &[self.at, id])
    }

    /// Arithmetic with one number per channel.
    fn binary(&mut self, name: &str, op: Binary, values: &[f64]) -> Result<(), GraphError> {
        let values = values.iter().map(|&value| value as f32).collect();
        let Some(tensor) = Tensor::f32(&[1, self.channels, 1, 1], values) else { return Ok(()) };
        let name = format!("preprocess.{name}");
        let constant = self.graph.add_node(&format!("{name}.by"), Op::Constant(tensor), &[])?[0];
        self.add(&name, Op::Binary(op), &[self.at, constant])
    }

    fn add(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<(), GraphError> {
        self.at = self.graph.add_node(name, op, inputs)?[0];
        self.graph.set_outputs(&[self.at]);
        Ok(())
    }
}
