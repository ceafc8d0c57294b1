//! Decoding, resizing and transforming of pictures.
//!
//! A [`Picture`] is decoded from bytes ([`decode`]), passes through a list of transforms that configuration
//! writes as text ([`Preprocess`]), and is written as the f32 planes a network reads ([`Picture::write_planar`]).
//! This crate knows no graph and no data set: a file's name is added to an error by the caller who knows it.
//!
//! ```
//! use svertka_image::{Picture, Preprocess, Samples};
//!
//! let picture = Picture::new(4, 2, 1, Samples::U8((0..8).collect()))?;
//! let preprocess: Preprocess = r#"["rgb", { resize = [8, 8] }]"#.parse()?;
//! let picture = preprocess.apply(picture)?;
//! let mut planes = vec![0.0; 3 * 8 * 8];
//! picture.write_planar(&mut planes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channels;
mod decode;
mod error;
mod geometry;
mod orient;
mod picture;
mod preparation;
mod preprocess;
mod tiff;

pub use channels::Channels;
pub use decode::{MAX_BYTES, MAX_PIXELS, decode};
pub use error::{DecodeError, TransformError};
pub use geometry::Filter;
pub use picture::{Picture, Samples, Size};
pub use preparation::{Affine, Arithmetic, Preparation};
pub use preprocess::{ParseError, Preprocess, Transform};
