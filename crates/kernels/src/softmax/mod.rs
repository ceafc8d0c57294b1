//! Softmax and its logarithm along one axis.

pub mod reference;

use crate::Machine;
use crate::activation::math::exp;
use crate::problem::{ProblemError, positive};
use crate::simd::{Kernel, Lanes};
use crate::vector::{CHUNK, load, store};

/// Softmax along the middle axis of `[outer, axis, inner]`: `exp(x - max) / sum exp(x - max)`.
///
/// For channels-last pictures and for rows of logits `inner` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    axis: usize,
    inner: usize,
}

impl Softmax {
    /// Along an axis of `axis` values, `inner` values apart from each other.
    ///
    /// # Errors
    /// Sizes of 0.
    pub fn new(axis: usize, inner: usize) -> Result<Self, ProblemError> {
        Ok(Self { axis: positive(axis, "softmax's axis")?, inner: positive(inner, "softmax's inner size")? })
    }

    /// Values along the axis.
    pub fn axis(&self) -> usize {
        self.axis
    }

    /// Values between neighbours along the axis.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// Values of `outer` blocks.
    pub fn len(&self, outer: usize) -> usize {
        outer * self.axis * self.inner
    }

    /// Softmax of `outer` blocks.
    ///
    /// # Panics
    /// If a slice is shorter than `outer` blocks.
    pub fn softmax_into(&self, machine: &Machine, outer: usize, x: &[f32], y: &mut [f32]) {
        self.run(machine, outer, [x], y, Rule::Softmax);
    }

    /// Its logarithm, `x - max - ln sum exp(x - max)`.
    ///
    /// # Panics
    /// If a slice is shorter than `outer` blocks.
    pub fn log_softmax_into(&self, machine: &Machine, outer: usize, x: &[f32], y: &mut [f32]) {
        self.run(machine, outer, [x], y, Rule::LogSoftmax);
    }

    /// The gradient of softmax from its output: `dx = y (dy - sum dy y)`.
    ///
    /// # Panics
    /// If a slice is shorter than `outer` blocks.
    pub fn softmax_gradient_into(
        &self,
        machine: &Machine,
        outer: usize,
        y: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) {
        self.run(machine, outer, [y, dy], dx, Rule::SoftmaxGradient);
    }

    /// The gradient of the logarithm from its output: `dx = dy - exp(y) sum dy`.
    ///
    /// # Panics
    /// If a slice is shorter than `outer` blocks.
    pub fn log_softmax_gradient_into(
        &self,
        machine: &Machine,
        outer: usize,
        y: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) {
        self.run(machine, outer, [y, dy], dx, Rule::LogSoftmaxGradient);
    }

    fn run<const K: usize>(
        &self,
        machine: &Machine,
        outer: usize,
        inputs: [&[f32]; K],
        out: &mut [f32],
        rule: Rule,
    ) {
        let block = self.len(1);
        let chunk = (CHUNK / block).max(1) * block;
        machine.threads.run_chunks(&mut out[..self.len(outer)], chunk, |index, out| {
            let range = index * chunk..index * chunk + out.len();
            let inputs: [&[f32]; K] = inputs.map(|input| &input[range.clone()]);
            let (first, second) = (inputs[0], inputs[K - 1]);
            machine.isa.run(Blocks { softmax: self, first, second, out, rule });
        });
    }
}

/// What is computed. The gradients read the output as `first` and its gradient as `second`.
#[derive(Clone, Copy)]
enum Rule {
    Softmax,
    LogSoftmax,
    SoftmaxGradient,
    LogSoftmaxGradient,
}

/// Some whole blocks.
struct Blocks<'a> {
    softmax: &'a Softmax,
    first: &'a [f32],
    second: &'a [f32],
    out: &'a mut [f32],
    rule: Rule,
}

impl Kernel for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Softmax { axis, inner } = *self.softmax;
        let blocks = self.first.chunks(axis * inner).zip(self.second.chunks(axis * inner));
        for ((first, second), out) in blocks.zip(self.out.chunks_mut(axis * inner)) {
            if inner == 1 {
                let registers = axis.div_ceil(L::COUNT);
                Strip { start: 0, step: L::COUNT, registers, end: axis, along: true }
                    .run(lanes, self.rule, first, second, out);
                continue;
            }
            for start in (0..inner).step_by(L::COUNT) {
                Strip { start, step: inner, registers: axis, end: inner, along: false }
                    .run(lanes, self.rule, first, second, out);
            }
        }
    }
}

/// So many registers are added before they join the sum, which keeps rounding small along a thousand classes.
const BLOCK: usize = 32;

/// The registers that one sum runs over.
struct Strip {
    /// Index of the first register.
    start: usize,
    /// From one register to the next.
    step: usize,
    registers: usize,
    /// End of the data that registers must not cross: of the axis, or of each line across it.
    end: usize,
    /// Whether registers lie along the axis, so that their lanes belong together, or across it.
    along: bool,
}

impl Strip {
    #[inline(always)]
    fn run<L: Lanes>(&self, lanes: L, rule: Rule, first: &[f32], second: &[f32], out: &mut [f32]) {
        match rule {
            Rule::Softmax => self.softmax(lanes, first, out),
            Rule::LogSoftmax => self.log_softmax(lanes, first, out),
            Rule::SoftmaxGradient => self.softmax_gradient(lanes, first, second, out),
            Rule::LogSoftmaxGradient => self.log_softmax_gradient(lanes, first, second, out),
        }
    }

    #[inline(always)]
    fn softmax<L: Lanes>(&self, lanes: L, x: &[f32], y: &mut [f32]) {
        self.exponentials(lanes, x, self.max(lanes, x), y);
        let factor = lanes.div(lanes.splat(1.0), self.sum(lanes, y));
        for i in 0..self.registers {
            self.write(lanes, y, i, lanes.mul(self.read(lanes, y, i), factor));
        }
    }

    #[inline(always)]
    fn log_softmax<L: Lanes>(&self, lanes: L, x: &[f32], y: &mut [f32]) {
        let max = self.max(lanes, x);
        self.exponentials(lanes, x, max, y);
        let logarithm = logarithm(lanes, self.sum(lanes, y));
        for i in 0..self.registers {
            let distance = lanes.sub(self.read(lanes, x, i), max);
            self.write(lanes, y, i, lanes.sub(distance, logarithm));
        }
    }

    #[inline(always)]
    fn softmax_gradient<L: Lanes>(&self, lanes: L, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        for i in 0..self.registers {
            self.write(lanes, dx, i, lanes.mul(self.read(lanes, y, i), self.read(lanes, dy, i)));
        }
        let dot = self.sum(lanes, dx);
        for i in 0..self.registers {
            let centred = lanes.sub(self.read(lanes, dy, i), dot);
            self.write(lanes, dx, i, lanes.mul(self.read(lanes, y, i), centred));
        }
    }

    #[inline(always)]
    fn log_softmax_gradient<L: Lanes>(&self, lanes: L, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let sum = self.sum(lanes, dy);
        for i in 0..self.registers {
            let share = lanes.mul(exp(lanes, self.read(lanes, y, i)), sum);
            self.write(lanes, dx, i, lanes.sub(self.read(lanes, dy, i), share));
        }
    }

    /// `y = exp(x - max)`.
    #[inline(always)]
    fn exponentials<L: Lanes>(&self, lanes: L, x: &[f32], max: L::Vector, y: &mut [f32]) {
        for i in 0..self.registers {
            self.write(lanes, y, i, exp(lanes, lanes.sub(self.read(lanes, x, i), max)));
        }
    }

    /// The sum of x over all registers, in blocks.
    #[inline(always)]
    fn sum<L: Lanes>(&self, lanes: L, x: &[f32]) -> L::Vector {
        let mut sum = lanes.splat(0.0);
        for start in (0..self.registers).step_by(BLOCK) {
            let mut block = lanes.splat(0.0);
            for i in start..self.registers.min(start + BLOCK) {
                block = lanes.add(block, self.read(lanes, x, i));
            }
            sum = lanes.add(sum, block);
        }
        if self.along { lanes.splat(lanes.sum(sum)) } else { sum }
    }

    /// The maximum; an absent lane holds the first value of its register, which changes nothing.
    #[inline(always)]
    fn max<L: Lanes>(&self, lanes: L, x: &[f32]) -> L::Vector {
        let mut max = lanes.splat(f32::NEG_INFINITY);
        for i in 0..self.registers {
            let (at, count) = self.place::<L>(i);
            let value = if self.along && count < L::COUNT {
                lanes.splat(x[at..at + count].iter().copied().fold(f32::NEG_INFINITY, f32::max))
            } else {
                self.read(lanes, x, i)
            };
            max = lanes.max(max, value);
        }
        if self.along { lanes.splat(max_of_lanes(lanes, max)) } else { max }
    }

    /// Index and number of values of register `i`.
    #[inline(always)]
    fn place<L: Lanes>(&self, i: usize) -> (usize, usize) {
        let offset = if self.along { i * self.step } else { self.start };
        (self.start + i * self.step, L::COUNT.min(self.end - offset))
    }

    #[inline(always)]
    fn read<L: Lanes>(&self, lanes: L, x: &[f32], i: usize) -> L::Vector {
        let (at, count) = self.place::<L>(i);
        let x = &x[at..at + count];
        // SAFETY: `x` has `count` values, at most a register.
        unsafe { load(lanes, x.as_ptr(), count) }
    }

    #[inline(always)]
    fn write<L: Lanes>(&self, lanes: L, y: &mut [f32], i: usize, value: L::Vector) {
        let (at, count) = self.place::<L>(i);
        let y = &mut y[at..at + count];
        // SAFETY: `y` has `count` places.
        unsafe { store(lanes, y.as_mut_ptr(), value, count) };
    }
}

/// No instruction set has wider registers.
const MOST_LANES: usize = 64;

/// The natural logarithm of every lane; there is one register of them to a whole sum.
#[inline(always)]
fn logarithm<L: Lanes>(lanes: L, value: L::Vector) -> L::Vector {
    let mut values = [0.0f32; MOST_LANES];
    // SAFETY: no register has more lanes than `values` has places.
    unsafe {
        lanes.store(values.as_mut_ptr(), value);
        values[..L::COUNT].iter_mut().for_each(|value| *value = value.ln());
        lanes.load(values.as_ptr())
    }
}

/// The largest lane.
#[inline(always)]
fn max_of_lanes<L: Lanes>(lanes: L, value: L::Vector) -> f32 {
    let mut values = [0.0; MOST_LANES];
    // SAFETY: no register has more lanes than `values` has places.
    unsafe { lanes.store(values.as_mut_ptr(), value) };
    values[..L::COUNT].iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests;
