//! Layered directed graphs as drawings, after Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of
//! Hierarchical System Structures" (1981): layers, order within layers, coordinates, labels, paint.

mod blocks;
mod labels;
mod layers;
mod order;
mod paint;
mod place;
#[cfg(test)]
mod tests;

use crate::ReportError;
use crate::palette::{BLUE, Colour, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION};

/// A network as boxes and arrows. Edges must not run in a circle.
#[derive(Clone, Debug, Default)]
pub struct Diagram {
    /// What stands above it, such as the network's name.
    pub title: String,
    /// One line below the title, such as the number of parameters.
    pub subtitle: String,
    /// The boxes.
    pub nodes: Vec<Node>,
    /// The arrows.
    pub edges: Vec<Edge>,
}

/// A box.
#[derive(Clone, Debug)]
pub struct Node {
    /// First line, such as the operator.
    pub title: String,
    /// Further lines, such as the kernel's size; two at most look well.
    pub details: Vec<String>,
    /// Chooses the colour.
    pub kind: Kind,
}

/// An arrow between two nodes, given by their indices.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where it begins.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// What stands beside it, such as the shape `N×64×56×56`; may be empty.
    pub label: String,
}

/// What a box does. Chooses its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What comes in.
    Input,
    /// What goes out.
    Output,
    /// Convolutions.
    Convolution,
    /// Pooling.
    Pooling,
    /// Normalisation.
    Normalisation,
    /// Fully connected layers.
    Dense,
    /// Functions of single values.
    Activation,
    /// Where paths meet: sums, concatenations.
    Join,
    /// All else.
    Other,
}

impl Kind {
    fn colour(self) -> Colour {
        match self {
            Self::Input | Self::Output => GREY.shade(0.6),
            Self::Convolution => BLUE,
            Self::Pooling => GREEN,
            Self::Normalisation => SKY,
            Self::Dense => PURPLE,
            Self::Activation => ORANGE,
            Self::Join => VERMILION,
            Self::Other => GREY,
        }
    }
}

/// Draws a diagram from top to bottom as one SVG. Boxes never overlap and no arrow runs through a box.
///
/// # Errors
/// [`ReportError::NoSuchNode`], [`ReportError::Cycle`].
pub fn draw(diagram: &Diagram) -> Result<String, ReportError> {
    Ok(paint::paint(diagram, &place::place(diagram)?))
}
