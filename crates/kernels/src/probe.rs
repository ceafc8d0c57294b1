//! Loops that show what a machine can do at most, for whoever has a clock.

use crate::{
    Machine,
    simd::{Kernel, Lanes},
};
use std::hint::black_box;

/// Enough sums to hide the latency of one.
const SUMS: usize = 12;

/// Fused multiply-adds on registers, on all threads at once. Returns how many there were, each of them two operations.
pub fn multiply_adds(machine: &Machine, rounds: usize) -> u64 {
    let tasks = machine.threads.count();
    machine.threads.run(tasks, |_, _| {
        black_box(machine.isa.run(MultiplyAdds { rounds }));
    });
    (tasks * rounds * SUMS * machine.isa.lanes()) as u64
}

/// Copies a slice on all threads at once. Returns how many bytes were read and written.
///
/// # Panics
/// If the slices have different lengths.
pub fn copy(machine: &Machine, from: &[f32], to: &mut [f32]) -> u64 {
    assert_eq!(from.len(), to.len(), "a copy is as long as what is copied");
    let chunk = from.len().div_ceil(machine.threads.count()).max(1);
    machine.threads.run_chunks(to, chunk, |index, to| {
        to.copy_from_slice(&from[index * chunk..][..to.len()]);
    });
    8 * from.len() as u64
}

struct MultiplyAdds {
    rounds: usize,
}

impl Kernel for MultiplyAdds {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let mut sums = [lanes.splat(0.0); SUMS];
        let (factor, summand) = (lanes.splat(black_box(0.5)), lanes.splat(black_box(1.0)));
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = lanes.mul_add(*sum, factor, summand);
            }
        }
        sums.into_iter().map(|sum| lanes.sum(sum)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn what_is_done_is_counted() {
        for isa in Isa::available() {
            let machine = Machine { isa, ..Machine::new(2) };
            assert_eq!(multiply_adds(&machine, 5), 2 * 5 * 12 * 8, "{isa:?}");
        }
        let from: Vec<f32> = (0..1001).map(|i| i as f32).collect();
        let mut to = vec![0.0; 1001];
        assert_eq!(copy(&Machine::new(2), &from, &mut to), 2 * 4 * 1001);
        assert_eq!(from, to);
    }
}
