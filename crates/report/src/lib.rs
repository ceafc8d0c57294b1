//! Numbers and pictures become curves, matrices, sheets and drawings.
//!
//! Reads plain data and run folders, nothing else: it knows neither graphs nor engines nor data sets. Every
//! picture is one self-contained SVG text that asks for no particular font; where it shows photographs they
//! are embedded as PNG. Equal inputs give equal bytes. All text that comes from outside is escaped.
#![warn(missing_docs)]

mod axis;
mod curves;
mod draw;
mod error;
mod log;
mod matrix;
mod palette;
mod sheet;
mod svg;
mod table;

pub use curves::{curves, write_curves};
pub use draw::{Diagram, Edge, Kind, Node, draw};
pub use error::ReportError;
pub use log::{EpochRecord, RunLog, StepRecord};
pub use matrix::{ConfusionMatrix, matrix};
pub use sheet::{Cell, Pixels, Sheet, sheet};
pub use table::{Align, Column, table, thousands};
