//! From bytes to a picture: the format is told by content, never by a file's name.

use std::io::{Cursor, ErrorKind};

use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::orient::orient;
use crate::{DecodeError, Picture, Samples, Size, tiff};

/// Most pixels a picture may have, 16,384 x 8,192: what a header claims beyond is refused before memory is taken.
pub const MAX_PIXELS: u64 = 1 << 27;

/// Most bytes a decoder may take, its output included.
pub const MAX_BYTES: u64 = 1 << 30;

/// Decodes a PNG, JPEG, WebP, BMP or TIFF and turns it as its EXIF orientation asks.
///
/// Palettes become RGB (RGBA where entries are transparent), grey of fewer than 8 bits is stretched to 8, CMYK becomes RGB,
/// 16 bits are kept, and a TIFF keeps any number of bands. Of several pages or frames, the first is taken.
///
/// # Errors
/// A [`DecodeError`] that says what is wrong, without a file's name.
pub fn decode(bytes: &[u8]) -> Result<Picture, DecodeError> {
    let format = sniff(bytes)?;
    if format == ImageFormat::Jpeg && !has_end_marker(bytes) {
        return Err(DecodeError::Truncated { format: "JPEG", bytes: bytes.len() });
    }
    if format == ImageFormat::Tiff
        && let Some(picture) = tiff::decode(bytes)?
    {
        return Ok(picture);
    }
    decode_with_image(bytes, format).map_err(|error| match error {
        Failure::Ours(error) => error,
        Failure::Theirs(error) => explain(&error, format, bytes.len()),
    })
}

/// Either this crate's finding or the decoder's.
enum Failure {
    Ours(DecodeError),
    Theirs(ImageError),
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Theirs(error)
    }
}

fn decode_with_image(bytes: &[u8], format: ImageFormat) -> Result<Picture, Failure> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_size(name(format), width, height).map_err(Failure::Ours)?;
    let orientation = decoder.orientation()?;
    let picture = from_dynamic(DynamicImage::from_decoder(decoder)?, format).map_err(Failure::Ours)?;
    Ok(orient(picture, orientation))
}

/// Refuses a header's claim beyond [`MAX_PIXELS`].
pub(crate) fn check_size(format: &'static str, width: u32, height: u32) -> Result<(), DecodeError> {
    if u64::from(width) * u64::from(height) <= MAX_PIXELS {
        return Ok(());
    }
    let size = Size { width: width as usize, height: height as usize };
    Err(DecodeError::TooLarge { format, size, limit: MAX_PIXELS })
}

fn from_dynamic(decoded: DynamicImage, format: ImageFormat) -> Result<Picture, DecodeError> {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (channels, samples) = match decoded {
        DynamicImage::ImageLuma8(image) => (1, Samples::U8(image.into_raw())),
        DynamicImage::ImageLumaA8(image) => (2, Samples::U8(image.into_raw())),
        DynamicImage::ImageRgb8(image) => (3, Samples::U8(image.into_raw())),
        DynamicImage::ImageRgba8(image) => (4, Samples::U8(image.into_raw())),
        DynamicImage::ImageLuma16(image) => (1, Samples::U16(image.into_raw())),
        DynamicImage::ImageLumaA16(image) => (2, Samples::U16(image.into_raw())),
        DynamicImage::ImageRgb16(image) => (3, Samples::U16(image.into_raw())),
        DynamicImage::ImageRgba16(image) => (4, Samples::U16(image.into_raw())),
        other => {
            let cause = format!("samples of type {:?}", other.color());
            return Err(DecodeError::Unsupported { format: name(format), cause });
        }
    };
    finish(width, height, channels, samples, name(format)).map(|p| p.with_alpha(channels % 2 == 0))
}

/// A picture from a decoder's output, which is not trusted to be consistent.
pub(crate) fn finish(
    width: usize,
    height: usize,
    channels: usize,
    samples: Samples,
    format: &'static str,
) -> Result<Picture, DecodeError> {
    Picture::new(width, height, channels, samples)
        .map_err(|error| DecodeError::Damaged { format, cause: error.to_string() })
}

fn sniff(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Tiff),
        ) => Ok(format),
        _ => Err(DecodeError::NotAPicture { start: beginning(bytes) }),
    }
}

/// The first bytes for a reader's eyes: as text where they are text, else in hexadecimal.
fn beginning(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(12)];
    if start.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')) {
        format!("{:?}", String::from_utf8_lossy(start))
    } else {
        start.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        _ => "picture",
    }
}

fn explain(error: &ImageError, format: ImageFormat, length: usize) -> DecodeError {
    let format = name(format);
    match error {
        _ if ran_out(error) => DecodeError::Truncated { format, bytes: length },
        ImageError::Unsupported(cause) => DecodeError::Unsupported { format, cause: cause.to_string() },
        ImageError::Limits(cause) if matches!(cause.kind(), LimitErrorKind::InsufficientMemory) => {
            DecodeError::Unsupported {
                format,
                cause: format!("it needs more than {MAX_BYTES} bytes to decode"),
            }
        }
        other => DecodeError::Damaged { format, cause: other.to_string() },
    }
}

/// Whether a decoder, at any depth, found its input to end too early.
fn ran_out(error: &ImageError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    matches!(error, ImageError::IoError(io) if io.kind() == ErrorKind::UnexpectedEof)
}

/// Whether a JPEG reaches its end-of-image marker. The decoder paints what is missing grey and does not say so.
///
/// Segments are walked by their lengths; after a start of scan, entropy-coded bytes are skipped up to the next marker, in
/// which a 0xFF is followed by zero or a restart marker (ITU-T T.81, B.1.1.2).
fn has_end_marker(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut position = 2;
    while let Some(&[first, marker]) = bytes.get(position..position + 2) {
        match (first, marker) {
            (0xff, END) => return true,
            (0xff, 0x01..=0xbf | 0xc0..=0xcf | 0xda..=0xfe) => {
                position += 2 + segment_length(bytes, position);
            }
            _ => position += 1,
        }
    }
    false
}

fn segment_length(bytes: &[u8], marker: usize) -> usize {
    match bytes.get(marker + 2..marker + 4) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_picture_is_quoted() {
        assert_eq!(decode(b""), Err(DecodeError::Empty));
        let text = decode(b"<html><body>").unwrap_err().to_string();
        assert!(text.starts_with("not a picture: starts with \"<html><body>\""), "{text}");
        let binary = decode(&[0, 1, 2]).unwrap_err().to_string();
        assert!(binary.starts_with("not a picture: starts with 00 01 02"), "{binary}");
    }

    #[test]
    fn a_huge_claim_is_refused_by_name() {
        let error = check_size("PNG", 60_000, 60_000).unwrap_err();
        assert_eq!(error.to_string(), "PNG claims 60000 x 60000 pixels, limit 134,217,728");
    }

    #[test]
    fn an_end_marker_inside_a_segment_does_not_count() {
        let inside = [0xff, 0xd8, 0xff, 0xe1, 0, 4, 0xff, 0xd9, 0xff, 0xda, 0, 2, 1, 0xff, 0, 0xff, 0xd0];
        assert!(!has_end_marker(&inside));
        assert!(has_end_marker(&[&inside[..], &[0xff, 0xd9]].concat()));
    }
}
