//! Fifth step: a place for the label of each edge.

use super::Diagram;
use super::paint::LABEL;
use crate::svg::{Rect, text_width};

/// Points of an edge: upright pieces and pieces between layers take turns.
pub(super) type Route = Vec<(f64, f64)>;

/// Between a line and its label.
const BESIDE: f64 = 9.0;

/// Puts each label beside its edge between two layers, where it covers no line and no other label; where there is
/// no such place, where it covers least. Labels prefer the side that faces away from the trunk.
pub(super) fn place_labels(diagram: &Diagram, routes: &[Route], trunk: f64) -> Vec<Option<Rect>> {
    let mut lines: Vec<[(f64, f64); 2]> = routes.iter().flat_map(|route| gaps(route)).collect();
    lines.sort_by(|a, b| a[0].1.total_cmp(&b[0].1));
    let mut taken: Vec<Rect> = Vec::new();
    let mut labels = Vec::with_capacity(routes.len());
    for (edge, route) in diagram.edges.iter().zip(routes) {
        let hits = |rect: &&Rect| {
            let first = lines.partition_point(|line| line[1].1 <= rect.y);
            let near = lines[first..].iter().take_while(|line| line[0].1 < rect.bottom());
            near.filter(|line| crosses(line, rect)).count()
                + taken.iter().filter(|other| overlap(other, rect)).count()
        };
        let candidates = match edge.label.as_str() {
            "" => Vec::new(),
            label => candidates(route, text_width(label, LABEL), trunk),
        };
        let free = candidates.iter().find(|rect| hits(rect) == 0);
        let best = free.or_else(|| candidates.iter().min_by_key(hits)).copied();
        taken.extend(best);
        labels.push(best);
    }
    labels
}

/// The pieces of a route between layers.
fn gaps(route: &[(f64, f64)]) -> Vec<[(f64, f64); 2]> {
    route[1..route.len() - 1].chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// Places for a label, the best liked first: beside an upright piece, near the middle of the route; else in a slanted
/// piece beside its lower end, its upper end, its middle.
fn candidates(route: &[(f64, f64)], width: f64, trunk: f64) -> Vec<Rect> {
    let middle = f64::midpoint(route[0].1, route[route.len() - 1].1);
    let slanted = |[from, to]: &[(f64, f64); 2]| (from.0 - to.0).abs() > 1.0;
    let away = |gap: &[(f64, f64); 2]| (gap[0].1.midpoint(gap[1].1) - middle).abs();
    let mut gaps = gaps(route);
    gaps.sort_by(|a, b| slanted(a).cmp(&slanted(b)).then(away(a).total_cmp(&away(b))));
    let height = LABEL + 3.0;
    let sides = |(x, y): (f64, f64)| {
        let (left, right) = (x - BESIDE - width, x + BESIDE);
        let sides = if x < trunk + 1.0 { [left, right] } else { [right, left] };
        sides.map(|x| Rect { x, y: y - height / 2.0, width, height })
    };
    let inset = height / 2.0 + 2.0;
    let anchors = |gap: [(f64, f64); 2]| {
        let [from, to] = gap;
        let centre = (from.0.midpoint(to.0), from.1.midpoint(to.1));
        if !slanted(&gap) {
            vec![centre]
        } else {
            vec![(to.0, to.1 - inset), (from.0, from.1 + inset), centre]
        }
    };
    gaps.into_iter().flat_map(anchors).flat_map(sides).collect()
}

pub(super) fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

/// Whether the curve between layers runs through a rectangle.
fn crosses(line: &[(f64, f64); 2], rect: &Rect) -> bool {
    let (left, right) = (rect.x - 2.0, rect.right() + 2.0);
    let inside = |(x, y): (f64, f64)| x > left && x < right && y > rect.y && y < rect.bottom();
    let beside = line[0].0.max(line[1].0) <= left || line[0].0.min(line[1].0) >= right;
    !beside && (0..=24).any(|step| inside(on_curve(line, f64::from(step) / 24.0)))
}

/// A point of the cubic curve that leaves and arrives upright: both inner control points lie at half the height.
pub(super) fn on_curve([from, to]: &[(f64, f64); 2], t: f64) -> (f64, f64) {
    let ease = t * t * (3.0 - 2.0 * t);
    let s = 1.0 - t;
    let half = from.1.midpoint(to.1);
    let y = s * s * s * from.1 + 3.0 * s * t * half + t * t * t * to.1;
    (from.0 + (to.0 - from.0) * ease, y)
}
