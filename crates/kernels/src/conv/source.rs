use super::{ConvError, ConvProblem};

/// How a convolution's input lies in memory, and what is done to it while it is read.
///
/// `Source::default()` is channels-last pictures, read as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Source {
    /// The order of the axes.
    pub layout: Layout,
    /// Whether each call brings an [`Affine`] map per channel, which turns a pixel into `scale * pixel + shift`.
    pub affine: bool,
    /// A `Pad` in front of the convolution. The affine map does not touch a constant border.
    pub border: Option<Border>,
}

/// The order in which a batch of pictures lies in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[N, H, W, C]`.
    #[default]
    ChannelsLast,
    /// `[N, C, H, W]`.
    Planar,
}

/// Pixels around a picture, as ONNX `Pad` makes them. The convolution's own `pads` are zeros around the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Border {
    /// Rows and columns: top, left, bottom, right.
    pub pads: [usize; 4],
    /// What is in them.
    pub mode: BorderMode,
}

/// What a [`Border`] is filled with. The lecture's zeros, reflect, replicate and circular are ONNX's constant 0, reflect,
/// edge and wrap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BorderMode {
    /// One value.
    Constant(f32),
    /// The picture mirrored at its outermost pixels, which are not repeated: `3 2 | 1 2 3 | 2 1`.
    Reflect,
    /// The outermost pixels repeated: `1 1 | 1 2 3 | 3 3`.
    Edge,
    /// The picture continued periodically: `2 3 | 1 2 3 | 1 2`.
    Wrap,
}

impl BorderMode {
    /// The pixel of an axis of `size` pixels that stands at position `at`, which may lie outside; `None` where the
    /// border is constant.
    pub fn source(self, at: isize, size: usize) -> Option<usize> {
        let size = size as isize;
        let inside = (0..size).contains(&at);
        let index = match self {
            _ if inside => at,
            Self::Constant(_) => return None,
            Self::Edge => at.clamp(0, size - 1),
            Self::Wrap => at.rem_euclid(size),
            Self::Reflect => {
                let period = 2 * (size - 1).max(1);
                let folded = at.rem_euclid(period);
                folded.min(period - folded).min(size - 1)
            }
        };
        Some(index as usize)
    }
}

/// A map per channel: `scale[c] * pixel + shift[c]`.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// One factor per channel.
    pub scale: &'a [f32],
    /// One summand per channel.
    pub shift: &'a [f32],
}

/// The pictures of one call: how many, their values in the layout that the plan's [`Source`] names (without border),
/// and their affine map if the source has one.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// How many of the batch are present.
    pub rows: usize,
    /// Their pixels; what follows the `rows` pictures is ignored.
    pub values: &'a [f32],
    /// The map, if [`Source::affine`].
    pub affine: Option<Affine<'a>>,
}

impl<'a> Pictures<'a> {
    /// `rows` pictures without an affine map.
    pub fn new(rows: usize, values: &'a [f32]) -> Self {
        Self { rows, values, affine: None }
    }

    /// `rows` pictures that are mapped by `scale` and `shift` while they are read.
    pub fn with_affine(rows: usize, values: &'a [f32], scale: &'a [f32], shift: &'a [f32]) -> Self {
        Self { rows, values, affine: Some(Affine { scale, shift }) }
    }
}

impl Source {
    /// Height and width of a picture as it lies in memory: the problem's input without the border.
    ///
    /// # Errors
    /// [`ConvError::Border`] where nothing is left, or a reflected border is not narrower than the picture.
    pub fn picture(&self, problem: &ConvProblem) -> Result<[usize; 2], ConvError> {
        let Some(border) = self.border else { return Ok(problem.input) };
        let along = |axis: usize| {
            let pads = [border.pads[axis], border.pads[axis + 2]];
            let error = ConvError::Border { axis, input: problem.input[axis], pads };
            let total = pads[0].checked_add(pads[1]).ok_or(error)?;
            let size = problem.input[axis].checked_sub(total).filter(|&size| size > 0).ok_or(error)?;
            let reflects = border.mode == BorderMode::Reflect;
            if reflects && pads.iter().any(|&pad| pad >= size) { Err(error) } else { Ok(size) }
        };
        Ok([along(0)?, along(1)?])
    }
}
