//! Second step: the order of the vertices on each layer, with few crossings.

use super::layers::Layered;

/// Sweeps down and up; more hardly ever find a better order.
const SWEEPS: usize = 16;

/// The vertices of each layer from left to right.
pub(super) fn order(layered: &Layered) -> Vec<Vec<usize>> {
    let mut above = vec![Vec::new(); layered.vertices.len()];
    let mut below = above.clone();
    for (upper, lower) in layered.segments() {
        above[lower].push(upper);
        below[upper].push(lower);
    }
    let mut layers = first_order(layered, &below);
    let mut positions = vec![0; layered.vertices.len()];
    layers.iter().for_each(|layer| number(layer, &mut positions));
    let mut best = (crossings(&layers, &below, &positions), layers.clone());
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let neighbours = if down { &above } else { &below };
        for step in 0..layers.len() {
            let layer = &mut layers[if down { step } else { layered.depth - 1 - step }];
            // Ties go to the other side in every second pair of sweeps, else an order can be stuck.
            if sweep % 4 >= 2 {
                layer.reverse();
            }
            sort_by_barycentre(layer, neighbours, &positions);
            number(layer, &mut positions);
        }
        let found = crossings(&layers, &below, &positions);
        if found < best.0 {
            best = (found, layers.clone());
        }
    }
    best.1
}

fn number(layer: &[usize], positions: &mut [usize]) {
    for (position, &vertex) in layer.iter().enumerate() {
        positions[vertex] = position;
    }
}

/// The trunk first, then what is reached from it, depth first: skips come to lie at its right.
fn first_order(layered: &Layered, below: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut layers = vec![Vec::new(); layered.depth];
    let mut seen = vec![false; layered.vertices.len()];
    let mut visit = |vertex: usize| {
        let fresh = !std::mem::replace(&mut seen[vertex], true);
        if fresh {
            layers[layered.vertices[vertex].layer].push(vertex);
        }
        fresh
    };
    layered.trunk.iter().for_each(|&vertex| _ = visit(vertex));
    let starts = layered.trunk.iter().copied().chain(0..layered.vertices.len());
    let mut pending: Vec<usize> = Vec::new();
    for start in starts {
        visit(start);
        pending.extend(below[start].iter().rev());
        while let Some(vertex) = pending.pop() {
            if visit(vertex) {
                pending.extend(below[vertex].iter().rev());
            }
        }
    }
    layers
}

/// Orders a layer by the mean position of the neighbours; a vertex without any stays where it is.
fn sort_by_barycentre(layer: &mut [usize], neighbours: &[Vec<usize>], positions: &[usize]) {
    let barycentre = |vertex: usize| {
        let near = &neighbours[vertex];
        let sum: usize = near.iter().map(|&other| positions[other]).sum();
        if near.is_empty() { positions[vertex] as f64 } else { sum as f64 / near.len() as f64 }
    };
    layer.sort_by(|&a, &b| barycentre(a).total_cmp(&barycentre(b)));
}

/// Pairs of segments between neighbouring layers that cross.
fn crossings(layers: &[Vec<usize>], below: &[Vec<usize>], positions: &[usize]) -> usize {
    let mut total = 0;
    for layer in layers {
        let mut ends: Vec<usize> = Vec::new();
        for &vertex in layer {
            let mut here: Vec<usize> = below[vertex].iter().map(|&lower| positions[lower]).collect();
            total +=
                here.iter().map(|end| ends.iter().filter(|&earlier| earlier > end).count()).sum::<usize>();
            ends.append(&mut here);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::{Diagram, Edge, Kind, Node};
    use super::*;

    #[test]
    fn crossing_edges_are_disentangled() {
        let node = || Node { title: String::new(), details: vec![], kind: Kind::Other };
        let edges = [(0, 4), (1, 3), (2, 3), (0, 5), (1, 5)];
        let edges = edges.map(|(from, to)| Edge { from, to, label: String::new() }).to_vec();
        let diagram = Diagram { nodes: (0..6).map(|_| node()).collect(), edges, ..Diagram::default() };
        let layered = Layered::new(&diagram).unwrap_or_else(|error| panic!("{error}"));
        let layers = order(&layered);
        let mut positions = vec![0; 6];
        layers.iter().for_each(|layer| number(layer, &mut positions));
        let mut below = vec![Vec::new(); 6];
        layered.segments().for_each(|(upper, lower)| below[upper].push(lower));
        assert_eq!(crossings(&layers, &below, &positions), 0, "{layers:?}");
    }
}
