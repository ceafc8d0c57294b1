//! What can be wrong with a picture.

use crate::Size;

/// Why bytes are not a picture. The name of the file is the caller's to add: `cat.jpg: not a JPEG (…)`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("empty file (zero bytes)")]
    Empty,
    /// None of the formats this crate reads.
    #[error("not a picture: starts with {start}; PNG, JPEG, WebP, BMP and TIFF are read")]
    NotAPicture {
        /// The first bytes, readable.
        start: String,
    },
    /// The file ends before its picture does.
    #[error("not a {format} (truncated after {} bytes)", thousands(*bytes as u64))]
    Truncated {
        /// Name of the format.
        format: &'static str,
        /// Length of what there is.
        bytes: usize,
    },
    /// The bytes contradict the format.
    #[error("not a {format} ({cause})")]
    Damaged {
        /// Name of the format.
        format: &'static str,
        /// The decoder's words.
        cause: String,
    },
    /// The header claims more than this crate is willing to hold.
    #[error("{format} claims {size} pixels, limit {}", thousands(*limit))]
    TooLarge {
        /// Name of the format.
        format: &'static str,
        /// What the header claims.
        size: Size,
        /// Most pixels that a picture of its kind may have.
        limit: u64,
    },
    /// A valid file of a kind that is not supported.
    #[error("{format} of an unsupported kind ({cause})")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// What is not supported.
        cause: String,
    },
}

/// Why a picture cannot be transformed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// The number of samples is not width * height * channels, or is zero.
    #[error("{samples} samples do not make a picture of {size} pixels with {channels} channels")]
    SampleCount {
        /// Claimed size.
        size: Size,
        /// Claimed channels.
        channels: usize,
        /// Number of samples.
        samples: usize,
    },
    /// No conversion between these numbers of channels has a meaning.
    #[error("a picture of {from} channels cannot become {to}")]
    Channels {
        /// Channels of the picture.
        from: usize,
        /// What was asked for.
        to: String,
    },
    /// A rectangle leaves the picture.
    #[error("a crop of {crop} pixels at ({left}, {top}) leaves a picture of {size} pixels")]
    Crop {
        /// Size of the rectangle.
        crop: Size,
        /// Its first column.
        left: usize,
        /// Its first row.
        top: usize,
        /// Size of the picture.
        size: Size,
    },
    /// A size that cannot be made.
    #[error("cannot resize to {size} pixels: sides must be 1 to {}", thousands(*limit as u64))]
    Resize {
        /// What was asked for.
        size: Size,
        /// Longest side allowed.
        limit: usize,
    },
}

/// `12288` as `12,288`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let (first, rest) = digits.split_at(head);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let first = (!first.is_empty()).then(|| first.to_string());
    first.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_are_grouped() {
        let written: Vec<_> = [0, 999, 12_288, 178_956_970].map(thousands).into();
        assert_eq!(written, ["0", "999", "12,288", "178,956,970"]);
    }
}
