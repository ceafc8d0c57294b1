//! The picture: interleaved samples of 8 or 16 bits.

use std::fmt;

use crate::TransformError;

/// Width and height in pixels. Written `height x width` in configuration, as tensors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Size {
    /// A square of the given side.
    pub fn square(side: usize) -> Self {
        Self { width: side, height: side }
    }

    /// Number of pixels.
    pub fn pixels(self) -> usize {
        self.width * self.height
    }
}

impl fmt::Display for Size {
    /// `WIDTH x HEIGHT`, as people and file managers say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.width, self.height)
    }
}

/// Samples of a picture, interleaved: row by row, pixel by pixel, channel by channel (HWC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// 0 to 255.
    U8(Vec<u8>),
    /// 0 to 65,535.
    U16(Vec<u16>),
}

impl Samples {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(samples) => samples.len(),
            Self::U16(samples) => samples.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Applies one of two functions that do the same for either width of sample.
    pub(crate) fn map(
        &self,
        narrow: impl FnOnce(&[u8]) -> Vec<u8>,
        wide: impl FnOnce(&[u16]) -> Vec<u16>,
    ) -> Self {
        match self {
            Self::U8(samples) => Self::U8(narrow(samples)),
            Self::U16(samples) => Self::U16(wide(samples)),
        }
    }
}

/// A picture of `height x width` pixels of one or more channels. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    channels: usize,
    samples: Samples,
    alpha: bool,
}

impl Picture {
    /// A picture without opacity from `height * width * channels` interleaved samples.
    ///
    /// # Errors
    /// [`TransformError::SampleCount`] if the number of samples is another, or zero.
    pub fn new(
        width: usize,
        height: usize,
        channels: usize,
        samples: Samples,
    ) -> Result<Self, TransformError> {
        let size = Size { width, height };
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels));
        if samples.is_empty() || expected != Some(samples.len()) {
            return Err(TransformError::SampleCount { size, channels, samples: samples.len() });
        }
        Ok(Self { size, channels, samples, alpha: false })
    }

    /// The same picture, its last channel being opacity if `alpha`. Colour conversion drops an opacity, and
    /// resizing weights colours with it; a fourth band that is not an opacity is kept like any other.
    pub fn with_alpha(mut self, alpha: bool) -> Self {
        self.alpha = alpha && self.channels > 1;
        self
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.size.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.size.height
    }

    /// Samples in a pixel, an opacity included.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether the last channel is opacity.
    pub fn has_alpha(&self) -> bool {
        self.alpha
    }

    /// Interleaved samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Bits per sample: 8 or 16.
    pub fn bits(&self) -> u32 {
        match self.samples {
            Samples::U8(_) => 8,
            Samples::U16(_) => 16,
        }
    }

    /// Writes the picture as planes of f32 from 0 to 255. Samples of 16 bits keep their precision: v / 257.
    ///
    /// Shape: `planes` is [C, H, W].
    ///
    /// # Panics
    /// If `planes` has another length than `channels * height * width`.
    pub fn write_planar(&self, planes: &mut [f32]) {
        assert_eq!(planes.len(), self.samples.len(), "planes must hold channels * height * width values");
        match &self.samples {
            Samples::U8(samples) => deinterleave(samples, self.channels, planes, f32::from),
            Samples::U16(samples) => deinterleave(samples, self.channels, planes, |v| f32::from(v) / 257.0),
        }
    }
}

/// Copies `[pixels, channels]` into `[channels, pixels]`.
pub(crate) fn deinterleave<T: Copy, U>(
    samples: &[T],
    channels: usize,
    planes: &mut [U],
    convert: impl Fn(T) -> U,
) {
    for (channel, plane) in planes.chunks_exact_mut(samples.len() / channels).enumerate() {
        for (value, pixel) in plane.iter_mut().zip(samples.chunks_exact(channels)) {
            *value = convert(pixel[channel]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_channels_first_and_sixteen_bits_keep_their_precision() {
        let picture = Picture::new(2, 1, 2, Samples::U16(vec![0, 257, 65_535, 1])).unwrap();
        let mut planes = [0.0; 4];
        picture.write_planar(&mut planes);
        assert_eq!(planes, [0.0, 255.0, 1.0, 1.0 / 257.0]);
    }

    #[test]
    fn a_picture_has_as_many_samples_as_it_says() {
        assert!(Picture::new(2, 2, 3, Samples::U8(vec![0; 11])).is_err());
        assert!(Picture::new(usize::MAX, 2, 1, Samples::U8(vec![0; 2])).is_err());
        assert!(Picture::new(0, 2, 1, Samples::U8(vec![])).is_err());
    }
}
