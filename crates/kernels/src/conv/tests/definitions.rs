//! The twins, against definitions and finite differences.

use crate::{
    conv::{BorderMode, ConvProblem, ConvShape, reference},
    testing::Draw,
};

#[test]
fn an_m_by_n_image_and_a_k_by_l_kernel_give_m_k_1_by_n_l_1() {
    for [m, n, k, l] in [[5, 7, 3, 2], [28, 28, 5, 5], [4, 4, 4, 4], [1, 9, 1, 3]] {
        let problem = ConvProblem::new(ConvShape::new(1, 1, 1, [m, n], [k, l])).unwrap();
        assert_eq!(problem.output(), [m - k + 1, n - l + 1]);
    }
}

#[test]
fn definition_3_on_paper() {
    let problem = ConvProblem::new(ConvShape::new(1, 1, 1, [3, 3], [2, 2])).unwrap();
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    assert_eq!(
        reference::forward(&problem, &x, &[1.0, 10.0, 100.0, 1000.0]),
        [5421.0, 6532.0, 8754.0, 9865.0]
    );
}

/// Definition 2: (x * w)(i, j) = Σ x(i − k, j − l) w(k, l), where it needs no element outside x.
#[test]
fn definition_3_is_the_convolution_with_the_kernel_flipped() {
    let random = &mut Draw::new(2);
    let ([m, n], [k, l]) = ([6, 5], [3, 2]);
    let (x, w) = (random.normal(m * n), random.normal(k * l));
    let flipped: Vec<f64> = w.iter().rev().copied().collect();
    let problem = ConvProblem::new(ConvShape::new(1, 1, 1, [m, n], [k, l])).unwrap();
    let correlation = reference::forward(&problem, &x, &flipped);
    for i in 0..=m - k {
        for j in 0..=n - l {
            let mut convolution = 0.0;
            for (a, b) in (0..k).flat_map(|a| (0..l).map(move |b| (a, b))) {
                convolution += x[(i + k - 1 - a) * n + j + l - 1 - b] * w[a * l + b];
            }
            assert!((correlation[i * (n - l + 1) + j] - convolution).abs() < 1e-12);
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let shape = ConvShape {
        groups: 2,
        strides: [2, 1],
        dilations: [1, 2],
        pads: [1, 0, 2, 3],
        ..ConvShape::new(2, 4, 6, [5, 6], [3, 2])
    };
    let problem = ConvProblem::new(shape).unwrap();
    let random = &mut Draw::new(3);
    let x = random.normal(problem.batch * problem.input_len());
    let w = random.normal(problem.weights_len());
    let dy = random.normal(problem.batch * problem.output_len());
    let loss = |x: &[f64], w: &[f64]| -> f64 {
        reference::forward(&problem, x, w).iter().zip(&dy).map(|(y, dy)| y * dy).sum()
    };
    let difference = |values: &[f64], at: usize, loss: &dyn Fn(&[f64]) -> f64| {
        let [mut above, mut below] = [values.to_vec(), values.to_vec()];
        above[at] += 1e-3;
        below[at] -= 1e-3;
        (loss(&above) - loss(&below)) / 2e-3
    };
    for (at, dx) in reference::input_gradient(&problem, &w, &dy).into_iter().enumerate() {
        assert!((dx - difference(&x, at, &|x| loss(x, &w))).abs() < 1e-9, "dx {at}");
    }
    for (at, dw) in reference::weight_gradient(&problem, &x, &dy).into_iter().enumerate() {
        assert!((dw - difference(&w, at, &|w| loss(&x, w))).abs() < 1e-9, "dw {at}");
    }
}

#[test]
fn the_gradient_of_the_bias_is_a_sum_per_channel() {
    let problem = ConvProblem::new(ConvShape::new(2, 1, 2, [1, 2], [1, 1])).unwrap();
    let dy = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
    assert_eq!(reference::bias_gradient(&problem, &dy), [33.0, 77.0]);
}

#[test]
fn borders_continue_one_two_three_as_the_lecture_does() {
    let padded = |mode: BorderMode| -> Vec<Option<usize>> {
        (-2..5).map(|at| mode.source(at, 3).map(|index| index + 1)).collect()
    };
    let all = |values: [usize; 7]| values.map(Some).to_vec();
    assert_eq!(padded(BorderMode::Reflect), all([3, 2, 1, 2, 3, 2, 1]));
    assert_eq!(padded(BorderMode::Edge), all([1, 1, 1, 2, 3, 3, 3]));
    assert_eq!(padded(BorderMode::Wrap), all([2, 3, 1, 2, 3, 1, 2]));
    assert_eq!(padded(BorderMode::Constant(0.0)), [None, None, Some(1), Some(2), Some(3), None, None]);
}

#[test]
fn a_transposed_convolution_is_the_same_problem_backwards() {
    let layer = ConvShape { strides: [2, 3], pads: [1, 0, 0, 1], ..ConvShape::new(1, 4, 6, [3, 5], [3, 2]) };
    let problem = ConvProblem::transposed(layer, [1, 2]).unwrap();
    // ONNX: stride * (input - 1) + output_padding + (kernel - 1) * dilation + 1 - pads.
    assert_eq!(problem.input, [2 * 2 + 1 + 3 - 1, 3 * 4 + 2 + 2 - 1]);
    assert_eq!((problem.in_channels, problem.out_channels, problem.output()), (6, 4, [3, 5]));
}
