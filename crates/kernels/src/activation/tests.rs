use super::*;
use crate::Isa;
use crate::testing::{Cases, Draw, narrow};

const EVERY: [Activation; 8] = [
    Activation::Relu,
    Activation::LeakyRelu { alpha: 0.1 },
    Activation::LeakyRelu { alpha: -0.5 },
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Activation::HardSwish,
    Activation::Clip { min: -0.5, max: 1.5 },
];

/// f32 rounding of a few operations on values of order 1.
const TOLERANCE: f64 = 5e-7;

/// Normal numbers, and the kinks.
fn inputs(draw: &mut Draw) -> Vec<f64> {
    let mut x: Vec<f64> = draw.normal(1003).into_iter().map(|x| 2.0 * x).collect();
    x.extend([0.0, -0.5, 1.5, -3.0, 3.0, -2.5, 2.5].map(|x| f64::from(x as f32)));
    x
}

#[test]
fn values_are_the_twins() {
    let mut cases = Cases::default();
    for activation in EVERY {
        let x = inputs(&mut Draw::new(1));
        let expected: Vec<f64> = x.iter().map(|&x| reference::apply(activation, x)).collect();
        cases.check(activation, &expected, TOLERANCE, |machine| {
            let (x, mut y) = (narrow(&x), vec![f32::NAN; x.len()]);
            activation.apply_into(machine, &x, &mut y);
            let mut in_place = x;
            activation.apply_in_place(machine, &mut in_place);
            assert_eq!(y, in_place);
            y
        });
        let scalar: Vec<f64> = x.iter().map(|&x| f64::from(activation.apply(x as f32))).collect();
        cases.compare((activation, "of one value"), &scalar, &expected, TOLERANCE);
    }
}

#[test]
fn gradients_are_the_twins() {
    let mut cases = Cases::default();
    for activation in EVERY {
        let mut draw = Draw::new(2);
        let x = inputs(&mut draw);
        let dy = draw.normal(x.len());
        let expected: Vec<f64> =
            x.iter().zip(&dy).map(|(&x, dy)| dy * reference::derivative(activation, x)).collect();
        cases.check(activation, &expected, TOLERANCE, |machine| {
            let mut saved = narrow(&x);
            if activation.gradient_reads() == Reads::Output {
                activation.apply_in_place(machine, &mut saved);
            }
            let (dy, mut dx) = (narrow(&dy), vec![f32::NAN; x.len()]);
            activation.gradient_into(machine, &saved, &dy, &mut dx);
            let mut in_place = dy;
            activation.gradient_in_place(machine, &saved, &mut in_place);
            assert_eq!(dx, in_place);
            dx
        });
        // No kink lies within a step of a random number.
        let (x, dy, gradient) = (&x[..100], &dy[..100], &expected[..100]);
        cases.differentiate(activation, x, dy, gradient, |x| {
            x.iter().map(|&x| reference::apply(activation, x)).collect()
        });
    }
}

#[test]
fn nan_passes_through() {
    for isa in Isa::available() {
        let machine = Machine { isa, ..Machine::single() };
        for activation in EVERY {
            let mut x = [f32::NAN; 11];
            activation.apply_in_place(&machine, &mut x);
            assert!(x.iter().all(|x| x.is_nan()), "{activation:?} on {isa:?}");
            assert!(activation.apply(f32::NAN).is_nan(), "{activation:?}");
        }
    }
}

/// Errors of a function in units of the last place of its exact result.
fn worst_ulp(name: &str, function: impl Map<0>, exact: impl Fn(f64) -> f64, range: f64) -> f64 {
    let mut worst = 0.0;
    for isa in Isa::available() {
        let machine = Machine { isa, ..Machine::single() };
        let x: Vec<f32> = (-200_000..=200_000).map(|i| (f64::from(i) / 200_000.0 * range) as f32).collect();
        let mut y = vec![0.0; x.len()];
        map_into(&machine, &mut y, &x, [], function);
        for (x, y) in x.iter().zip(y) {
            let exact = exact(f64::from(*x));
            let ulp = f64::from((exact.abs() as f32).max(f32::MIN_POSITIVE).next_up())
                - f64::from((exact.abs() as f32).max(f32::MIN_POSITIVE));
            let error = (f64::from(y) - exact).abs() / ulp;
            assert!(!error.is_nan(), "{name}({x}) = {y} on {isa:?}");
            worst = f64::max(worst, error);
        }
    }
    worst
}

#[derive(Clone, Copy)]
struct Exp;

impl Map<0> for Exp {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, _: [L::Vector; 0]) -> L::Vector {
        math::exp(lanes, x)
    }
}

#[test]
fn exponentials_are_as_exact_as_declared() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    assert!(worst_ulp("exp", Exp, f64::exp, 87.0) <= 2.0);
    assert!(worst_ulp("sigmoid", Apply(Activation::Sigmoid), sigmoid, 80.0) <= 4.0);
    assert!(worst_ulp("tanh", Apply(Activation::Tanh), f64::tanh, 20.0) <= 4.0);
    assert!(worst_ulp("tanh near 0", Apply(Activation::Tanh), f64::tanh, 0.7) <= 4.0);
}

#[test]
fn exponentials_end_in_zero_and_infinity() {
    for isa in Isa::available() {
        let machine = Machine { isa, ..Machine::single() };
        let x = [f32::NEG_INFINITY, -200.0, -104.5, -87.5, 88.7, 89.0, 1e30, f32::INFINITY];
        let mut y = [0.0; 8];
        map_into(&machine, &mut y, &x, [], Exp);
        assert_eq!(y[..3], [0.0; 3], "{isa:?}");
        assert!(y[3] > 0.0 && y[4].is_finite(), "{isa:?}: {y:?}");
        assert_eq!(y[5..], [f32::INFINITY; 3], "{isa:?}");
    }
}
