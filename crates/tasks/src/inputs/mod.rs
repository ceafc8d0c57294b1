//! What goes in: from files to the first value of a graph.

pub mod image;
