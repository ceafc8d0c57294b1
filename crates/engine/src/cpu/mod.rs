//! The compiling engine.
//!
//! [`lower`] turns a graph into a [`Plan`] for a purpose, once and without sizes: training form, gradients, fusions,
//! layouts. [`Plan::bind`] turns the plan into a [`Program`] for given sizes: algorithms, places in the arena. A program
//! owns no weights and no memory: it runs on a [`Workspace`] (threads, arena, packed weights), which all programs of a
//! model share, and on a [`State`](crate::State).

mod bind;
mod context;
mod disjoint;
mod fuse;
mod input;
mod layout;
mod lower;
mod memory;
mod observe;
mod plan;
mod program;
mod workspace;

pub use crate::RunKey;
pub use input::Input;
pub use lower::{Purpose, lower};
pub use observe::{Observer, StepCost};
pub use plan::Plan;
pub use program::{Cost, Program};
pub use workspace::Workspace;
