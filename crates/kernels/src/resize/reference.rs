//! The twin of resizing in f64 over `[rows, C, H, W]`, from the formulas of the ONNX operator.

use super::{Coordinates, Mode, Nearest, Resize};

/// The real input coordinate of output position `place` along `axis`.
fn coordinate(resize: &Resize, axis: usize, place: usize) -> f64 {
    let (place, scale) = (place as f64, resize.scales()[axis]);
    let (input, output) = (resize.input()[axis] as f64, resize.output()[axis] as f64);
    match resize.coordinates() {
        Coordinates::HalfPixel => (place + 0.5) / scale - 0.5,
        Coordinates::PytorchHalfPixel if output > 1.0 => (place + 0.5) / scale - 0.5,
        Coordinates::AlignCorners if output > 1.0 => place * (input - 1.0) / (output - 1.0),
        Coordinates::PytorchHalfPixel | Coordinates::AlignCorners => 0.0,
        Coordinates::Asymmetric => place / scale,
    }
}

/// The input places that output position `place` is made of, with their weights.
fn taps(resize: &Resize, axis: usize, place: usize) -> Vec<(usize, f64)> {
    let x = coordinate(resize, axis, place);
    let clamp = |x: f64| x.clamp(0.0, resize.input()[axis] as f64 - 1.0) as usize;
    match resize.mode() {
        Mode::Nearest(Nearest::RoundPreferFloor) => vec![(clamp((x - 0.5).ceil()), 1.0)],
        Mode::Nearest(Nearest::RoundPreferCeil) => vec![(clamp((x + 0.5).floor()), 1.0)],
        Mode::Nearest(Nearest::Floor) => vec![(clamp(x.floor()), 1.0)],
        Mode::Nearest(Nearest::Ceil) => vec![(clamp(x.ceil()), 1.0)],
        Mode::Linear => {
            let fraction = x - x.floor();
            vec![(clamp(x.floor()), 1.0 - fraction), (clamp(x.floor() + 1.0), fraction)]
        }
    }
}

/// Calls `visit(output index, input index, weight)` for every product that a resized picture is the sum of.
fn for_each_tap(resize: &Resize, rows: usize, mut visit: impl FnMut(usize, usize, f64)) {
    let ([height, width], [out_height, out_width]) = (resize.input(), resize.output());
    for plane in 0..rows * resize.channels() {
        for y in 0..out_height {
            for x in 0..out_width {
                for (i, wi) in taps(resize, 0, y) {
                    for (j, wj) in taps(resize, 1, x) {
                        let output = (plane * out_height + y) * out_width + x;
                        visit(output, (plane * height + i) * width + j, wi * wj);
                    }
                }
            }
        }
    }
}

/// x `[rows, C, H, W]` resized to `[rows, C, H', W']`.
pub fn resize(resize: &Resize, rows: usize, x: &[f64]) -> Vec<f64> {
    let [height, width] = resize.output();
    let mut y = vec![0.0; rows * resize.channels() * height * width];
    for_each_tap(resize, rows, |output, input, weight| y[output] += weight * x[input]);
    y
}

/// The gradient of [`resize`] with respect to x.
pub fn resize_gradient(resize: &Resize, rows: usize, dy: &[f64]) -> Vec<f64> {
    let [height, width] = resize.input();
    let mut dx = vec![0.0; rows * resize.channels() * height * width];
    for_each_tap(resize, rows, |output, input, weight| dx[input] += weight * dy[output]);
    dx
}
