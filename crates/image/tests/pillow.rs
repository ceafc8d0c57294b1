//! Pictures, conversions and resizes beside Pillow's: `reference/image_fixtures.py` made the fixtures.
#![allow(clippy::unwrap_used)] // a panic in a test is its report
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use svertka_image::{Channels, Filter, Picture, Samples, Size, decode};

#[derive(Deserialize)]
struct Expected {
    decoded: BTreeMap<String, Pixels>,
    resized: Vec<Resize>,
    converted: BTreeMap<String, Pixels>,
}

#[derive(Deserialize)]
struct Resize {
    filter: String,
    source: Pixels,
    output: Pixels,
}

#[derive(Deserialize)]
struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    bits: u32,
    alpha: bool,
    tolerance: i32,
    samples: Vec<u16>,
}

impl Pixels {
    fn picture(&self) -> Picture {
        let samples = Samples::U8(self.samples.iter().map(|v| u8::try_from(*v).unwrap()).collect());
        Picture::new(self.width, self.height, self.channels, samples).unwrap().with_alpha(self.alpha)
    }

    /// Largest difference of a sample, or what else differs.
    fn difference(&self, picture: &Picture) -> Result<i32, String> {
        let size = Size { width: self.width, height: self.height };
        let form = (picture.size(), picture.channels(), picture.bits(), picture.has_alpha());
        if form != (size, self.channels, self.bits, self.alpha) {
            return Err(format!("{form:?}"));
        }
        let samples = match picture.samples() {
            Samples::U8(samples) => samples.iter().map(|v| u16::from(*v)).collect(),
            Samples::U16(samples) => samples.clone(),
        };
        let differences =
            samples.iter().zip(&self.samples).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs());
        Ok(differences.max().unwrap_or(0))
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expected() -> Expected {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

#[test]
fn pictures_decode_to_the_pixels_that_pillow_finds() {
    let mut failures = Vec::new();
    for (name, pixels) in expected().decoded {
        let bytes = std::fs::read(fixtures().join(&name)).unwrap();
        match decode(&bytes).map_err(|error| error.to_string()).and_then(|p| pixels.difference(&p)) {
            Ok(difference) if difference <= pixels.tolerance => {}
            other => failures.push(format!("{name}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Tolerance of a resize: each of two passes rounds to 8 bits. Weighting by an opacity rounds again, and dividing by one of
/// at least 128 doubles what was rounded and rounds once more.
fn levels(source: &Pixels) -> i32 {
    if source.alpha { 4 } else { 1 }
}

#[test]
fn resizing_equals_pillow() {
    let mut failures = Vec::new();
    for case in expected().resized {
        let filter = Filter::ALL.iter().find(|(name, _)| *name == case.filter).unwrap().1;
        let size = Size { width: case.output.width, height: case.output.height };
        match case.output.difference(&case.source.picture().resize(size, filter).unwrap()) {
            Ok(difference) if difference <= levels(&case.source) => {}
            other => failures.push(format!("{} to {size}: {other:?}", case.filter)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn sixteen_bits_resize_as_eight_do() {
    for case in expected().resized.iter().filter(|case| case.filter == "bilinear") {
        let wide = Samples::U16(case.source.samples.iter().map(|v| v * 257).collect());
        let source = Picture::new(case.source.width, case.source.height, case.source.channels, wide).unwrap();
        let size = Size { width: case.output.width, height: case.output.height };
        let resized = source.with_alpha(case.source.alpha).resize(size, Filter::Bilinear).unwrap();
        let mut planes = vec![0.0; case.output.samples.len()];
        resized.write_planar(&mut planes);
        let pixels = size.pixels();
        for (i, value) in planes.iter().enumerate() {
            let expected = case.output.samples[i % pixels * case.output.channels + i / pixels];
            // Half a level more, because the expected value is rounded and this one is not.
            assert!((value - f32::from(expected)).abs() <= levels(&case.source) as f32 + 0.5);
        }
    }
}

#[test]
fn grey_is_pillows_luma() {
    let converted = expected().converted;
    let grey = Channels::Grey.convert(converted["rgb"].picture()).unwrap();
    assert_eq!(converted["grey"].difference(&grey), Ok(0));
}

#[test]
fn truncated_files_say_so_and_nothing_panics() {
    for name in expected().decoded.keys() {
        let bytes = std::fs::read(fixtures().join(name)).unwrap();
        for cut in 0..bytes.len() {
            if let Err(error) = decode(&bytes[..cut]) {
                assert!(!error.to_string().is_empty(), "{name} cut to {cut}");
            }
        }
        let half = bytes.len() / 2;
        let error = decode(&bytes[..half]).expect_err(name).to_string();
        assert!(error.contains("truncated") || error.contains("not a"), "{name}: {error}");
    }
    let jpeg = std::fs::read(fixtures().join("rgb.jpg")).unwrap();
    let error = decode(&jpeg[..jpeg.len() - 100]).unwrap_err().to_string();
    assert_eq!(error, format!("not a JPEG (truncated after {} bytes)", jpeg.len() - 100));
}

#[test]
fn damaged_bytes_never_panic() {
    for (seed, name) in expected().decoded.keys().enumerate() {
        let original = std::fs::read(fixtures().join(name)).unwrap();
        for round in 0..64 {
            let mut bytes = original.clone();
            for k in 0..4 {
                let mixed = (seed * 64 + round) * 4 + k;
                let position = mixed.wrapping_mul(2_654_435_761) % bytes.len();
                bytes[position] ^= 1 << (mixed % 8);
            }
            if let Ok(picture) = decode(&bytes) {
                assert!(picture.size().pixels() > 0);
            }
        }
    }
}

#[test]
fn a_header_that_claims_too_much_is_refused_before_memory_is_taken() {
    let mut png = std::fs::read(fixtures().join("rgb.png")).unwrap();
    png[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    let error = decode(&png).unwrap_err().to_string();
    assert_eq!(error, "PNG claims 60000 x 60000 pixels, limit 134,217,728");
}

/// ISO 3309, bit by bit, as in the PNG specification's appendix.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 },
        )
    })
}
