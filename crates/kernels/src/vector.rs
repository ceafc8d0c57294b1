//! The loops that most kernels are: element by element, channel by channel, and sums over pixels.
//!
//! What a loop does to registers is a trait's method, not a closure: a closure cannot be marked
//! `inline(always)`, and one that the compiler leaves standing alone is compiled without the instruction set.

use crate::Machine;
use crate::cut::share;
use crate::simd::{Kernel, Lanes};

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
        sum[0] = part(share(index, parts, len));
    });
    sums.iter().sum()
}

/// A sum over M pixels is made of at most this many parts, which are joined in order.
const PARTS: usize = 16;
/// A part has at least this many pixels.
const PART_PIXELS: usize = 256;
/// In how many parts M pixels are summed: a function of the problem alone.
fn parts(pixels: usize) -> usize {
    (pixels / PART_PIXELS).clamp(1, PARTS)
}
