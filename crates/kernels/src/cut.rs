//! How ranges and memory are cut, everywhere alike.

use std::ops::Range;

/// f32 of a cache line.
pub(crate) const LINE: usize = 16;
/// An output of so many f32 or more has left a third-level cache when it is read; in tests small ones take this way.
const STREAMED: usize = if cfg!(test) { 1024 } else { 4 * 1024 * 1024 };

/// The `index`th range of `size` items, cut off at `end`.
pub(crate) fn part(index: usize, size: usize, end: usize) -> Range<usize> {
    index * size..((index + 1) * size).min(end)
}

/// Ranges of `size` items that together are `range`; a single empty one if that is empty.
pub(crate) fn cuts(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..range.len().div_ceil(size).max(1)).map(move |index| {
        let cut = part(index, size, range.len());
        range.start + cut.start..range.start + cut.end
    })
}

/// The `index`th of `count` ranges of nearly equal length that together are `0..len`.
pub(crate) fn share(index: usize, count: usize, len: usize) -> Range<usize> {
    index * len / count..(index + 1) * len / count
}

/// `len` f32 rounded up to cache lines, so that what follows in scratch begins at one.
pub(crate) fn whole_lines(len: usize) -> usize {
    len.next_multiple_of(LINE)
}

/// Whether `y`, which is not read before it is written, is stored past the caches: it is large, and its rows of `columns`
/// values are whole lines.
pub(crate) fn is_streamed(y: &[f32], columns: usize) -> bool {
    let aligned = y.as_ptr().addr().is_multiple_of(LINE * size_of::<f32>());
    y.len() >= STREAMED && aligned && columns.is_multiple_of(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_shares_cover_everything_once() {
        for len in [0, 1, 7, 64] {
            let shares: Vec<usize> = (0..5).flat_map(|index| share(index, 5, len)).collect();
            let parts: Vec<usize> = (0..len.div_ceil(3)).flat_map(|index| part(index, 3, len)).collect();
            assert!(cuts(5..5 + len, 3).flatten().eq(5..5 + len), "{len}");
            assert!(shares.iter().copied().eq(0..len) && parts.iter().copied().eq(0..len), "{len}");
        }
    }
}
