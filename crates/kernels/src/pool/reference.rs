//! The twins of pooling in f64, written from the definition in the graph's order `[N, C, H, W]`.

use super::{GlobalPool, Pool, Window};

/// The input position of tap `tap` of the window at `output`; `None` in the padding.
fn position(window: Window, input: usize, output: usize, tap: usize) -> Option<usize> {
    let padded = output * window.stride + tap * window.dilation;
    (padded >= window.pad_begin && padded < window.pad_begin + input).then(|| padded - window.pad_begin)
}

/// Calls `visit(output index, input indices of its taps in row-major order)` for every output.
fn for_each_window(pool: &Pool, rows: usize, mut visit: impl FnMut(usize, &[usize])) {
    let ([height, width], [out_height, out_width]) = (pool.input(), pool.output());
    let [vertical, horizontal] = pool.windows();
    let mut output = 0;
    for plane in 0..rows * pool.channels() {
        for y in 0..out_height {
            for x in 0..out_width {
                let mut taps = Vec::new();
                for i in (0..vertical.kernel).filter_map(|tap| position(vertical, height, y, tap)) {
                    for j in (0..horizontal.kernel).filter_map(|tap| position(horizontal, width, x, tap)) {
                        taps.push((plane * height + i) * width + j);
                    }
                }
                visit(output, &taps);
                output += 1;
            }
        }
    }
}

/// The first of the largest values.
fn first_maximum(x: &[f64], taps: impl IntoIterator<Item = usize>) -> usize {
    taps.into_iter()
        .reduce(|best, tap| if x[tap] > x[best] { tap } else { best })
        .expect("no window is empty")
}

/// Max-pooling of x `[rows, C, H, W]`: the maxima `[rows, C, H', W']` and the place of each within its plane.
pub fn max(pool: &Pool, rows: usize, x: &[f64]) -> (Vec<f64>, Vec<u32>) {
    let [height, width] = pool.input();
    let (mut y, mut places) = (Vec::new(), Vec::new());
    for_each_window(pool, rows, |_, taps| {
        let best = first_maximum(x, taps.iter().copied());
        y.push(x[best]);
        places.push((best % (height * width)) as u32);
    });
    (y, places)
}

/// The gradient of [`max`]: each output's goes to the place of its maximum.
pub fn max_gradient(pool: &Pool, rows: usize, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; x.len()];
    for_each_window(pool, rows, |output, taps| dx[first_maximum(x, taps.iter().copied())] += dy[output]);
    dx
}

/// What the sum of each window is divided by, in the order of one output plane.
fn divisors(pool: &Pool, count_include_pad: bool) -> Vec<f64> {
    let count = |axis: usize, output: usize| {
        let (window, input) = (pool.windows()[axis], pool.input()[axis]);
        let padded = window.pad_begin + input + window.pad_end;
        let counts = |&tap: &usize| match count_include_pad {
            true => output * window.stride + tap * window.dilation < padded,
            false => position(window, input, output, tap).is_some(),
        };
        (0..window.kernel).filter(counts).count() as f64
    };
    let [height, width] = pool.output();
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (y, x)))
        .map(|(y, x)| count(0, y) * count(1, x))
        .collect()
}

/// Average pooling of x `[rows, C, H, W]`. Positions beyond the declared padding (`ceil_mode`) never count.
pub fn average(pool: &Pool, count_include_pad: bool, rows: usize, x: &[f64]) -> Vec<f64> {
    let divisors = divisors(pool, count_include_pad);
    let mut y = Vec::new();
    for_each_window(pool, rows, |output, taps| {
        y.push(taps.iter().map(|&tap| x[tap]).sum::<f64>() / divisors[output % divisors.len()]);
    });
    y
}

/// The gradient of [`average`] with respect to x.
pub fn average_gradient(pool: &Pool, count_include_pad: bool, rows: usize, dy: &[f64]) -> Vec<f64> {
    let divisors = divisors(pool, count_include_pad);
    let [height, width] = pool.input();
    let mut dx = vec![0.0; rows * pool.channels() * height * width];
    for_each_window(pool, rows, |output, taps| {
        taps.iter().for_each(|&tap| dx[tap] += dy[output] / divisors[output % divisors.len()]);
    });
    dx
}

/// The mean of every plane of x `[rows, C, pixels]`.
pub fn global_average(pool: &GlobalPool, x: &[f64]) -> Vec<f64> {
    x.chunks(pool.pixels()).map(|plane| plane.iter().sum::<f64>() / pool.pixels() as f64).collect()
}

/// The gradient of [`global_average`] with respect to x.
pub fn global_average_gradient(pool: &GlobalPool, dy: &[f64]) -> Vec<f64> {
    let spread = |&dy: &f64| std::iter::repeat_n(dy / pool.pixels() as f64, pool.pixels());
    dy.iter().flat_map(spread).collect()
}

/// The maximum of every plane of x `[rows, C, pixels]` and its first place.
pub fn global_max(pool: &GlobalPool, x: &[f64]) -> (Vec<f64>, Vec<u32>) {
    let first = |plane: &[f64]| first_maximum(plane, 0..plane.len());
    x.chunks(pool.pixels()).map(|plane| (plane[first(plane)], first(plane) as u32)).unzip()
}

/// The gradient of [`global_max`] with respect to x.
pub fn global_max_gradient(pool: &GlobalPool, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; x.len()];
    for ((plane, dx), &dy) in x.chunks(pool.pixels()).zip(dx.chunks_mut(pool.pixels())).zip(dy) {
        dx[first_maximum(plane, 0..plane.len())] = dy;
    }
    dx
}
