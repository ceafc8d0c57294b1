//! Fourth step: boxes and the courses of edges, in pixels.

use super::Diagram;
use super::blocks::Blocks;
use super::labels::{Route, place_labels};
use super::layers::Layered;
use super::order::order;
use super::paint::{box_height, box_width, header};
use crate::ReportError;
use crate::svg::Rect;

const MARGIN: f64 = 28.0;
/// Room of a bend: two skips side by side stay apart.
const BEND: f64 = 10.0;
/// Between layers; more where a slanted edge must find room for its label below or above its run.
const STEP: f64 = 36.0;
const WIDE_STEP: f64 = 58.0;
/// Between the ends of arrows at one box.
const PORT: f64 = 16.0;

/// A diagram on paper, in pixels.
pub(super) struct Placed {
    pub(super) width: f64,
    pub(super) height: f64,
    /// One for each node.
    pub(super) boxes: Vec<Rect>,
    /// One for each edge.
    pub(super) routes: Vec<Route>,
    /// For each edge the room of its label; none without a label.
    pub(super) labels: Vec<Option<Rect>>,
}

/// # Errors
/// As [`super::draw`].
pub(super) fn place(diagram: &Diagram) -> Result<Placed, ReportError> {
    let layered = Layered::new(diagram)?;
    let layers = order(&layered);
    let box_width = box_width(diagram);
    let widths: Vec<f64> =
        layered.vertices.iter().map(|vertex| if vertex.node.is_some() { box_width } else { BEND }).collect();
    let x = Blocks::new(&layered, &layers).place(&layered, &layers, &widths);
    let bands = bands(diagram, &layered, &x);
    let grid = Grid { layered, x, bands, box_width };
    let boxes: Vec<Rect> = (0..diagram.nodes.len()).map(|node| grid.place_box(diagram, node)).collect();
    let routes = grid.routes(&boxes);
    let trunk = grid.layered.trunk.first().map_or(0.0, |&node| grid.x[node]);
    let labels = place_labels(diagram, &routes, trunk);
    let mut placed = Placed { width: 0.0, height: 0.0, boxes, routes, labels };
    placed.fit(header(diagram));
    Ok(placed)
}

/// Top and bottom of each layer.
fn bands(diagram: &Diagram, layered: &Layered, x: &[f64]) -> Vec<(f64, f64)> {
    let mut heights = vec![0.0; layered.depth];
    for (vertex, node) in layered.vertices.iter().zip(&diagram.nodes) {
        heights[vertex.layer] = box_height(node).max(heights[vertex.layer]);
    }
    let mut steps = vec![STEP; layered.depth];
    for (edge, route) in diagram.edges.iter().zip(&layered.routes) {
        if route.len() == 2 && !edge.label.is_empty() && (x[edge.from] - x[edge.to]).abs() > 1.0 {
            steps[layered.vertices[edge.from].layer] = WIDE_STEP;
        }
    }
    let mut top = 0.0;
    let mut bands = Vec::with_capacity(layered.depth);
    for (height, step) in heights.into_iter().zip(steps) {
        bands.push((top, top + height));
        top += height + step;
    }
    bands
}

/// Where layers and vertices stand.
struct Grid {
    layered: Layered,
    /// Centre of each vertex.
    x: Vec<f64>,
    /// Top and bottom of each layer.
    bands: Vec<(f64, f64)>,
    box_width: f64,
}

impl Grid {
    fn place_box(&self, diagram: &Diagram, node: usize) -> Rect {
        let (top, bottom) = self.bands[self.layered.vertices[node].layer];
        let (width, height) = (self.box_width, box_height(&diagram.nodes[node]));
        Rect { x: self.x[node] - width / 2.0, y: top.midpoint(bottom) - height / 2.0, width, height }
    }

    fn routes(&self, boxes: &[Rect]) -> Vec<Route> {
        let upper = self.ports(|route| (route[0], route[1]));
        let lower = self.ports(|route| (route[route.len() - 1], route[route.len() - 2]));
        let ports = upper.into_iter().zip(lower);
        self.layered.routes.iter().zip(ports).map(|(route, ports)| self.route(route, ports, boxes)).collect()
    }

    /// For each edge how far from the middle of a box it ends there: an upright edge in the middle, others beside it
    /// on their side. `end` gives the node and the vertex next to it on the route.
    fn ports(&self, end: fn(&[usize]) -> (usize, usize)) -> Vec<f64> {
        let ends = self.layered.routes.iter().map(|route| end(route));
        let mut ends: Vec<(usize, f64, usize)> =
            ends.enumerate().map(|(edge, (node, next))| (node, self.x[next] - self.x[node], edge)).collect();
        ends.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut ports = vec![0.0; ends.len()];
        for group in ends.chunk_by(|a, b| a.0 == b.0) {
            let last = (group.len() - 1) as f64;
            let upright = group.iter().position(|end| end.1.abs() < 1.0);
            let middle = upright.map_or(last / 2.0, |index| index as f64);
            let pitch = PORT.min((self.box_width / 2.0 - 8.0) / middle.max(last - middle).max(1.0));
            for (index, &(_, _, edge)) in group.iter().enumerate() {
                ports[edge] = (index as f64 - middle) * pitch;
            }
        }
        ports
    }

    fn route(&self, route: &[usize], ports: (f64, f64), boxes: &[Rect]) -> Route {
        let (first, last) = (route[0], route[route.len() - 1]);
        let mut points = Vec::with_capacity(2 * route.len());
        for &vertex in route {
            let (top, bottom) = self.bands[self.layered.vertices[vertex].layer];
            let x = self.x[vertex];
            points.extend(match vertex {
                _ if vertex == first => [(x + ports.0, boxes[first].bottom()), (x + ports.0, bottom)],
                _ if vertex == last => [(x + ports.1, top), (x + ports.1, boxes[last].y)],
                _ => [(x, top), (x, bottom)],
            });
        }
        points
    }
}

impl Placed {
    /// Moves everything below the header and inside the margins, and finds the size of the page.
    fn fit(&mut self, header: (f64, f64)) {
        let rects = || self.boxes.iter().chain(self.labels.iter().flatten());
        let points = || self.routes.iter().flatten();
        let left =
            rects().map(|rect| rect.x).chain(points().map(|point| point.0)).reduce(f64::min).unwrap_or(0.0);
        let right = rects().map(Rect::right).chain(points().map(|point| point.0)).fold(left, f64::max);
        let bottom = rects().map(Rect::bottom).fold(0.0, f64::max);
        self.width = (right - left).max(header.0) + 2.0 * MARGIN;
        self.height = bottom + header.1 + MARGIN;
        let (dx, dy) = ((self.width - (right - left)) / 2.0 - left, header.1);
        for rect in self.boxes.iter_mut().chain(self.labels.iter_mut().flatten()) {
            (rect.x, rect.y) = (rect.x + dx, rect.y + dy);
        }
        for point in self.routes.iter_mut().flatten() {
            *point = (point.0 + dx, point.1 + dy);
        }
    }
}
