//! Third step: the x of every vertex.
//!
//! The idea is that of Brandes and Köpf, "Fast and Simple Horizontal Coordinate Assignment" (2001): vertices joined by
//! chosen segments form blocks, and a block stands upright at one x. Segments are chosen so that no two cross, hence
//! "left of" orders the blocks. Where they take the mean of four extreme placements, we let each block move towards
//! its neighbours as far as the blocks beside it allow, the largest one standing still.

use super::layers::Layered;

/// Between vertices of a layer, in pixels.
const GAP: f64 = 34.0;
/// Rounds of movement; each brings blocks closer by at least one neighbour.
const ROUNDS: usize = 40;

/// Columns of vertices that share one x.
pub(super) struct Blocks {
    of: Vec<usize>,
    members: Vec<Vec<usize>>,
}

impl Blocks {
    pub(super) fn new(layered: &Layered, layers: &[Vec<usize>]) -> Self {
        let mut lower = vec![None; layered.vertices.len()];
        let mut has_upper = vec![false; layered.vertices.len()];
        for (a, b) in straight(layered, layers) {
            lower[a] = Some(b);
            has_upper[b] = true;
        }
        let mut blocks = Self { of: vec![0; layered.vertices.len()], members: Vec::new() };
        for head in (0..layered.vertices.len()).filter(|&vertex| !has_upper[vertex]) {
            let column: Vec<usize> = std::iter::successors(Some(head), |&vertex| lower[vertex]).collect();
            column.iter().for_each(|&vertex| blocks.of[vertex] = blocks.members.len());
            blocks.members.push(column);
        }
        blocks
    }

    /// The x of each vertex's centre.
    pub(super) fn place(&self, layered: &Layered, layers: &[Vec<usize>], widths: &[f64]) -> Vec<f64> {
        let beside = self.beside(layers, widths);
        let order = self.left_to_right(&beside);
        let mut x = vec![0.0f64; self.members.len()];
        for &block in &order {
            for &(right, distance) in &beside.right[block] {
                x[right] = x[right].max(x[block] + distance);
            }
        }
        let near = self.near(layered);
        let still = (0..self.members.len()).rev().max_by_key(|&block| self.members[block].len());
        for round in 0..ROUNDS {
            for step in 0..order.len() {
                let block = order[if round % 2 == 0 { step } else { order.len() - 1 - step }];
                if Some(block) != still && !near[block].is_empty() {
                    x[block] = beside.clamp(block, mean(&near[block], &x), &x);
                }
            }
        }
        self.of.iter().map(|&block| x[block]).collect()
    }

    fn beside(&self, layers: &[Vec<usize>], widths: &[f64]) -> Beside {
        let mut beside = Beside {
            left: vec![Vec::new(); self.members.len()],
            right: vec![Vec::new(); self.members.len()],
        };
        for pair in layers.iter().flat_map(|layer| layer.windows(2)) {
            let distance = f64::midpoint(widths[pair[0]], widths[pair[1]]) + GAP;
            let [left, right] = [pair[0], pair[1]].map(|vertex| self.of[vertex]);
            beside.right[left].push((right, distance));
            beside.left[right].push((left, distance));
        }
        beside
    }

    /// Blocks so that each stands behind all those at its left.
    fn left_to_right(&self, beside: &Beside) -> Vec<usize> {
        let mut waiting: Vec<usize> = beside.left.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..self.members.len()).filter(|&block| waiting[block] == 0).collect();
        let mut next = 0;
        while let Some(&block) = order.get(next) {
            for &(right, _) in &beside.right[block] {
                waiting[right] -= 1;
                if waiting[right] == 0 {
                    order.push(right);
                }
            }
            next += 1;
        }
        order
    }

    /// Blocks at the other ends of the segments that leave each block.
    fn near(&self, layered: &Layered) -> Vec<Vec<usize>> {
        let mut near = vec![Vec::new(); self.members.len()];
        for (upper, lower) in layered.segments() {
            let (a, b) = (self.of[upper], self.of[lower]);
            if a != b {
                near[a].push(b);
                near[b].push(a);
            }
        }
        near
    }
}

fn mean(blocks: &[usize], x: &[f64]) -> f64 {
    blocks.iter().map(|&block| x[block]).sum::<f64>() / blocks.len() as f64
}

/// The blocks next to each block with the least distances of their centres.
struct Beside {
    left: Vec<Vec<(usize, f64)>>,
    right: Vec<Vec<(usize, f64)>>,
}

impl Beside {
    /// The place nearest to the wanted one that keeps all distances.
    fn clamp(&self, block: usize, wanted: f64, x: &[f64]) -> f64 {
        let low = self.left[block].iter().map(|&(left, distance)| x[left] + distance);
        let high = self.right[block].iter().map(|&(right, distance)| x[right] - distance);
        high.fold(low.fold(wanted, f64::max), f64::min)
    }
}

/// Segments to be drawn upright: at most one above and below each vertex, none crossing another. The trunk comes
/// first, then the inner parts of long edges, then what bends least.
fn straight(layered: &Layered, layers: &[Vec<usize>]) -> Vec<(usize, usize)> {
    let mut positions = vec![0usize; layered.vertices.len()];
    for layer in layers {
        layer.iter().enumerate().for_each(|(position, &vertex)| positions[vertex] = position);
    }
    let mut on_trunk = vec![false; layered.vertices.len()];
    layered.trunk.iter().for_each(|&vertex| on_trunk[vertex] = true);
    let rank = |&(upper, lower): &(usize, usize)| {
        let bends = [upper, lower].iter().filter(|&&vertex| layered.vertices[vertex].node.is_none()).count();
        let class = if on_trunk[upper] && on_trunk[lower] { 0 } else { 3 - bends };
        (class, positions[upper].abs_diff(positions[lower]))
    };
    let fans = fans(layered);
    let mut between = vec![Vec::new(); layered.depth];
    let candidates = layered.segments().filter(|&(upper, lower)| !fans[upper].1 && !fans[lower].0);
    candidates.for_each(|segment| between[layered.vertices[segment.0].layer].push(segment));
    let mut chosen = Vec::new();
    for mut candidates in between {
        candidates.sort_by_key(rank);
        let mut here: Vec<(usize, usize)> = Vec::new();
        for (upper, lower) in candidates {
            let agrees = |&(a, b): &(usize, usize)| {
                let top = positions[upper].cmp(&positions[a]);
                top.is_ne() && top == positions[lower].cmp(&positions[b])
            };
            if here.iter().all(agrees) {
                here.push((upper, lower));
            }
        }
        chosen.append(&mut here);
    }
    chosen
}

/// For each vertex whether three or more nodes of the next layer lead into it, or follow it: such a vertex stands
/// amid them rather than above one.
fn fans(layered: &Layered) -> Vec<(bool, bool)> {
    let mut counts = vec![(0, 0); layered.vertices.len()];
    for route in layered.routes.iter().filter(|route| route.len() == 2) {
        counts[route[0]].1 += 1;
        counts[route[1]].0 += 1;
    }
    counts.into_iter().map(|(above, below)| (above > 2, below > 2)).collect()
}
