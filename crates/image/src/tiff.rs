//! The TIFFs that the general decoder refuses: any number of bands, palettes, grey of 1, 2 and 4 bits.

use std::io::{Cursor, ErrorKind};

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{ExtraSamples, PlanarConfiguration, SampleFormat, Tag};
use tiff::{ColorType, TiffError};

use crate::decode::{check_size, finish};
use crate::orient::orient;
use crate::{DecodeError, Picture, Samples};

const TIFF: &str = "TIFF";
const PALETTE: u16 = 3;
const BLACK_IS_ZERO: u16 = 1;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// Decodes a multiband, palette or grey TIFF; `None` where the general decoder serves.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Picture>, DecodeError> {
    let explain = |error: TiffError| explain(&error, bytes.len());
    let mut reader = Decoder::new(Cursor::new(bytes)).map_err(explain)?;
    let (width, height) = reader.dimensions().map_err(explain)?;
    check_size(TIFF, width, height)?;
    let picture = match reader.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(explain)? {
        Some(PALETTE) => decode_palette(&mut reader, bytes)?,
        _ => match reader.colortype() {
            Ok(ColorType::Gray(bits @ (1 | 2 | 4))) => {
                stretch(&read(&mut reader, bits, 1, bytes.len())?, bits)
            }
            Ok(ColorType::Multiband { bit_depth, num_samples }) => {
                let bands = read(&mut reader, bit_depth, usize::from(num_samples), bytes.len())?;
                let alpha = usize::from(num_samples) == 2 && last_is_alpha(&mut reader);
                bands.with_alpha(alpha)
            }
            _ => return Ok(None),
        },
    };
    Ok(Some(orient(picture, orientation(&mut reader))))
}

fn orientation(reader: &mut Reader) -> Orientation {
    let exif = reader.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    exif.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

fn last_is_alpha(reader: &mut Reader) -> bool {
    let extra = reader.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten().unwrap_or_default();
    let alpha = [ExtraSamples::AssociatedAlpha, ExtraSamples::UnassociatedAlpha].map(|kind| kind.to_u16());
    extra.last().is_some_and(|kind| alpha.contains(kind))
}

/// Reads unsigned samples of up to 16 bits; fewer than 8 bits are unpacked, one sample a byte.
fn read(reader: &mut Reader, bits: u8, channels: usize, length: usize) -> Result<Picture, DecodeError> {
    let format = reader.find_tag_unsigned::<u16>(Tag::SampleFormat).ok().flatten();
    if format.is_some_and(|format| format != SampleFormat::Uint.to_u16()) {
        return Err(unsupported("samples that are not unsigned integers"));
    }
    let (width, height) = reader.dimensions().map_err(|error| explain(&error, length))?;
    let (width, height) = (width as usize, height as usize);
    let mut buffer = DecodingResult::U8(Vec::new());
    let layout = reader.read_image_to_buffer(&mut buffer).map_err(|error| explain(&error, length))?;
    let planar = layout.planes > 1;
    let samples = match buffer {
        DecodingResult::U8(packed) if bits < 8 && channels == 1 => {
            Samples::U8(unpack(&packed, usize::from(bits), width))
        }
        DecodingResult::U8(samples) if bits == 8 => Samples::U8(interleaved(samples, channels, planar)),
        DecodingResult::U16(samples) if bits == 16 => Samples::U16(interleaved(samples, channels, planar)),
        _ => return Err(unsupported(&format!("{channels} samples of {bits} bits"))),
    };
    finish(width, height, channels, samples, TIFF)
}

fn interleaved<T: Copy>(samples: Vec<T>, channels: usize, planar: bool) -> Vec<T> {
    if !planar {
        return samples;
    }
    let pixels = samples.len() / channels;
    (0..pixels * channels).map(|i| samples[i % channels * pixels + i / channels]).collect()
}

/// Samples of 1, 2 or 4 bits from rows that begin on whole bytes, the first in the highest bits.
fn unpack(packed: &[u8], bits: usize, width: usize) -> Vec<u8> {
    let per_byte = 8 / bits;
    let mask = u8::MAX >> (8 - bits);
    let rows = packed.chunks_exact(width.div_ceil(per_byte));
    rows.flat_map(|row| (0..width).map(move |x| row[x / per_byte] >> (8 - bits - x % per_byte * bits) & mask))
        .collect()
}

/// Grey of few bits over the whole range of 8.
fn stretch(picture: &Picture, bits: u8) -> Picture {
    let factor = u8::MAX / (u8::MAX >> (8 - bits));
    let samples = picture.samples().map(|s| s.iter().map(|v| v * factor).collect(), <[u16]>::to_vec);
    Picture::new(picture.width(), picture.height(), 1, samples).expect("as many samples as before")
}

/// The decoder knows no palettes, so it reads the indices as grey from a copy that says they are.
fn decode_palette(reader: &mut Reader, bytes: &[u8]) -> Result<Picture, DecodeError> {
    let explain = |error: TiffError| explain(&error, bytes.len());
    let colours = reader.find_tag_unsigned_vec::<u16>(Tag::ColorMap).map_err(explain)?.unwrap_or_default();
    let bits = reader.find_tag_unsigned::<u8>(Tag::BitsPerSample).map_err(explain)?.unwrap_or(1);
    let planar = reader.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(explain)?;
    let entries = 1_usize << bits.min(8);
    if !matches!(bits, 1 | 2 | 4 | 8) || planar == Some(PlanarConfiguration::Planar.to_u16()) {
        return Err(unsupported(&format!("a palette of {bits} bits")));
    }
    if colours.len() != 3 * entries {
        let cause = format!("its palette has {} values, expected {}", colours.len(), 3 * entries);
        return Err(DecodeError::Damaged { format: TIFF, cause });
    }
    let copy = with_photometric(reader, bytes, BLACK_IS_ZERO)?;
    let indices = read(&mut Decoder::new(Cursor::new(&copy[..])).map_err(explain)?, bits, 1, bytes.len())?;
    let Samples::U8(samples) = indices.samples() else { return Err(unsupported("a palette of 16 bits")) };
    // The colour map holds all reds, then all greens, then all blues, from 0 to 65,535.
    let colour = |index: &u8| [0, 1, 2].map(|c| (colours[c * entries + usize::from(*index)] >> 8) as u8);
    let rgb = samples.iter().flat_map(colour).collect();
    finish(indices.width(), indices.height(), 3, Samples::U8(rgb), TIFF)
}

/// A copy of a classic TIFF whose first directory says another photometric interpretation.
fn with_photometric(reader: &mut Reader, bytes: &[u8], value: u16) -> Result<Vec<u8>, DecodeError> {
    const CLASSIC: u16 = 42;
    const ENTRY: usize = 12;
    let little = bytes.starts_with(b"II");
    let order = |number: u16| if little { number.to_le_bytes() } else { number.to_be_bytes() };
    let directory = reader.ifd_pointer().map_or(0, |pointer| pointer.0 as usize);
    let tag = order(Tag::PhotometricInterpretation.to_u16());
    let mut copy = bytes.to_vec();
    let classic = bytes.get(2..4) == Some(&order(CLASSIC));
    let mut entries = copy.get_mut(directory + 2..).unwrap_or_default().chunks_exact_mut(ENTRY);
    match entries.find(|entry| entry[..2] == tag) {
        Some(entry) if classic => entry[8..10].copy_from_slice(&order(value)),
        _ => return Err(unsupported("a palette in a BigTIFF")),
    }
    Ok(copy)
}

fn unsupported(cause: &str) -> DecodeError {
    DecodeError::Unsupported { format: TIFF, cause: cause.to_string() }
}

fn explain(error: &TiffError, length: usize) -> DecodeError {
    match error {
        TiffError::IoError(io) if io.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: TIFF, bytes: length }
        }
        TiffError::UnsupportedError(cause) => unsupported(&cause.to_string()),
        other => DecodeError::Damaged { format: TIFF, cause: other.to_string() },
    }
}
