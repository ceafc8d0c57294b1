use super::*;
use crate::testing::{Cases, Draw, channels_last, narrow};

/// Weights and up to some dozens of summands in f32.
const TOLERANCE: f64 = 2e-6;

const COORDINATES: [Coordinates; 4] = [
    Coordinates::HalfPixel,
    Coordinates::PytorchHalfPixel,
    Coordinates::AlignCorners,
    Coordinates::Asymmetric,
];

const MODES: [Mode; 5] = [
    Mode::Linear,
    Mode::Nearest(Nearest::RoundPreferFloor),
    Mode::Nearest(Nearest::RoundPreferCeil),
    Mode::Nearest(Nearest::Floor),
    Mode::Nearest(Nearest::Ceil),
];

#[test]
fn resizing_and_its_gradient_are_the_twins() {
    let mut cases = Cases::default();
    let mut draw = Draw::new(1);
    for index in 0..160 {
        let (mode, coordinates) = (MODES[index % 5], COORDINATES[index / 5 % 4]);
        let (rows, channels) = (draw.size(1, 2), draw.pick(&[1, 3, 8, 19]));
        let input = [draw.size(1, 7), draw.size(1, 7)];
        let resize = if draw.coin() {
            Resize::to_size(channels, input, [draw.size(1, 12), draw.size(1, 12)], mode, coordinates)
        } else {
            let scales = [draw.pick(&[1.0, 2.0, 1.3, 2.7]), draw.pick(&[1.0, 2.0, 1.7])];
            Resize::by_scales(channels, input, scales, mode, coordinates)
        };
        let resize = resize.unwrap();
        let [pixels, resized] = [resize.input(), resize.output()].map(|size| size.iter().product::<usize>());
        let x = draw.normal(rows * channels * pixels);
        let dy = draw.normal(rows * channels * resized);
        let y = channels_last(channels, &reference::resize(&resize, rows, &x), resized);
        cases.check(resize, &y, TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; dy.len()];
            resize.resize_into(machine, rows, &narrow(&channels_last(channels, &x, pixels)), &mut y);
            y
        });
        let gradient = reference::resize_gradient(&resize, rows, &dy);
        cases.check(
            (resize, "gradient"),
            &channels_last(channels, &gradient, pixels),
            TOLERANCE,
            |machine| {
                let mut dx = vec![f32::NAN; x.len()];
                resize.gradient_into(machine, rows, &narrow(&channels_last(channels, &dy, resized)), &mut dx);
                dx
            },
        );
        if x.len() < 60 && gradient.iter().any(|&x| x != 0.0) {
            cases.differentiate(resize, &x, &dy, &gradient, |x| reference::resize(&resize, rows, x));
        }
    }
}

/// Examples of the ONNX operator's page: `resize_upsample_scales_linear`, `..._linear_align_corners`,
/// `..._nearest_ceil_half_pixel` reduced to a line.
#[test]
fn examples_of_the_specification() {
    let line = |input: &[f32], output: usize, mode, coordinates| {
        let resize = Resize::to_size(1, [1, input.len()], [1, output], mode, coordinates).unwrap();
        let mut y = vec![f32::NAN; output];
        resize.resize_into(&Machine::single(), 1, input, &mut y);
        y
    };
    assert_eq!(line(&[1.0, 2.0], 4, Mode::Linear, Coordinates::HalfPixel), [1.0, 1.25, 1.75, 2.0]);
    let corners = line(&[1.0, 2.0], 4, Mode::Linear, Coordinates::AlignCorners);
    assert!(corners.iter().zip([1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0]).all(|(x, y)| (x - y).abs() < 1e-6));
    let floor = Mode::Nearest(Nearest::Floor);
    assert_eq!(line(&[1.0, 2.0], 6, floor, Coordinates::Asymmetric), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
}

#[test]
fn impossible_sizes_are_refused() {
    let empty = Resize::by_scales(1, [1, 4], [0.4, 1.0], Mode::Linear, Coordinates::HalfPixel);
    assert_eq!(empty, Err(ProblemError::Zero("a resized picture's height and width")));
    let negative = Resize::by_scales(1, [1, 4], [-1.0, 1.0], Mode::Linear, Coordinates::HalfPixel);
    assert!(negative.unwrap_err().to_string().contains("positive"));
}
