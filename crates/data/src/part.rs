//! A part of a data set: labelled pictures, read when asked for.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use svertka_image::{Channels, Picture, Samples, Size, decode};

use crate::{Broken, SampleError};

/// Longest file read as one picture.
const MAX_FILE: u64 = 1 << 30;

/// Number of pictures looked at to learn sizes and channels.
const PROBES: usize = 16;

/// Labelled pictures: files, or pixels in memory. Cheap to clone and to take a subset of: the pictures are shared.
#[derive(Clone, Debug)]
pub struct Part {
    source: Arc<Source>,
    rows: Vec<usize>,
}

#[derive(Debug)]
struct Source {
    labels: Vec<usize>,
    pictures: Pictures,
}

#[derive(Debug)]
enum Pictures {
    Files(Vec<PathBuf>),
    Memory(Pixels),
}

/// Pictures of one size in memory.
#[derive(Debug)]
pub(crate) struct Pixels {
    /// Name of the archive, for messages.
    pub(crate) origin: String,
    pub(crate) size: Size,
    pub(crate) channels: usize,
    /// Picture by picture, each interleaved: [N, H, W, C].
    pub(crate) bytes: Vec<u8>,
}

impl Pixels {
    fn picture_len(&self) -> usize {
        self.size.pixels() * self.channels
    }
}

/// What the first pictures of a part look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Their size, if all have the same.
    pub size: Option<Size>,
    /// Their distinct sizes.
    pub sizes: Vec<Size>,
    /// Grey if all are grey, RGB if one has colours, else their number of bands. Opacity does not count.
    pub channels: Channels,
}

impl Part {
    /// Pictures in files and their classes.
    pub(crate) fn from_files(files: Vec<(PathBuf, usize)>) -> Self {
        let (paths, labels) = files.into_iter().unzip();
        Self::whole(Source { labels, pictures: Pictures::Files(paths) })
    }

    /// Pictures in memory and their classes, one label for each picture.
    pub(crate) fn from_pixels(pixels: Pixels, labels: Vec<usize>) -> Self {
        debug_assert_eq!(pixels.bytes.len(), labels.len() * pixels.picture_len());
        Self::whole(Source { labels, pictures: Pictures::Memory(pixels) })
    }

    fn whole(source: Source) -> Self {
        Self { rows: (0..source.labels.len()).collect(), source: Arc::new(source) }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Class of a sample.
    ///
    /// # Panics
    /// As all that take an `index`: if it is not below [`Part::len`].
    pub fn label(&self, index: usize) -> usize {
        self.source.labels[self.rows[index]]
    }

    /// Classes of all samples.
    pub fn labels(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().map(|row| self.source.labels[*row])
    }

    /// Number of samples of each of `classes` classes.
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        self.labels().for_each(|label| counts[label] += 1);
        counts
    }

    /// Path of a sample, or its archive and position: `train-images-idx3-ubyte[17]`.
    pub fn name(&self, index: usize) -> String {
        let row = self.rows[index];
        match &self.source.pictures {
            Pictures::Files(paths) => paths[row].display().to_string(),
            Pictures::Memory(pixels) => format!("{}[{row}]", pixels.origin),
        }
    }

    /// Bytes of a sample as they are stored.
    ///
    /// # Errors
    /// [`SampleError::Read`], [`SampleError::TooLong`].
    pub fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>, SampleError> {
        let row = self.rows[index];
        match &self.source.pictures {
            Pictures::Files(paths) => read_file(&paths[row]).map(Cow::Owned),
            Pictures::Memory(pixels) => {
                let length = pixels.picture_len();
                Ok(Cow::Borrowed(&pixels.bytes[row * length..][..length]))
            }
        }
    }

    /// The picture of a sample.
    ///
    /// # Errors
    /// As [`Part::bytes`]; [`SampleError::Decode`].
    pub fn picture(&self, index: usize) -> Result<Picture, SampleError> {
        self.picture_of(self.bytes(index)?)
    }

    /// The picture in bytes that this part stores.
    pub(crate) fn picture_of(&self, bytes: Cow<'_, [u8]>) -> Result<Picture, SampleError> {
        match &self.source.pictures {
            Pictures::Files(_) => Ok(decode(&bytes)?),
            Pictures::Memory(pixels) => {
                let Size { width, height } = pixels.size;
                Ok(Picture::new(width, height, pixels.channels, Samples::U8(bytes.into_owned()))?)
            }
        }
    }

    /// The samples at these indices, in this order.
    pub fn subset(&self, indices: &[usize]) -> Part {
        let rows = indices.iter().map(|index| self.rows[*index]).collect();
        Self { source: Arc::clone(&self.source), rows }
    }

    /// Looks at a few pictures, evenly spaced. Broken ones do not count.
    ///
    /// # Errors
    /// The first broken sample if none can be read; it is absent if the part is empty.
    pub fn probe(&self) -> Result<Probe, Option<Broken>> {
        let count = self.len().min(PROBES);
        let mut first_broken = None;
        let mut pictures = Vec::new();
        for index in (0..count).map(|i| i * self.len() / count) {
            match self.picture(index) {
                Ok(picture) => pictures.push(picture),
                Err(error) => {
                    first_broken.get_or_insert_with(|| self.broken(index, &error));
                }
            }
        }
        if pictures.is_empty() { Err(first_broken) } else { Ok(summarise(&pictures)) }
    }

    pub(crate) fn broken(&self, index: usize, error: &SampleError) -> Broken {
        Broken { index, name: self.name(index), cause: error.to_string() }
    }
}

fn summarise(pictures: &[Picture]) -> Probe {
    let mut sizes: Vec<_> = pictures.iter().map(Picture::size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let colours = pictures.iter().map(|p| p.channels() - usize::from(p.has_alpha())).max();
    let channels = match colours {
        Some(1) => Channels::Grey,
        Some(3) | None => Channels::Rgb,
        Some(bands) => Channels::Bands(bands),
    };
    Probe { size: (sizes.len() == 1).then(|| sizes[0]), sizes, channels }
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, SampleError> {
    // Asked before opening: to open a pipe is to wait for its writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(SampleError::Other("not a regular file".into()));
    }
    let bytes = metadata.len();
    if bytes > MAX_FILE {
        return Err(SampleError::TooLong { bytes, limit: MAX_FILE });
    }
    let mut contents = Vec::with_capacity(bytes as usize);
    File::open(path)?.take(MAX_FILE).read_to_end(&mut contents)?;
    Ok(contents)
}
