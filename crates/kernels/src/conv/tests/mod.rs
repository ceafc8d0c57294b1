//! Every plan against its twin, over generated problems.

mod accuracy;
mod cases;
mod definitions;

use super::*;
use crate::{Isa, epilogue::Store, testing::Cases};
use cases::{Pass, cases, tile_cases};
use std::collections::BTreeSet;

/// The largest error of a sum relative to the sum of its terms' magnitudes; products are added in f32, 2^-24 each, with
/// errors of both signs. Over the generated problems the largest seen is a third of it.
const TOLERANCE: f64 = 2e-6;

const PASSES: [Pass; 3] = [Pass::Forward, Pass::InputGradient, Pass::WeightGradient];

#[test]
fn all_passes_agree_with_the_twin() {
    let mut all = Cases::default();
    for (isa, case) in Isa::available().into_iter().flat_map(|isa| cases().map(move |case| (isa, case))) {
        for pass in PASSES {
            let difference = case.difference(pass, isa, TOLERANCE);
            all.expect(difference.is_none(), || format!("{isa:?} {pass:?} {case:?}: {difference:?}"));
        }
    }
}

/// Were a plan to stop choosing an algorithm, its tests would pass on another.
#[test]
fn every_algorithm_occurs_among_the_cases() {
    let names = |pass| cases().map(|case| case.algorithm(pass, Isa::detect())).collect::<BTreeSet<_>>();
    let all = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(names(Pass::Forward), all(&["depthwise", "direct", "planar", "winograd 4x4"]));
    assert_eq!(names(Pass::InputGradient), all(&["depthwise", "direct", "scatter", "winograd 4x4"]));
    assert!(names(Pass::WeightGradient).is_superset(&all(&[
        "depthwise",
        "in place",
        "planar",
        "winograd 4x4"
    ])));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    let mut all = Cases::default();
    for (case, pass) in cases().flat_map(|case| PASSES.map(|pass| (case, pass))) {
        let run = |threads| bits(case.run(pass, Isa::detect(), threads));
        let one = run(1);
        all.expect([2, 4].into_iter().all(|threads| run(threads) == one), || format!("{pass:?} {case:?}"));
    }
}

/// In x and dy. Weights are taken to be finite: the gradient of the input multiplies some by zeros around dy.
#[test]
fn nan_and_infinities_go_where_the_twin_sends_them() {
    let kind = |x: f64| (x.is_nan(), x.is_infinite(), x > 0.0 && x.is_infinite());
    let mut all = Cases::default();
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (case, pass) in cases().step_by(5).flat_map(|case| PASSES.map(|pass| (case, pass))) {
            let case = case.direct().with_special(special);
            let actual = case.run(pass, Isa::detect(), 2);
            let expected = case.expected(pass, |x| x);
            let same = actual.iter().zip(&expected).all(|(&a, &e)| kind(f64::from(a)) == kind(e));
            all.expect(same, || format!("{special} {pass:?} {case:?}"));
        }
    }
}

/// A special value reaches at least the outputs of the twin, and at most those whose tiles have a pixel in common with it.
#[test]
fn nan_and_infinities_stay_in_the_tiles_that_read_them() {
    let mut all = Cases::default();
    for (case, special) in tile_cases().flat_map(|case| [(case, f32::NAN), (case, f32::INFINITY)]) {
        for pass in [Pass::Forward, Pass::InputGradient] {
            let case = case.plain().with_special(special);
            let actual = case.run(pass, Isa::detect(), 2);
            let reached = case.expected(pass, |x| x);
            let may = case.near_special(pass);
            let holds = (0..actual.len()).all(|at| {
                if reached[at].is_finite() {
                    may[at] || actual[at].is_finite()
                } else {
                    !actual[at].is_finite()
                }
            });
            all.expect(holds, || format!("{special} {pass:?} {case:?}"));
        }
    }
}

/// In the gradient of the weights a special value reaches at least the taps of the twin, and at most all taps of their pairs
/// of channels.
#[test]
fn nan_and_infinities_stay_with_the_weights_of_their_channels() {
    let mut all = Cases::default();
    for (case, special) in tile_cases().flat_map(|case| [(case, f32::NAN), (case, f32::INFINITY)]) {
        let case = case.plain().with_special(special);
        let actual = case.run(Pass::WeightGradient, Isa::detect(), 2);
        let expected = case.expected(Pass::WeightGradient, |x| x);
        let holds = actual.chunks(9).zip(expected.chunks(9)).all(|(actual, expected)| {
            let reached = expected.iter().any(|value| !value.is_finite());
            let mut taps = actual.iter().zip(expected);
            taps.all(|(actual, expected)| if actual.is_finite() { expected.is_finite() } else { reached })
        });
        all.expect(holds, || format!("{special} {case:?}"));
    }
}

#[test]
fn what_the_output_held_is_not_read_unless_it_accumulates() {
    for (case, pass) in cases().step_by(3).flat_map(|case| PASSES.map(|pass| (case, pass))) {
        let case = case.with_store(Store::Overwrite).with_rows(case.problem.batch);
        assert!(case.run_over(f32::NAN, pass).iter().all(|value| !value.is_nan()), "{pass:?} {case:?}");
    }
}

#[test]
fn absent_pictures_are_left_alone() {
    for case in cases().filter(|case| case.rows < case.problem.batch) {
        let y = case.run_over(7.0, Pass::Forward);
        let absent = &y[case.rows * case.problem.output_len()..];
        assert!(!absent.is_empty() && absent.iter().all(|&y| y == 7.0), "{case:?}");
    }
}

#[test]
fn no_bits_depend_on_how_many_pictures_are_present() {
    for case in cases().step_by(2).filter(|case| case.problem.batch > 1) {
        let [all, one] =
            [case.problem.batch, 1].map(|rows| case.with_rows(rows).run(Pass::Forward, Isa::detect(), 1));
        let len = case.problem.output_len();
        assert_eq!(all[..len], one[..len], "{case:?}");
    }
}

#[test]
fn packings_of_other_batches_and_sizes_are_equal() {
    let plan = |batch, side| {
        let problem = ConvProblem::new(ConvShape::new(batch, 3, 5, [side, side], [3, 3])).unwrap();
        ConvPlan::new(problem, Source::default(), Isa::SCALAR.into()).unwrap().packing()
    };
    assert_eq!(plan(1, 8), plan(64, 31));
}

#[test]
fn impossible_problems_are_refused_by_name() {
    let shape = ConvShape::new(1, 4, 6, [5, 5], [3, 3]);
    let error = |shape| ConvProblem::new(shape).unwrap_err();
    assert_eq!(error(ConvShape { strides: [1, 0], ..shape }), ConvError::Zero { what: "strides" });
    let groups = ConvError::Groups { groups: 4, what: "out_channels", channels: 6 };
    assert_eq!(error(ConvShape { groups: 4, ..shape }), groups);
    let kernel = ConvError::KernelTooLarge { axis: 1, extent: 7, padded: 6 };
    assert_eq!(error(ConvShape { dilations: [2, 3], pads: [0, 0, 0, 1], ..shape }), kernel);
    assert_eq!(error(ConvShape { dilations: [usize::MAX, 1], ..shape }), ConvError::TooLarge);
    assert_eq!(error(ConvShape { batch: usize::MAX / 8, ..shape }), ConvError::TooLarge);
    assert_eq!(error(ConvShape { pads: [usize::MAX, 0, 1, 0], ..shape }), ConvError::TooLarge);
    let transposed = ConvProblem::transposed(shape, [0, 1]).unwrap_err();
    assert_eq!(transposed, ConvError::OutputPadding { axis: 1, padding: 1, stride: 1 });
    let cut = ConvProblem::transposed(ConvShape { pads: [4, 0, 3, 0], ..shape }, [0, 0]).unwrap_err();
    assert_eq!(cut, ConvError::NothingLeft { axis: 0, whole: 7, pads: 7 });
    let border = Border { pads: [0, 3, 0, 0], mode: BorderMode::Reflect };
    let source = Source { border: Some(border), ..Source::default() };
    let problem = ConvProblem::new(shape).unwrap();
    let error = ConvPlan::new(problem, source, Isa::SCALAR.into()).unwrap_err();
    assert_eq!(error, ConvError::Border { axis: 1, input: 5, pads: [3, 0] });
}
