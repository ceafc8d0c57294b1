//! Eight lanes of plain Rust. The compiler may vectorise them with whatever the target guarantees.

use super::Lanes;

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

const COUNT: usize = 8;

#[inline(always)]
fn zip(a: [f32; COUNT], b: [f32; COUNT], f: impl Fn(f32, f32) -> f32) -> [f32; COUNT] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Lanes for Scalar {
    type Vector = [f32; COUNT];
    const COUNT: usize = COUNT;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; COUNT]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: readable for COUNT values by the caller's contract.
        unsafe { from.cast::<Self::Vector>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Self::Vector) {
        // SAFETY: writable for COUNT values by the caller's contract.
        unsafe { to.cast::<Self::Vector>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector {
        let mut lanes = [0.0; COUNT];
        for (lane, value) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: `lane < count`, and `from` is readable for `count` values.
            *value = unsafe { *from.add(lane) };
        }
        lanes
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, value: Self::Vector, count: usize) {
        for (lane, &value) in value.iter().enumerate().take(count) {
            // SAFETY: `lane < count`, and `to` is writable for `count` values.
            unsafe { *to.add(lane) = value };
        }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32, value: Self::Vector) {
        // SAFETY: the caller's contract.
        unsafe { self.store(to, value) }
    }

    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for j in 0..COUNT {
            for i in 0..COUNT {
                // SAFETY: the caller's contract.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
            }
        }
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a / b)
    }

    /// Rounded twice: without the instruction, a fused product is a call into the C library for every lane.
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn where_positive(self, x: Self::Vector, a: Self::Vector) -> Self::Vector {
        zip(x, a, |x, a| if x > 0.0 { a } else { 0.0 })
    }

    #[inline(always)]
    fn select_greater(
        self,
        a: Self::Vector,
        b: Self::Vector,
        x: Self::Vector,
        y: Self::Vector,
    ) -> Self::Vector {
        std::array::from_fn(|lane| if a[lane] > b[lane] { x[lane] } else { y[lane] })
    }

    #[inline(always)]
    fn sqrt(self, a: Self::Vector) -> Self::Vector {
        a.map(f32::sqrt)
    }

    /// Adding 1.5 * 2^23 pushes the fraction out of the significand; the library's rounding is a call for every lane.
    #[inline(always)]
    fn round(self, a: Self::Vector) -> Self::Vector {
        a.map(|a| (a + 12_582_912.0) - 12_582_912.0)
    }

    #[inline(always)]
    fn exp2_integer(self, a: Self::Vector) -> Self::Vector {
        a.map(|a| f32::from_bits(((a as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn sum(self, a: Self::Vector) -> f32 {
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
}
