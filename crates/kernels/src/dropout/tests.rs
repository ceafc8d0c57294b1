use super::*;
use crate::testing::{Cases, Draw, channels_last, narrow, widen};

/// The quotient is a product with a rounded factor.
const TOLERANCE: f64 = 3e-7;

#[test]
fn every_mask_is_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..40 {
        let mut draw = Draw::new(seed);
        let (rows, pixels, channels) = (draw.size(1, 5), draw.pick(&[1, 6, 900]), draw.pick(&[1, 3, 32, 70]));
        let mask = match seed % 3 {
            0 => Mask::Elements,
            1 => Mask::Channels { pixels, channels },
            _ => Mask::Rows { len: pixels * channels },
        };
        let dropout = Dropout::new(draw.pick(&[0.0, 0.2, 0.5, 0.9]), mask).unwrap();
        let key = Key { seed, step: 3, stream: 4 };
        let x = draw.normal(rows * pixels * channels);
        let expected = reference::dropout(&dropout, key, channels, pixels, &x);
        let last = narrow(&channels_last(channels, &x, pixels));
        cases.check((dropout, rows), &channels_last(channels, &expected, pixels), TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; last.len()];
            dropout.apply_into(machine, key, &last, &mut y);
            let mut in_place = last.clone();
            dropout.apply_in_place(machine, key, &mut in_place);
            assert_eq!(y, in_place);
            y
        });
    }
}

#[test]
fn the_gradient_passes_through_active_neurons_only() {
    let machine = Machine::single();
    let dropout = Dropout::new(0.5, Mask::Elements).unwrap();
    let key = Key { seed: 1, step: 2, stream: 3 };
    let x: Vec<f32> = narrow(&Draw::new(1).normal(1000));
    let (mut y, mut dx) = (vec![0.0; 1000], vec![1.0; 1000]);
    dropout.apply_into(&machine, key, &x, &mut y);
    dropout.apply_in_place(&machine, key, &mut dx);
    for (y, (x, dx)) in y.iter().zip(x.iter().zip(&dx)) {
        assert!((*y == 0.0 && *dx == 0.0) || (*y == 2.0 * x && *dx == 2.0));
    }
    let mut cases = Cases::default();
    let twin = |x: &[f64]| reference::dropout(&dropout, key, 100, 1, x);
    cases.differentiate(dropout, &widen(&x[..100]), &[1.0; 100], &widen(&dx[..100]), twin);
}

#[test]
fn another_step_or_stream_is_another_mask_of_the_same_rate() {
    let machine = Machine::single();
    let dropout = Dropout::new(0.25, Mask::Elements).unwrap();
    let mask = |step, stream| {
        let mut y = vec![1.0; 40_000];
        dropout.apply_in_place(&machine, Key { seed: 5, step, stream }, &mut y);
        y
    };
    let dropped = |mask: &[f32]| mask.iter().filter(|&&y| y == 0.0).count();
    let first = mask(0, 0);
    for (step, stream) in [(0, 0), (1, 0), (0, 1)] {
        // Ten thousand expected; five standard deviations are 433.
        assert!(dropped(&mask(step, stream)).abs_diff(10_000) < 433);
        let same = first.iter().zip(mask(step, stream)).filter(|(a, b)| **a == *b).count();
        // Independent masks agree at 1/16 + 9/16 of the positions.
        assert!((step, stream) == (0, 0) || same.abs_diff(25_000) < 500, "{same}");
    }
}

#[test]
fn a_dropped_infinity_is_zero() {
    let dropout = Dropout::new(0.5, Mask::Elements).unwrap();
    let mut y = [f32::INFINITY; 64];
    dropout.apply_in_place(&Machine::single(), Key { seed: 0, step: 0, stream: 0 }, &mut y);
    assert!(y.contains(&0.0) && y.iter().all(|y| *y == 0.0 || *y == f32::INFINITY));
}

#[test]
fn a_ratio_of_one_is_refused() {
    for ratio in [1.0, -0.1, f32::NAN] {
        assert!(Dropout::new(ratio, Mask::Elements).is_err());
    }
}
