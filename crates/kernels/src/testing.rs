//! What the tests of all families share: generated problems, every machine, the comparison with a twin.

use crate::random::Key;
use crate::{Isa, Machine};
use std::fmt::Debug;
use std::sync::OnceLock;

/// Draws the numbers of generated problems.
pub(crate) struct Draw {
    key: Key,
    position: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: Key { seed, step: 0, stream: 0 }, position: 0 }
    }

    /// A number from `least` to `most`.
    pub(crate) fn size(&mut self, least: usize, most: usize) -> usize {
        self.position += 1;
        least + self.key.bits(self.position) as usize % (most - least + 1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.size(0, choices.len() - 1)]
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.size(0, 1) == 1
    }

    /// Normal numbers that f32 holds exactly.
    pub(crate) fn normal(&mut self, len: usize) -> Vec<f64> {
        self.position += len as u64;
        let key = Key { stream: 1, ..self.key };
        (0..len as u64).map(|i| f64::from(key.normal(self.position + i))).collect()
    }

    /// Numbers among a few, so that many are equal.
    pub(crate) fn coarse(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| self.size(0, 4) as f64 - 2.0).collect()
    }
}

/// f64 as f32.
pub(crate) fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

/// f32 as f64.
pub(crate) fn widen(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// What `write` makes of `values` where they start at a cache line, as they do in an arena.
pub(crate) fn aligned(values: &[f32], write: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut room = vec![0.0; values.len() + 16];
    let start = room.as_ptr().align_offset(64);
    let out = &mut room[start..start + values.len()];
    out.copy_from_slice(values);
    write(out);
    out.to_vec()
}

/// `[N, C, pixels]` as `[N, pixels, C]`.
pub(crate) fn channels_last<T: Copy>(channels: usize, x: &[T], pixels: usize) -> Vec<T> {
    let plane = channels * pixels;
    (0..x.len()).map(|i| x[i / plane * plane + i % channels * pixels + i % plane / channels]).collect()
}

/// The first element of `actual` that is further from `expected` than `tolerance` times its scale, said in words.
/// Infinities and NaN must be met.
pub(crate) fn difference(
    actual: &[f32],
    expected: &[f64],
    scale: impl Fn(usize) -> f64,
    tolerance: f64,
) -> Option<String> {
    assert_eq!(actual.len(), expected.len());
    let differs = |&at: &usize| {
        let (actual, expected) = (f64::from(actual[at]), expected[at]);
        let same = actual == expected || (actual.is_nan() && expected.is_nan());
        let error = (actual - expected).abs();
        !same && (error.is_nan() || error > tolerance * scale(at))
    };
    let at = (0..actual.len()).find(differs)?;
    Some(format!("element {at} is {}, not {} (scale {:.3})", actual[at], expected[at], scale(at)))
}

/// Every instruction set with 1, 2 and 4 threads.
fn machines() -> &'static [[Machine; 3]] {
    static MACHINES: OnceLock<Vec<[Machine; 3]>> = OnceLock::new();
    MACHINES.get_or_init(|| {
        let all = |isa| [1, 2, 4].map(|count| Machine { isa, ..Machine::new(count) });
        Isa::available().into_iter().map(all).collect()
    })
}

/// Collects the failures of all cases of a test, and reports them together when it ends.
#[derive(Default)]
pub(crate) struct Cases {
    count: usize,
    failures: Vec<String>,
}

impl Cases {
    /// Runs `kernel` on every machine. Its results must have the same bits on any number of threads, and
    /// differ from `expected` by at most `tolerance` times the largest expected magnitude.
    pub(crate) fn check(
        &mut self,
        problem: impl Debug,
        expected: &[f64],
        tolerance: f64,
        kernel: impl Fn(&Machine) -> Vec<f32>,
    ) {
        self.check_all(problem, &[("result", expected.to_vec())], tolerance, |machine| [kernel(machine)]);
    }

    /// [`check`](Self::check) of a kernel with several results, each with its name.
    pub(crate) fn check_all<const N: usize>(
        &mut self,
        problem: impl Debug,
        expected: &[(&str, Vec<f64>); N],
        tolerance: f64,
        kernel: impl Fn(&Machine) -> [Vec<f32>; N],
    ) {
        for [one, others @ ..] in machines() {
            let actual = kernel(one);
            for ((name, expected), actual) in expected.iter().zip(&actual) {
                self.compare(
                    format!("{name} of {problem:?} on {:?}", one.isa),
                    &widen(actual),
                    expected,
                    tolerance,
                );
            }
            for machine in others {
                let bits =
                    |all: [Vec<f32>; N]| all.map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>());
                let same = bits(kernel(machine)) == bits(actual.clone());
                self.expect(same, || format!("{problem:?}: other bits on {machine:?}"));
            }
        }
    }

    /// Compares numbers, relative to the largest expected magnitude.
    pub(crate) fn compare(&mut self, problem: impl Debug, actual: &[f64], expected: &[f64], tolerance: f64) {
        self.expect(actual.len() == expected.len(), || {
            format!("{problem:?}: {} values, expected {}", actual.len(), expected.len())
        });
        let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
        let wrong = actual.iter().zip(expected).enumerate().find(|(_, (actual, expected))| {
            let error = (**actual - **expected).abs();
            error.is_nan() || error > tolerance * largest
        });
        self.expect(wrong.is_none(), || format!("{problem:?}: (index, (actual, expected)) = {wrong:?}"));
    }

    /// Compares the gradient `gradient` of `sum dy f(x)` with central differences.
    pub(crate) fn differentiate(
        &mut self,
        problem: impl Debug,
        x: &[f64],
        dy: &[f64],
        gradient: &[f64],
        f: impl Fn(&[f64]) -> Vec<f64>,
    ) {
        let loss = |x: &[f64]| f(x).iter().zip(dy).map(|(y, dy)| y * dy).sum::<f64>();
        let mut moved = x.to_vec();
        let mut difference = |i: usize| {
            let mut at = |x: f64| {
                moved[i] = x;
                loss(&moved)
            };
            let slope = (at(x[i] + STEP) - at(x[i] - STEP)) / (2.0 * STEP);
            moved[i] = x[i];
            slope
        };
        let expected: Vec<f64> = (0..x.len()).map(&mut difference).collect();
        self.compare(format!("{problem:?} by differences"), gradient, &expected, DIFFERENCES);
    }

    pub(crate) fn expect(&mut self, holds: bool, message: impl FnOnce() -> String) {
        self.count += 1;
        if !holds {
            self.failures.push(message());
        }
    }
}

impl Drop for Cases {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.count > 0, "no case was tried");
            let (failed, count) = (self.failures.len(), self.count);
            assert!(failed == 0, "{failed} of {count} checks failed:\n{}", self.failures.join("\n"));
        }
    }
}

/// Step of central differences.
const STEP: f64 = 1e-5;
/// Error of central differences in f64: `STEP²` times a third derivative of some tens, and rounding of 1e-16
/// / `STEP`.
const DIFFERENCES: f64 = 1e-7;
