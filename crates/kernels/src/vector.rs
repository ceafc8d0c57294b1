//! The loops that most kernels are: element by element, channel by channel, and sums over pixels.
//!
//! What a loop does to registers is a trait's method, not a closure: a closure cannot be marked
//! `inline(always)`, and one that the compiler leaves standing alone is compiled without the instruction set.

use crate::simd::{Kernel, Lanes};
use crate::{Machine, SharedMut};

/// How many values one task works on where tasks are alike.
pub(crate) const CHUNK: usize = 16 * 1024;

/// `f(x, others)` of one register each.
pub(crate) trait Map<const K: usize>: Copy + Sync {
    /// Implementations are `#[inline(always)]`.
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, others: [L::Vector; K]) -> L::Vector;
}

/// `out = map(x, others)`, element by element.
pub(crate) fn map_into<const K: usize>(
    machine: &Machine,
    out: &mut [f32],
    x: &[f32],
    others: [&[f32]; K],
    map: impl Map<K>,
) {
    assert_eq!(x.len(), out.len(), "input and output have one length");
    assert!(others.iter().all(|other| other.len() == out.len()), "all inputs have one length");
    machine.threads.run_chunks(out, CHUNK, |index, out| {
        let range = index * CHUNK..index * CHUNK + out.len();
        let others = others.map(|other| &other[range.clone()]);
        machine.isa.run(Elements { out, x: Some(&x[range]), others, map });
    });
}

/// `x = map(x, others)`, element by element.
pub(crate) fn map_in_place<const K: usize>(
    machine: &Machine,
    x: &mut [f32],
    others: [&[f32]; K],
    map: impl Map<K>,
) {
    assert!(others.iter().all(|other| other.len() == x.len()), "all inputs have one length");
    machine.threads.run_chunks(x, CHUNK, |index, out| {
        let range = index * CHUNK..index * CHUNK + out.len();
        machine.isa.run(Elements { out, x: None, others: others.map(|other| &other[range.clone()]), map });
    });
}

/// The work of one task; `x: None` stands for what `out` holds before.
pub(crate) struct Elements<'a, const K: usize, M> {
    pub(crate) out: &'a mut [f32],
    pub(crate) x: Option<&'a [f32]>,
    pub(crate) others: [&'a [f32]; K],
    pub(crate) map: M,
}

impl<const K: usize, M: Map<K>> Kernel for Elements<'_, K, M> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let len = self.out.len();
        assert!(self.x.is_none_or(|x| x.len() == len));
        assert!(self.others.iter().all(|other| other.len() == len));
        let out = self.out.as_mut_ptr();
        let x = self.x.map_or(out.cast_const(), <[f32]>::as_ptr);
        for at in (0..len).step_by(L::COUNT) {
            let count = L::COUNT.min(len - at);
            // SAFETY: `at + count <= len`, the length of every slice.
            unsafe {
                let mut others = [lanes.splat(0.0); K];
                for k in 0..K {
                    others[k] = load(lanes, self.others[k].as_ptr().add(at), count);
                }
                let y = self.map.apply(lanes, load(lanes, x.add(at), count), others);
                store(lanes, out.add(at), y, count);
            }
        }
    }
}

/// `count` values from `from`, the other lanes 0.
///
/// # Safety
/// - `from` is readable for `count` values, and `count <= L::COUNT`.
#[inline(always)]
pub(crate) unsafe fn load<L: Lanes>(lanes: L, from: *const f32, count: usize) -> L::Vector {
    // SAFETY: the caller's contract.
    unsafe { if count == L::COUNT { lanes.load(from) } else { lanes.load_first(from, count) } }
}

/// The first `count` lanes to `to`.
///
/// # Safety
/// - `to` is writable for `count` values, and `count <= L::COUNT`.
#[inline(always)]
pub(crate) unsafe fn store<L: Lanes>(lanes: L, to: *mut f32, value: L::Vector, count: usize) {
    // SAFETY: the caller's contract.
    unsafe { if count == L::COUNT { lanes.store(to, value) } else { lanes.store_first(to, value, count) } }
}

/// The sum of `part(range)` over a fixed number of equal parts of `0..len`, joined in order.
pub(crate) fn sum_in_parts(
    machine: &Machine,
    len: usize,
    part: impl Fn(std::ops::Range<usize>) -> f64 + Sync,
) -> f64 {
    let mut sums = [0.0; PARTS];
    let parts = parts(len);
    machine.threads.run_chunks(&mut sums[..parts], 1, |index, sum| {
        sum[0] = part(len * index / parts..len * (index + 1) / parts);
    });
    sums.iter().sum()
}

/// `f(x, others, params)` of one register each, where `params` belong to the channel.
pub(crate) trait ChannelMap<const K: usize, const P: usize>: Copy + Sync {
    /// Implementations are `#[inline(always)]`.
    fn apply<L: Lanes>(
        self,
        lanes: L,
        x: L::Vector,
        others: [L::Vector; K],
        params: [L::Vector; P],
    ) -> L::Vector;
}

/// `out = map(x, others, params)` where all but `params` are `[M, C]` and `params` are `[C]`; `x: None`
/// stands for what `out` holds before.
pub(crate) fn map_channels<const K: usize, const P: usize>(
    machine: &Machine,
    out: &mut [f32],
    x: Option<&[f32]>,
    others: [&[f32]; K],
    params: [&[f32]; P],
    map: impl ChannelMap<K, P>,
) {
    let channels = params[0].len();
    assert!(x.is_none_or(|x| x.len() == out.len()) && others.iter().all(|other| other.len() == out.len()));
    assert!(params.iter().all(|param| param.len() == channels) && out.len().is_multiple_of(channels));
    let chunk = (CHUNK / channels).max(1) * channels;
    machine.threads.run_chunks(out, chunk, |index, out| {
        let range = index * chunk..index * chunk + out.len();
        let others = others.map(|other| &other[range.clone()]);
        machine.isa.run(Channels { out, x: x.map(|x| &x[range]), others, params, map });
    });
}

struct Channels<'a, const K: usize, const P: usize, M> {
    out: &'a mut [f32],
    x: Option<&'a [f32]>,
    others: [&'a [f32]; K],
    params: [&'a [f32]; P],
    map: M,
}

impl<const K: usize, const P: usize, M: ChannelMap<K, P>> Kernel for Channels<'_, K, P, M> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (len, channels) = (self.out.len(), self.params[0].len());
        let out = self.out.as_mut_ptr();
        let x = self.x.map_or(out.cast_const(), <[f32]>::as_ptr);
        for row in (0..len).step_by(channels) {
            for channel in (0..channels).step_by(L::COUNT) {
                let (at, count) = (row + channel, L::COUNT.min(channels - channel));
                // SAFETY: `map_channels` asserts that every slice but `params` is `len` long, a multiple of
                // `channels`, the length of `params`.
                unsafe {
                    let (mut others, mut params) = ([lanes.splat(0.0); K], [lanes.splat(0.0); P]);
                    for k in 0..K {
                        others[k] = load(lanes, self.others[k].as_ptr().add(at), count);
                    }
                    for p in 0..P {
                        params[p] = load(lanes, self.params[p].as_ptr().add(channel), count);
                    }
                    let y = self.map.apply(lanes, load(lanes, x.add(at), count), others, params);
                    store(lanes, out.add(at), y, count);
                }
            }
        }
    }
}

/// The terms of `S` sums over pixels, from one register each of the inputs and of the channel's parameters.
pub(crate) trait ChannelTerms<const K: usize, const P: usize, const S: usize>: Copy + Sync {
    /// Implementations are `#[inline(always)]`.
    fn terms<L: Lanes>(self, lanes: L, inputs: [L::Vector; K], params: [L::Vector; P]) -> [L::Vector; S];
}

/// A sum over M pixels is made of at most this many parts, which are joined in order.
const PARTS: usize = 16;
/// A part has at least this many pixels.
const PART_PIXELS: usize = 256;
/// So many pixels are added in f32 before they join an f64 sum.
const BLOCK_PIXELS: usize = 32;
/// So many channels are one task's.
const GROUP: usize = 64;

/// In how many parts M pixels are summed: a function of the problem alone.
fn parts(pixels: usize) -> usize {
    (pixels / PART_PIXELS).clamp(1, PARTS)
}

/// Scratch, in f32, of `sums` sums over `pixels` pixels of each of `channels` channels.
pub(crate) fn sum_channels_scratch(pixels: usize, channels: usize, sums: usize) -> usize {
    parts(pixels) * sums * channels
}

/// Sums `terms(inputs, params)` over the pixels of `inputs` `[M, C]`, `params` being `[C]`; `finish(channel,
/// sums)` is called for every channel in order.
pub(crate) fn sum_channels<const K: usize, const P: usize, const S: usize>(
    machine: &Machine,
    channels: usize,
    inputs: [&[f32]; K],
    params: [&[f32]; P],
    scratch: &mut [f32],
    terms: impl ChannelTerms<K, P, S>,
    mut finish: impl FnMut(usize, [f64; S]),
) {
    let len = inputs[0].len();
    assert!(inputs.iter().all(|input| input.len() == len) && len.is_multiple_of(channels));
    assert!(params.iter().all(|param| param.len() == channels));
    let pixels = len / channels;
    let (parts, groups) = (parts(pixels), channels.div_ceil(GROUP));
    let shared = SharedMut::new(&mut scratch[..parts * S * channels]);
    machine.threads.run(parts * groups, |_, task| {
        let (part, group) = (task / groups, task % groups);
        let channel = group * GROUP;
        let width = GROUP.min(channels - channel);
        let pixels = pixels * part / parts..pixels * (part + 1) / parts;
        let mut sums = [[0.0; GROUP]; S];
        machine.isa.run(Sums { inputs, params, channels, channel, pixels, terms, sums: &mut sums });
        for (s, sums) in sums.iter().enumerate() {
            // SAFETY: one task alone writes the channels of its group of its part.
            let out = unsafe { shared.slice((part * S + s) * channels + channel, width) };
            out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = sum as f32);
        }
    });
    for channel in 0..channels {
        let at = |part: usize, s: usize| f64::from(scratch[(part * S + s) * channels + channel]);
        finish(channel, std::array::from_fn(|s| (0..parts).map(|part| at(part, s)).sum()));
    }
}

/// Adds the terms of one part of the pixels over one group of channels to `sums`.
struct Sums<'a, const K: usize, const P: usize, const S: usize, T> {
    inputs: [&'a [f32]; K],
    params: [&'a [f32]; P],
    channels: usize,
    /// First channel of the group.
    channel: usize,
    pixels: std::ops::Range<usize>,
    terms: T,
    sums: &'a mut [[f64; GROUP]; S],
}

impl<const K: usize, const P: usize, const S: usize, T: ChannelTerms<K, P, S>> Kernel
    for Sums<'_, K, P, S, T>
{
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for start in self.pixels.clone().step_by(BLOCK_PIXELS) {
            let mut block = [[0.0; GROUP]; S];
            for pixel in start..self.pixels.end.min(start + BLOCK_PIXELS) {
                self.add_pixel(lanes, pixel, &mut block);
            }
            for s in 0..S {
                self.sums[s].iter_mut().zip(&block[s]).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
    }
}

impl<const K: usize, const P: usize, const S: usize, T: ChannelTerms<K, P, S>> Sums<'_, K, P, S, T> {
    /// Adds one pixel's terms to the sums of a block. Whole pixels one after the other are what memory
    /// streams best.
    #[inline(always)]
    fn add_pixel<L: Lanes>(&self, lanes: L, pixel: usize, block: &mut [[f32; GROUP]; S]) {
        let width = GROUP.min(self.channels - self.channel);
        for offset in (0..width).step_by(L::COUNT) {
            let (count, channel) = (L::COUNT.min(width - offset), self.channel + offset);
            let at = pixel * self.channels + channel;
            let (mut inputs, mut params) = ([lanes.splat(0.0); K], [lanes.splat(0.0); P]);
            // SAFETY: `pixel` is a row of `inputs` `[M, C]`, `channel + count <= C`, which `params` are long,
            // and a block has GROUP places, a multiple of a register.
            unsafe {
                for k in 0..K {
                    inputs[k] = load(lanes, self.inputs[k].as_ptr().add(at), count);
                }
                for p in 0..P {
                    params[p] = load(lanes, self.params[p].as_ptr().add(channel), count);
                }
                let terms = self.terms.terms(lanes, inputs, params);
                for s in 0..S {
                    let to = block[s].as_mut_ptr().add(offset);
                    lanes.store(to, lanes.add(lanes.load(to), terms[s]));
                }
            }
        }
    }
}
