use super::*;

/// Applies every operation of the trait to `a`, `b`, `c`.
struct EveryOperation<'a>(&'a [f32; 8], &'a [f32; 8], &'a [f32; 8]);

impl Kernel for EveryOperation<'_> {
    type Output = Vec<[f32; 8]>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        assert_eq!(L::COUNT, 8);
        // SAFETY: each array holds eight values.
        let [a, b, c] = [self.0, self.1, self.2].map(|x| unsafe { lanes.load(x.as_ptr()) });
        let results = [
            lanes.add(a, b),
            lanes.sub(a, b),
            lanes.mul(a, b),
            lanes.div(a, b),
            lanes.mul_add(a, b, c),
            lanes.max(a, b),
            lanes.min(a, b),
            lanes.where_positive(a, b),
            lanes.select_greater(a, b, c, a),
            lanes.sqrt(lanes.mul(c, c)),
            lanes.round(b),
            lanes.exp2_integer(a),
            lanes.splat(lanes.sum(a)),
            // SAFETY: three values can be read.
            unsafe { lanes.load_first(self.0.as_ptr(), 3) },
        ];
        results
            .into_iter()
            .map(|vector| {
                let mut out = [0.0; 8];
                // SAFETY: eight values fit.
                unsafe { lanes.store(out.as_mut_ptr(), vector) };
                out
            })
            .collect()
    }
}

#[test]
fn instruction_sets_agree_lane_by_lane() {
    // Small integers: every sum and product is exact, so rounding cannot hide a difference.
    let a = [3.0, -1.0, 0.0, 5.0, -7.0, 2.0, 8.0, -4.0];
    let b = [1.0, 2.0, -4.0, 8.0, 0.5, -2.0, 4.0, -0.25];
    let c = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let expected: Vec<[f32; 8]> = vec![
        std::array::from_fn(|i| a[i] + b[i]),
        std::array::from_fn(|i| a[i] - b[i]),
        std::array::from_fn(|i| a[i] * b[i]),
        std::array::from_fn(|i| a[i] / b[i]),
        std::array::from_fn(|i| a[i] * b[i] + c[i]),
        std::array::from_fn(|i| f32::max(a[i], b[i])),
        std::array::from_fn(|i| f32::min(a[i], b[i])),
        std::array::from_fn(|i| if a[i] > 0.0 { b[i] } else { 0.0 }),
        std::array::from_fn(|i| if a[i] > b[i] { c[i] } else { a[i] }),
        c,
        b.map(f32::round_ties_even),
        a.map(f32::exp2),
        [a.iter().sum(); 8],
        std::array::from_fn(|i| if i < 3 { a[i] } else { 0.0 }),
    ];
    for isa in Isa::available() {
        assert_eq!(isa.run(EveryOperation(&a, &b, &c)), expected, "{isa:?}");
    }
}

struct StoreFirst<'a>(&'a mut [f32; 8], usize);

impl Kernel for StoreFirst<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        // SAFETY: the array holds eight values and the count is at most eight.
        unsafe { lanes.store_first(self.0.as_mut_ptr(), lanes.splat(9.0), self.1) };
    }
}

#[test]
fn a_partial_store_leaves_the_rest_alone() {
    for isa in Isa::available() {
        for count in 0..=8 {
            let mut out = [1.0; 8];
            isa.run(StoreFirst(&mut out, count));
            assert!(out.iter().enumerate().all(|(i, &x)| x == if i < count { 9.0 } else { 1.0 }), "{isa:?}");
        }
    }
}

struct Transpose<'a>(&'a [f32], &'a mut [f32], [usize; 2]);

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Transpose(from, to, [from_stride, to_stride]) = self;
        assert!(from.len().min(to.len()) >= 7 * from_stride.max(to_stride) + L::COUNT);
        // SAFETY: both hold eight values at eight strides.
        unsafe { lanes.transpose(from.as_ptr(), from_stride, to.as_mut_ptr(), to_stride) };
    }
}

#[test]
fn of_transposed_rows_that_overlap_the_later_one_stays() {
    let from: Vec<f32> = (0..7 * 11 + 8).map(|i| i as f32).collect();
    for (isa, step) in Isa::available().into_iter().flat_map(|isa| [1, 3, 6, 8, 11].map(|step| (isa, step))) {
        let mut to = vec![-1.0; 7 * 11 + 8];
        let mut expected = to.clone();
        for (i, j) in (0..8).flat_map(|j| (0..8).map(move |i| (i, j))) {
            expected[j * step + i] = from[i * 9 + j];
        }
        isa.run(Transpose(&from, &mut to, [9, step]));
        assert_eq!(to, expected, "{isa:?} {step}");
    }
}

#[test]
fn names_are_parsed_and_an_unknown_one_lists_what_there_is() {
    assert_eq!("scalar".parse(), Ok(Isa::SCALAR));
    let error = "neon2".parse::<Isa>().unwrap_err().to_string();
    assert!(error.contains("neon2") && error.contains("scalar"), "{error}");
}
