//! MNIST's convention: an IDX file of pictures beside one of labels, told apart by their names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use svertka_image::Size;

use super::{PartName, assemble, idx};
use crate::dataset::name_of;
use crate::part::Pixels;
use crate::{DataSet, Error, Idx, IdxError, Part};

/// Most channels that a four-dimensional array of pictures may have.
const MAX_CHANNELS: usize = 4;

/// Pictures and labels of one part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

/// Pairs by part, found by the names `PREFIXimages-idx3-ubyte` and `PREFIXlabels-idx1-ubyte`, with a dot or a hyphen before
/// `idx`, with or without `.gz`. `None` if there are no such files.
pub(crate) fn find(folder: &Path) -> Result<Option<BTreeMap<PartName, Pair>>, Error> {
    let files = std::fs::read_dir(folder).map_err(Error::read(folder))?.flatten().map(|entry| entry.path());
    let mut found: BTreeMap<(PartName, bool), PathBuf> = BTreeMap::new();
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    for path in files {
        let Some((part, is_images)) = role(&path) else { continue };
        if let Some(other) = found.insert((part, is_images), path.clone()) {
            let cause =
                format!("as much the {} part as {}; keep one of them", part.as_str(), other.display());
            return Err(Error::invalid(&path, cause));
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    pair_up(found).map(Some)
}

fn pair_up(mut found: BTreeMap<(PartName, bool), PathBuf>) -> Result<BTreeMap<PartName, Pair>, Error> {
    let mut pairs = BTreeMap::new();
    for part in PartName::ALL {
        match (found.remove(&(part, true)), found.remove(&(part, false))) {
            (Some(images), Some(labels)) => drop(pairs.insert(part, Pair { images, labels })),
            (Some(images), None) => return Err(Error::invalid(&images, "there is no file of its labels")),
            (None, Some(labels)) => return Err(Error::invalid(&labels, "there is no file of its pictures")),
            (None, None) => {}
        }
    }
    Ok(pairs)
}

/// Part of a file, and whether it holds pictures rather than labels.
fn role(path: &Path) -> Option<(PartName, bool)> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name).strip_suffix("-ubyte")?;
    let images = ["images-idx3", "images.idx3", "images-idx4", "images.idx4"];
    let labels = ["labels-idx1", "labels.idx1"];
    let images = images.iter().find_map(|suffix| stem.strip_suffix(suffix)).map(|prefix| (prefix, true));
    let labels = labels.iter().find_map(|suffix| stem.strip_suffix(suffix)).map(|prefix| (prefix, false));
    let (prefix, is_images) = images.or(labels)?;
    let part = prefix.split(['-', '_', '.']).find_map(PartName::parse)?;
    Some((part, is_images))
}

/// Reads the pairs. Classes are the lines of `classes.txt` if there is one, else the numbers up to the largest label of the
/// first part.
pub(crate) fn open(folder: &Path, pairs: &BTreeMap<PartName, Pair>) -> Result<DataSet, Error> {
    let mut classes = class_names(folder)?;
    let mut parts = [None, None, None];
    for (name, pair) in pairs {
        let labels = idx::open(&pair.labels)?;
        let count = classes.get_or_insert_with(|| numbered(&labels.items)).len();
        check_labels(&labels.items, count).map_err(|cause| Error::invalid(&pair.labels, cause))?;
        let images = idx::open(&pair.images)?;
        let origin = pair.images.display().to_string();
        let part = part(&origin, images, &labels)
            .map_err(|source| Error::Idx { path: pair.images.clone(), source })?;
        parts[*name as usize] = Some(part);
    }
    Ok(assemble(name_of(folder), classes.unwrap_or_default(), parts))
}

fn class_names(folder: &Path) -> Result<Option<Vec<String>>, Error> {
    let path = folder.join("classes.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(Error::read(&path))?;
    Ok(Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()))
}

fn numbered(labels: &[u8]) -> Vec<String> {
    let classes = labels.iter().max().map_or(0, |largest| usize::from(*largest) + 1);
    (0..classes).map(|class| class.to_string()).collect()
}

fn check_labels(labels: &[u8], classes: usize) -> Result<(), String> {
    match labels.iter().position(|label| usize::from(*label) >= classes) {
        Some(item) => {
            Err(format!("label {} of item {item} is out of range: {classes} classes", labels[item]))
        }
        None => Ok(()),
    }
}

/// A part from arrays of pictures and labels. Pictures are [N, H, W]; or [N, H, W, C], unless only the second dimension can be
/// channels (at most 4), which makes them [N, C, H, W]. `origin` is the archive's name, for messages.
///
/// # Errors
/// [`IdxError::Claim`] if there are no pictures or no pixels, or shapes, items and labels contradict each other.
pub fn part(origin: &str, images: Idx, labels: &Idx) -> Result<Part, IdxError> {
    let (&count, shape) = images.shape.split_first().unwrap_or((&0, &[]));
    let few = |length: usize| (1..=MAX_CHANNELS).contains(&length);
    let (height, width, channels, planar) = match *shape {
        [height, width] => (height, width, 1, false),
        [height, width, channels] if few(channels) => (height, width, channels, false),
        [channels, height, width] if few(channels) => (height, width, channels, true),
        _ => return Err(shape_error(&images.shape, "pictures are [N, H, W], [N, H, W, C] or [N, C, H, W]")),
    };
    if count == 0 {
        return Err(shape_error(&images.shape, "there are no pictures"));
    }
    if height == 0 || width == 0 {
        return Err(shape_error(&images.shape, "pictures have at least one pixel"));
    }
    let items =
        [height, width, channels].iter().try_fold(count, |product, &length| product.checked_mul(length));
    if items != Some(images.items.len()) {
        return Err(shape_error(&images.shape, &format!("there are {}", images.items.len())));
    }
    if labels.shape != [count] || labels.items.len() != count {
        return Err(shape_error(&images.shape, &format!("the labels are {:?}", labels.shape)));
    }
    let size = Size { width, height };
    let bytes = if planar { interleave(&images.items, channels, size.pixels()) } else { images.items };
    let labels = labels.items.iter().map(|label| usize::from(*label)).collect();
    Ok(Part::from_pixels(Pixels { origin: origin.to_string(), size, channels, bytes }, labels))
}

/// Pictures [N, C, pixels] as [N, pixels, C].
pub(crate) fn interleave(planes: &[u8], channels: usize, pixels: usize) -> Vec<u8> {
    let mut output = vec![0; planes.len()];
    let picture = channels * pixels;
    for (from, to) in planes.chunks_exact(picture).zip(output.chunks_exact_mut(picture)) {
        for (channel, plane) in from.chunks_exact(pixels).enumerate() {
            for (value, pixel) in plane.iter().zip(to.chunks_exact_mut(channels)) {
                pixel[channel] = *value;
            }
        }
    }
    output
}

fn shape_error(shape: &[usize], reason: &str) -> IdxError {
    let claimed = shape.iter().fold(1u128, |product, &length| product.saturating_mul(length as u128));
    IdxError::Claim { claimed, shape: shape.to_vec(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_part_and_role() {
        let role = |name: &str| role(Path::new(name));
        assert_eq!(role("train-images-idx3-ubyte.gz"), Some((PartName::Train, true)));
        assert_eq!(role("t10k-labels.idx1-ubyte"), Some((PartName::Test, false)));
        assert_eq!(role("emnist-letters-test-images-idx3-ubyte"), Some((PartName::Test, true)));
        assert_eq!(role("images-idx3-ubyte"), None);
        assert_eq!(role("train.png"), None);
    }

    #[test]
    fn planes_become_interleaved() {
        assert_eq!(interleave(&[1, 2, 3, 10, 20, 30], 2, 3), [1, 10, 2, 20, 3, 30]);
    }

    #[test]
    fn shapes_that_hold_nothing_or_wrap_around_are_refused() {
        let none = Idx { shape: vec![0], items: Vec::new() };
        let refusal = |shape: &[usize], labels: &Idx| {
            let images = Idx { shape: shape.to_vec(), items: Vec::new() };
            part("p", images, labels).unwrap_err().to_string()
        };
        assert!(refusal(&[0, 4, 1 << 31, 1 << 31], &none).contains("there are no pictures"));
        assert!(refusal(&[0, 28, 28], &none).contains("there are no pictures"));
        let one = Idx { shape: vec![1], items: vec![0] };
        assert!(refusal(&[1, 4, 1 << 31, 1 << 31], &one).contains("there are 0"));
    }

    #[test]
    fn pictures_of_four_dimensions_have_channels_where_they_can() {
        let labels = Idx { shape: vec![1], items: vec![0] };
        let planar = Idx { shape: vec![1, 2, 5, 6], items: (0..60).collect() };
        let picture = part("p", planar, &labels).unwrap().picture(0).unwrap();
        assert_eq!((picture.height(), picture.width(), picture.channels()), (5, 6, 2));
        assert_eq!(
            picture.samples(),
            &svertka_image::Samples::U8((0..60).map(|i| i % 2 * 30 + i / 2).collect())
        );
        let interleaved = Idx { shape: vec![1, 5, 6, 2], items: (0..60).collect() };
        assert_eq!(part("i", interleaved, &labels).unwrap().picture(0).unwrap().channels(), 2);
    }
}
