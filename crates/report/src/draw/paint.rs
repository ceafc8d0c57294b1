//! Last step: boxes, arrows and labels become SVG.

use std::fmt::Write;

use super::place::Placed;
use super::{Diagram, Node};
use crate::palette::{GREY, MUTED, WHITE};
use crate::svg::{Anchor, Font, Number, Rect, Svg, clip, text_width};

/// Sizes of text.
const TITLE: f64 = 13.0;
const DETAIL: f64 = 11.0;
pub(super) const LABEL: f64 = 11.0;
const HEAD: f64 = 18.0;
const SUBHEAD: f64 = 12.0;

const LINE: f64 = 15.0;
const PADDING: f64 = 9.0;
const NARROWEST: f64 = 120.0;
const WIDEST: f64 = 300.0;

/// One width for all boxes, that of the widest text.
pub(super) fn box_width(diagram: &Diagram) -> f64 {
    let texts = diagram.nodes.iter().flat_map(|node| {
        let details = node.details.iter().map(|detail| text_width(detail, DETAIL));
        details.chain([text_width(&node.title, TITLE) * 1.08])
    });
    (texts.fold(0.0, f64::max) + 2.0 * PADDING).clamp(NARROWEST, WIDEST).ceil()
}

pub(super) fn box_height(node: &Node) -> f64 {
    2.0 * PADDING + TITLE + LINE * node.details.len() as f64
}

/// Width and height that title and subtitle need.
pub(super) fn header(diagram: &Diagram) -> (f64, f64) {
    let width = text_width(&diagram.title, HEAD).max(text_width(&diagram.subtitle, SUBHEAD)).min(700.0);
    let lines = [(&diagram.title, 28.0), (&diagram.subtitle, 20.0)];
    let height: f64 = lines.iter().filter(|(text, _)| !text.is_empty()).map(|line| line.1).sum();
    (width, height + 32.0)
}

pub(super) fn paint(diagram: &Diagram, placed: &Placed) -> String {
    let mut svg = Svg::new(placed.width, placed.height);
    svg.raw(format_args!(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0,0.5 L8,4 L0,7.5 z\" fill=\"{GREY}\"/></marker></defs>"
    ));
    draw_header(&mut svg, diagram, placed);
    placed.routes.iter().for_each(|route| draw_route(&mut svg, route));
    for (node, rect) in diagram.nodes.iter().zip(&placed.boxes) {
        draw_box(&mut svg, node, *rect);
    }
    // A white rim keeps a label legible where it must lie on a line.
    svg.raw(format_args!(
        "<g stroke=\"{WHITE}\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\">"
    ));
    for (edge, label) in diagram.edges.iter().zip(&placed.labels) {
        if let Some(rect) = label {
            svg.text((rect.x, rect.bottom() - 3.5), Font::new(LABEL).colour(MUTED), &edge.label);
        }
    }
    svg.raw("</g>");
    svg.finish()
}

fn draw_header(svg: &mut Svg, diagram: &Diagram, placed: &Placed) {
    let font = Font::new(HEAD).bold().anchor(Anchor::Middle);
    let (middle, room) = (placed.width / 2.0, placed.width - 20.0);
    svg.text((middle, 36.0), font, &clip(&diagram.title, HEAD, room));
    let below = if diagram.title.is_empty() { 34.0 } else { 58.0 };
    let font = Font::new(SUBHEAD).colour(MUTED).anchor(Anchor::Middle);
    svg.text((middle, below), font, &clip(&diagram.subtitle, SUBHEAD, room));
}

fn draw_route(svg: &mut Svg, route: &[(f64, f64)]) {
    let mut path = format!("M{},{}", Number(route[0].0), Number(route[0].1));
    let mut last = route[0];
    for &(x, y) in &route[1..] {
        // A piece without length would turn the arrow's head.
        if (x, y) == last {
            continue;
        }
        let half = Number(last.1.midpoint(y));
        // Writing to a string cannot fail.
        let _ = match x == last.0 {
            true => write!(path, " V{}", Number(y)),
            false => {
                write!(path, " C{},{half} {},{half} {},{}", Number(last.0), Number(x), Number(x), Number(y))
            }
        };
        last = (x, y);
    }
    svg.raw(format_args!(
        "<path class=\"edge\" d=\"{path}\" fill=\"none\" stroke=\"{GREY}\" stroke-width=\"1.6\" marker-end=\"url(#arrow)\"/>"
    ));
}

fn draw_box(svg: &mut Svg, node: &Node, rect: Rect) {
    let colour = node.kind.colour();
    svg.rect(
        rect,
        &format!(
            "class=\"node\" rx=\"6\" fill=\"{}\" stroke=\"{colour}\" stroke-width=\"1.4\"",
            colour.tint(0.16)
        ),
    );
    let room = rect.width - 2.0 * PADDING;
    let middle = rect.centre().0;
    let mut baseline = rect.y + PADDING + TITLE - 2.0;
    let font = Font::new(TITLE).bold().anchor(Anchor::Middle);
    svg.text((middle, baseline), font, &clip(&node.title, TITLE * 1.08, room));
    for detail in &node.details {
        baseline += LINE;
        let font = Font::new(DETAIL).colour(MUTED.shade(0.85)).anchor(Anchor::Middle);
        svg.text((middle, baseline), font, &clip(detail, DETAIL, room));
    }
}
