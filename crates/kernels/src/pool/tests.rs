use super::*;
use crate::Machine;
use crate::testing::{Cases, Draw, channels_last, narrow};

/// Sums of up to 35 values of order 1, rounded in f32.
const TOLERANCE: f64 = 2e-6;

#[derive(Debug)]
struct Case {
    pool: Pool,
    rows: usize,
}

impl Case {
    /// A small problem of any kind; `None` where no such problem exists.
    fn draw(draw: &mut Draw) -> Option<Self> {
        let mut window = |input: usize| Window {
            kernel: draw.size(1, 5),
            stride: draw.size(1, 4),
            dilation: draw.size(1, 3),
            pad_begin: draw.size(0, 2),
            pad_end: draw.size(0, 2) * usize::from(input > 1),
        };
        let windows = [window(5), window(7)];
        let input = [draw.size(1, 9), draw.size(1, 12)];
        let (batch, channels) = (draw.size(1, 3), draw.pick(&[1, 3, 8, 17]));
        let pool = Pool::new(batch, channels, input, windows, draw.coin()).ok()?;
        Some(Self { pool, rows: draw.size(1, batch) })
    }

    fn many(seed: u64) -> (Draw, Vec<Self>) {
        let mut draw = Draw::new(seed);
        let cases: Vec<Self> = (0..200).filter_map(|_| Self::draw(&mut draw)).collect();
        assert!(cases.len() > 60, "{} problems", cases.len());
        (draw, cases)
    }

    fn input(&self, x: &[f64]) -> Vec<f32> {
        narrow(&channels_last(self.pool.channels(), x, self.pool.input().iter().product()))
    }

    fn output<T: Copy>(&self, y: &[T]) -> Vec<T> {
        channels_last(self.pool.channels(), y, self.pool.output().iter().product())
    }
}

#[test]
fn maxima_their_places_and_gradients_are_the_twins() {
    let mut cases = Cases::default();
    let (mut draw, problems) = Case::many(1);
    for case in problems {
        let (pool, rows) = (case.pool, case.rows);
        // Few values, so that ties are common.
        let x = draw.coarse(pool.input_len(rows));
        let dy = draw.normal(pool.output_len(rows));
        let (y, places) = reference::max(&pool, rows, &x);
        let places = case.output(&places);
        cases.check((&case, "max"), &case.output(&y), 0.0, |machine| {
            let mut y = vec![f32::NAN; pool.output_len(rows)];
            let mut found = vec![u32::MAX; y.len()];
            pool.max_into(machine, rows, &case.input(&x), &mut y, Some(&mut found));
            assert_eq!(found, places, "{case:?}");
            let mut alone = vec![f32::NAN; y.len()];
            pool.max_into(machine, rows, &case.input(&x), &mut alone, None);
            assert_eq!(alone, y, "{case:?}");
            y
        });
        let dx = reference::max_gradient(&pool, rows, &x, &dy);
        let expected: Vec<f64> = case.input(&dx).into_iter().map(f64::from).collect();
        cases.check((&case, "max gradient"), &expected, TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; pool.input_len(rows)];
            pool.max_gradient_into(machine, rows, &places, &narrow(&case.output(&dy)), &mut dx);
            dx
        });
    }
}

#[test]
fn averages_and_their_gradients_are_the_twins() {
    let mut cases = Cases::default();
    let (mut draw, problems) = Case::many(2);
    for case in problems {
        let (pool, rows, include) = (case.pool, case.rows, draw.coin());
        let x = draw.normal(pool.input_len(rows));
        let dy = draw.normal(pool.output_len(rows));
        let y = case.output(&reference::average(&pool, include, rows, &x));
        cases.check((&case, include, "average"), &y, TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; pool.output_len(rows)];
            pool.average_into(machine, include, rows, &case.input(&x), &mut y);
            y
        });
        let dx = reference::average_gradient(&pool, include, rows, &dy);
        let expected: Vec<f64> = case.input(&dx).into_iter().map(f64::from).collect();
        cases.check((&case, include, "average gradient"), &expected, TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; pool.input_len(rows)];
            pool.average_gradient_into(machine, include, rows, &narrow(&case.output(&dy)), &mut dx);
            dx
        });
    }
}

#[test]
fn twins_gradients_are_differences() {
    let mut cases = Cases::default();
    let (mut draw, problems) = Case::many(3);
    for case in problems.iter().filter(|case| case.pool.channels() == 1) {
        let (pool, rows) = (case.pool, case.rows);
        let x = draw.normal(pool.input_len(rows));
        let dy = draw.normal(pool.output_len(rows));
        let gradient = reference::max_gradient(&pool, rows, &x, &dy);
        cases.differentiate((case, "max"), &x, &dy, &gradient, |x| reference::max(&pool, rows, x).0);
        for include in [false, true] {
            let gradient = reference::average_gradient(&pool, include, rows, &dy);
            let average = |x: &[f64]| reference::average(&pool, include, rows, x);
            cases.differentiate((case, include, "average"), &x, &dy, &gradient, average);
        }
    }
}

#[test]
fn global_pooling_is_the_twins() {
    let mut cases = Cases::default();
    let mut draw = Draw::new(4);
    for _ in 0..40 {
        let (rows, pixels, channels) = (draw.size(1, 3), draw.size(1, 90), draw.pick(&[1, 5, 8, 19]));
        let pool = GlobalPool::new(rows, pixels, channels).unwrap();
        let (x, dy) = (draw.coarse(rows * pixels * channels), draw.normal(rows * channels));
        let last = channels_last(channels, &x, pixels);
        let as_last = |x: &[f64]| channels_last(channels, x, pixels);
        cases.check((&pool, "average"), &reference::global_average(&pool, &x), TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; rows * channels];
            pool.average_into(machine, rows, &narrow(&last), &mut y);
            y
        });
        let dx = as_last(&reference::global_average_gradient(&pool, &dy));
        cases.check((&pool, "average gradient"), &dx, TOLERANCE, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            pool.average_gradient_into(machine, rows, &narrow(&dy), &mut dx);
            dx
        });
        let (y, places) = reference::global_max(&pool, &x);
        cases.check((&pool, "max"), &y, 0.0, |machine| {
            let (mut y, mut found) = (vec![f32::NAN; rows * channels], vec![u32::MAX; rows * channels]);
            pool.max_into(machine, rows, &narrow(&last), &mut y, &mut found);
            assert_eq!(found, places);
            y
        });
        let dx = as_last(&reference::global_max_gradient(&pool, &x, &dy));
        cases.check((&pool, "max gradient"), &dx, 0.0, |machine| {
            let mut dx = vec![f32::NAN; x.len()];
            pool.max_gradient_into(machine, rows, &places, &narrow(&dy), &mut dx);
            dx
        });
    }
}

/// The lecture's figure of the backward pass: the gradient goes to the place of the maximum, and zero goes
/// elsewhere.
#[test]
fn the_gradient_goes_to_the_place_of_the_maximum() {
    let machine = Machine::single();
    let halves = Window { stride: 2, ..Window::new(2) };
    let pool = Pool::new(1, 1, [4, 4], [halves; 2], false).unwrap();
    #[rustfmt::skip]
    let x = [
        1.0, 2.0, 8.0, 3.0,
        4.0, 3.0, 1.0, 0.0,
        5.0, 5.0, 0.0, 1.0,
        2.0, 1.0, 2.0, 9.0,
    ];
    let (mut y, mut places, mut dx) = ([0.0; 4], [0; 4], [f32::NAN; 16]);
    pool.max_into(&machine, 1, &x, &mut y, Some(&mut places));
    assert_eq!(y, [4.0, 8.0, 5.0, 9.0]);
    pool.max_gradient_into(&machine, 1, &places, &[10.0, 20.0, 30.0, 40.0], &mut dx);
    #[rustfmt::skip]
    let expected = [
        0.0, 0.0, 20.0, 0.0,
        10.0, 0.0, 0.0, 0.0,
        30.0, 0.0, 0.0, 0.0,
        0.0, 0.0, 0.0, 40.0,
    ];
    assert_eq!(dx, expected);
}

/// The lecture's sum and average pooling over disjoint p x q blocks; the sum is the average times the block's
/// area.
#[test]
fn disjoint_blocks_are_summed_and_averaged() {
    let machine = Machine::single();
    let (p, q) = (2, 3);
    let [tall, wide] = [p, q].map(|size| Window { stride: size, ..Window::new(size) });
    let pool = Pool::new(1, 1, [4, 6], [tall, wide], false).unwrap();
    let x: [f32; 24] = std::array::from_fn(|i| i as f32);
    let mut average = [0.0; 4];
    pool.average_into(&machine, true, 1, &x, &mut average);
    let sum: [f32; 4] = average.map(|y| y * (p * q) as f32);
    let block = |i: usize, j: usize| {
        (0..p).flat_map(|k| (0..q).map(move |l| x[(i * p + k) * 6 + j * q + l])).sum::<f32>()
    };
    assert_eq!(sum, [block(0, 0), block(0, 1), block(1, 0), block(1, 1)]);
}

#[test]
fn impossible_windows_are_refused() {
    let new = |window: Window| Pool::new(1, 1, [3, 3], [window, window], false).map(|pool| pool.output());
    assert_eq!(new(Window::new(4)), Err(ProblemError::WindowTooLarge { window: 4, padded: 3 }));
    assert_eq!(new(Window::new(0)), Err(ProblemError::Zero("a window's kernel")));
    let wide = Window { dilation: 5, pad_begin: 1, pad_end: 2, ..Window::new(2) };
    assert_eq!(new(wide), Err(ProblemError::EmptyWindow { output: 0 }));
}
