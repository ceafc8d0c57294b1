//! The register block of depthwise convolutions: vectors lie along channels of both input and output, so that a tap is
//! one product per vector.

use crate::{
    gemm::{Panel, Runs, Sums},
    simd::Lanes,
    vector::load,
};

/// Writes the sums over `taps` of the pixels at `pointers`, for the channels of `panel`; `weights` are `[taps][panel]`.
///
/// # Safety
/// - Each pointer is readable at the offset of each of `taps` for `panel.width` values.
/// - `sums` is writable, and readable if begun, for all vectors of the tile.
#[inline(always)]
pub(super) unsafe fn sum_tile<L: Lanes>(
    lanes: L,
    panel: Panel,
    pointers: &[*const f32],
    weights: &[f32],
    taps: &[usize],
    sums: Sums,
) {
    assert!(weights.len() >= taps.len() * panel.stride);
    for v in 0..panel.vectors {
        let column = v * L::COUNT;
        let count = (panel.width - column).min(L::COUNT);
        for (quad, pixels) in pointers.chunks(4).enumerate() {
            // Pixels that a quad lacks repeat its first.
            let mut from = [pixels[0]; 4];
            from[..pixels.len()].copy_from_slice(pixels);
            let weights = weights.as_ptr().wrapping_add(column);
            let from = from.map(|pixel| pixel.wrapping_add(column));
            // SAFETY: the caller's contract; the assertion above covers the weights.
            let results = unsafe { sum_quad(lanes, from, count, weights, panel.stride, taps) };
            for (row, result) in results.into_iter().enumerate().take(pixels.len()) {
                let at = ((quad * 4 + row) * panel.vectors + v) * L::COUNT;
                // SAFETY: the caller's contract.
                unsafe { add_to(lanes, sums, at, result) };
            }
        }
    }
}

/// # Safety
/// - Each of `from` is readable for `count <= COUNT` values at each of `taps`.
/// - `weights` is readable for `COUNT` values at every multiple of `stride` below `taps.len() * stride`.
#[inline(always)]
unsafe fn sum_quad<L: Lanes>(
    lanes: L,
    from: [*const f32; 4],
    count: usize,
    mut weights: *const f32,
    stride: usize,
    taps: &[usize],
) -> [L::Vector; 4] {
    let mut sums = [lanes.splat(0.0); 4];
    for &tap in taps {
        // SAFETY: the caller's contract.
        let weight = unsafe { lanes.load(weights) };
        for pixel in 0..4 {
            // SAFETY: the caller's contract.
            let x = unsafe { load(lanes, from[pixel].wrapping_add(tap), count) };
            sums[pixel] = lanes.mul_add(x, weight, sums[pixel]);
        }
        weights = weights.wrapping_add(stride);
    }
    sums
}

/// Writes the sums over the pixels of `runs` of x at `pointers`, one per tap, times dy, for the channels of `panel`; `dy`
/// is `[pixels][panel]`.
///
/// # Safety
/// - For each offset and each step of `runs`, each pointer is readable for `panel.width` values.
/// - `sums` is writable, and readable if begun, for all vectors of the tile.
#[inline(always)]
pub(super) unsafe fn sum_taps<L: Lanes>(
    lanes: L,
    panel: Panel,
    pointers: &[*const f32],
    dy: &[f32],
    runs: Runs<'_>,
    sums: Sums,
) {
    assert!(dy.len() >= runs.offsets.len() * runs.walk.depth * panel.stride);
    for v in 0..panel.vectors {
        let column = v * L::COUNT;
        let count = (panel.width - column).min(L::COUNT);
        for (quad, taps) in pointers.chunks(4).enumerate() {
            let mut from = [taps[0]; 4];
            from[..taps.len()].copy_from_slice(taps);
            let dy = dy.as_ptr().wrapping_add(column);
            let from = from.map(|tap| tap.wrapping_add(column));
            // SAFETY: the caller's contract; the assertion above covers dy.
            let results = unsafe { sum_pixels(lanes, from, count, dy, runs) };
            for (row, result) in results.into_iter().enumerate().take(taps.len()) {
                let at = ((quad * 4 + row) * panel.vectors + v) * L::COUNT;
                // SAFETY: the caller's contract.
                unsafe { add_to(lanes, sums, at, result) };
            }
        }
    }
}

/// # Safety
/// - Each of `from` is readable for `count <= COUNT` values at every step of `runs`, and `dy` for `COUNT`.
#[inline(always)]
unsafe fn sum_pixels<L: Lanes>(
    lanes: L,
    from: [*const f32; 4],
    count: usize,
    mut dy: *const f32,
    runs: Runs<'_>,
) -> [L::Vector; 4] {
    let mut sums = [lanes.splat(0.0); 4];
    for &offset in runs.offsets {
        for pixel in 0..runs.walk.depth {
            // SAFETY: the caller's contract.
            let gradient = unsafe { lanes.load(dy) };
            for tap in 0..4 {
                let at = from[tap].wrapping_add(offset + pixel * runs.walk.a_step);
                // SAFETY: the caller's contract.
                sums[tap] = lanes.mul_add(unsafe { load(lanes, at, count) }, gradient, sums[tap]);
            }
            dy = dy.wrapping_add(runs.walk.b_step);
        }
    }
    sums
}

/// # Safety
/// - `sums` is writable, and readable if begun, for a vector at `at`.
#[inline(always)]
unsafe fn add_to<L: Lanes>(lanes: L, sums: Sums, at: usize, value: L::Vector) {
    // SAFETY: the caller's contract.
    unsafe {
        let sum = sums.start.add(at);
        lanes.store(sum, if sums.begun { lanes.add(lanes.load(sum), value) } else { value });
    }
}
