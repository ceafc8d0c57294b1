//! Turning a picture as its EXIF orientation asks.

use image::metadata::Orientation;

use crate::{Picture, Samples, Size};

/// How a stored pixel finds its place: an exchange of rows and columns, then mirrors.
#[derive(Clone, Copy)]
struct Turn {
    transpose: bool,
    mirror_columns: bool,
    mirror_rows: bool,
}

impl Turn {
    fn new(transpose: bool, mirror_columns: bool, mirror_rows: bool) -> Self {
        Self { transpose, mirror_columns, mirror_rows }
    }
}

impl From<Orientation> for Turn {
    fn from(orientation: Orientation) -> Self {
        match orientation {
            Orientation::NoTransforms => Self::new(false, false, false),
            Orientation::FlipHorizontal => Self::new(false, true, false),
            Orientation::Rotate180 => Self::new(false, true, true),
            Orientation::FlipVertical => Self::new(false, false, true),
            Orientation::Rotate90FlipH => Self::new(true, false, false),
            Orientation::Rotate90 => Self::new(true, true, false),
            Orientation::Rotate270FlipH => Self::new(true, true, true),
            Orientation::Rotate270 => Self::new(true, false, true),
        }
    }
}

/// The picture as it is meant to be seen.
pub(crate) fn orient(picture: Picture, orientation: Orientation) -> Picture {
    if orientation == Orientation::NoTransforms {
        return picture;
    }
    let turn = Turn::from(orientation);
    let (stored, channels) = (picture.size(), picture.channels());
    let size = if turn.transpose { Size { width: stored.height, height: stored.width } } else { stored };
    let samples = picture.samples().map(
        |samples| turned(samples, stored, size, channels, turn),
        |samples| turned(samples, stored, size, channels, turn),
    );
    rebuilt(&picture, size, samples)
}

fn turned<T: Copy>(samples: &[T], stored: Size, size: Size, channels: usize, turn: Turn) -> Vec<T> {
    let mut output = Vec::with_capacity(samples.len());
    for y in 0..size.height {
        for x in 0..size.width {
            let x = if turn.mirror_columns { size.width - 1 - x } else { x };
            let y = if turn.mirror_rows { size.height - 1 - y } else { y };
            let (x, y) = if turn.transpose { (y, x) } else { (x, y) };
            let start = (y * stored.width + x) * channels;
            output.extend_from_slice(&samples[start..start + channels]);
        }
    }
    output
}

fn rebuilt(picture: &Picture, size: Size, samples: Samples) -> Picture {
    Picture::new(size.width, size.height, picture.channels(), samples)
        .expect("turning keeps the number of samples")
        .with_alpha(picture.has_alpha())
}
