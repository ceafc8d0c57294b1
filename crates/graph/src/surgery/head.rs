use super::Rewrite;
use crate::{
    Dim, Graph, GraphError, Initialiser, Node, Op, Parameter, Role, Shape, TensorType, ValueId,
    op::{Binary, Reshape},
};

/// The graph with another last layer: the fully connected layer or 1×1 convolution that computes `logits`
/// (the first output, if there is none) gets `classes` outputs. Its parameters keep their names and get
/// PyTorch's default initialisers, uniform on ±1/√fan_in; the values that one has for them no longer fit.
///
/// # Errors
/// [`GraphError::Surgery`] if there is no such layer, [`GraphError::Node`] if something behind it needs the
/// old number.
pub fn replace_head(graph: &Graph, classes: usize) -> Result<Graph, GraphError> {
    if classes == 0 {
        return Err(GraphError::Surgery("a head needs at least one class".to_owned()));
    }
    let head = Head::find(graph)?;
    let mut rewrite = Rewrite::new(graph, Graph::new());
    rewrite.run(
        |id| !head.parameters.contains(&id),
        |rewrite, node| {
            for &id in node.inputs.iter().filter(|id| head.parameters.contains(id)) {
                head.add_parameter(rewrite, graph, id, classes)?;
            }
            rewrite.copy(&head.fit(node, classes))
        },
    )?;
    rewrite.finish(graph.outputs())
}

/// What the last layer of a classifier is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLayer {
    /// The name of its weight.
    pub weight: String,
    /// `Gemm`, `MatMul` or `Conv`.
    pub op: &'static str,
    /// How many numbers it reads for each class.
    pub features: usize,
    /// How many classes it tells apart.
    pub classes: usize,
}

/// The layer that [`replace_head`] would replace.
///
/// # Errors
/// [`GraphError::Surgery`] if there is none.
pub fn last_layer(graph: &Graph) -> Result<LastLayer, GraphError> {
    let Head { weight, op, classes, fan_in, .. } = Head::find(graph)?;
    Ok(LastLayer { weight: graph.value(weight).name.clone(), op, features: fan_in, classes })
}

/// The last layer of a classifier.
struct Head {
    /// Its weight and, where they are parameters, its biases.
    parameters: Vec<ValueId>,
    weight: ValueId,
    op: &'static str,
    /// Which axis of the weight counts the classes.
    class_axis: usize,
    classes: usize,
    fan_in: usize,
    /// First outputs of the nodes between the layer and the logits.
    behind: Vec<ValueId>,
}

impl Head {
    /// Walks from the logits towards the input, through everything that leaves classes as they are.
    fn find(graph: &Graph) -> Result<Self, GraphError> {
        let logits = graph.find("logits").or_else(|| graph.outputs().first().copied());
        let mut at = logits.ok_or_else(|| GraphError::Surgery("the graph puts nothing out".to_owned()))?;
        let (mut behind, mut parameters) = (Vec::new(), Vec::new());
        while let Some(node) = graph.producer(at) {
            if let Some((class_axis, classes, fan_in)) = weighted(graph, node) {
                let (weight, others) = (node.inputs[1], node.inputs[1..].iter().copied());
                parameters.extend(others.filter(|&id| is_parameter(graph, id)));
                let op = node.op.name();
                return Ok(Self { parameters, weight, op, class_axis, classes, fan_in, behind });
            }
            behind.push(at);
            at = match &node.op {
                Op::Binary(Binary::Add) => {
                    let bias = node.inputs.iter().position(|&id| is_parameter(graph, id));
                    let Some(bias) = bias else { break };
                    parameters.push(node.inputs[bias]);
                    node.inputs[1 - bias]
                }
                op if keeps_classes(op) => node.inputs[0],
                _ => break,
            };
        }
        Err(not_found(graph, at))
    }

    fn add_parameter(
        &self,
        rewrite: &mut Rewrite<'_>,
        graph: &Graph,
        id: ValueId,
        classes: usize,
    ) -> Result<(), GraphError> {
        let value = graph.value(id);
        let counts = |dim: &Dim| *dim == self.classes.into();
        let axis = match value.ty.shape.iter().rposition(counts) {
            _ if id == self.weight => Some(self.class_axis),
            // The biases of a convolution that are added by a node of their own are [C, 1, 1].
            axis => axis,
        };
        let old = value.ty.shape.iter().enumerate();
        let shape: Shape =
            old.map(|(at, dim)| if Some(at) == axis { classes.into() } else { dim.clone() }).collect();
        let bound = (self.fan_in.max(1) as f64).sqrt().recip() as f32;
        let initialiser = Initialiser::Uniform { bound };
        let fresh = Parameter { role: Role::Weight, initialiser, frozen: false };
        let image = rewrite.graph.add_parameter(&value.name, TensorType::f32(shape), fresh)?;
        rewrite.replace(id, image);
        Ok(())
    }

    /// A node of the old graph as it fits the new number of classes.
    fn fit(&self, node: &Node, classes: usize) -> Node {
        let mut node = node.clone();
        if let (Op::Reshape(Reshape { shape, .. }), true) =
            (&mut node.op, self.behind.contains(&node.outputs[0]))
        {
            let old = shape.iter_mut().filter(|extent| **extent == self.classes as i64);
            old.for_each(|extent| *extent = classes as i64);
        }
        node
    }
}

/// If the node can be a last layer (its weight is a parameter, and a convolution's kernel has one tap): which
/// axis of the weight counts the classes, how many there are, and its fan_in.
fn weighted(graph: &Graph, node: &Node) -> Option<(usize, usize, usize)> {
    let weight = *node.inputs.get(1).filter(|&&id| is_parameter(graph, id))?;
    let sizes = graph.shape(weight).sizes()?;
    let axis = match &node.op {
        Op::Gemm(gemm) => usize::from(!gemm.trans_b),
        Op::MatMul if sizes.len() == 2 => 1,
        Op::Conv(conv) if sizes[2..].iter().all(|&extent| extent == 1) && conv.group == 1 => 0,
        _ => return None,
    };
    let fan_in = sizes.iter().product::<usize>().checked_div(sizes[axis])?;
    Some((axis, sizes[axis], fan_in))
}

fn is_parameter(graph: &Graph, id: ValueId) -> bool {
    graph.value(id).parameter().is_some()
}

fn keeps_classes(op: &Op) -> bool {
    matches!(
        op,
        Op::Softmax { .. }
            | Op::LogSoftmax { .. }
            | Op::Activation(_)
            | Op::Dropout(_)
            | Op::Identity
            | Op::Flatten(_)
            | Op::Reshape(_)
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::AveragePool(_)
            | Op::GlobalAveragePool
            | Op::GlobalMaxPool
            | Op::Reduce(_)
    )
}

/// A value as an error tells it: `w [10×3×3×3]`.
fn described(graph: &Graph, id: ValueId) -> String {
    let value = graph.value(id);
    format!("{} [{}]", value.name, value.ty.shape)
}

fn not_found(graph: &Graph, at: ValueId) -> GraphError {
    let value = graph.value(at);
    let found = match graph.producer(at) {
        Some(node) => {
            let inputs: Vec<String> = node.inputs.iter().map(|&id| described(graph, id)).collect();
            format!("`{}`, made by `{}` ({}) of {}", value.name, node.name, node.op.name(), inputs.join(", "))
        }
        None => format!("`{}`, which no node makes", value.name),
    };
    GraphError::Surgery(format!(
        "no head to replace: looked from the logits for a Gemm, a MatMul or a 1×1 Conv whose weight is a \
         parameter, and got no further than {found}"
    ))
}
