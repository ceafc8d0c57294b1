//! The twins of moving data, on row-major arrays of any rank and any element.

use super::PadMode;

/// The size of a shape.
fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The places along every axis of the row-major index `index`.
fn unravel(shape: &[usize], mut index: usize) -> Vec<usize> {
    let mut places = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        places[axis] = index % shape[axis];
        index /= shape[axis];
    }
    places
}

/// The row-major index of `places`.
fn ravel(shape: &[usize], places: &[usize]) -> usize {
    shape.iter().zip(places).fold(0, |index, (size, place)| index * size + place)
}

/// Axis `i` of the result is axis `permutation[i]` of x.
pub fn transpose<T: Copy>(shape: &[usize], permutation: &[usize], x: &[T]) -> Vec<T> {
    let out_shape: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
    let source = |index| {
        let mut places = vec![0; shape.len()];
        for (&axis, place) in permutation.iter().zip(unravel(&out_shape, index)) {
            places[axis] = place;
        }
        x[ravel(shape, &places)]
    };
    (0..len(shape)).map(source).collect()
}

/// Every `steps[i]`-th place of axis `i` from `starts[i]` on, `sizes[i]` of them.
pub fn slice<T: Copy>(
    shape: &[usize],
    starts: &[usize],
    steps: &[isize],
    sizes: &[usize],
    x: &[T],
) -> Vec<T> {
    slice_sources(shape, starts, steps, sizes).into_iter().map(|source| x[source]).collect()
}

/// The gradient of [`slice()`]: zero where nothing was taken from.
pub fn slice_gradient(
    shape: &[usize],
    starts: &[usize],
    steps: &[isize],
    sizes: &[usize],
    dy: &[f64],
) -> Vec<f64> {
    let mut dx = vec![0.0; len(shape)];
    slice_sources(shape, starts, steps, sizes).into_iter().zip(dy).for_each(|(source, dy)| dx[source] += dy);
    dx
}

fn slice_sources(shape: &[usize], starts: &[usize], steps: &[isize], sizes: &[usize]) -> Vec<usize> {
    let source = |index| {
        let places = unravel(sizes, index);
        let places: Vec<usize> =
            (0..shape.len()).map(|i| (starts[i] as isize + places[i] as isize * steps[i]) as usize).collect();
        ravel(shape, &places)
    };
    (0..len(sizes)).map(source).collect()
}

/// Where position `place` of a padded axis takes its value from; `None`: from the constant.
fn pad_source(mode: PadMode, size: usize, begin: isize, place: usize) -> Option<usize> {
    let (place, size) = (place as isize - begin, size as isize);
    let inside = (0..size).contains(&place);
    let source = match mode {
        _ if inside => place,
        PadMode::Constant => return None,
        PadMode::Edge => place.clamp(0, size - 1),
        PadMode::Wrap => place.rem_euclid(size),
        PadMode::Reflect if place < 0 => -place,
        PadMode::Reflect => 2 * (size - 1) - place,
    };
    Some(source as usize)
}

fn pad_sources(shape: &[usize], pads: &[(isize, isize)], mode: PadMode) -> Vec<Option<usize>> {
    let padded: Vec<usize> =
        shape.iter().zip(pads).map(|(&size, pads)| (size as isize + pads.0 + pads.1) as usize).collect();
    let source = |index| {
        let places = unravel(&padded, index);
        let sources: Option<Vec<usize>> =
            (0..shape.len()).map(|i| pad_source(mode, shape[i], pads[i].0, places[i])).collect();
        sources.map(|places| ravel(shape, &places))
    };
    (0..len(&padded)).map(source).collect()
}

/// x with `pads[i]` positions put before and after axis `i` (negative: removed).
pub fn pad(shape: &[usize], pads: &[(isize, isize)], mode: PadMode, value: f64, x: &[f64]) -> Vec<f64> {
    pad_sources(shape, pads, mode).into_iter().map(|source| source.map_or(value, |i| x[i])).collect()
}

/// The gradient of [`pad`] with respect to x.
pub fn pad_gradient(shape: &[usize], pads: &[(isize, isize)], mode: PadMode, dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; len(shape)];
    for (source, dy) in pad_sources(shape, pads, mode).into_iter().zip(dy) {
        if let Some(source) = source {
            dx[source] += dy;
        }
    }
    dx
}

/// `parts`, pairs of size along the axis and values `[outer, size, inner]`, one behind the other.
pub fn concat<T: Copy>(outer: usize, inner: usize, parts: &[(usize, &[T])]) -> Vec<T> {
    let row = |i: usize| parts.iter().flat_map(move |(size, x)| &x[i * size * inner..(i + 1) * size * inner]);
    (0..outer).flat_map(row).copied().collect()
}

/// x `[outer, sum of sizes, inner]` cut into parts of the given sizes along the middle axis.
pub fn split<T: Copy>(outer: usize, inner: usize, sizes: &[usize], x: &[T]) -> Vec<Vec<T>> {
    let row = sizes.iter().sum::<usize>() * inner;
    let part = |(index, size): (usize, &usize)| {
        let start = sizes[..index].iter().sum::<usize>() * inner;
        (0..outer).flat_map(|i| &x[i * row + start..i * row + start + size * inner]).copied().collect()
    };
    sizes.iter().enumerate().map(part).collect()
}

/// The position that an index names; negative ones count from the end.
fn position(index: i64, size: usize) -> usize {
    (if index < 0 { index + size as i64 } else { index }) as usize
}

/// Positions `indices` of the middle axis of x `[outer, size, inner]`.
pub fn take<T: Copy>(outer: usize, size: usize, inner: usize, indices: &[i64], x: &[T]) -> Vec<T> {
    take_sources(outer, size, inner, indices).into_iter().map(|source| x[source]).collect()
}

/// The gradient of [`take`] with respect to x.
pub fn take_gradient(outer: usize, size: usize, inner: usize, indices: &[i64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; outer * size * inner];
    take_sources(outer, size, inner, indices).into_iter().zip(dy).for_each(|(source, dy)| dx[source] += dy);
    dx
}

fn take_sources(outer: usize, size: usize, inner: usize, indices: &[i64]) -> Vec<usize> {
    let shape = [outer, indices.len(), inner];
    let source = |index| {
        let places = unravel(&shape, index);
        ravel(&[outer, size, inner], &[places[0], position(indices[places[1]], size), places[2]])
    };
    (0..len(&shape)).map(source).collect()
}

/// `y[i, j, k] = x[i, indices[i, j, k], k]` for `axis = 1` of three; x is `[shape]`, indices and y are `[taken]`.
pub fn take_elements<T: Copy>(
    shape: &[usize],
    taken: &[usize],
    axis: usize,
    indices: &[i64],
    x: &[T],
) -> Vec<T> {
    element_sources(shape, taken, axis, indices).map(|source| x[source]).collect()
}

/// The gradient of [`take_elements`] with respect to x.
pub fn take_elements_gradient(
    shape: &[usize],
    taken: &[usize],
    axis: usize,
    indices: &[i64],
    dy: &[f64],
) -> Vec<f64> {
    let mut dx = vec![0.0; len(shape)];
    element_sources(shape, taken, axis, indices).zip(dy).for_each(|(source, dy)| dx[source] += dy);
    dx
}

fn element_sources(
    shape: &[usize],
    taken: &[usize],
    axis: usize,
    indices: &[i64],
) -> impl Iterator<Item = usize> {
    (0..len(taken)).map(move |index| {
        let mut places = unravel(taken, index);
        places[axis] = position(indices[index], shape[axis]);
        ravel(shape, &places)
    })
}
