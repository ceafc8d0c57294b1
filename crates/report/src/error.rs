//! What can go wrong while a report is made.

use std::io;
use std::path::PathBuf;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run folder could not be read or written.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of a log is not what it should be. A damaged last line is no error: the run was cut short.
    #[error("{}, line {line}: {cause}", file.display())]
    Line {
        /// The log.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// A cell of a sheet has no pixels, or not as many as its size says.
    #[error(
        "cell {cell} of the sheet: {width} x {height} pixels of {channels} bytes expected, {found} bytes found"
    )]
    Pixels {
        /// Index of the cell, from 0.
        cell: usize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Bytes of one pixel.
        channels: usize,
        /// Bytes that the cell holds.
        found: usize,
    },
    /// A picture could not be encoded as PNG.
    #[error("cell {cell} of the sheet: {source}")]
    Png {
        /// Index of the cell, from 0.
        cell: usize,
        /// What the encoder said.
        source: png::EncodingError,
    },
    /// A confusion matrix is not square over its classes.
    #[error(
        "confusion matrix: {classes} classes need {classes} rows of {classes} counts; row {row} is missing or has another length"
    )]
    Matrix {
        /// Number of class names.
        classes: usize,
        /// The first row that is wrong, from 0.
        row: usize,
    },
    /// An edge of a diagram names a node that is not there.
    #[error("edge {edge} of the diagram: there is no node {node}, only {nodes} nodes")]
    NoSuchNode {
        /// Index of the edge, from 0.
        edge: usize,
        /// The node it names.
        node: usize,
        /// Number of nodes.
        nodes: usize,
    },
    /// The edges of a diagram run in a circle.
    #[error("the diagram has a cycle through node {node} ({title})")]
    Cycle {
        /// A node on the cycle.
        node: usize,
        /// Its title.
        title: String,
    },
}
