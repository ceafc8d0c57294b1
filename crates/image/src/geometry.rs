//! Resizing and cropping.

use bytemuck::{cast_slice, pod_collect_to_vec};
use fast_image_resize as fir;
use fir::images::Image;
use fir::pixels::{U8, U8x2, U8x3, U8x4, U16, U16x2, U16x3, U16x4};
use fir::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::picture::deinterleave;
use crate::{MAX_PIXELS, Picture, Samples, Size, TransformError};

/// Longest side a picture may be resized to.
const MAX_SIDE: usize = 65_535;

/// How new pixels are computed from old ones. All but `Nearest` widen with the scale when they shrink
/// a picture (antialiasing), as Pillow's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The pixel under the centre.
    Nearest,
    /// Mean of the pixels covered.
    Box,
    /// Triangle; the default.
    #[default]
    Bilinear,
    /// Cubic convolution with a = -0.5.
    Bicubic,
    /// Sinc windowed over three lobes.
    Lanczos,
}

impl Filter {
    /// Every filter with its name in configuration.
    pub const ALL: [(&'static str, Self); 5] = [
        ("nearest", Self::Nearest),
        ("box", Self::Box),
        ("bilinear", Self::Bilinear),
        ("bicubic", Self::Bicubic),
        ("lanczos", Self::Lanczos),
    ];

    /// Whether a result can leave the range of its sources. Then it is clipped between the pass over rows and the one over
    /// columns, and their order shows: rows first, as in Pillow.
    fn overshoots(self) -> bool {
        matches!(self, Self::Bicubic | Self::Lanczos)
    }

    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Nearest => ResizeAlg::Nearest,
            Self::Box => ResizeAlg::Convolution(FilterType::Box),
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        }
    }
}

impl Picture {
    /// The picture at another size, its proportions not kept. Equals Pillow's `resize` within one level of 255,
    /// or four where colours are weighted by an opacity of a half or more (Pillow rounds in four places then).
    ///
    /// # Errors
    /// [`TransformError::Resize`] if a side is zero or unreasonably long.
    pub fn resize(&self, size: Size, filter: Filter) -> Result<Picture, TransformError> {
        let sides = 1..=MAX_SIDE;
        let pixels = size.width.saturating_mul(size.height) as u64;
        if !sides.contains(&size.width) || !sides.contains(&size.height) || pixels > MAX_PIXELS {
            return Err(TransformError::Resize { size, limit: MAX_SIDE });
        }
        if size == self.size() {
            return Ok(self.clone());
        }
        let rows_first = Size { width: size.width, height: self.height() };
        if filter.overshoots() && !self.has_alpha() && rows_first != size && rows_first != self.size() {
            return self.resize(rows_first, filter)?.resize(size, filter);
        }
        let job = Job { from: self.size(), to: size, filter };
        let samples = match interleaved(self) {
            Some(run) => self.samples().map(
                |samples| run(&job, samples),
                |samples| pod_collect_to_vec(&run(&job, cast_slice(samples))),
            ),
            None => resize_bands(self, &job),
        };
        self.with_samples(size, samples)
    }

    /// The picture with its shorter side brought to `side`, proportions kept; the longer one is rounded down, as
    /// torchvision's `Resize(int)` does.
    ///
    /// # Errors
    /// As [`Picture::resize`].
    pub fn resize_short_side(&self, side: usize, filter: Filter) -> Result<Picture, TransformError> {
        self.resize(short_side_size(self.size(), side), filter)
    }

    /// The rectangle of `crop` pixels whose first column and row are `left` and `top`.
    ///
    /// # Errors
    /// [`TransformError::Crop`] if it leaves the picture or is empty.
    pub fn crop(&self, left: usize, top: usize, crop: Size) -> Result<Picture, TransformError> {
        let size = self.size();
        let fits = |start: usize, length: usize, whole: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= whole)
        };
        if !fits(left, crop.width, size.width) || !fits(top, crop.height, size.height) {
            return Err(TransformError::Crop { crop, left, top, size });
        }
        let rows = |row: usize| {
            let start = ((top + row) * size.width + left) * self.channels();
            start..start + crop.width * self.channels()
        };
        let samples = self.samples().map(
            |samples| (0..crop.height).flat_map(|row| samples[rows(row)].iter().copied()).collect(),
            |samples| (0..crop.height).flat_map(|row| samples[rows(row)].iter().copied()).collect(),
        );
        self.with_samples(crop, samples)
    }

    /// The middle of the picture. Where the margin is odd, it is split as torchvision's `CenterCrop` splits it.
    ///
    /// # Errors
    /// [`TransformError::Crop`] if the picture is smaller.
    pub fn center_crop(&self, crop: Size) -> Result<Picture, TransformError> {
        let margin = |whole: usize, part: usize| half_to_even(whole.saturating_sub(part));
        self.crop(margin(self.width(), crop.width), margin(self.height(), crop.height), crop)
    }

    fn with_samples(&self, size: Size, samples: Samples) -> Result<Picture, TransformError> {
        let picture = Picture::new(size.width, size.height, self.channels(), samples)?;
        Ok(picture.with_alpha(self.has_alpha()))
    }
}

/// Size of a picture whose shorter side is brought to `side`.
pub(crate) fn short_side_size(size: Size, side: usize) -> Size {
    let long = |longer: usize, shorter: usize| side.saturating_mul(longer) / shorter;
    if size.width <= size.height {
        Size { width: side, height: long(size.height, size.width) }
    } else {
        Size { width: long(size.width, size.height), height: side }
    }
}

/// Half of a number, rounded to even as Python's `round` does.
fn half_to_even(number: usize) -> usize {
    let half = number / 2;
    if number % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// Resizes the bytes of a picture of one pixel type.
type Resize = fn(&Job, &[u8]) -> Vec<u8>;

/// The resizer of an interleaved layout, if it knows it. Bands without opacity must not be weighted by their last
/// one: only pixels of one or three colours are resized together.
fn interleaved(picture: &Picture) -> Option<Resize> {
    let colours = picture.channels() - usize::from(picture.has_alpha());
    Some(match (picture.bits(), colours, picture.has_alpha()) {
        (8, 1, false) => Job::run::<U8>,
        (8, 1, true) => Job::run::<U8x2>,
        (8, 3, false) => Job::run::<U8x3>,
        (8, 3, true) => Job::run::<U8x4>,
        (16, 1, false) => Job::run::<U16>,
        (16, 1, true) => Job::run::<U16x2>,
        (16, 3, false) => Job::run::<U16x3>,
        (16, 3, true) => Job::run::<U16x4>,
        _ => return None,
    })
}

/// Each band as a grey picture of its own.
fn resize_bands(picture: &Picture, job: &Job) -> Samples {
    let wide = |band: &[u16]| pod_collect_to_vec(&job.run::<U16>(cast_slice(band)));
    picture.samples().map(
        |samples| by_band(samples, picture.channels(), |band| job.run::<U8>(band)),
        |samples| by_band(samples, picture.channels(), wide),
    )
}

fn by_band<T: Copy + Default>(samples: &[T], channels: usize, resize: impl Fn(&[T]) -> Vec<T>) -> Vec<T> {
    let mut planes = vec![T::default(); samples.len()];
    deinterleave(samples, channels, &mut planes, |value| value);
    let resized: Vec<T> = planes.chunks_exact(samples.len() / channels).flat_map(resize).collect();
    let pixels = resized.len() / channels;
    (0..resized.len()).map(|i| resized[i % channels * pixels + i / channels]).collect()
}

struct Job {
    from: Size,
    to: Size,
    filter: Filter,
}

impl Job {
    /// Pixels of one type. The resizer's own choice among all its types at run time would compile each of them.
    fn run<P: PixelTrait>(&self, bytes: &[u8]) -> Vec<u8> {
        let mut source = Image::new(self.from.width as u32, self.from.height as u32, P::pixel_type());
        source.buffer_mut().copy_from_slice(bytes);
        let mut output = Image::new(self.to.width as u32, self.to.height as u32, P::pixel_type());
        let weighted = self.filter != Filter::Nearest;
        let options = ResizeOptions::new().resize_alg(self.filter.algorithm()).use_alpha(weighted);
        let (Some(from), Some(mut to)) = (source.typed_image_mut::<P>(), output.typed_image_mut::<P>())
        else {
            unreachable!("both were made of this pixel type");
        };
        Resizer::new().resize_typed(&from, &mut to, &options).expect("no crop is asked for");
        output.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize, channels: usize) -> Picture {
        let samples = (0..width * height * channels).map(|i| (i % 251) as u8).collect();
        Picture::new(width, height, channels, Samples::U8(samples)).unwrap()
    }

    #[test]
    fn a_crop_is_the_rectangle_asked_for() {
        let crop = ramp(4, 3, 1).crop(1, 1, Size { width: 2, height: 2 }).unwrap();
        assert_eq!(crop.samples(), &Samples::U8(vec![5, 6, 9, 10]));
        assert!(ramp(4, 3, 1).crop(3, 0, Size { width: 2, height: 2 }).is_err());
        assert!(ramp(4, 3, 1).crop(usize::MAX, 0, Size::square(1)).is_err());
    }

    #[test]
    fn margins_are_split_as_torchvision_splits_them() {
        // torchvision: int(round((whole - part) / 2.0)) with Python's rounding of halves to even.
        let tops: Vec<_> = [0, 1, 2, 3, 4, 5].map(half_to_even).into();
        assert_eq!(tops, [0, 0, 1, 2, 2, 2]);
    }

    #[test]
    fn short_side_keeps_proportions() {
        let size = short_side_size(Size { width: 500, height: 375 }, 256);
        assert_eq!(size, Size { width: 341, height: 256 });
    }

    #[test]
    fn bands_are_resized_one_by_one() {
        let bands = ramp(6, 4, 5);
        let size = Size { width: 3, height: 5 };
        let resized = bands.resize(size, Filter::Bilinear).unwrap();
        let Samples::U8(samples) = bands.samples() else { unreachable!() };
        let second: Vec<u8> = samples.iter().skip(1).step_by(5).copied().collect();
        let second = Picture::new(6, 4, 1, Samples::U8(second)).unwrap();
        let Samples::U8(expected) = second.resize(size, Filter::Bilinear).unwrap().samples().clone() else {
            unreachable!()
        };
        let Samples::U8(samples) = resized.samples() else { unreachable!() };
        assert_eq!(samples.iter().skip(1).step_by(5).copied().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_side_of_zero_is_an_error() {
        assert!(ramp(2, 2, 1).resize(Size { width: 0, height: 2 }, Filter::Box).is_err());
        assert!(ramp(2, 2, 1).resize(Size::square(MAX_SIDE), Filter::Box).is_err());
    }
}
