//! Exponentials over [`Lanes`].
//!
//! Coefficients are Chebyshev interpolants fitted in f64; their own errors are below a tenth of an ulp, so
//! that what is declared beside each function is rounding.

use crate::simd::Lanes;

/// ln 2 in two parts; products of the first with exponents are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// `(exp(r) - 1 - r) / r^2` for `|r| <= ln 2 / 2`, lowest power first.
const EXP: [f32; 5] = [0.5, 0.166_665_77, 0.041_666_555, 0.008_363_179, 0.001_392_618_4];
/// `(tanh(x) - x) / x^3` as a polynomial in `x^2` for `|x| <= 0.625`, lowest power first.
const TANH: [f32; 5] = [-0.333_332_42, 0.133_307_03, -0.053_687_493, 0.020_483_943, -0.005_541_806];

/// The polynomial with the given coefficients, lowest power first, by Horner's rule.
#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(lanes: L, coefficients: [f32; N], x: L::Vector) -> L::Vector {
    let mut sum = lanes.splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = lanes.mul_add(sum, x, lanes.splat(coefficients[i]));
    }
    sum
}

/// `exp(x)`, within 2 ulp; 0 and infinity where the result leaves the range of f32; NaN stays NaN.
///
/// With `n` the integer nearest to `x / ln 2` and `r = x - n ln 2`, it is `2^n exp(r)`. The factor is applied
/// in two halves, for `2^n` itself may leave the range.
#[inline(always)]
pub(crate) fn exp<L: Lanes>(lanes: L, x: L::Vector) -> L::Vector {
    let x = lanes.max(lanes.splat(-105.0), lanes.min(lanes.splat(90.0), x));
    let n = lanes.round(lanes.mul(x, lanes.splat(std::f32::consts::LOG2_E)));
    let r = lanes.mul_add(n, lanes.splat(-LN_2[0]), x);
    let r = lanes.mul_add(n, lanes.splat(-LN_2[1]), r);
    let square = lanes.mul(r, r);
    let power = lanes.add(lanes.splat(1.0), lanes.mul_add(square, polynomial(lanes, EXP, r), r));
    let half = lanes.round(lanes.mul(n, lanes.splat(0.5)));
    let power = lanes.mul(power, lanes.exp2_integer(half));
    lanes.mul(power, lanes.exp2_integer(lanes.sub(n, half)))
}

/// `1 / (1 + exp(-x))`, within 4 ulp where the result is a normal number.
#[inline(always)]
pub(crate) fn sigmoid<L: Lanes>(lanes: L, x: L::Vector) -> L::Vector {
    let one = lanes.splat(1.0);
    lanes.div(one, lanes.add(one, exp(lanes, lanes.sub(lanes.splat(0.0), x))))
}

/// The hyperbolic tangent, within 4 ulp.
///
/// A polynomial near 0, where `1 - 2 / (exp(2|x|) + 1)` would cancel; that formula elsewhere.
#[inline(always)]
pub(crate) fn tanh<L: Lanes>(lanes: L, x: L::Vector) -> L::Vector {
    let [zero, one, two] = [0.0, 1.0, 2.0].map(|value| lanes.splat(value));
    let square = lanes.mul(x, x);
    let near = lanes.mul_add(lanes.mul(x, square), polynomial(lanes, TANH, square), x);
    let magnitude = lanes.max(lanes.sub(zero, x), x);
    let power = exp(lanes, lanes.mul(two, magnitude));
    let far = lanes.sub(one, lanes.div(two, lanes.add(power, one)));
    let far = lanes.select_greater(zero, x, lanes.sub(zero, far), far);
    lanes.select_greater(magnitude, lanes.splat(0.625), far, near)
}
