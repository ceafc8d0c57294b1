//! The IDX format of MNIST: <http://yann.lecun.com/exdb/mnist/>. Two zero bytes, a type, a number of dimensions, the
//! dimensions as big-endian u32, then the items in row-major order. Plain, or inside gzip.
//!
//! No more memory is taken than the file can fill: a claim is held against the length of what is stored before anything is
//! allocated, and a gzip stream is inflated no further than its header claims.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

pub use super::idx_pairs::part;
use crate::Error;

/// Most items of one file, 4 GiB of pixels.
const MAX_ITEMS: u128 = 1 << 32;

/// Deflate codes at most 258 bytes in 2 bits (RFC 1951): an inflated stream is at most this many times as long.
const MAX_INFLATION: u128 = 1032;

/// The one type that pictures and labels have: unsigned byte.
const UNSIGNED_BYTE: u8 = 0x08;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An array of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// Its dimensions, the slowest first: `[N]` for labels, `[N, H, W]` for grey pictures.
    pub shape: Vec<usize>,
    /// Its items, row-major; as many as the product of the dimensions.
    pub items: Vec<u8>,
}

/// Why bytes are not an IDX array.
#[derive(Debug, thiserror::Error)]
pub enum IdxError {
    /// The first two bytes are not zero.
    #[error("not an IDX file: starts with {0:02x?}, expected 00 00 08 and a number of dimensions")]
    Magic([u8; 4]),
    /// Items of another type than unsigned bytes.
    #[error("IDX items of type 0x{0:02x}; only unsigned bytes (0x08) are read")]
    Type(u8),
    /// Pictures and labels have one to four dimensions.
    #[error("IDX array of {0} dimensions; 1 to 4 are read")]
    Dimensions(u8),
    /// The header claims more than the file can hold or this crate is willing to.
    #[error("the header claims {claimed} items ({shape:?}), but {reason}")]
    Claim {
        /// Product of the dimensions.
        claimed: u128,
        /// The dimensions.
        shape: Vec<usize>,
        /// Why that cannot be.
        reason: String,
    },
    /// The file ends inside its header.
    #[error("truncated: the file ends inside its header")]
    Header,
    /// The file ends before its last item.
    #[error("truncated: {found} of {claimed} items")]
    Truncated {
        /// Items that the header claims.
        claimed: usize,
        /// Items that there are.
        found: usize,
    },
    /// The file goes on after its last item.
    #[error("the file goes on after the {claimed} items that its header claims")]
    Trailing {
        /// Items that the header claims.
        claimed: usize,
    },
    /// The operating system or gzip refused.
    #[error("{0}")]
    Read(#[from] io::Error),
}

/// Reads a file, plain or gzipped; content tells which.
///
/// # Errors
/// [`Error::Read`], [`Error::Idx`].
pub fn open(path: &Path) -> Result<Idx, Error> {
    let file = File::open(path).map_err(Error::read(path))?;
    let stored = file.metadata().map_err(Error::read(path))?.len();
    read(BufReader::new(file), stored).map_err(|source| Error::Idx { path: path.to_path_buf(), source })
}

/// Reads an array from bytes, plain or gzipped.
///
/// # Errors
/// An [`IdxError`].
pub fn parse(bytes: &[u8]) -> Result<Idx, IdxError> {
    read(bytes, bytes.len() as u64)
}

fn read(mut reader: impl io::BufRead, stored: u64) -> Result<Idx, IdxError> {
    if reader.fill_buf()?.starts_with(&GZIP) {
        read_plain(MultiGzDecoder::new(reader), u128::from(stored) * MAX_INFLATION)
    } else {
        read_plain(reader, u128::from(stored))
    }
}

/// `most` bounds the length of what the reader can give.
fn read_plain(mut reader: impl Read, most: u128) -> Result<Idx, IdxError> {
    let shape = read_shape(&mut reader)?;
    let claimed = check_claim(&shape, most)?;
    let mut items = Vec::new();
    match reader.by_ref().take(claimed as u64).read_to_end(&mut items) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {} // gzip's way to say it is truncated
        Err(error) => return Err(error.into()),
    }
    if items.len() < claimed {
        return Err(IdxError::Truncated { claimed, found: items.len() });
    }
    // The one byte more also makes gzip compare its checksum.
    if reader.read(&mut [0])? > 0 {
        return Err(IdxError::Trailing { claimed });
    }
    Ok(Idx { shape, items })
}

fn read_shape(reader: &mut impl Read) -> Result<Vec<usize>, IdxError> {
    let magic = read_word(reader)?;
    let [0, 0, kind, dimensions] = magic else { return Err(IdxError::Magic(magic)) };
    if kind != UNSIGNED_BYTE {
        return Err(IdxError::Type(kind));
    }
    if !(1..=4).contains(&dimensions) {
        return Err(IdxError::Dimensions(dimensions));
    }
    (0..dimensions).map(|_| Ok(u32::from_be_bytes(read_word(reader)?) as usize)).collect()
}

fn read_word(reader: &mut impl Read) -> Result<[u8; 4], IdxError> {
    let mut word = [0; 4];
    reader.read_exact(&mut word).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => IdxError::Header,
        _ => IdxError::Read(error),
    })?;
    Ok(word)
}

fn check_claim(shape: &[usize], most: u128) -> Result<usize, IdxError> {
    let claimed: u128 = shape.iter().map(|length| *length as u128).product();
    let reason = if claimed > MAX_ITEMS {
        format!("the limit is {MAX_ITEMS}")
    } else if claimed > most {
        format!("the file can hold at most {most}")
    } else {
        return Ok(claimed as usize);
    };
    Err(IdxError::Claim { claimed, shape: shape.to_vec(), reason })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(kind: u8, shape: &[u32], items: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|length| length.to_be_bytes()));
        bytes.extend(items);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn message(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn plain_and_gzipped_arrays_are_read() {
        let bytes = file(8, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let expected = Idx { shape: vec![2, 1, 3], items: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(parse(&bytes).unwrap(), expected);
        assert_eq!(parse(&gzip(&bytes)).unwrap(), expected);
    }

    #[test]
    fn headers_that_are_wrong_are_refused_by_cause() {
        assert!(message(b"\x89PNG\r\n").starts_with("not an IDX file"));
        assert!(message(&file(0x0d, &[1], &[0; 4])).contains("type 0x0d"));
        assert!(message(&file(8, &[1; 5], &[0])).contains("5 dimensions"));
        assert!(message(&file(8, &[], &[0])).contains("0 dimensions"));
        assert!(message(&[]).contains("inside its header"));
        assert!(message(&[0, 0, 8, 2, 0, 0]).contains("inside its header"));
    }

    #[test]
    fn lengths_must_match() {
        let bytes = file(8, &[4], &[1, 2, 3, 4]);
        assert!(message(&gzip(&bytes[..10])).contains("truncated: 2 of 4"));
        assert!(message(&[&bytes[..], &[5]].concat()).contains("goes on after the 4 items"));
        assert!(message(&gzip(&[&bytes[..], &[5]].concat())).contains("goes on after"));
        assert!(message(&gzip(&bytes)[..20]).contains("truncated"));
    }

    #[test]
    fn a_claim_of_2_to_the_40_takes_no_memory() {
        assert!(message(&file(8, &[1 << 20, 1 << 20], &[0; 8])).contains("claims 1099511627776 items"));
        assert!(message(&gzip(&file(8, &[1 << 20, 1 << 20], &[0; 8]))).contains("the limit is"));
        assert!(message(&file(8, &[u32::MAX; 4], &[])).contains("the limit is"));
        assert!(message(&file(8, &[1 << 30], &[0; 8])).contains("can hold at most 16"));
        assert!(message(&gzip(&file(8, &[1 << 30], &[0; 8]))).contains("can hold at most"));
    }

    #[test]
    fn gzip_is_inflated_no_further_than_the_header_claims() {
        let bomb = gzip(&file(8, &[16], &vec![0; 50_000_000]));
        assert!(bomb.len() < 60_000);
        assert!(message(&bomb).contains("goes on after the 16 items"));
    }
}
