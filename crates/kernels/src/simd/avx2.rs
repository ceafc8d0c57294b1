//! AVX2 with FMA: eight lanes.

use super::{Kernel, Lanes};
use std::arch::x86_64::*;

/// The proof that this processor has AVX2 and FMA.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The token, if the processor has both.
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `self` proves that the processor has both features.
        unsafe { run_compiled(self, kernel) }
    }
}

/// # Safety
/// - The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn run_compiled<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
    kernel.run(token)
}

/// Lane `i` is selected in the mask of `count` where `MASK[8 - count + i]` is negative.
static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The mask of the first `count` lanes.
///
/// # Safety
/// - `count <= 8`, and the processor has AVX2.
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    // SAFETY: eight values from index `8 - count` lie within the sixteen of MASK.
    unsafe { _mm256_loadu_si256(MASK.as_ptr().add(8 - count).cast()) }
}

/// Four values of this row and of the next, alternating; rows four further on in the high halves.
///
/// # Safety
/// - `from` is readable for four values at 0, 1, 4 and 5 times `stride`, and the processor has AVX2.
#[inline(always)]
unsafe fn pairs(from: *const f32, stride: usize) -> [__m256; 2] {
    // SAFETY: the caller's contract.
    unsafe {
        let row = _mm256_loadu2_m128(from.add(4 * stride), from);
        let next = _mm256_loadu2_m128(from.add(5 * stride), from.add(stride));
        [_mm256_unpacklo_ps(row, next), _mm256_unpackhi_ps(row, next)]
    }
}

// In all that follows the token proves the features, and pointers are covered by the contracts of the trait.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one reason for all of them stands above")]
impl Lanes for Avx2 {
    type Vector = __m256;
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: __m256) {
        unsafe { _mm256_storeu_ps(to, value) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(from, first(count)) }
    }

    /// In pieces of four, two and one: a masked store takes tens of cycles on processors that split it into lanes.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, value: __m256, count: usize) {
        unsafe {
            if count == 8 {
                return self.store(to, value);
            }
            let (mut to, mut rest) = (to, _mm256_castps256_ps128(value));
            if count & 4 != 0 {
                _mm_storeu_ps(to, rest);
                (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(value));
            }
            if count & 2 != 0 {
                _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
            }
            if count & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32, value: __m256) {
        unsafe { _mm256_stream_ps(to, value) }
    }

    /// Rows 0 to 3 come in the low half of a register and rows 4 to 7 in the high half, so that no value has to cross.
    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for quarter in [0, 4] {
            unsafe {
                let from = from.add(quarter);
                let (a, b) = (pairs(from, from_stride), pairs(from.add(2 * from_stride), from_stride));
                let to = to.add(quarter * to_stride);
                _mm256_storeu_ps(to, _mm256_shuffle_ps::<0x44>(a[0], b[0]));
                _mm256_storeu_ps(to.add(to_stride), _mm256_shuffle_ps::<0xee>(a[0], b[0]));
                _mm256_storeu_ps(to.add(2 * to_stride), _mm256_shuffle_ps::<0x44>(a[1], b[1]));
                _mm256_storeu_ps(to.add(3 * to_stride), _mm256_shuffle_ps::<0xee>(a[1], b[1]));
            }
        }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn where_positive(self, x: __m256, a: __m256) -> __m256 {
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()), a) }
    }

    #[inline(always)]
    fn select_greater(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }

    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        unsafe { _mm256_sqrt_ps(a) }
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn exp2_integer(self, a: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        unsafe {
            let halves = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
            _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)))
        }
    }
}
