//! The transforms of F(4, 3), on registers whose lanes are channels.
//!
//! By Toom and Cook, the correlation `y` (four outputs) of six inputs `d` with three weights `g` is
//!
//! ```text
//! y = Aᵀ [(G g) ⊙ (Bᵀ d)]
//! ```
//!
//! where A and G evaluate polynomials of four and of three coefficients at the points 0, ±p, ±q and ∞, and the rows of Bᵀ
//! hold the coefficients of `M(x)/(x − point)`, `M(x) = Π (x − point)` over the finite points (of `M` itself at ∞). G
//! takes the factors `1/M'(point)`. In two dimensions both axes are transformed: `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`.
//!
//! Gradients need adjoints: that of the weights is `Gᵀ [(A y Aᵀ) ⊙ (Bᵀ d B)] G`.

use crate::simd::Lanes;

/// Outputs of a tile along an axis.
pub(in crate::conv) const OUTPUTS: usize = 4;
/// Taps of the kernel along an axis.
pub(in crate::conv) const TAPS: usize = 3;
/// Inputs of a tile along an axis, and points.
pub(in crate::conv) const POINTS: usize = 6;

/// The points beside 0 and ∞ are ±P and ±Q: with them the errors of f32 are a quarter of those with ±1 and ±2, and the
/// coefficients of the transforms, P², Q² and their sum and product, are exact.
const P: f64 = 0.625;
const Q: f64 = 1.5;
const PP: f64 = P * P;
const QQ: f64 = Q * Q;
/// `1/M'` at 0, ±P and ±Q.
const WEIGHT_0: f64 = 1.0 / (PP * QQ);
const WEIGHT_P: f64 = 1.0 / (2.0 * PP * (PP - QQ));
const WEIGHT_Q: f64 = 1.0 / (2.0 * QQ * (QQ - PP));

/// A linear map from `N` values to `M`, along one axis.
pub(in crate::conv) trait Transform<const N: usize, const M: usize>: Copy {
    /// Implementations are `#[inline(always)]`.
    fn apply<L: Lanes>(self, lanes: L, x: [L::Vector; N]) -> [L::Vector; M];
}

/// `Bᵀ`: inputs to the points.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Input;

/// `G`: weights to the points.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Weights;

/// `Aᵀ`: products at the points to outputs.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Output;

/// `A`: gradients of outputs to the points.
#[derive(Clone, Copy)]
pub(in crate::conv) struct OutputAdjoint;

/// `Gᵀ`: summed products at the points to gradients of weights.
#[derive(Clone, Copy)]
pub(in crate::conv) struct WeightsAdjoint;

/// `c + factor * x`
#[inline(always)]
fn add_times<L: Lanes>(lanes: L, c: L::Vector, factor: f64, x: L::Vector) -> L::Vector {
    lanes.mul_add(lanes.splat(factor as f32), x, c)
}

#[inline(always)]
fn times<L: Lanes>(lanes: L, factor: f64, x: L::Vector) -> L::Vector {
    lanes.mul(lanes.splat(factor as f32), x)
}

/// The sum and the difference.
#[inline(always)]
fn butterfly<L: Lanes>(lanes: L, a: L::Vector, b: L::Vector) -> [L::Vector; 2] {
    [lanes.add(a, b), lanes.sub(a, b)]
}

/// `even ± factor * odd`: a polynomial at a point and at its negative.
#[inline(always)]
fn at_both<L: Lanes>(lanes: L, even: L::Vector, factor: f64, odd: L::Vector) -> [L::Vector; 2] {
    [add_times(lanes, even, factor, odd), add_times(lanes, even, -factor, odd)]
}

impl Transform<POINTS, POINTS> for Input {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: [L::Vector; 6]) -> [L::Vector; 6] {
        let at_0 = add_times(lanes, add_times(lanes, x[4], -PP - QQ, x[2]), PP * QQ, x[0]);
        let at_infinity = add_times(lanes, add_times(lanes, x[5], -PP - QQ, x[3]), PP * QQ, x[1]);
        let [even, odd] = [add_times(lanes, x[4], -QQ, x[2]), add_times(lanes, x[3], -QQ, x[1])];
        let [p, minus_p] = at_both(lanes, even, P, odd);
        let [even, odd] = [add_times(lanes, x[4], -PP, x[2]), add_times(lanes, x[3], -PP, x[1])];
        let [q, minus_q] = at_both(lanes, even, Q, odd);
        [at_0, p, minus_p, q, minus_q, at_infinity]
    }
}

impl Transform<TAPS, POINTS> for Weights {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: [L::Vector; 3]) -> [L::Vector; 6] {
        let even = add_times(lanes, times(lanes, WEIGHT_P, x[0]), WEIGHT_P * PP, x[2]);
        let [p, minus_p] = at_both(lanes, even, WEIGHT_P * P, x[1]);
        let even = add_times(lanes, times(lanes, WEIGHT_Q, x[0]), WEIGHT_Q * QQ, x[2]);
        let [q, minus_q] = at_both(lanes, even, WEIGHT_Q * Q, x[1]);
        [times(lanes, WEIGHT_0, x[0]), p, minus_p, q, minus_q, x[2]]
    }
}

impl Transform<POINTS, OUTPUTS> for Output {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: [L::Vector; 6]) -> [L::Vector; 4] {
        let [even_p, odd_p] = butterfly(lanes, x[1], x[2]);
        let [even_q, odd_q] = butterfly(lanes, x[3], x[4]);
        [
            lanes.add(x[0], lanes.add(even_p, even_q)),
            add_times(lanes, times(lanes, P, odd_p), Q, odd_q),
            add_times(lanes, times(lanes, PP, even_p), QQ, even_q),
            add_times(lanes, add_times(lanes, x[5], P * PP, odd_p), Q * QQ, odd_q),
        ]
    }
}

impl Transform<OUTPUTS, POINTS> for OutputAdjoint {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: [L::Vector; 4]) -> [L::Vector; 6] {
        let [even, odd] = [add_times(lanes, x[0], PP, x[2]), add_times(lanes, x[1], PP, x[3])];
        let [p, minus_p] = at_both(lanes, even, P, odd);
        let [even, odd] = [add_times(lanes, x[0], QQ, x[2]), add_times(lanes, x[1], QQ, x[3])];
        let [q, minus_q] = at_both(lanes, even, Q, odd);
        [x[0], p, minus_p, q, minus_q, x[3]]
    }
}

impl Transform<POINTS, TAPS> for WeightsAdjoint {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: [L::Vector; 6]) -> [L::Vector; 3] {
        let [even_p, odd_p] = butterfly(lanes, x[1], x[2]);
        let [even_q, odd_q] = butterfly(lanes, x[3], x[4]);
        let even = add_times(lanes, times(lanes, WEIGHT_P, even_p), WEIGHT_Q, even_q);
        [
            add_times(lanes, even, WEIGHT_0, x[0]),
            add_times(lanes, times(lanes, WEIGHT_P * P, odd_p), WEIGHT_Q * Q, odd_q),
            add_times(lanes, add_times(lanes, x[5], WEIGHT_P * PP, even_p), WEIGHT_Q * QQ, even_q),
        ]
    }
}

/// Where the elements of a square tile lie: the first channel of each, row by row.
pub(in crate::conv) type Places<const N: usize> = [[*const f32; N]; N];

/// Transforms a tile along its second axis, at the channels from `channel` on: `half[j][i]` is element `(i, j)` of `x Tᵀ`,
/// and `transform.apply(lanes, half[j])` column `j` of `T x Tᵀ`.
///
/// # Safety
/// - Each of `from` is readable for a vector at `channel`.
#[inline(always)]
pub(in crate::conv) unsafe fn along_rows<L: Lanes, T: Transform<N, M>, const N: usize, const M: usize>(
    lanes: L,
    transform: T,
    from: &Places<N>,
    channel: usize,
) -> [[L::Vector; N]; M] {
    let mut half = [[lanes.splat(0.0); N]; M];
    for i in 0..N {
        let mut row = [lanes.splat(0.0); N];
        for j in 0..N {
            // SAFETY: the caller's contract.
            row[j] = unsafe { lanes.load(from[i][j].wrapping_add(channel)) };
        }
        let row = transform.apply(lanes, row);
        for j in 0..M {
            half[j][i] = row[j];
        }
    }
    half
}

/// Writes element `(i, j)` of `T x Tᵀ` to `to + (M i + j) * step`, for the channels from `channel` on of the tile x.
///
/// # Safety
/// - Each of `from` is readable for a vector at `channel`.
/// - `to` is writable for a vector at each multiple of `step` below `M * M * step`.
#[inline(always)]
pub(in crate::conv) unsafe fn transform_into<L: Lanes, T: Transform<N, M>, const N: usize, const M: usize>(
    lanes: L,
    transform: T,
    from: &Places<N>,
    channel: usize,
    to: *mut f32,
    step: usize,
) {
    // SAFETY: the caller's contract.
    let half = unsafe { along_rows(lanes, transform, from, channel) };
    for j in 0..M {
        let column = transform.apply(lanes, half[j]);
        for i in 0..M {
            // SAFETY: the caller's contract, and `M i + j < M M`.
            unsafe { lanes.store(to.wrapping_add((M * i + j) * step), column[i]) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Isa,
        simd::Kernel,
        testing::{Draw, narrow, widen},
    };

    type Matrix = Vec<Vec<f64>>;

    /// The finite points, in the order of the transforms.
    const FINITE: [f64; 5] = [0.0, P, -P, Q, -Q];

    /// Polynomials of `count` coefficients at the points: their values, and the leading coefficient.
    fn vandermonde(count: usize) -> Matrix {
        let powers = |point: f64| (0..count as i32).map(|k| point.powi(k)).collect();
        let infinity = (0..count).map(|k| f64::from(u8::from(k + 1 == count))).collect();
        FINITE.into_iter().map(powers).chain([infinity]).collect()
    }

    /// The coefficients of `Π (x − point)`, constant first, `POINTS` of them.
    fn with_roots(points: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut product = vec![0.0; POINTS];
        product[0] = 1.0;
        for point in points {
            for k in (0..POINTS).rev() {
                product[k] = if k > 0 { product[k - 1] } else { 0.0 } - point * product[k];
            }
        }
        product
    }

    fn others(point: f64) -> impl Iterator<Item = f64> {
        FINITE.into_iter().filter(move |&other| other != point)
    }

    /// Bᵀ, G and A from their definitions.
    fn definitions() -> [Matrix; 3] {
        let input = FINITE.into_iter().map(|point| with_roots(others(point)));
        let input = input.chain([with_roots(FINITE.into_iter())]).collect();
        let mut weights = vandermonde(TAPS);
        for (row, point) in weights.iter_mut().zip(FINITE) {
            let slope: f64 = others(point).map(|other| point - other).product();
            row.iter_mut().for_each(|value| *value /= slope);
        }
        [input, weights, vandermonde(OUTPUTS)]
    }

    fn transposed(matrix: &Matrix) -> Matrix {
        (0..matrix[0].len()).map(|j| matrix.iter().map(|row| row[j]).collect()).collect()
    }

    fn product(a: &Matrix, b: &Matrix) -> Matrix {
        let dot = |row: &[f64], j: usize| row.iter().zip(b).map(|(a, b)| a * b[j]).sum();
        a.iter().map(|row| (0..b[0].len()).map(|j| dot(row, j)).collect()).collect()
    }

    /// `T x Tᵀ`.
    fn both(t: &Matrix, x: &Matrix) -> Matrix {
        product(&product(t, x), &transposed(t))
    }

    fn random(draw: &mut Draw, side: usize) -> Matrix {
        (0..side).map(|_| draw.normal(side)).collect()
    }

    fn hadamard(a: &Matrix, b: &Matrix) -> Matrix {
        let times = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a * b).collect();
        a.iter().zip(b).map(times).collect()
    }

    fn largest_difference(a: &Matrix, b: &Matrix) -> f64 {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    /// `Σ d[i + k][j + l] g[k][l]`, as large as it is.
    fn correlation(d: &Matrix, g: &Matrix) -> Matrix {
        let side = d.len() - g.len() + 1;
        let taps = || (0..g.len()).flat_map(|k| (0..g.len()).map(move |l| (k, l)));
        let sum = |i: usize, j: usize| taps().map(|(k, l)| d[i + k][j + l] * g[k][l]).sum();
        (0..side).map(|i| (0..side).map(|j| sum(i, j)).collect()).collect()
    }

    #[test]
    fn the_definitions_make_a_correlation_and_its_gradient() {
        let ([input, weights, output], draw) = (definitions(), &mut Draw::new(1));
        let [d, g, dy] = [POINTS, TAPS, OUTPUTS].map(|side| random(draw, side));
        let products = hadamard(&both(&weights, &g), &both(&input, &d));
        assert!(largest_difference(&both(&transposed(&output), &products), &correlation(&d, &g)) < 1e-13);
        // dw[k][l] = Σ d[i + k][j + l] dy[i][j], a correlation again.
        let products = hadamard(&both(&output, &dy), &both(&input, &d));
        assert!(largest_difference(&both(&transposed(&weights), &products), &correlation(&d, &dy)) < 1e-13);
    }

    /// `T x Tᵀ` of a tile of one vector each.
    struct Tile<'a, T, const N: usize, const M: usize>(T, &'a [f32]);

    impl<T: Transform<N, M>, const N: usize, const M: usize> Kernel for Tile<'_, T, N, M> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Vec<f32> {
            assert_eq!(self.1.len(), N * N * L::COUNT);
            let at = |i: usize, j: usize| self.1[(N * i + j) * L::COUNT..].as_ptr();
            let from: Places<N> = std::array::from_fn(|i| std::array::from_fn(|j| at(i, j)));
            let mut to = vec![f32::NAN; M * M * L::COUNT];
            // SAFETY: both slices hold as many vectors as the tiles have elements.
            unsafe { transform_into(lanes, self.0, &from, 0, to.as_mut_ptr(), L::COUNT) };
            to
        }
    }

    /// Errors of f32 in transforms whose coefficients are below 6: some roundings of 2^-24 each.
    const TOLERANCE: f64 = 3e-6;

    fn agrees<const N: usize, const M: usize>(transform: impl Transform<N, M>, matrix: &Matrix) {
        for isa in Isa::available() {
            let x = narrow(&Draw::new(2).normal(N * N * 8));
            let actual = widen(&isa.run(Tile(transform, &x)));
            for lane in 0..8 {
                let square = |values: &[f64], side: usize| -> Matrix {
                    let lane: Vec<f64> = values.iter().skip(lane).step_by(8).copied().collect();
                    lane.chunks(side).map(<[f64]>::to_vec).collect()
                };
                let expected = both(matrix, &square(&widen(&x), N));
                let error = largest_difference(&square(&actual, M), &expected);
                let size = expected.iter().flatten().fold(0.0, |most: f64, value| most.max(value.abs()));
                assert!(error <= TOLERANCE * size, "{N} to {M} on {isa:?}: {error:e} of {size}");
            }
        }
    }

    #[test]
    fn transforms_are_their_definitions_and_adjoints_their_transposes() {
        let [input, weights, output] = definitions();
        agrees(Input, &input);
        agrees(Weights, &weights);
        agrees(Output, &transposed(&output));
        agrees(OutputAdjoint, &output);
        agrees(WeightsAdjoint, &transposed(&weights));
    }
}
