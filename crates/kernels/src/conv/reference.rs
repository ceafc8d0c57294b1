//! The f64 twin, from the definition. Everything is in the graph's order: x `[N, C, H, W]`, weights
//! `[O, C/groups, kh, kw]`, y and its gradient `[N, O, H', W']`, where N is the problem's batch.

use super::{BorderMode, ConvProblem, Source};

/// One product of the definition: which element of x (`None`: a zero of the padding) meets which weight and goes to which
/// element of y.
struct Product {
    x: Option<usize>,
    weight: usize,
    y: usize,
}

/// Calls `visit` for every product of the convolution.
fn for_each_product(problem: &ConvProblem, mut visit: impl FnMut(Product)) {
    let [height, width] = problem.input;
    let [out_height, out_width] = problem.output();
    let [kernel_height, kernel_width] = problem.kernel;
    let (in_group, out_group) = (problem.group_in_channels(), problem.group_out_channels());
    for n in 0..problem.batch {
        for o in 0..problem.out_channels {
            for (oy, ox) in grid([out_height, out_width]) {
                let y = ((n * problem.out_channels + o) * out_height + oy) * out_width + ox;
                for c in 0..in_group {
                    let channel = o / out_group * in_group + c;
                    for (ky, kx) in grid([kernel_height, kernel_width]) {
                        let pixel = tap(problem, 0, oy, ky).zip(tap(problem, 1, ox, kx));
                        let plane = (n * problem.in_channels + channel) * height * width;
                        let x = pixel.map(|(iy, ix)| plane + iy * width + ix);
                        let weight = ((o * in_group + c) * kernel_height + ky) * kernel_width + kx;
                        visit(Product { x, weight, y });
                    }
                }
            }
        }
    }
}

fn grid([rows, columns]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// The input pixel under tap `k` of output `o`; `None` in the padding.
fn tap(problem: &ConvProblem, axis: usize, o: usize, k: usize) -> Option<usize> {
    let at = (o * problem.strides[axis] + k * problem.dilations[axis]).checked_sub(problem.pads[axis])?;
    (at < problem.input[axis]).then_some(at)
}

fn seen(x: &[f64], at: Option<usize>) -> f64 {
    at.map_or(0.0, |at| x[at])
}

/// `y[n, o, i, j] = Σ x[n, c, s·i + d·k − top, s·j + d·l − left] · w[o, c, k, l]`: the lecture's Definition 3,
/// with strides, dilations, zero padding and groups.
pub fn forward(problem: &ConvProblem, x: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; problem.batch * problem.output_len()];
    for_each_product(problem, |at| y[at.y] += seen(x, at.x) * weights[at.weight]);
    y
}

/// The gradient of the input: each `dy` goes back along every product it came from. It is also the transposed
/// convolution of `dy`.
pub fn input_gradient(problem: &ConvProblem, weights: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; problem.batch * problem.input_len()];
    for_each_product(problem, |at| {
        if let Some(x) = at.x {
            dx[x] += dy[at.y] * weights[at.weight];
        }
    });
    dx
}

/// The gradient of the weights, `[O, C/groups, kh, kw]`.
pub fn weight_gradient(problem: &ConvProblem, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dw = vec![0.0; problem.weights_len()];
    for_each_product(problem, |at| dw[at.weight] += seen(x, at.x) * dy[at.y]);
    dw
}

/// The gradient of the bias, `[O]`: the sum of `dy` over pictures and pixels.
pub fn bias_gradient(problem: &ConvProblem, dy: &[f64]) -> Vec<f64> {
    let pixels = problem.output()[0] * problem.output()[1];
    let mut db = vec![0.0; problem.out_channels];
    for (plane, values) in dy.chunks(pixels).enumerate() {
        db[plane % problem.out_channels] += values.iter().sum::<f64>();
    }
    db
}

/// What the convolution sees of a planar picture `[N, C, h, w]` that is read through `source`: mapped by
/// `affine` (scale and shift per channel), then with its border around it, `[N, C, H, W]`.
pub fn read_source(
    problem: &ConvProblem,
    source: &Source,
    picture: [usize; 2],
    x: &[f64],
    affine: Option<(&[f64], &[f64])>,
) -> Vec<f64> {
    let border = source.border;
    let mode = border.map_or(BorderMode::Constant(0.0), |border| border.mode);
    let [top, left, ..] = border.map_or([0; 4], |border| border.pads).map(|pad| pad as isize);
    let mut seen = Vec::with_capacity(problem.batch * problem.input_len());
    for plane in 0..problem.batch * problem.in_channels {
        let channel = plane % problem.in_channels;
        for (row, column) in grid(problem.input) {
            let row = mode.source(row as isize - top, picture[0]);
            let column = mode.source(column as isize - left, picture[1]);
            seen.push(match (row.zip(column), mode) {
                (Some((row, column)), _) => {
                    let value = x[(plane * picture[0] + row) * picture[1] + column];
                    affine.map_or(value, |(scale, shift)| scale[channel] * value + shift[channel])
                }
                (None, BorderMode::Constant(value)) => f64::from(value),
                (None, _) => 0.0,
            });
        }
    }
    seen
}
