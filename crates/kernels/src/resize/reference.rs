//! The twin of resizing in f64 over `[rows, C, H, W]`, from the formulas of the ONNX operator.

use super::{Coordinates, Curve, Filter, Mode, Nearest, Resize};

/// The real input coordinate of output position `place` along `axis`.
fn coordinate(resize: &Resize, axis: usize, place: usize) -> f64 {
    let (place, scale) = (place as f64, resize.scales()[axis]);
    let (input, output) = (resize.input()[axis] as f64, resize.output()[axis] as f64);
    // What the scale makes of the input, unless it is the output up to rounding.
    let extent = if (scale * input - output).abs() < 1e-6 * output { output } else { scale * input };
    match resize.method().coordinates {
        Coordinates::HalfPixel => (place + 0.5) / scale - 0.5,
        Coordinates::HalfPixelSymmetric => {
            let adjustment = output / (scale * input);
            let centre = input / 2.0;
            centre * (1.0 - adjustment) + (place + 0.5) / scale - 0.5
        }
        Coordinates::PytorchHalfPixel if output > 1.0 => (place + 0.5) / scale - 0.5,
        Coordinates::AlignCorners if output > 1.0 => place * (input - 1.0) / (extent - 1.0),
        Coordinates::PytorchHalfPixel | Coordinates::AlignCorners => 0.0,
        Coordinates::Asymmetric => place / scale,
        Coordinates::TfHalfPixelForNearest => (place + 0.5) / scale,
        Coordinates::CropAndResize(crop) => {
            let [start, end] = if axis == 0 { crop.height } else { crop.width }.map(f64::from);
            if output > 1.0 {
                start * (input - 1.0) + place * (end - start) * (input - 1.0) / (extent - 1.0)
            } else {
                0.5 * (start + end) * (input - 1.0)
            }
        }
    }
}

/// Whether output position `place` takes the value outside instead of input ones.
fn is_outside(resize: &Resize, axis: usize, place: usize) -> bool {
    let x = coordinate(resize, axis, place);
    let cropped = matches!(resize.method().coordinates, Coordinates::CropAndResize(_));
    cropped && (x < 0.0 || x > resize.input()[axis] as f64 - 1.0)
}

/// The weight at a distance of x positions.
fn curve(curve: Curve, x: f64) -> f64 {
    let x = x.abs();
    match curve {
        Curve::Linear if x < 1.0 => 1.0 - x,
        Curve::Cubic(a) if x <= 1.0 => {
            (f64::from(a) + 2.0) * x.powi(3) - (f64::from(a) + 3.0) * x.powi(2) + 1.0
        }
        Curve::Cubic(a) if x < 2.0 => {
            let a = f64::from(a);
            a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a
        }
        _ => 0.0,
    }
}

/// The weighted input places of coordinate x, a place beyond an edge being the edge.
fn filtered(filter: Filter, scale: f64, input: usize, x: f64) -> Vec<(usize, f64)> {
    let stretch = if filter.antialias && scale < 1.0 { scale } else { 1.0 };
    // Twice as far as the widest curve reaches.
    let margin = (4.0 / stretch).ceil() as isize + 1;
    let places = -margin..input as isize + margin;
    let weight = |place: isize| {
        let outside = place < 0 || place >= input as isize;
        let weight = curve(filter.curve, stretch * (place as f64 - x));
        if outside && filter.exclude_outside { 0.0 } else { weight }
    };
    let sum: f64 = places.clone().map(weight).sum();
    places.map(|place| (place.clamp(0, input as isize - 1) as usize, weight(place) / sum)).collect()
}

/// The input places that output position `place` is made of, with their weights.
fn taps(resize: &Resize, axis: usize, place: usize) -> Vec<(usize, f64)> {
    let x = coordinate(resize, axis, place);
    let input = resize.input()[axis];
    let clamp = |x: f64| x.clamp(0.0, input as f64 - 1.0) as usize;
    match resize.method().mode {
        Mode::Nearest(Nearest::RoundPreferFloor) => vec![(clamp((x - 0.5).ceil()), 1.0)],
        Mode::Nearest(Nearest::RoundPreferCeil) => vec![(clamp((x + 0.5).floor()), 1.0)],
        Mode::Nearest(Nearest::Floor) => vec![(clamp(x.floor()), 1.0)],
        Mode::Nearest(Nearest::Ceil) => vec![(clamp(x.ceil()), 1.0)],
        Mode::Filter(filter) => filtered(filter, resize.scales()[axis], input, x),
    }
}

/// The taps of every output position of an axis; `None`: outside.
fn axis_taps(resize: &Resize, axis: usize) -> Vec<Option<Vec<(usize, f64)>>> {
    let list = |place| (!is_outside(resize, axis, place)).then(|| taps(resize, axis, place));
    (0..resize.output()[axis]).map(list).collect()
}

/// Calls `visit(output index, input index, weight)` for every product that a resized picture is the sum of; outputs
/// that lie outside are `left`.
fn for_each_tap(
    resize: &Resize,
    rows: usize,
    mut visit: impl FnMut(usize, usize, f64),
    mut left: impl FnMut(usize),
) {
    let [height, width] = resize.input();
    let [vertical, horizontal] = [axis_taps(resize, 0), axis_taps(resize, 1)];
    let mut output = 0;
    for plane in 0..rows * resize.channels() {
        for vertical in &vertical {
            for horizontal in &horizontal {
                if let (Some(vertical), Some(horizontal)) = (vertical, horizontal) {
                    for (i, wi) in vertical {
                        for (j, wj) in horizontal {
                            visit(output, (plane * height + i) * width + j, wi * wj);
                        }
                    }
                } else {
                    left(output);
                }
                output += 1;
            }
        }
    }
}

/// x `[rows, C, H, W]` resized to `[rows, C, H', W']`.
pub fn resize(resize: &Resize, rows: usize, x: &[f64]) -> Vec<f64> {
    let [height, width] = resize.output();
    let mut y = vec![0.0; rows * resize.channels() * height * width];
    let mut outputs_left = Vec::new();
    for_each_tap(
        resize,
        rows,
        |output, input, weight| y[output] += weight * x[input],
        |output| outputs_left.push(output),
    );
    if let Coordinates::CropAndResize(crop) = resize.method().coordinates {
        outputs_left.into_iter().for_each(|output| y[output] = f64::from(crop.outside));
    }
    y
}

/// The gradient of [`resize`] with respect to x.
pub fn resize_gradient(resize: &Resize, rows: usize, dy: &[f64]) -> Vec<f64> {
    let [height, width] = resize.input();
    let mut dx = vec![0.0; rows * resize.channels() * height * width];
    for_each_tap(resize, rows, |output, input, weight| dx[input] += weight * dy[output], |_| ());
    dx
}
