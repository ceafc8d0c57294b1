use super::*;
use crate::Machine;
use crate::activation;
use crate::testing::{Cases, Draw, channels_last, narrow};

/// A chain of a dozen f32 roundings on values of order 1; sums are joined in f64.
const TOLERANCE: f64 = 5e-6;

const ACTIVATIONS: [Option<Activation>; 5] = [
    None,
    Some(Activation::Relu),
    Some(Activation::LeakyRelu { alpha: 0.1 }),
    Some(Activation::Tanh),
    Some(Activation::HardSwish),
];

/// A generated problem, in the graph's order.
#[derive(Debug)]
struct Case {
    norm: BatchNorm,
    rows: usize,
    residual: bool,
    seed: u64,
}

/// The values of a case.
struct Values {
    x: Vec<f64>,
    residual: Vec<f64>,
    scale: Vec<f64>,
    bias: Vec<f64>,
    dy: Vec<f64>,
    statistics: reference::Statistics,
}

impl Case {
    fn many(seed: u64, frozen: bool) -> Vec<Case> {
        let mut draw = Draw::new(seed);
        let mut case = |index: usize| {
            // Fewer values per channel would make the variance, and with it every gradient, ill-conditioned.
            let (batch, pixels) = (draw.size(8, 10), draw.pick(&[1, 7, 40, 133]));
            let norm = BatchNorm::new(batch, pixels, draw.pick(&[1, 3, 8, 37, 70]), 1e-5).unwrap();
            let norm = norm.with_activation(ACTIVATIONS[index % 5]).with_frozen_statistics(frozen);
            Case { norm, rows: draw.size(8, batch), residual: draw.coin(), seed: index as u64 }
        };
        (0..60).map(&mut case).collect()
    }

    fn values(&self) -> Values {
        let mut draw = Draw::new(self.seed + 1000);
        let (len, channels) = (self.norm.len(self.rows), self.norm.channels());
        let x: Vec<f64> = draw.normal(len).iter().map(|x| f64::from((3.0 * x + 10.0) as f32)).collect();
        let residual = if self.residual { draw.normal(len) } else { vec![0.0; len] };
        let (scale, bias, dy) = (draw.normal(channels), draw.normal(channels), draw.normal(len));
        let statistics = if self.norm.frozen {
            // The batch's mean: far from it activations are flat and gradients vanish.
            let mean = draw.normal(channels).into_iter().map(|x| f64::from((x + 10.0) as f32)).collect();
            let variance = draw.normal(channels).into_iter().map(|x| f64::from((x * x) as f32) + 1.0);
            reference::Statistics { variance: variance.collect(), mean }
        } else {
            reference::statistics(&self.norm, &x)
        };
        Values { x, residual, scale, bias, dy, statistics }
    }

    fn last(&self, x: &[f64]) -> Vec<f64> {
        channels_last(self.norm.channels(), x, self.norm.pixels())
    }
}

impl Values {
    /// Before the activation.
    fn normalised(&self, norm: &BatchNorm, x: &[f64], statistics: &reference::Statistics) -> Vec<f64> {
        let affine = reference::Affine { scale: &self.scale, bias: &self.bias };
        let y = reference::normalise(norm, x, affine, statistics);
        y.iter().zip(&self.residual).map(|(y, residual)| y + residual).collect()
    }
}

fn activate(norm: &BatchNorm, z: &[f64]) -> Vec<f64> {
    z.iter().map(|&z| norm.activation().map_or(z, |kind| activation::reference::apply(kind, z))).collect()
}

/// The gradient before the activation.
fn through_activation(norm: &BatchNorm, z: &[f64], dy: &[f64]) -> Vec<f64> {
    let slope = |z| norm.activation().map_or(1.0, |kind| activation::reference::derivative(kind, z));
    z.iter().zip(dy).map(|(&z, dy)| dy * slope(z)).collect()
}

/// Runs the kernels of one case: statistics (unless frozen), y, and all gradients, one behind the other.
fn run(case: &Case, values: &Values, machine: &Machine) -> [Vec<f32>; 7] {
    let (norm, rows) = (&case.norm, case.rows);
    let (x, dy) = (narrow(&case.last(&values.x)), narrow(&case.last(&values.dy)));
    let residual = narrow(&case.last(&values.residual));
    let (scale, bias) = (narrow(&values.scale), narrow(&values.bias));
    let (mut mean, mut inv_std) = (narrow(&values.statistics.mean), vec![0.0; scale.len()]);
    let mut scratch = vec![f32::NAN; norm.scratch_len()];
    if norm.frozen {
        norm.inverse_std_into(&narrow(&values.statistics.variance), &mut inv_std);
    } else {
        mean.fill(f32::NAN);
        let mut saved = BatchStatistics { mean: &mut mean, inv_std: &mut inv_std };
        norm.statistics_into(machine, rows, &x, &mut saved, None, &mut scratch);
    }
    let inputs = Inputs {
        x: &x,
        residual: case.residual.then_some(&residual[..]),
        scale: &scale,
        bias: &bias,
        mean: &mean,
        inv_std: &inv_std,
    };
    let mut y = vec![f32::NAN; x.len()];
    norm.normalise_into(machine, rows, &inputs, &mut y);
    let (mut dx, mut dresidual) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
    // Gradients of parameters are added to what is there.
    let (mut dscale, mut dbias) = (vec![1.0; scale.len()], vec![2.0; scale.len()]);
    let gradients = Gradients {
        dx: Some(&mut dx),
        dresidual: case.residual.then_some(&mut dresidual[..]),
        dscale: &mut dscale,
        dbias: &mut dbias,
    };
    norm.gradient_into(machine, rows, &inputs, OutputGradient { y: &y, dy: &dy }, gradients, &mut scratch);
    check_in_place(case, machine, inputs, OutputGradient { y: &y, dy: &dy }, &dx);
    dscale.iter_mut().for_each(|x| *x -= 1.0);
    dbias.iter_mut().for_each(|x| *x -= 2.0);
    if !case.residual {
        dresidual.fill(0.0);
    }
    [mean, inv_std, y, dx, dresidual, dscale, dbias]
}

/// The same dx in the place of x, and with y computed again where no residual hides it.
fn check_in_place(
    case: &Case,
    machine: &Machine,
    inputs: Inputs<'_>,
    output: OutputGradient<'_>,
    expected: &[f32],
) {
    let channels = case.norm.channels();
    let (mut dx, mut scratch) = (inputs.x.to_vec(), vec![f32::NAN; case.norm.scratch_len()]);
    let (mut dscale, mut dbias) = (vec![0.0; channels], vec![0.0; channels]);
    let gradients = Gradients { dx: Some(&mut dx), dresidual: None, dscale: &mut dscale, dbias: &mut dbias };
    let y = if case.residual { output.y } else { &[] };
    let (inputs, output) = (Inputs { x: &[], ..inputs }, OutputGradient { y, ..output });
    case.norm.gradient_into(machine, case.rows, &inputs, output, gradients, &mut scratch);
    assert_eq!(dx, expected, "{case:?}");
}

#[test]
fn batch_normalisation_is_the_twins() {
    let mut cases = Cases::default();
    for case in Case::many(1, false).into_iter().chain(Case::many(2, true)) {
        let values = case.values();
        let norm = &case.norm;
        let z = values.normalised(norm, &values.x, &values.statistics);
        let dz = through_activation(norm, &z, &values.dy);
        let gradients = if norm.frozen {
            reference::frozen_gradient(norm, &values.x, &values.scale, &values.statistics, &dz)
        } else {
            reference::training_gradient(norm, &values.x, &values.scale, &dz)
        };
        let inv_std = values.statistics.variance.iter().map(|v| 1.0 / (v + f64::from(norm.epsilon())).sqrt());
        let dresidual = if case.residual { dz.clone() } else { vec![0.0; dz.len()] };
        let expected = [
            ("mean", values.statistics.mean.clone()),
            ("inv_std", inv_std.collect()),
            ("y", case.last(&activate(norm, &z))),
            ("dx", case.last(&gradients.dx)),
            ("dresidual", case.last(&dresidual)),
            ("dscale", gradients.dscale),
            ("dbias", gradients.dbias),
        ];
        cases.check_all(&case, &expected, TOLERANCE, |machine| run(&case, &values, machine));
    }
}

#[test]
fn twins_gradients_are_differences() {
    let mut cases = Cases::default();
    for case in Case::many(3, false).iter().filter(|case| case.norm.len(case.rows) < 300) {
        let (values, norm) = (case.values(), &case.norm);
        let output = |x: &[f64]| activate(norm, &values.normalised(norm, x, &reference::statistics(norm, x)));
        let z = values.normalised(norm, &values.x, &values.statistics);
        let dz = through_activation(norm, &z, &values.dy);
        let gradients = reference::training_gradient(norm, &values.x, &values.scale, &dz);
        cases.differentiate((case, "x"), &values.x, &values.dy, &gradients.dx, output);
        let by_scale = |scale: &[f64]| {
            let affine = reference::Affine { scale, bias: &values.bias };
            reference::normalise(norm, &values.x, affine, &values.statistics)
        };
        cases.differentiate((case, "scale"), &values.scale, &dz, &gradients.dscale, by_scale);
    }
}

/// The definition with the numbers 1, 2, 3, 6: mean 3, biased variance 3.5, unbiased 14/3.
#[test]
fn running_statistics_take_the_unbiased_variance() {
    let norm = BatchNorm::new(4, 1, 1, 0.0).unwrap();
    let (mut mean, mut inv_std) = ([0.0], [0.0]);
    let (mut running_mean, mut running_variance) = ([1.0], [1.0]);
    let mut scratch = vec![0.0; norm.scratch_len()];
    norm.statistics_into(
        &Machine::single(),
        4,
        &[1.0, 2.0, 3.0, 6.0],
        &mut BatchStatistics { mean: &mut mean, inv_std: &mut inv_std },
        Some(Running { mean: &mut running_mean, variance: &mut running_variance, weight: 0.25 }),
        &mut scratch,
    );
    assert_eq!((mean, inv_std), ([3.0], [1.0 / 3.5f32.sqrt()]));
    assert_eq!(running_mean, [0.75 + 0.25 * 3.0]);
    assert_eq!(running_variance, [(0.75 + 0.25 * 14.0 / 3.0) as f32]);
    let expected = reference::unbiased(&[3.5], 4);
    assert_eq!(reference::update_running(0.25, &[1.0], &expected)[0] as f32, running_variance[0]);
}

#[test]
fn a_large_mean_does_not_swallow_a_small_variance() {
    let mut draw = Draw::new(9);
    let norm = BatchNorm::new(1, 20_000, 3, 0.0).unwrap();
    let x: Vec<f64> = draw.normal(60_000).iter().map(|x| f64::from((x + 1000.0) as f32)).collect();
    let by_channel = channels_last(20_000, &x, 3);
    let expected = reference::statistics(&norm, &by_channel);
    let inv_std: Vec<f64> = expected.variance.iter().map(|variance| 1.0 / variance.sqrt()).collect();
    Cases::default().check(norm, &inv_std, TOLERANCE, |machine| {
        let (mut mean, mut inv_std) = (vec![0.0; 3], vec![0.0; 3]);
        let mut scratch = vec![0.0; norm.scratch_len()];
        let mut saved = BatchStatistics { mean: &mut mean, inv_std: &mut inv_std };
        norm.statistics_into(machine, 1, &narrow(&x), &mut saved, None, &mut scratch);
        inv_std
    });
}

/// Blocks are summed as distances to their first pixel: here the worst choice.
#[test]
fn rare_large_values_do_not_spoil_the_statistics() {
    let mut draw = Draw::new(10);
    let norm = BatchNorm::new(1, 5_000, 3, 0.0).unwrap();
    let large = |i: usize| if i.is_multiple_of(320) { 100.0 } else { 1.0 };
    let x: Vec<f64> = draw
        .normal(15_000)
        .iter()
        .enumerate()
        .map(|(i, x)| f64::from((large(i % 5_000) * x) as f32))
        .collect();
    let expected = reference::statistics(&norm, &x);
    let inv_std: Vec<f64> = expected.variance.iter().map(|variance| 1.0 / variance.sqrt()).collect();
    let expected = [("mean", expected.mean), ("inv_std", inv_std)];
    Cases::default().check_all(norm, &expected, TOLERANCE, |machine| {
        let (mut mean, mut inv_std) = (vec![0.0; 3], vec![0.0; 3]);
        let mut scratch = vec![0.0; norm.scratch_len()];
        let mut saved = BatchStatistics { mean: &mut mean, inv_std: &mut inv_std };
        let x = narrow(&channels_last(3, &x, 5_000));
        norm.statistics_into(machine, 1, &x, &mut saved, None, &mut scratch);
        [mean, inv_std]
    });
}

/// Outputs larger than caches are stored past them.
#[test]
fn a_large_output_is_stored_whole() {
    let (channels, pixels) = (16, (4 << 20) / 16 + 1);
    let norm = BatchNorm::new(1, pixels, channels, 1e-5).unwrap();
    let x: Vec<f32> = (0..norm.len(1)).map(|i| (i % 1013) as f32).collect();
    let [zero, one] = [0.0, 1.0].map(|value| vec![value; channels]);
    let inputs = Inputs { x: &x, residual: None, scale: &one, bias: &one, mean: &zero, inv_std: &one };
    let expected: Vec<f64> = x.iter().map(|&x| f64::from(x) + 1.0).collect();
    Cases::default().check(norm, &expected, 0.0, |machine| {
        let mut y = vec![f32::NAN; x.len() + 7];
        let start = y.as_ptr().align_offset(32);
        norm.normalise_into(machine, 1, &inputs, &mut y[start..]);
        y[start..start + x.len()].to_vec()
    });
}

#[test]
fn a_folded_norm_is_the_norm() {
    let mut cases = Cases::default();
    for case in Case::many(4, true) {
        let (values, norm) = (case.values(), case.norm);
        let z = values.normalised(&norm, &values.x, &values.statistics);
        cases.check(&case, &case.last(&activate(&norm, &z)), TOLERANCE, |machine| {
            let [x, residual] = [&values.x, &values.residual].map(|x| narrow(&case.last(x)));
            let [scale, bias, mean, variance] =
                [&values.scale, &values.bias, &values.statistics.mean, &values.statistics.variance]
                    .map(|x| narrow(x));
            let [mut inv_std, mut factor, mut shift] = [(); 3].map(|()| vec![0.0; scale.len()]);
            norm.inverse_std_into(&variance, &mut inv_std);
            let inputs =
                Inputs { x: &[], residual: None, scale: &scale, bias: &bias, mean: &mean, inv_std: &inv_std };
            norm.fold_into(&inputs, &mut factor, &mut shift);
            let residual = case.residual.then_some(&residual[..]);
            let folded =
                ScaleShift { factor: &factor, shift: &shift, residual, activation: norm.activation() };
            let mut y = vec![f32::NAN; x.len()];
            folded.apply_into(machine, &x, &mut y);
            let mut in_place = x;
            folded.apply_in_place(machine, &mut in_place);
            assert_eq!(in_place, y);
            y
        });
    }
}

#[test]
fn local_response_normalisation_is_the_twins() {
    let mut cases = Cases::default();
    let mut draw = Draw::new(5);
    for _ in 0..40 {
        let (rows, pixels, channels) = (draw.size(1, 2), draw.size(1, 9), draw.size(1, 20));
        let [alpha, bias] = [draw.pick(&[1e-4, 0.5]), draw.pick(&[1.0, 2.0])];
        let problem = Lrn::new(pixels, channels, draw.size(1, 7), [alpha, draw.pick(&[0.75, 0.6]), bias]);
        let problem = problem.unwrap();
        let len = rows * pixels * channels;
        let (x, dy) = (draw.normal(len), draw.normal(len));
        let last = |x: &[f64]| channels_last(channels, x, pixels);
        cases.check(problem, &last(&reference::lrn(&problem, &x)), TOLERANCE, |machine| {
            let mut y = vec![f32::NAN; len];
            problem.apply_into(machine, rows, &narrow(&last(&x)), &mut y);
            y
        });
        let gradient = reference::lrn_gradient(&problem, &x, &dy);
        cases.check((problem, "gradient"), &last(&gradient), TOLERANCE, |machine| {
            let (mut dx, mut scratch) = (vec![f32::NAN; len], vec![0.0; problem.scratch_len(machine)]);
            let (x, dy) = (narrow(&last(&x)), narrow(&last(&dy)));
            problem.gradient_into(machine, rows, &x, &dy, &mut dx, &mut scratch);
            dx
        });
        cases.differentiate(problem, &x, &dy, &gradient, |x| reference::lrn(&problem, x));
    }
}
