//! The register block that matrix products and convolutions share.
//!
//! A tile is `M` rows by `V` vectors of columns of the output, held in registers while the inner dimension is walked:
//!
//! ```text
//! for k in 0..depth:  b = V vectors at B + k·b_step
//!                     for each row: tile[row] += broadcast(A[row] + k·a_step) * b
//! ```
//!
//! Every row has its own pointer into A, so that "row" may mean a row of a matrix, an output pixel or a tap. How many
//! rows a tile has never changes the sum of one of its elements.

use crate::simd::Lanes;
use std::ops::Range;

/// Vectors of columns in a full tile.
pub(crate) const VECTORS: usize = 2;

/// How many rows a tile of `vectors` vectors has: as many sums as keep both multipliers busy and fit the registers.
pub(crate) const fn tile_rows(vectors: usize) -> usize {
    if vectors == 1 { 8 } else { 6 }
}

/// Cuts `rows` rows into tiles of nearly equal height: a last tile of one row would wait for its sums.
pub(crate) fn tiles(rows: usize, vectors: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(tile_rows(vectors)).max(1);
    let (height, higher) = (rows / count, rows % count);
    (0..count).map(move |tile| {
        let start = tile * height + tile.min(higher);
        start..start + height + usize::from(tile < higher)
    })
}

/// The sums of `M` rows and `V` vectors of columns.
type Tile<L, const M: usize, const V: usize> = [[<L as Lanes>::Vector; V]; M];

/// How a product walks its operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// From one product to the next in a row of A.
    pub(crate) a_step: usize,
    /// From one row of B to the next.
    pub(crate) b_step: usize,
    /// How many products.
    pub(crate) depth: usize,
}

/// Adds the products of a walk to `tile`.
///
/// # Safety
/// - Each pointer of `a` is readable at `k * a_step`, and `b` for `V` vectors at `k * b_step`, for `k < depth`.
#[inline(always)]
unsafe fn accumulate<L: Lanes, const M: usize, const V: usize>(
    lanes: L,
    mut tile: Tile<L, M, V>,
    a: [*const f32; M],
    mut b: *const f32,
    walk: Walk,
) -> Tile<L, M, V> {
    for k in 0..walk.depth {
        // SAFETY: `k < depth`, and `b` has advanced by `k * b_step`.
        unsafe { add_products(lanes, &mut tile, a, k * walk.a_step, b) };
        b = b.wrapping_add(walk.b_step);
    }
    tile
}

/// # Safety
/// - Each pointer of `a` is readable at `offset`, and `b` for `V` vectors.
#[inline(always)]
unsafe fn add_products<L: Lanes, const M: usize, const V: usize>(
    lanes: L,
    tile: &mut Tile<L, M, V>,
    a: [*const f32; M],
    offset: usize,
    b: *const f32,
) {
    let mut columns = [lanes.splat(0.0); V];
    for v in 0..V {
        // SAFETY: the caller's contract.
        columns[v] = unsafe { lanes.load(b.add(v * L::COUNT)) };
    }
    for m in 0..M {
        // SAFETY: the caller's contract.
        let factor = lanes.splat(unsafe { *a[m].add(offset) });
        for v in 0..V {
            tile[m][v] = lanes.mul_add(factor, columns[v], tile[m][v]);
        }
    }
}

/// Rows of the tallest tile.
pub(crate) const MOST_ROWS: usize = 8;
/// Sums of the largest tile, for vectors of up to 16 lanes.
pub(crate) const MOST_SUMS: usize = MOST_ROWS * VECTORS * 16;

/// Products whose operands lie in several runs: run `r` takes A at `offsets[r]` further, and B where the run before ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs<'a> {
    pub(crate) offsets: &'a [usize],
    pub(crate) walk: Walk,
}

impl Runs<'static> {
    /// One run.
    pub(crate) fn one(walk: Walk) -> Self {
        Runs { offsets: &[0], walk }
    }
}

/// Sums in memory between two chunks of products, row after row of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) start: *mut f32,
    /// They hold what was summed so far; else they are written without being read.
    pub(crate) begun: bool,
}

/// The rows of an output, where the sums of a tile go when they are done: row `m` starts at `offsets[m]`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) start: *mut f32,
    pub(crate) offsets: &'a [usize],
    /// Past the caches.
    pub(crate) stream: bool,
}

/// Adds products to the sums of a tile of `a.len()` rows and `vectors` vectors.
///
/// # Safety
/// - For each offset of `runs` the contract of [`accumulate`] holds with `a` advanced by it, and `b` by `depth * b_step`
///   for every run before.
/// - `sums` is writable, and readable if begun, for all vectors of the tile.
#[inline(always)]
pub(crate) unsafe fn sum_tile<L: Lanes>(
    lanes: L,
    vectors: usize,
    a: &[*const f32],
    b: *const f32,
    runs: Runs<'_>,
    sums: Sums,
) {
    // SAFETY: the caller's contract.
    unsafe { sum_tile_into(lanes, vectors, a, b, runs, sums, None) }
}

/// [`sum_tile`], whose results go to `rows` instead, if there are any.
///
/// # Safety
/// - As [`sum_tile`]; the rows are writable for all vectors of the tile, and aligned to vectors if they are streamed.
#[inline(always)]
pub(crate) unsafe fn sum_tile_into<L: Lanes>(
    lanes: L,
    vectors: usize,
    a: &[*const f32],
    b: *const f32,
    runs: Runs<'_>,
    sums: Sums,
    rows: Option<Rows<'_>>,
) {
    // SAFETY: the caller's contract.
    unsafe {
        match (vectors, a.len()) {
            (1, 1) => sum_runs::<L, 1, 1>(lanes, a, b, runs, sums, rows),
            (1, 2) => sum_runs::<L, 2, 1>(lanes, a, b, runs, sums, rows),
            (1, 3) => sum_runs::<L, 3, 1>(lanes, a, b, runs, sums, rows),
            (1, 4) => sum_runs::<L, 4, 1>(lanes, a, b, runs, sums, rows),
            (1, 5) => sum_runs::<L, 5, 1>(lanes, a, b, runs, sums, rows),
            (1, 6) => sum_runs::<L, 6, 1>(lanes, a, b, runs, sums, rows),
            (1, 7) => sum_runs::<L, 7, 1>(lanes, a, b, runs, sums, rows),
            (1, 8) => sum_runs::<L, 8, 1>(lanes, a, b, runs, sums, rows),
            (2, 1) => sum_runs::<L, 1, 2>(lanes, a, b, runs, sums, rows),
            (2, 2) => sum_runs::<L, 2, 2>(lanes, a, b, runs, sums, rows),
            (2, 3) => sum_runs::<L, 3, 2>(lanes, a, b, runs, sums, rows),
            (2, 4) => sum_runs::<L, 4, 2>(lanes, a, b, runs, sums, rows),
            (2, 5) => sum_runs::<L, 5, 2>(lanes, a, b, runs, sums, rows),
            (2, 6) => sum_runs::<L, 6, 2>(lanes, a, b, runs, sums, rows),
            (vectors, rows) => unreachable!("no tile of {rows} rows and {vectors} vectors"),
        }
    }
}

/// # Safety
/// As [`sum_tile_into`]; `a` has `M` pointers.
#[inline(always)]
unsafe fn sum_runs<L: Lanes, const M: usize, const V: usize>(
    lanes: L,
    a: &[*const f32],
    mut b: *const f32,
    runs: Runs<'_>,
    sums: Sums,
    rows: Option<Rows<'_>>,
) {
    let mut tile: Tile<L, M, V> = [[lanes.splat(0.0); V]; M];
    for &offset in runs.offsets {
        let mut row = [std::ptr::null(); M];
        for m in 0..M {
            row[m] = a[m].wrapping_add(offset);
        }
        // SAFETY: the caller's contract.
        tile = unsafe { accumulate(lanes, tile, row, b, runs.walk) };
        b = b.wrapping_add(runs.walk.depth * runs.walk.b_step);
    }
    // What was summed before is added to the whole of the new sums: short chains round less than one long one.
    if sums.begun {
        for m in 0..M {
            for v in 0..V {
                // SAFETY: the caller's contract.
                let before = unsafe { lanes.load(sums.start.add((m * V + v) * L::COUNT)) };
                tile[m][v] = lanes.add(before, tile[m][v]);
            }
        }
    }
    let stream = rows.is_some_and(|rows| rows.stream);
    for m in 0..M {
        let row = rows.map_or(sums.start.wrapping_add(m * V * L::COUNT), |rows| {
            rows.start.wrapping_add(rows.offsets[m])
        });
        for v in 0..V {
            let to = row.wrapping_add(v * L::COUNT);
            // SAFETY: the caller's contract.
            unsafe { if stream { lanes.stream(to, tile[m][v]) } else { lanes.store(to, tile[m][v]) } };
        }
    }
}
