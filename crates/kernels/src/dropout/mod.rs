//! Dropout by a counter-based generator: the mask is a function of key and position and is never stored.

pub mod reference;

use crate::Machine;
use crate::problem::ProblemError;
use crate::random::{GROUP, Key};
use crate::simd::{Kernel, Lanes};
use crate::vector::CHUNK;

/// Which values share one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// None: every value has its own. Its position is its index in memory, in channels-last order.
    Elements,
    /// All pixels of a channel of a picture (`[N, C, 1, 1]`, spatial dropout); its position is `n C + c`.
    Channels {
        /// Pixels of a picture.
        pixels: usize,
        /// Channels.
        channels: usize,
    },
    /// All values of a row (`[N, 1, 1, 1]`, drop-path); its position is `n`.
    Rows {
        /// Values of a row.
        len: usize,
    },
}

/// `y = x / (1 - ratio)` where a position is kept, with probability `1 - ratio`, else 0. The gradient is the
/// same call on dy.
///
/// Source: Srivastava et al. 2014, <https://jmlr.org/papers/v15/srivastava14a.html>; ONNX Dropout in training
/// mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    ratio: f32,
    mask: Mask,
    /// The position of the first value.
    first: usize,
}

impl Dropout {
    /// Drops each position with probability `ratio`.
    ///
    /// # Errors
    /// A ratio outside of `[0, 1)`.
    pub fn new(ratio: f32, mask: Mask) -> Result<Self, ProblemError> {
        if !(0.0..1.0).contains(&ratio) {
            return Err(ProblemError::Range("the ratio of dropout must be at least 0 and less than 1"));
        }
        Ok(Self { ratio, mask, first: 0 })
    }

    /// The same for values the first of which has this position: a part of a larger array is treated as the whole is.
    #[must_use]
    pub fn starting_at(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// The probability that a position is dropped.
    pub fn ratio(&self) -> f32 {
        self.ratio
    }

    /// Which values share one decision.
    pub fn mask(&self) -> Mask {
        self.mask
    }

    /// Drops values of x.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply_into(&self, machine: &Machine, key: Key, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "input and output have one length");
        self.apply(machine, key, Some(x), y);
    }

    /// Overwrites x.
    pub fn apply_in_place(&self, machine: &Machine, key: Key, x: &mut [f32]) {
        self.apply(machine, key, None, x);
    }

    fn apply(&self, machine: &Machine, key: Key, x: Option<&[f32]>, y: &mut [f32]) {
        let chunk = match self.mask {
            Mask::Elements => CHUNK,
            Mask::Channels { pixels, channels } => (pixels * channels).max(1),
            Mask::Rows { len } => len.max(1),
        };
        machine.threads.run_chunks(y, chunk, |index, y| {
            if let Some(x) = x {
                y.copy_from_slice(&x[index * chunk..][..y.len()]);
            }
            machine.isa.run(Drop { factors: Factors { dropout: self, key }, index, y });
        });
    }
}

/// One task: some elements from a multiple of [`CHUNK`] on, or one row.
struct Drop<'a> {
    factors: Factors<'a>,
    index: usize,
    y: &'a mut [f32],
}

impl Kernel for Drop<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        match self.factors.dropout.mask {
            Mask::Elements => {
                let start = self.factors.dropout.first + self.index * CHUNK;
                for (group, y) in self.y.chunks_mut(GROUP).enumerate() {
                    multiply(y, &self.factors.at(start + group * GROUP));
                }
            }
            Mask::Channels { channels, .. } => {
                for channel in (0..channels).step_by(GROUP) {
                    let factors =
                        self.factors.at(self.factors.dropout.first + self.index * channels + channel);
                    let width = GROUP.min(channels - channel);
                    for pixel in self.y.chunks_mut(channels) {
                        multiply(&mut pixel[channel..channel + width], &factors);
                    }
                }
            }
            Mask::Rows { .. } => {
                let factor = self
                    .factors
                    .factor(self.factors.key.bits((self.factors.dropout.first + self.index) as u64));
                self.y.chunks_mut(GROUP).for_each(|y| multiply(y, &[factor; GROUP]));
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Factors<'a> {
    dropout: &'a Dropout,
    key: Key,
}

impl Factors<'_> {
    /// What the positions from `start` on are multiplied with; 0: dropped.
    #[inline(always)]
    fn at(&self, start: usize) -> [f32; GROUP] {
        let mut factors = [0.0; GROUP];
        for (factor, bits) in factors.iter_mut().zip(self.key.group(start as u64)) {
            *factor = self.factor(bits);
        }
        factors
    }

    #[inline(always)]
    fn factor(&self, bits: u32) -> f32 {
        let ratio = self.dropout.ratio;
        // Bits are integers: reaching the threshold is reaching the next integer.
        let threshold = (f64::from(ratio) * 2f64.powi(32)).ceil() as u32;
        if bits >= threshold { 1.0 / (1.0 - ratio) } else { 0.0 }
    }
}

/// Where the factor is 0 the result is, even for an infinity.
#[inline(always)]
fn multiply(y: &mut [f32], factors: &[f32; GROUP]) {
    for (y, &factor) in y.iter_mut().zip(factors) {
        *y = if factor == 0.0 { 0.0 } else { *y * factor };
    }
}

#[cfg(test)]
mod tests;
