use crate::Machine;
use crate::simd::Lanes;
use crate::vector::{CHUNK, Map, map_in_place, map_into};

/// `y = x`.
///
/// # Panics
/// If the lengths differ.
pub fn copy_into(machine: &Machine, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output have one length");
    machine.threads.run_chunks(y, CHUNK, |index, y| {
        y.copy_from_slice(&x[index * CHUNK..index * CHUNK + y.len()]);
    });
}

/// `y = factor x`.
///
/// # Panics
/// If the lengths differ.
pub fn scale_into(machine: &Machine, factor: f32, x: &[f32], y: &mut [f32]) {
    map_into(machine, y, x, [], Scale(factor));
}

/// `x = factor x`.
pub fn scale_in_place(machine: &Machine, factor: f32, x: &mut [f32]) {
    map_in_place(machine, x, [], Scale(factor));
}

/// `y = y + factor x`.
///
/// # Panics
/// If the lengths differ.
pub fn accumulate(machine: &Machine, factor: f32, x: &[f32], y: &mut [f32]) {
    map_in_place(machine, y, [x], AddScaled(factor));
}

#[derive(Clone, Copy)]
struct Scale(f32);

impl Map<0> for Scale {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, _: [L::Vector; 0]) -> L::Vector {
        lanes.mul(x, lanes.splat(self.0))
    }
}

#[derive(Clone, Copy)]
struct AddScaled(f32);

impl Map<1> for AddScaled {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, y: L::Vector, [x]: [L::Vector; 1]) -> L::Vector {
        lanes.mul_add(x, lanes.splat(self.0), y)
    }
}
