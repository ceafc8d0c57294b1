//! What the machine does at most, measured.

use std::time::Instant;

use svertka_engine::Machine;
use svertka_kernels::probe;

/// Rounds of multiply-adds: some milliseconds.
const ROUNDS: usize = 1_000_000;
/// Two slices of so many f32 do not fit into any cache.
const COPIED: usize = 16 << 20;

/// Operations per second, a fused multiply-add being two.
pub(crate) fn flops(machine: &Machine) -> f64 {
    let start = Instant::now();
    2.0 * probe::multiply_adds(machine, ROUNDS) as f64 / start.elapsed().as_secs_f64()
}

/// Bytes per second that a copy in memory reads and writes, the best of some.
pub(crate) fn bandwidth(machine: &Machine) -> f64 {
    let (from, mut to) = (vec![1.0; COPIED], vec![0.0; COPIED]);
    let copy = |_| {
        let start = Instant::now();
        probe::copy(machine, &from, &mut to) as f64 / start.elapsed().as_secs_f64()
    };
    (0..5).map(copy).fold(0.0, f64::max)
}
