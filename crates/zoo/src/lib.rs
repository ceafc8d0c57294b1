//! Functions that return the graphs of known networks, and a table of their cards.
//!
//! A family is one file: the paper in its head, its variants as cards, then the function.
//!
//! ```
//! let card = svertka_zoo::find("resnet18")?;
//! let graph = card.build(&card.options().with_classes(37))?;
//! assert_eq!(graph.shape(graph.expect("logits")?).to_string(), "N×37");
//! # Ok::<(), svertka_graph::GraphError>(())
//! ```

mod alexnet;
mod card;
mod lenet;
mod mobilenet;
mod resnet;
mod unet;
mod vgg;

pub use card::{Card, Options, Target, cards, find};
