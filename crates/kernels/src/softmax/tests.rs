use super::*;
use crate::testing::{Cases, Draw, narrow};

/// A sum of exponentials and a division in f32, on values up to 1; logarithms up to about 20.
const TOLERANCE: f64 = 2e-6;

fn problems() -> impl Iterator<Item = (Softmax, usize, Draw)> {
    (0..60).map(|seed| {
        let mut draw = Draw::new(seed);
        let softmax =
            Softmax::new(draw.pick(&[1, 2, 8, 10, 33, 1000]), draw.pick(&[1, 1, 3, 8, 21])).unwrap();
        (softmax, draw.size(1, 40), draw)
    })
}

#[test]
fn softmax_and_its_logarithm_are_the_twins() {
    let mut cases = Cases::default();
    for (softmax, outer, mut draw) in problems() {
        let x: Vec<f64> =
            draw.normal(softmax.len(outer)).iter().map(|x| f64::from((4.0 * x) as f32)).collect();
        cases.check((softmax, outer), &reference::softmax(&softmax, &x), TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; x.len()];
            softmax.softmax_into(machine, outer, &narrow(&x), &mut y);
            y
        });
        cases.check((softmax, outer, "log"), &reference::log_softmax(&softmax, &x), TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; x.len()];
            softmax.log_softmax_into(machine, outer, &narrow(&x), &mut y);
            y
        });
    }
}

#[test]
fn gradients_are_the_twins_and_differences() {
    let mut cases = Cases::default();
    for (softmax, outer, mut draw) in problems() {
        let (x, dy) = (draw.normal(softmax.len(outer)), draw.normal(softmax.len(outer)));
        let [y, log] = [reference::softmax(&softmax, &x), reference::log_softmax(&softmax, &x)];
        let [by_y, by_log] = [
            reference::softmax_gradient(&softmax, &y, &dy),
            reference::log_softmax_gradient(&softmax, &log, &dy),
        ];
        if x.len() < 300 && softmax.axis() > 1 {
            cases.differentiate(softmax, &x, &dy, &by_y, |x| reference::softmax(&softmax, x));
            cases.differentiate((softmax, "log"), &x, &dy, &by_log, |x| reference::log_softmax(&softmax, x));
        }
        // Along one value the gradient is exactly 0 and only its rounding is left.
        let floor = |gradient: &[f64]| {
            if softmax.axis() == 1 { vec![0.0; gradient.len()] } else { gradient.to_vec() }
        };
        cases.check((softmax, outer), &floor(&by_y), TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            softmax.softmax_gradient_into(machine, outer, &narrow(&y), &narrow(&dy), &mut dx);
            dx
        });
        cases.check((softmax, outer, "log"), &floor(&by_log), TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            softmax.log_softmax_gradient_into(machine, outer, &narrow(&log), &narrow(&dy), &mut dx);
            dx
        });
    }
}

#[test]
fn large_and_infinite_logits_do_not_overflow() {
    let softmax = Softmax::new(3, 1).unwrap();
    let mut y = [0.0; 6];
    let x = [1e30, 1e30, -1e30, 0.0, f32::NEG_INFINITY, 0.0];
    softmax.softmax_into(&Machine::single(), 2, &x, &mut y);
    assert_eq!(y, [0.5, 0.5, 0.0, 0.5, 0.0, 0.5]);
}
