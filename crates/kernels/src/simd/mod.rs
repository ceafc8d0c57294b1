//! Vector code, written once over [`Lanes`] and compiled per instruction set.
//!
//! An algorithm is a struct that implements [`Kernel`]; [`Isa::run`] is the single place where an instruction set is
//! chosen. The files beside this one hold what differs between instruction sets and nothing else.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;

use std::{fmt, str::FromStr};

/// A vector of [`Lanes::COUNT`] f32 values under one instruction set.
///
/// A value of the implementing type is the proof that the processor has the instructions, so the methods that touch
/// registers only are safe.
pub trait Lanes: Copy + Send + Sync {
    /// A register of [`COUNT`](Self::COUNT) lanes.
    type Vector: Copy;
    /// How many f32 a register holds.
    const COUNT: usize;

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// Reads `COUNT` values.
    ///
    /// # Safety
    /// - `from` is readable for `COUNT` values (no alignment is needed).
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// Writes `COUNT` values.
    ///
    /// # Safety
    /// - `to` is writable for `COUNT` values (no alignment is needed).
    unsafe fn store(self, to: *mut f32, value: Self::Vector);
    /// Reads the first `count <= COUNT` lanes, the others are 0.
    ///
    /// # Safety
    /// - `from` is readable for `count` values, and `count <= COUNT`.
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector;
    /// Writes the first `count <= COUNT` lanes.
    ///
    /// # Safety
    /// - `to` is writable for `count` values, and `count <= COUNT`.
    unsafe fn store_first(self, to: *mut f32, value: Self::Vector, count: usize);
    /// [`store`](Self::store) past the caches, for what is not read soon; a fence (`end_streams`) comes before others may read it.
    ///
    /// # Safety
    /// - `to` is writable for `COUNT` values and aligned to as many.
    unsafe fn stream(self, to: *mut f32, value: Self::Vector);
    /// Transposes a square of `COUNT` rows and columns: value `j` of row `i` becomes value `i` of row `j`. Rows are written
    /// in order, so that of rows that overlap the later one stays.
    ///
    /// # Safety
    /// - `from` is readable for `COUNT` values at each of the first `COUNT` multiples of `from_stride`, and `to` writable at
    ///   those of `to_stride`.
    unsafe fn transpose(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the instruction set can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger of `a` and `b`; `b` where either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller of `a` and `b`; `b` where either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a` where `x > 0`, else 0 (0 where `x` is NaN).
    fn where_positive(self, x: Self::Vector, a: Self::Vector) -> Self::Vector;
    /// `x` where `a > b`, else `y` (`y` where either is NaN). Lanes of `x` and `y` are moved as bits, so they
    /// may carry integers.
    fn select_greater(
        self,
        a: Self::Vector,
        b: Self::Vector,
        x: Self::Vector,
        y: Self::Vector,
    ) -> Self::Vector;
    /// The square root, correctly rounded.
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// The nearest integer, ties to even, of values below 2^22 in magnitude.
    fn round(self, a: Self::Vector) -> Self::Vector;
    /// `2^a` of integers from -126 to 127.
    fn exp2_integer(self, a: Self::Vector) -> Self::Vector;
    /// The sum of all lanes, in a fixed order.
    fn sum(self, a: Self::Vector) -> f32;
}

/// Ends the streams of this thread: what it stored by [`Lanes::stream`] is seen by whoever sees what it does next.
#[inline(always)]
pub(crate) fn end_streams() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Asks for the cache line at `at`, which need not be readable.
#[inline(always)]
pub(crate) fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks for the cache line at `at`, which need not be writable, in order to write it.
#[inline(always)]
pub(crate) fn prefetch_write(at: *mut f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction or takes it for none, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast_const().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// An algorithm over any [`Lanes`]. Its body is inlined into a function compiled for the instruction set.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// The algorithm. Implementations are `#[inline(always)]`, and so is every generic function they call.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// An instruction set that this processor has. A value is the proof.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    Scalar,
}

impl Isa {
    /// Plain Rust, which every processor runs.
    pub const SCALAR: Isa = Isa(Kind::Scalar);

    /// What this processor has, best first.
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        found.extend(avx2::Avx2::new().map(|token| Isa(Kind::Avx2(token))));
        found.push(Isa::SCALAR);
        found
    }

    /// The best instruction set of this processor.
    pub fn detect() -> Isa {
        Self::available()[0]
    }

    /// Its name: `avx2` (AVX2 with FMA) or `scalar`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            Kind::Scalar => "scalar",
        }
    }

    /// How many f32 one of its registers holds.
    pub fn lanes(self) -> usize {
        self.run(CountLanes)
    }

    /// Runs `kernel`, compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(token) => token.run(kernel),
            Kind::Scalar => kernel.run(scalar::Scalar),
        }
    }
}

struct CountLanes;

impl Kernel for CountLanes {
    type Output = usize;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> usize {
        L::COUNT
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The instruction set asked for is unknown or not in this processor.
#[derive(Debug, PartialEq, Eq)]
pub struct IsaUnavailable(String);

impl fmt::Display for IsaUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        write!(f, "instruction set {:?} is not available; this processor has {}", self.0, names.join(", "))
    }
}

impl std::error::Error for IsaUnavailable {}

impl FromStr for Isa {
    type Err = IsaUnavailable;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::available()
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| IsaUnavailable(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
