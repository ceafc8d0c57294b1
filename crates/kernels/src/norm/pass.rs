//! One pass over pictures `[M, C]` with parameters per channel: values written, sums over pixels, or both.
//!
//! ```text
//! for each block of pixels:  for each strip of channels:  parameters and sums in registers
//!     for each pixel:  sums += terms;  out = value
//!     the channels' f64 sums += sums
//! ```

use crate::{
    Machine, SharedMut,
    cut::{LINE, is_streamed, part, share},
    simd::{Kernel, Lanes, end_streams, prefetch},
    vector::{CHUNK, load, store},
};
use std::ops::Range;

/// What a pass does to one register each of `K` inputs, given `P` parameters of the channel and the inputs at the first
/// pixel of the block.
pub(super) trait Rule<const K: usize, const P: usize, const S: usize>: Copy + Sync {
    /// Whether the value is stored.
    const STORES: bool;

    /// The value to store and the terms of the sums. Implementations are `#[inline(always)]`.
    fn apply<L: Lanes>(
        self,
        lanes: L,
        inputs: [L::Vector; K],
        params: [L::Vector; P],
        first: [L::Vector; K],
    ) -> (L::Vector, [L::Vector; S]);

    /// What a channel's sums over a block of `count` pixels add to its f64 sums.
    #[inline(always)]
    fn join(self, sums: [f32; S], _first: [f32; K], _count: usize) -> [f64; S] {
        sums.map(f64::from)
    }
}

/// A sum over M pixels is made of at most this many parts, which are joined in order.
const PARTS: usize = 16;
/// A part has at least this many pixels.
const PART_PIXELS: usize = 64;
/// So many pixels are added in f32 before they join an f64 sum.
const BLOCK_PIXELS: usize = 32;
/// Registers of a strip: their sums and parameters have to stay in registers.
const STRIP: usize = 4;
/// No instruction set has wider registers.
const MOST_LANES: usize = 64;

/// In how many parts M pixels are summed: a function of the problem alone.
fn parts(pixels: usize) -> usize {
    (pixels / PART_PIXELS).clamp(1, PARTS)
}

/// Scratch, in f32, of `sums` sums over `pixels` pixels of each of `channels` channels.
pub(super) fn scratch_len(pixels: usize, channels: usize, sums: usize) -> usize {
    2 * parts(pixels) * sums * channels + 1
}

/// The operands of a pass; an input of `None` is what `out` holds before.
pub(super) struct Operands<'a, const K: usize, const P: usize> {
    /// `[M, C]`, or empty where nothing is stored.
    pub(super) out: &'a mut [f32],
    /// `[M, C]`.
    pub(super) inputs: [Option<&'a [f32]>; K],
    /// `[C]`.
    pub(super) params: [&'a [f32]; P],
    pub(super) pixels: usize,
    pub(super) channels: usize,
}

impl<'a, const K: usize, const P: usize> Operands<'a, K, P> {
    fn share(self, stores: bool) -> Shared<'a, K, P> {
        let Self { out, inputs, params, pixels, channels } = self;
        let len = pixels * channels;
        assert!(!stores || out.len() == len, "the output has M C values");
        let fits = |input: &Option<&[f32]>| input.map_or(out.len(), <[f32]>::len) == len;
        assert!(inputs.iter().all(fits), "every input has M C values");
        assert!(params.iter().all(|param| param.len() >= channels), "every parameter has C values");
        let streams = stores && inputs.iter().all(Option::is_some) && is_streamed(out, channels);
        Shared { out: SharedMut::new(out), inputs, params, channels, streams }
    }

    /// Stores a value for every pixel.
    pub(super) fn map(self, machine: &Machine, rule: impl Rule<K, P, 0>) {
        let pixels = self.pixels;
        let shared = &self.share(true);
        let chunk = (CHUNK / shared.channels).max(1);
        machine.threads.run(pixels.div_ceil(chunk), |_, index| {
            let pixels = part(index, chunk, pixels);
            machine.isa.run(Task { shared, rule, pixels, sums: &mut [] });
        });
    }

    /// Sums the terms over all pixels, and stores values where the rule does; `finish(channel, sums)` is called for every
    /// channel in order.
    ///
    /// Parts are taken from the end, whose pixels are most likely to be in a cache still; the next pass begins at the start.
    pub(super) fn sum<const S: usize, R: Rule<K, P, S>>(
        self,
        machine: &Machine,
        scratch: &mut [f32],
        rule: R,
        mut finish: impl FnMut(usize, [f64; S]),
    ) {
        let (pixels, parts) = (self.pixels, parts(self.pixels));
        let shared = &self.share(R::STORES);
        let channels = shared.channels;
        let sums = &mut as_f64(scratch)[..parts * S * channels];
        machine.threads.run_chunks(sums, S * channels, |index, sums| {
            sums.fill(0.0);
            let part = parts - 1 - index;
            let pixels = share(part, parts, pixels);
            machine.isa.run(Task { shared, rule, pixels, sums });
        });
        for channel in 0..channels {
            let sum = |s| sums.iter().skip(s * channels + channel).step_by(S * channels).sum();
            finish(channel, std::array::from_fn(sum));
        }
    }
}

fn as_f64(scratch: &mut [f32]) -> &mut [f64] {
    // SAFETY: every two f32 are the bits of an f64.
    unsafe { scratch.align_to_mut().1 }
}

struct Shared<'a, const K: usize, const P: usize> {
    out: SharedMut<'a, f32>,
    inputs: [Option<&'a [f32]>; K],
    params: [&'a [f32]; P],
    channels: usize,
    /// The output is stored past the caches; its lines are not read here.
    streams: bool,
}

impl<const K: usize, const P: usize> Shared<'_, K, P> {
    /// Asks for `count` values from `at` on of every input, which may lie behind its end.
    #[inline(always)]
    fn prefetch_inputs(&self, at: usize, count: usize) {
        for k in 0..K {
            for line in (0..count).step_by(LINE) {
                prefetch(self.input(k).wrapping_add(at + line));
            }
        }
    }

    #[inline(always)]
    fn input(&self, k: usize) -> *const f32 {
        self.inputs[k].map_or(self.out.as_mut_ptr().cast_const(), <[f32]>::as_ptr)
    }

    /// `count` values from `channel` on of every parameter.
    ///
    /// # Safety
    /// - `channel + count` is at most C.
    #[inline(always)]
    unsafe fn params_at<L: Lanes>(&self, lanes: L, channel: usize, count: usize) -> [L::Vector; P] {
        let mut values = [lanes.splat(0.0); P];
        for p in 0..P {
            // SAFETY: the caller's contract; `share` asserted the lengths.
            values[p] = unsafe { load(lanes, self.params[p].as_ptr().add(channel), count) };
        }
        values
    }

    /// `count` values from `at` on of every input.
    ///
    /// # Safety
    /// - `at + count` is at most M C, and no other task writes there.
    #[inline(always)]
    unsafe fn read<L: Lanes>(&self, lanes: L, at: usize, count: usize) -> [L::Vector; K] {
        let mut values = [lanes.splat(0.0); K];
        for k in 0..K {
            // SAFETY: the caller's contract; `share` asserted the lengths.
            values[k] = unsafe { load(lanes, self.input(k).add(at), count) };
        }
        values
    }

    /// Writes `count` values from `at` on, past the caches if `streams`.
    ///
    /// # Safety
    /// - `out` has M C values, `at + count` is at most that, and no other task touches them.
    /// - With `streams`, `self.streams` holds, and `count` is a whole register.
    #[inline(always)]
    unsafe fn write<L: Lanes>(&self, lanes: L, at: usize, value: L::Vector, count: usize, streams: bool) {
        // SAFETY: the caller's contract.
        unsafe {
            let to = self.out.as_mut_ptr().add(at);
            if streams { lanes.stream(to, value) } else { store(lanes, to, value, count) }
        }
    }
}

/// Some pixels, and their f64 sums `[S, C]`.
struct Task<'a, const K: usize, const P: usize, const S: usize, R> {
    shared: &'a Shared<'a, K, P>,
    rule: R,
    pixels: Range<usize>,
    sums: &'a mut [f64],
}

impl<const K: usize, const P: usize, const S: usize, R: Rule<K, P, S>> Kernel for Task<'_, K, P, S, R> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let (channels, end) = (self.shared.channels, self.pixels.end);
        // Memory streams best pixel by pixel; sums want a strip's registers for longer.
        let pixels = if S == 0 { 1 } else { BLOCK_PIXELS };
        let streams = self.shared.streams;
        for start in self.pixels.clone().step_by(pixels) {
            let block = start..end.min(start + pixels);
            let mut channel = 0;
            while channel < channels {
                let left = channels - channel;
                channel += if left >= STRIP * L::COUNT {
                    self.strip::<L, STRIP>(lanes, &block, channel, L::COUNT, streams)
                } else if left >= 2 * L::COUNT {
                    self.strip::<L, 2>(lanes, &block, channel, L::COUNT, streams)
                } else {
                    self.strip::<L, 1>(lanes, &block, channel, left.min(L::COUNT), streams)
                };
            }
        }
        if streams {
            end_streams();
        }
    }
}

impl<const K: usize, const P: usize, const S: usize, R: Rule<K, P, S>> Task<'_, K, P, S, R> {
    /// A block of pixels over `V` registers of channels from `channel` on, each of `count` lanes; how many channels that are.
    #[inline(always)]
    fn strip<L: Lanes, const V: usize>(
        &mut self,
        lanes: L,
        block: &Range<usize>,
        channel: usize,
        count: usize,
        streams: bool,
    ) -> usize {
        let (shared, rule, zero) = (self.shared, self.rule, lanes.splat(0.0));
        let (mut params, mut first, mut sums) = ([[zero; P]; V], [[zero; K]; V], [[zero; S]; V]);
        for v in 0..V {
            let offset = channel + v * L::COUNT;
            // SAFETY: these channels exist, and the block's pixels are this task's alone.
            unsafe {
                params[v] = shared.params_at(lanes, offset, count);
                first[v] = shared.read(lanes, block.start * shared.channels + offset, count);
            }
        }
        for pixel in block.clone() {
            if S > 0 {
                shared.prefetch_inputs((pixel + BLOCK_PIXELS) * shared.channels + channel, V * L::COUNT);
            }
            for v in 0..V {
                let at = pixel * shared.channels + channel + v * L::COUNT;
                // SAFETY: as above; where a rule stores, `out` has M C values.
                unsafe {
                    let (value, terms) =
                        rule.apply(lanes, shared.read(lanes, at, count), params[v], first[v]);
                    if R::STORES {
                        shared.write(lanes, at, value, count, streams);
                    }
                    for s in 0..S {
                        sums[v][s] = lanes.add(sums[v][s], terms[s]);
                    }
                }
            }
        }
        if S > 0 {
            for v in 0..V {
                self.join(lanes, block.len(), channel + v * L::COUNT, count, first[v], sums[v]);
            }
        }
        (V - 1) * L::COUNT + count
    }

    /// Adds the sums of one register over a block to the f64 sums.
    #[inline(always)]
    fn join<L: Lanes>(
        &mut self,
        lanes: L,
        pixels: usize,
        channel: usize,
        count: usize,
        first: [L::Vector; K],
        sums: [L::Vector; S],
    ) {
        let (mut firsts, mut terms) = ([[0.0; MOST_LANES]; K], [[0.0; MOST_LANES]; S]);
        // SAFETY: no register has more lanes than there are places.
        unsafe {
            for k in 0..K {
                lanes.store(firsts[k].as_mut_ptr(), first[k]);
            }
            for s in 0..S {
                lanes.store(terms[s].as_mut_ptr(), sums[s]);
            }
        }
        for lane in 0..count {
            let mut one = ([0.0; K], [0.0; S]);
            for k in 0..K {
                one.0[k] = firsts[k][lane];
            }
            for s in 0..S {
                one.1[s] = terms[s][lane];
            }
            let joined = self.rule.join(one.1, one.0, pixels);
            for s in 0..S {
                self.sums[s * self.shared.channels + channel + lane] += joined[s];
            }
        }
    }
}
