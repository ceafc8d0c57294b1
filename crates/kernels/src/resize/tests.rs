use super::*;
use crate::testing::{Cases, Draw, channels_last, narrow};
use serde_json::Value;

/// Weights and up to some hundreds of summands in f32.
const TOLERANCE: f64 = 2e-6;
/// The evaluator finds cubic weights, by terms larger than they are, and the extent of a crop in f32.
const FIXTURE_TOLERANCE: f64 = 5e-6;

const LINEAR: Mode = Mode::Filter(Filter { curve: Curve::Linear, antialias: false, exclude_outside: false });

fn modes() -> Vec<Mode> {
    let nearest = [Nearest::RoundPreferFloor, Nearest::RoundPreferCeil, Nearest::Floor, Nearest::Ceil];
    let mut modes: Vec<Mode> = nearest.map(Mode::Nearest).to_vec();
    for curve in [Curve::Linear, Curve::Cubic(-0.75), Curve::Cubic(-0.5)] {
        for (antialias, exclude_outside) in [(false, false), (false, true), (true, false), (true, true)] {
            modes.push(Mode::Filter(Filter { curve, antialias, exclude_outside }));
        }
    }
    modes
}

fn coordinates(draw: &mut Draw) -> Vec<Coordinates> {
    let edges = [[0.0, 1.0], [0.25, 0.8125], [-0.3, 1.2], [0.75, 0.125]];
    let crop = Crop { height: draw.pick(&edges), width: draw.pick(&edges), outside: 7.5 };
    vec![
        Coordinates::HalfPixel,
        Coordinates::HalfPixelSymmetric,
        Coordinates::PytorchHalfPixel,
        Coordinates::AlignCorners,
        Coordinates::Asymmetric,
        Coordinates::TfHalfPixelForNearest,
        Coordinates::CropAndResize(crop),
    ]
}

/// A generated resizing by `method`.
fn draw_resize(draw: &mut Draw, method: Method) -> Resize {
    let channels = draw.pick(&[1, 3, 8, 19]);
    let input = [draw.size(1, 9), draw.size(1, 9)];
    if draw.coin() {
        return Resize::to_size(channels, input, [draw.size(1, 12), draw.size(1, 12)], method).unwrap();
    }
    let scales = [draw.pick(&[1.0, 2.0, 1.3, 2.7]), draw.pick(&[1.0, 0.4, 0.25, 1.7])];
    let wide = [input[0], input[1].max(4)];
    Resize::by_scales(channels, wide, scales, method).unwrap()
}

#[test]
fn resizing_and_its_gradient_are_the_twins() {
    let mut cases = Cases::default();
    let mut draw = Draw::new(1);
    for mode in modes() {
        for coordinates in coordinates(&mut draw) {
            for _ in 0..2 {
                let resize = draw_resize(&mut draw, Method { mode, coordinates });
                compare(&mut cases, &mut draw, &resize);
            }
        }
    }
}

fn compare(cases: &mut Cases, draw: &mut Draw, resize: &Resize) {
    let (rows, channels) = (draw.size(1, 2), resize.channels());
    let problem = (rows, channels, resize.input(), resize.output(), resize.scales(), resize.method());
    let [pixels, resized] = [resize.input(), resize.output()].map(|size| size.iter().product::<usize>());
    let x = draw.normal(rows * channels * pixels);
    let dy = draw.normal(rows * channels * resized);
    let y = channels_last(channels, &reference::resize(resize, rows, &x), resized);
    cases.check(problem, &y, TOLERANCE, |machine| {
        let mut y = vec![f32::NAN; dy.len()];
        resize.resize_into(machine, rows, &narrow(&channels_last(channels, &x, pixels)), &mut y);
        y
    });
    let gradient = reference::resize_gradient(resize, rows, &dy);
    let expected = channels_last(channels, &gradient, pixels);
    cases.check((problem, "gradient"), &expected, TOLERANCE, |machine| {
        let mut dx = vec![f32::NAN; x.len()];
        resize.gradient_into(machine, rows, &narrow(&channels_last(channels, &dy, resized)), &mut dx);
        dx
    });
    if x.len() < 60 && gradient.iter().any(|&x| x != 0.0) {
        cases.differentiate(problem, &x, &dy, &gradient, |x| reference::resize(resize, rows, x));
    }
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().map_or(vec![], |all| all.iter().map(|value| value.as_f64().unwrap()).collect())
}

fn pair(values: &Value) -> [f64; 2] {
    numbers(values).try_into().unwrap()
}

/// How ONNX's attributes of a case read here.
fn method_of(case: &Value) -> Method {
    let is_set = |name: &str| case["attributes"][name] == 1;
    let mode = match case["attributes"]["nearest_mode"].as_str() {
        Some("round_prefer_floor") => Mode::Nearest(Nearest::RoundPreferFloor),
        Some("round_prefer_ceil") => Mode::Nearest(Nearest::RoundPreferCeil),
        Some("floor") => Mode::Nearest(Nearest::Floor),
        Some("ceil") => Mode::Nearest(Nearest::Ceil),
        _ => {
            let coefficient = case["attributes"]["cubic_coeff_a"].as_f64().unwrap_or(-0.75) as f32;
            let cubic = case["attributes"]["mode"] == "cubic";
            let curve = if cubic { Curve::Cubic(coefficient) } else { Curve::Linear };
            let [antialias, exclude_outside] = [is_set("antialias"), is_set("exclude_outside")];
            Mode::Filter(Filter { curve, antialias, exclude_outside })
        }
    };
    let coordinates = match case["attributes"]["coordinate_transformation_mode"].as_str().unwrap() {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_half_pixel_for_nn" => Coordinates::TfHalfPixelForNearest,
        "tf_crop_and_resize" => {
            let roi = narrow(&numbers(&case["roi"]));
            let outside = case["attributes"]["extrapolation_value"].as_f64().unwrap_or(0.0) as f32;
            let [height, width] = [0, 1].map(|axis| [roi[axis], roi[axis + 2]]);
            Coordinates::CropAndResize(Crop { height, width, outside })
        }
        other => panic!("coordinates {other}"),
    };
    Method { mode, coordinates }
}

/// `tests/fixtures/resize.json`, written by `reference/resize.py` with the versions that it records.
#[test]
fn the_twin_is_onnxs() {
    let fixture: Value = serde_json::from_str(include_str!("../../tests/fixtures/resize.json")).unwrap();
    let mut cases = Cases::default();
    for case in fixture["cases"].as_array().unwrap() {
        let [channels, height, width] = <[f64; 3]>::try_from(numbers(&case["input"])).unwrap();
        let (channels, input) = (channels as usize, [height as usize, width as usize]);
        let output = pair(&case["output"]).map(|size| size as usize);
        let method = method_of(case);
        let resize = if case["scales"].is_array() {
            Resize::by_scales(channels, input, pair(&case["scales"]).map(|scale| scale as f32), method)
        } else if let Some(scale) = case["scale"].as_f64() {
            Resize::new(channels, input, output, [scale; 2], method)
        } else {
            Resize::to_size(channels, input, output, method)
        };
        let resize = resize.unwrap();
        assert_eq!(resize.output(), output, "{case}");
        let y = reference::resize(&resize, 1, &numbers(&case["x"]));
        cases.compare((method, input, output), &y, &numbers(&case["y"]), FIXTURE_TOLERANCE);
    }
}

/// Examples of the ONNX operator's page: `resize_upsample_scales_linear`, `..._linear_align_corners`,
/// `..._nearest_ceil_half_pixel` reduced to a line.
#[test]
fn examples_of_the_specification() {
    let line = |input: &[f32], output: usize, mode, coordinates| {
        let method = Method { mode, coordinates };
        let resize = Resize::to_size(1, [1, input.len()], [1, output], method).unwrap();
        let mut y = vec![f32::NAN; output];
        resize.resize_into(&Machine::single(), 1, input, &mut y);
        y
    };
    assert_eq!(line(&[1.0, 2.0], 4, LINEAR, Coordinates::HalfPixel), [1.0, 1.25, 1.75, 2.0]);
    let corners = line(&[1.0, 2.0], 4, LINEAR, Coordinates::AlignCorners);
    assert!(corners.iter().zip([1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0]).all(|(x, y)| (x - y).abs() < 1e-6));
    let floor = Mode::Nearest(Nearest::Floor);
    assert_eq!(line(&[1.0, 2.0], 6, floor, Coordinates::Asymmetric), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
}

#[test]
fn impossible_sizes_are_refused() {
    let method = Method { mode: LINEAR, coordinates: Coordinates::HalfPixel };
    let zero = ProblemError::Zero("a resized picture's height and width");
    assert_eq!(Resize::by_scales(1, [1, 4], [0.4, 1.0], method), Err(zero));
    assert_eq!(Resize::to_size(1, [1, 4], [0, 1], method), Err(zero));
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        let refused = Resize::by_scales(1, [1, 4], [wrong, 1.0], method).unwrap_err();
        assert!(refused.to_string().contains("scales of a resized picture must be positive"));
    }
    let huge = Resize::by_scales(1, [1, 4], [1e30, 1.0], method).unwrap_err();
    assert!(huge.to_string().contains("at most"));
    let contradiction = Resize::new(1, [1, 4], [1, 4], [1.0, 1e-20], method).unwrap_err();
    assert!(contradiction.to_string().contains("lead to its size"));
}
