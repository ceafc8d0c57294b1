//! Geometry of the drawings of known networks.

use super::labels::{on_curve, overlap};
use super::place::{Placed, place};
use super::*;
use crate::svg::Rect;

/// Builds diagrams like a program: each node follows named others.
#[derive(Default)]
struct Builder {
    diagram: Diagram,
    shapes: Vec<String>,
    /// Norm and activation are drawn in the box of their convolution.
    fused: bool,
}

impl Builder {
    fn node(&mut self, kind: Kind, title: &str, details: &[&str], shape: &str, inputs: &[usize]) -> usize {
        let to = self.diagram.nodes.len();
        let details = details.iter().map(ToString::to_string).collect();
        self.diagram.nodes.push(Node { title: title.into(), details, kind });
        self.shapes.push(shape.into());
        let edges = inputs.iter().map(|&from| Edge { from, to, label: self.shapes[from].clone() });
        self.diagram.edges.extend(edges);
        to
    }

    fn chain(&mut self, nodes: &[(Kind, &str, &[&str], &str)]) {
        for (kind, title, details, shape) in nodes {
            let last = self.diagram.nodes.len().checked_sub(1);
            self.node(*kind, title, details, shape, last.as_slice());
        }
    }

    fn conv(&mut self, input: usize, kernel: &str, channels: usize, size: usize, activation: bool) -> usize {
        let shape = format!("N×{channels}×{size}×{size}");
        let width = format!("{channels} channels");
        if self.fused {
            let title = if activation { "Conv + Norm + Relu" } else { "Conv + Norm" };
            return self.node(Kind::Convolution, title, &[kernel, &width], &shape, &[input]);
        }
        let conv = self.node(Kind::Convolution, "Conv", &[kernel, &width], &shape, &[input]);
        let norm = self.node(Kind::Normalisation, "BatchNormalization", &[], &shape, &[conv]);
        if activation { self.node(Kind::Activation, "Relu", &[], &shape, &[norm]) } else { norm }
    }

    fn block(&mut self, input: usize, channels: usize, size: usize, stride: usize) -> usize {
        let first = self.conv(input, &format!("3×3, stride {stride}"), channels, size, true);
        let second = self.conv(first, "3×3", channels, size, false);
        let skip =
            if stride == 2 { self.conv(input, "1×1, stride 2", channels, size, false) } else { input };
        let shape = format!("N×{channels}×{size}×{size}");
        let sum = self.node(Kind::Join, "Add", &[], &shape, &[second, skip]);
        self.node(Kind::Activation, "Relu", &[], &shape, &[sum])
    }
}

fn lenet() -> Diagram {
    let mut builder = Builder::default();
    builder.chain(&[
        (Kind::Input, "image", &["float32"], "N×1×28×28"),
        (Kind::Convolution, "Conv", &["5×5, padding 2", "156 parameters"], "N×6×28×28"),
        (Kind::Activation, "Relu", &[], "N×6×28×28"),
        (Kind::Pooling, "MaxPool", &["2×2, stride 2"], "N×6×14×14"),
        (Kind::Convolution, "Conv", &["5×5", "2,416 parameters"], "N×16×10×10"),
        (Kind::Activation, "Relu", &[], "N×16×10×10"),
        (Kind::Pooling, "MaxPool", &["2×2, stride 2"], "N×16×5×5"),
        (Kind::Other, "Flatten", &[], "N×400"),
        (Kind::Dense, "Gemm", &["400 → 120", "48,120 parameters"], "N×120"),
        (Kind::Dense, "Gemm", &["120 → 84", "10,164 parameters"], "N×84"),
        (Kind::Dense, "Gemm", &["84 → 10", "850 parameters"], "N×10"),
        (Kind::Output, "probabilities", &["Softmax"], ""),
    ]);
    Diagram { title: "LeNet-5".into(), subtitle: "61,706 parameters".into(), ..builder.diagram }
}

fn resnet18(fused: bool) -> Diagram {
    let mut builder = Builder { fused, ..Builder::default() };
    let image = builder.node(Kind::Input, "image", &["float32"], "N×3×224×224", &[]);
    let stem = builder.conv(image, "7×7, stride 2, padding 3", 64, 112, true);
    let mut last = builder.node(Kind::Pooling, "MaxPool", &["3×3, stride 2"], "N×64×56×56", &[stem]);
    for (channels, size) in [(64, 56), (128, 28), (256, 14), (512, 7)] {
        let stride = if channels == 64 { 1 } else { 2 };
        last = builder.block(last, channels, size, stride);
        last = builder.block(last, channels, size, 1);
    }
    let pool = builder.node(Kind::Pooling, "GlobalAveragePool", &[], "N×512×1×1", &[last]);
    let flat = builder.node(Kind::Other, "Flatten", &[], "N×512", &[pool]);
    let dense = builder.node(Kind::Dense, "Gemm", &["512 → 1000", "513,000 parameters"], "N×1000", &[flat]);
    builder.node(Kind::Output, "logits", &[], "", &[dense]);
    Diagram { title: "ResNet-18".into(), subtitle: "11,689,512 parameters".into(), ..builder.diagram }
}

/// The first block of GoogLeNet: four paths of different lengths into one node.
fn inception() -> Diagram {
    let mut builder = Builder::default();
    let input = builder.node(Kind::Input, "input", &[], "N×192×28×28", &[]);
    let conv = |builder: &mut Builder, from, kernel: &str, channels: usize| {
        builder.node(Kind::Convolution, "Conv", &[kernel], &format!("N×{channels}×28×28"), &[from])
    };
    let a = conv(&mut builder, input, "1×1", 64);
    let reduced = conv(&mut builder, input, "1×1", 96);
    let b = conv(&mut builder, reduced, "3×3, padding 1", 128);
    let reduced = conv(&mut builder, input, "1×1", 16);
    let c = conv(&mut builder, reduced, "5×5, padding 2", 32);
    let pool = builder.node(Kind::Pooling, "MaxPool", &["3×3, stride 1"], "N×192×28×28", &[input]);
    let d = conv(&mut builder, pool, "1×1", 32);
    let join = builder.node(Kind::Join, "Concat", &["256 channels"], "N×256×28×28", &[a, b, c, d]);
    builder.node(Kind::Output, "output", &[], "", &[join]);
    builder.diagram
}

/// Every layer of a dense block sees all earlier ones.
fn dense_block(layers: usize) -> Diagram {
    let mut builder = Builder::default();
    let mut seen = vec![builder.node(Kind::Input, "input", &[], "N×64×56×56", &[])];
    for layer in 0..layers {
        let join = builder.node(Kind::Join, "Concat", &[], &format!("N×{}×56×56", 64 + 32 * layer), &seen);
        seen.push(builder.node(Kind::Convolution, "Conv", &["3×3"], "N×32×56×56", &[join]));
    }
    builder.diagram
}

/// Edges between random nodes, always from the lower to the higher number.
fn random(seed: u64) -> Diagram {
    let mut state = seed;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut builder = Builder::default();
    for node in 0..4 + below(30) {
        let inputs: Vec<usize> =
            if node == 0 { vec![] } else { (0..below(4)).map(|_| below(node)).collect() };
        let details = ["one", "two"];
        let details = &details[..below(3)];
        builder.node(Kind::Other, &format!("node {node}"), details, "N×8×8", &inputs);
    }
    builder.diagram
}

fn all() -> Vec<(String, Diagram)> {
    let named = [
        ("lenet", lenet()),
        ("resnet18", resnet18(false)),
        ("fused", resnet18(true)),
        ("inception", inception()),
        ("dense", dense_block(5)),
    ];
    let random = (0..300).map(|seed| (format!("random {seed}"), random(seed)));
    named.into_iter().map(|(name, diagram)| (name.to_owned(), diagram)).chain(random).collect()
}

/// Points along an edge, close enough that no box fits between two.
fn sampled(route: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let pieces = route.windows(2).map(|pair| [pair[0], pair[1]]);
    pieces.flat_map(|piece| (0..=64).map(move |step| on_curve(&piece, f64::from(step) / 64.0))).collect()
}

fn inside(rect: &Rect, (x, y): (f64, f64)) -> bool {
    x > rect.x - 1.0 && x < rect.right() + 1.0 && y > rect.y + 0.5 && y < rect.bottom() - 0.5
}

fn faults(diagram: &Diagram, placed: &Placed) -> Vec<String> {
    let mut faults = Vec::new();
    let page = Rect { x: 0.0, y: 0.0, width: placed.width, height: placed.height };
    for (a, rect) in placed.boxes.iter().enumerate() {
        faults.extend(
            (0..a).filter(|&b| overlap(rect, &placed.boxes[b])).map(|b| format!("boxes {a} and {b} overlap")),
        );
        let labels = placed.labels.iter().flatten().filter(|label| overlap(label, rect));
        faults.extend(labels.map(|_| format!("a label lies on box {a}")));
    }
    for rect in placed.boxes.iter().chain(placed.labels.iter().flatten()) {
        if rect.x < 0.0 || rect.y < 0.0 || rect.right() > page.right() || rect.bottom() > page.bottom() {
            faults.push(format!("{rect:?} leaves the page"));
        }
    }
    for (edge, route) in diagram.edges.iter().zip(&placed.routes) {
        for point in sampled(route) {
            let crossed = (0..placed.boxes.len()).find(|&node| inside(&placed.boxes[node], point));
            faults.extend(crossed.map(|node| format!("{edge:?} runs through box {node} at {point:?}")));
            if !(0.0..=page.width).contains(&point.0) || !(0.0..=page.height).contains(&point.1) {
                faults.push(format!("{edge:?} leaves the page"));
            }
        }
        let ends = [route[0], route[route.len() - 1]];
        let [from, to] = [placed.boxes[edge.from], placed.boxes[edge.to]];
        if ends[0].1 != from.bottom() || ends[1].1 != to.y || ends[1].0 <= to.x || ends[1].0 >= to.right() {
            faults.push(format!("{edge:?} does not join its boxes"));
        }
    }
    faults
}

#[test]
fn nothing_overlaps_and_no_edge_runs_through_a_box() {
    for (name, diagram) in all() {
        let placed = place(&diagram).unwrap();
        let faults = faults(&diagram, &placed);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

#[test]
fn every_node_and_edge_is_drawn_once() {
    for (name, diagram) in all() {
        let svg = draw(&diagram).unwrap();
        assert_eq!(svg.matches("class=\"node\"").count(), diagram.nodes.len(), "{name}");
        assert_eq!(svg.matches("class=\"edge\"").count(), diagram.edges.len(), "{name}");
    }
}

#[test]
fn labels_of_known_networks_cover_neither_lines_nor_each_other() {
    for diagram in [lenet(), resnet18(false), resnet18(true), inception()] {
        let placed = place(&diagram).unwrap();
        let labels: Vec<&Rect> = placed.labels.iter().flatten().collect();
        for (index, label) in labels.iter().enumerate() {
            assert!(labels[..index].iter().all(|other| !overlap(label, other)), "{label:?}");
            let on_line =
                placed.routes.iter().flat_map(|route| sampled(route)).find(|&point| inside(label, point));
            assert_eq!(on_line, None, "{label:?}");
        }
    }
}

#[test]
fn the_trunk_is_straight_and_skips_lie_beside_it() {
    let placed = place(&lenet()).unwrap();
    assert!(placed.boxes.windows(2).all(|pair| pair[0].x == pair[1].x));
    let diagram = resnet18(false);
    let placed = place(&diagram).unwrap();
    let trunk = placed.boxes[0].x;
    let aside = placed.boxes.iter().filter(|rect| rect.x != trunk).count();
    assert_eq!(aside, 6, "three convolutions 1×1 with their norms stand beside the trunk");
    let straight = placed.routes.iter().filter(|route| route.iter().all(|point| point.0 == route[0].0));
    assert_eq!(
        straight.count(),
        diagram.edges.len() - 11,
        "five skips, and two ends of each of three long ones"
    );
}

#[test]
fn wrong_diagrams_are_refused() {
    let edge = |from, to| Edge { from, to, label: String::new() };
    let with = |edges: Vec<Edge>| Diagram { edges, ..lenet() };
    let error = draw(&with(vec![edge(0, 12)])).unwrap_err();
    assert!(matches!(error, ReportError::NoSuchNode { edge: 0, node: 12, nodes: 12 }), "{error}");
    let error = draw(&with(vec![edge(0, 1), edge(1, 2), edge(2, 1), edge(2, 3)])).unwrap_err();
    assert!(matches!(error, ReportError::Cycle { node: 1 | 2, .. }), "{error}");
    assert!(matches!(draw(&with(vec![edge(3, 3)])), Err(ReportError::Cycle { node: 3, .. })));
}

#[test]
fn an_empty_diagram_is_a_title() {
    let svg = draw(&Diagram { title: "<none>".into(), ..Diagram::default() }).unwrap();
    assert!(svg.contains("&lt;none&gt;"));
}
