//! From a graph to the boxes and arrows of a drawing.

use std::collections::HashMap;

use svertka_graph::op::{Binary, Window};
use svertka_graph::{Graph, Node, NodeId, Op, Origin, ValueId};
use svertka_report::{Diagram, Edge, Kind, Node as Drawn, thousands};

/// The drawing of a graph: a box per node, an arrow per value with its shape. Normalisations and activations stand
/// in the box of the layer before them unless `every_node` asks for their own.
pub(crate) fn diagram(graph: &Graph, title: &str, every_node: bool) -> Diagram {
    let summary = graph.summary();
    let parameters = summary.layers.iter().map(|layer| (layer.name.as_str(), layer.parameters)).collect();
    let mut drawing = Drawing {
        graph,
        every_node,
        parameters,
        boxes: Vec::new(),
        edges: Vec::new(),
        owner: HashMap::new(),
    };
    graph.inputs().iter().for_each(|&input| drawing.input(input));
    graph.nodes().iter().for_each(|node| drawing.node(node));
    graph.outputs().iter().for_each(|&output| drawing.output(output));
    let subtitle = format!("{} parameters", thousands(summary.parameters));
    let nodes = drawing.boxes.into_iter().map(Boxed::drawn).collect();
    Diagram { title: title.into(), subtitle, nodes, edges: drawing.edges }
}

/// A box in the making.
struct Boxed {
    words: Vec<String>,
    window: Option<String>,
    parameters: u64,
    kind: Kind,
}

impl Boxed {
    fn new(word: impl Into<String>, kind: Kind) -> Self {
        Self { words: vec![word.into()], window: None, parameters: 0, kind }
    }

    fn drawn(self) -> Drawn {
        let count = (self.parameters > 0).then(|| format!("{} parameters", thousands(self.parameters)));
        Drawn {
            title: self.words.join(" + "),
            details: self.window.into_iter().chain(count).collect(),
            kind: self.kind,
        }
    }
}

struct Drawing<'g> {
    graph: &'g Graph,
    every_node: bool,
    parameters: HashMap<&'g str, u64>,
    boxes: Vec<Boxed>,
    edges: Vec<Edge>,
    /// The box that each drawn value comes out of.
    owner: HashMap<ValueId, usize>,
}

impl<'g> Drawing<'g> {
    fn input(&mut self, id: ValueId) {
        let value = self.graph.value(id);
        self.owner.insert(id, self.boxes.len());
        let dtype = Some(value.ty.dtype.to_string());
        self.boxes.push(Boxed { window: dtype, ..Boxed::new(value.name.as_str(), Kind::Input) });
    }

    fn output(&mut self, id: ValueId) {
        let Some(&from) = self.owner.get(&id) else { return };
        let to = self.boxes.len();
        self.boxes.push(Boxed::new(self.graph.value(id).name.as_str(), Kind::Output));
        self.edges.push(self.edge(from, to, id));
    }

    fn node(&mut self, node: &'g Node) {
        if matches!(node.op, Op::Constant(_)) {
            return;
        }
        let index = match self.host(node) {
            Some(host) => host,
            None => self.own_box(node),
        };
        self.boxes[index].parameters += self.parameters.get(node.name.as_str()).copied().unwrap_or(0);
        self.owner.extend(node.outputs.iter().map(|&output| (output, index)));
    }

    /// The box that a node's word is added to, if it does not get its own.
    fn host(&mut self, node: &Node) -> Option<usize> {
        let input = *node.inputs.first()?;
        let host = *self.owner.get(&input)?;
        let fits = match (&node.op, self.graph.producer(input).map(|before| &before.op)) {
            (Op::BatchNormalization(_), Some(Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_))) => true,
            (Op::Activation(_), Some(_)) => true,
            (Op::Binary(Binary::Div), Some(Op::Binary(Binary::Sub))) => self.with_constant(node),
            _ => false,
        };
        if self.every_node || !fits || self.readers(input) != 1 {
            return None;
        }
        let words = &mut self.boxes[host].words;
        match &node.op {
            Op::Binary(_) => *words = vec!["Normalise".into()],
            op => words.push(short_name(op).into()),
        }
        Some(host)
    }

    fn own_box(&mut self, node: &Node) -> usize {
        let to = self.boxes.len();
        let mut boxed = Boxed::new(short_name(&node.op), self.kind(node));
        boxed.window = self.window(node);
        self.boxes.push(boxed);
        for &input in &node.inputs {
            if let Some(&from) = self.owner.get(&input) {
                self.edges.push(self.edge(from, to, input));
            }
        }
        to
    }

    fn edge(&self, from: usize, to: usize, value: ValueId) -> Edge {
        Edge { from, to, label: self.graph.shape(value).to_string() }
    }

    /// How many nodes and outputs of the graph read a value.
    fn readers(&self, id: ValueId) -> usize {
        let nodes = self.graph.nodes().iter().flat_map(|node| &node.inputs);
        nodes.chain(self.graph.outputs()).filter(|&&read| read == id).count()
    }

    fn with_constant(&self, node: &Node) -> bool {
        node.inputs.iter().any(|&input| match self.graph.value(input).origin {
            Origin::Node { node, .. } => self.is_constant(node),
            _ => false,
        })
    }

    fn is_constant(&self, node: NodeId) -> bool {
        matches!(self.graph.node(node).op, Op::Constant(_))
    }

    fn kind(&self, node: &Node) -> Kind {
        match &node.op {
            Op::Conv(_) | Op::ConvTranspose(_) => Kind::Convolution,
            Op::MaxPool(_) | Op::AveragePool(_) | Op::GlobalAveragePool | Op::GlobalMaxPool => Kind::Pooling,
            Op::BatchNormalization(_) | Op::Lrn(_) => Kind::Normalisation,
            Op::Binary(_) if self.with_constant(node) => Kind::Normalisation,
            Op::Gemm(_) | Op::MatMul => Kind::Dense,
            Op::Activation(_) | Op::Softmax { .. } | Op::LogSoftmax { .. } => Kind::Activation,
            Op::Binary(_) | Op::Concat(_) => Kind::Join,
            _ => Kind::Other,
        }
    }

    /// The line below a box's title: a kernel and what is unusual about it, or the widths of a matrix.
    fn window(&self, node: &Node) -> Option<String> {
        match &node.op {
            Op::Conv(conv) => Some(window_text(&conv.window) + &groups(conv.group)),
            Op::ConvTranspose(conv) => Some(window_text(&conv.window)),
            Op::MaxPool(pool) => Some(window_text(&pool.window)),
            Op::AveragePool(pool) => Some(window_text(&pool.window)),
            Op::Dropout(dropout) => Some(format!("p = {}", dropout.ratio)),
            Op::Gemm(_) => {
                let width = |id: ValueId| Some(self.graph.shape(id).last()?.to_string());
                Some(format!("{} → {}", width(node.inputs[0])?, width(node.outputs[0])?))
            }
            _ => None,
        }
    }
}

fn short_name(op: &Op) -> &'static str {
    match op {
        Op::BatchNormalization(_) => "BatchNorm",
        op => op.name(),
    }
}

/// `5×5, stride 2, padding 2`; what is 1, 0 or none is left out.
fn window_text(window: &Window) -> String {
    let mut text = by(&window.kernel_shape);
    let unusual = |word: &str, values: &[usize], usual: usize| match values {
        values if values.iter().all(|&value| value == usual) => String::new(),
        [first, rest @ ..] if rest.iter().all(|value| value == first) => format!(", {word} {first}"),
        values => format!(", {word} {}", by(values)),
    };
    text += &unusual("stride", &window.strides, 1);
    text += &unusual("dilation", &window.dilations, 1);
    text + &unusual("padding", &window.pads, 0)
}

fn groups(group: usize) -> String {
    if group == 1 { String::new() } else { format!(", {group} groups") }
}

fn by(values: &[usize]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(name: &str, every_node: bool) -> Diagram {
        let card = svertka_zoo::find(name).unwrap();
        diagram(&card.build(&card.options()).unwrap(), name, every_node)
    }

    #[test]
    fn lenet_is_drawn_layer_by_layer() {
        let diagram = drawn("lenet5", false);
        let titles: Vec<&str> = diagram.nodes.iter().map(|node| node.title.as_str()).collect();
        let expected = [
            "image",
            "Normalise",
            "Conv + Relu",
            "MaxPool",
            "Conv + Relu",
            "MaxPool",
            "Flatten",
            "Gemm + Relu",
            "Gemm + Relu",
            "Gemm",
            "Softmax",
            "logits",
            "probabilities",
        ];
        assert_eq!(titles, expected);
        assert_eq!(diagram.nodes[2].details, ["5×5, padding 2", "156 parameters"]);
        assert_eq!(diagram.nodes[7].details, ["400 → 120", "48,120 parameters"]);
        assert_eq!(diagram.edges[1].label, "N×1×28×28");
        assert_eq!(diagram.edges.len(), 12);
    }

    #[test]
    fn every_skip_of_a_residual_network_is_an_arrow() {
        let diagram = drawn("resnet18", false);
        let sums: Vec<usize> =
            (0..diagram.nodes.len()).filter(|&i| diagram.nodes[i].title == "Add + Relu").collect();
        assert_eq!(sums.len(), 8);
        for sum in sums {
            assert_eq!(diagram.edges.iter().filter(|edge| edge.to == sum).count(), 2);
        }
        assert_eq!(diagram.nodes.iter().filter(|node| node.kind == Kind::Convolution).count(), 20);
    }

    #[test]
    fn every_node_can_have_its_box() {
        let card = svertka_zoo::find("resnet18").unwrap();
        let graph = card.build(&card.options()).unwrap();
        let nodes = graph.nodes().iter().filter(|node| !matches!(node.op, Op::Constant(_))).count();
        assert_eq!(drawn("resnet18", true).nodes.len(), nodes + 3);
    }
}
