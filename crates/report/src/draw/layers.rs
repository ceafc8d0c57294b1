//! First step: every node gets a layer below those of its predecessors; an edge over several layers becomes a chain
//! of bends, one on each layer between.

use std::collections::VecDeque;

use super::Diagram;
use crate::ReportError;

/// A place on a layer: a node, or a bend of a long edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vertex {
    pub(super) layer: usize,
    /// None for a bend.
    pub(super) node: Option<usize>,
}

/// A graph whose segments join neighbouring layers only. The first vertices are the nodes.
pub(super) struct Layered {
    pub(super) vertices: Vec<Vertex>,
    /// For each edge its vertices from source to target.
    pub(super) routes: Vec<Vec<usize>>,
    /// A longest path: it shall be drawn as one straight line.
    pub(super) trunk: Vec<usize>,
    pub(super) depth: usize,
}

impl Layered {
    /// # Errors
    /// As [`super::draw`].
    pub(super) fn new(diagram: &Diagram) -> Result<Self, ReportError> {
        check_edges(diagram)?;
        let layers = layers(diagram)?;
        let vertices =
            layers.iter().enumerate().map(|(node, &layer)| Vertex { layer, node: Some(node) }).collect();
        let depth = layers.iter().map(|layer| layer + 1).max().unwrap_or(0);
        let trunk = trunk(diagram, &layers);
        let mut layered = Self { vertices, routes: Vec::new(), trunk, depth };
        for edge in &diagram.edges {
            let mut route = vec![edge.from];
            for layer in layers[edge.from] + 1..layers[edge.to] {
                route.push(layered.vertices.len());
                layered.vertices.push(Vertex { layer, node: None });
            }
            route.push(edge.to);
            layered.routes.push(route);
        }
        Ok(layered)
    }

    /// All pieces of edges, upper end first.
    pub(super) fn segments(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.routes.iter().flat_map(|route| route.windows(2).map(|pair| (pair[0], pair[1])))
    }
}

fn check_edges(diagram: &Diagram) -> Result<(), ReportError> {
    let nodes = diagram.nodes.len();
    for (edge, ends) in diagram.edges.iter().enumerate() {
        if let Some(node) = [ends.from, ends.to].into_iter().find(|&node| node >= nodes) {
            return Err(ReportError::NoSuchNode { edge, node, nodes });
        }
    }
    Ok(())
}

/// Longest path from a source. A source itself stands just above its first successor.
fn layers(diagram: &Diagram) -> Result<Vec<usize>, ReportError> {
    let nodes = diagram.nodes.len();
    let mut successors = vec![Vec::new(); nodes];
    let mut waiting = vec![0usize; nodes];
    for edge in &diagram.edges {
        successors[edge.from].push(edge.to);
        waiting[edge.to] += 1;
    }
    let sources: Vec<usize> = (0..nodes).filter(|&node| waiting[node] == 0).collect();
    let mut layers = vec![0; nodes];
    let mut ready: VecDeque<usize> = sources.iter().copied().collect();
    while let Some(node) = ready.pop_front() {
        for &successor in &successors[node] {
            layers[successor] = layers[successor].max(layers[node] + 1);
            waiting[successor] -= 1;
            if waiting[successor] == 0 {
                ready.push_back(successor);
            }
        }
    }
    if let Some(node) = cyclic_node(diagram, &waiting) {
        return Err(ReportError::Cycle { node, title: diagram.nodes[node].title.clone() });
    }
    for source in sources {
        layers[source] = successors[source].iter().map(|&node| layers[node] - 1).min().unwrap_or(0);
    }
    Ok(layers)
}

/// Nodes that still wait lie on a cycle or behind one; walking against the edges among them ends on a cycle.
fn cyclic_node(diagram: &Diagram, waiting: &[usize]) -> Option<usize> {
    let mut node = waiting.iter().position(|&count| count > 0)?;
    for _ in 0..waiting.len() {
        let into = diagram.edges.iter().find(|edge| edge.to == node && waiting[edge.from] > 0);
        node = into.map_or(node, |edge| edge.from);
    }
    Some(node)
}

/// From a lowest node upwards, each time to the first predecessor on the next layer.
fn trunk(diagram: &Diagram, layers: &[usize]) -> Vec<usize> {
    let Some(mut node) = (0..layers.len()).rev().max_by_key(|&node| layers[node]) else { return Vec::new() };
    let mut path = vec![node];
    while let Some(edge) =
        diagram.edges.iter().find(|edge| edge.to == node && layers[edge.from] + 1 == layers[node])
    {
        node = edge.from;
        path.push(node);
    }
    path.reverse();
    path
}
