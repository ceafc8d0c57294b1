//! Conversion between numbers of channels.

use std::fmt;
use std::str::FromStr;

use crate::{Picture, Samples, TransformError};

/// Channels that a picture is brought to.
///
/// Opacity is dropped, not composited, as Pillow's `convert('RGB')` does. Grey is the luma of ITU-R BT.601
/// in Pillow's fixed point (`L`). Two channels without opacity, or more than three, are bands whose colour is unknown:
/// they are kept by `Keep` and `Bands` and refused by the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Channels {
    /// One channel: luma.
    Grey,
    /// Red, green, blue; a grey picture has three equal ones.
    Rgb,
    /// Red, green, blue, opacity; opaque where the picture has none.
    Rgba,
    /// As the file has them.
    #[default]
    Keep,
    /// Exactly this many, as the file has them.
    Bands(usize),
}

impl Channels {
    /// Number of channels, where it does not depend on the picture.
    pub fn count(self) -> Option<usize> {
        match self {
            Self::Grey => Some(1),
            Self::Rgb => Some(3),
            Self::Rgba => Some(4),
            Self::Keep => None,
            Self::Bands(count) => Some(count),
        }
    }

    /// The picture with these channels.
    ///
    /// # Errors
    /// [`TransformError::Channels`] if the picture's bands are not colours, or are not as many as asked for.
    pub fn convert(self, picture: Picture) -> Result<Picture, TransformError> {
        let (colours, alpha) = (picture.channels() - usize::from(picture.has_alpha()), picture.has_alpha());
        match (self, colours, alpha) {
            (Self::Keep, ..) | (Self::Grey, 1, false) | (Self::Rgb, 3, false) | (Self::Rgba, 3, true) => {
                Ok(picture)
            }
            (Self::Bands(count), ..) if count == picture.channels() => Ok(picture),
            (Self::Grey | Self::Rgb | Self::Rgba, 1 | 3, _) => Ok(self.repaint(&picture)),
            _ => Err(TransformError::Channels { from: picture.channels(), to: self.to_string() }),
        }
    }

    /// Conversion of grey or RGB, with or without opacity, to `Grey`, `Rgb` or `Rgba`.
    fn repaint(self, picture: &Picture) -> Picture {
        let channels = picture.channels();
        let samples = match picture.samples() {
            Samples::U8(samples) => Samples::U8(self.repaint_samples(samples, channels, luma8, u8::MAX)),
            Samples::U16(samples) => Samples::U16(self.repaint_samples(samples, channels, luma16, u16::MAX)),
        };
        let count = self.count().expect("grey, RGB and RGBA have a fixed count");
        Picture::new(picture.width(), picture.height(), count, samples)
            .expect("every pixel is written with the new number of channels")
            .with_alpha(self == Self::Rgba)
    }

    fn repaint_samples<T: Copy>(
        self,
        samples: &[T],
        channels: usize,
        luma: fn(T, T, T) -> T,
        opaque: T,
    ) -> Vec<T> {
        let mut output = Vec::with_capacity(samples.len() / channels * self.count().unwrap_or(channels));
        for pixel in samples.chunks_exact(channels) {
            let (red, green, blue) =
                if channels < 3 { (pixel[0], pixel[0], pixel[0]) } else { (pixel[0], pixel[1], pixel[2]) };
            let alpha = if channels.is_multiple_of(2) { pixel[channels - 1] } else { opaque };
            match self {
                Self::Grey if channels < 3 => output.push(red),
                Self::Grey => output.push(luma(red, green, blue)),
                Self::Rgba => output.extend([red, green, blue, alpha]),
                _ => output.extend([red, green, blue]),
            }
        }
        output
    }
}

/// Pillow's fixed point of 0.299, 0.587, 0.114: <https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Convert.c> (`L24`).
fn luma8(red: u8, green: u8, blue: u8) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

fn luma16(red: u16, green: u16, blue: u16) -> u16 {
    ((u64::from(red) * 19_595 + u64::from(green) * 38_470 + u64::from(blue) * 7_471 + 0x8000) >> 16) as u16
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grey => f.write_str("grey"),
            Self::Rgb => f.write_str("rgb"),
            Self::Rgba => f.write_str("rgba"),
            Self::Keep => f.write_str("keep"),
            Self::Bands(count) => write!(f, "{count}"),
        }
    }
}

impl FromStr for Channels {
    type Err = String;

    /// `grey`, `rgb`, `rgba`, `keep` or a number of bands. `1`, `3` and `4` mean that many bands, unconverted.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "grey" | "gray" => Ok(Self::Grey),
            "rgb" => Ok(Self::Rgb),
            "rgba" => Ok(Self::Rgba),
            "keep" => Ok(Self::Keep),
            _ => match text.parse() {
                Ok(count) if count > 0 => Ok(Self::Bands(count)),
                _ => Err(format!("channels {text:?}: one of grey, rgb, rgba, keep or a number of bands")),
            },
        }
    }
}

impl TryFrom<String> for Channels {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Channels> for String {
    fn from(channels: Channels) -> Self {
        channels.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for channels in [Channels::Grey, Channels::Rgb, Channels::Rgba, Channels::Keep, Channels::Bands(5)] {
            assert_eq!(channels.to_string().parse(), Ok(channels));
            let json = serde_json::to_string(&channels).unwrap();
            assert_eq!(serde_json::from_str::<Channels>(&json).unwrap(), channels);
        }
        assert!("0".parse::<Channels>().is_err());
    }

    #[test]
    fn opacity_is_dropped_and_added_opaque() {
        let grey = Picture::new(1, 1, 2, Samples::U8(vec![7, 9])).unwrap().with_alpha(true);
        let rgba = Channels::Rgba.convert(grey.clone()).unwrap();
        assert_eq!(rgba.samples(), &Samples::U8(vec![7, 7, 7, 9]));
        assert_eq!(Channels::Grey.convert(grey).unwrap().samples(), &Samples::U8(vec![7]));
        let opaque = Channels::Rgba.convert(Channels::Rgb.convert(rgba).unwrap()).unwrap();
        assert_eq!(opaque.samples(), &Samples::U8(vec![7, 7, 7, 255]));
    }

    #[test]
    fn bands_without_colour_are_refused() {
        let bands = Picture::new(1, 1, 4, Samples::U16(vec![1, 2, 3, 4])).unwrap();
        assert_eq!(Channels::Bands(4).convert(bands.clone()), Ok(bands.clone()));
        let error = Channels::Rgb.convert(bands).unwrap_err();
        assert_eq!(error.to_string(), "a picture of 4 channels cannot become rgb");
    }
}
