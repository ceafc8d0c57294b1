use super::*;
use crate::{Builder, Role, Shape, TensorType, builder::kernel};

fn graph_of(parameters: &[(&str, &[usize], Initialiser)]) -> Graph {
    let mut graph = Graph::new();
    for &(name, shape, initialiser) in parameters {
        let parameter = Parameter { role: Role::Weight, initialiser, frozen: false };
        graph.add_parameter(name, TensorType::f32(Shape::fixed(shape)), parameter).unwrap();
    }
    graph
}

fn drawn(name: &str, shape: &[usize], initialiser: Initialiser, seed: u64) -> Vec<f32> {
    let parameters = Parameters::initialise(&graph_of(&[(name, shape, initialiser)]), seed).unwrap();
    parameters.get(name).unwrap().as_f32().unwrap().to_vec()
}

#[test]
fn bits_are_those_of_the_description() {
    // The last four of nineteen, from reference/initialise.py.
    let uniform = drawn("fc.weight", &[19], Initialiser::Uniform { bound: 0.5 }, 7);
    let expected = [-0.04238271713256836, 0.18767571449279785, 0.1288069486618042, 0.08959054946899414];
    assert_eq!(uniform[15..], expected.map(|value: f64| value as f32));
    let normal = drawn("fc.weight", &[19], Initialiser::Normal { std: 2.0 }, 7);
    let expected = [1.1962300539016724, -1.194205403327942, -1.2527474164962769, 0.7616571187973022];
    assert_eq!(normal[15..], expected.map(|value: f64| value as f32));
}

#[test]
fn values_depend_on_seed_and_name_alone() {
    let init = Initialiser::XavierUniform;
    let (a, b) = (("a", &[8, 4][..], init), ("b", &[8, 4][..], init));
    let both = Parameters::initialise(&graph_of(&[a, b]), 3).unwrap();
    let turned = Parameters::initialise(&graph_of(&[b, a]), 3).unwrap();
    let alone = Parameters::initialise(&graph_of(&[b]), 3).unwrap();
    assert_eq!(both, turned);
    assert_eq!(both.get("b"), alone.get("b"));
    assert_ne!(both.get("a"), both.get("b"));
    assert_ne!(both, Parameters::initialise(&graph_of(&[a, b]), 4).unwrap());
}

/// Mean and variance are held within five standard errors: σ/√n for the mean, σ²·√((κ − 1)/n) for the
/// variance, κ the kurtosis.
fn assert_moments(values: &[f32], std: f64, kurtosis: f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    assert!(mean.abs() < 5.0 * std / n.sqrt(), "mean {mean}");
    let error = 5.0 * std.powi(2) * ((kurtosis - 1.0) / n).sqrt();
    assert!((variance - std.powi(2)).abs() < error, "variance {variance}, expected {}", std.powi(2));
}

#[test]
fn distributions_have_their_moments_and_bounds() {
    // A weight [64, 32, 3, 5]: fan_in 32·15 = 480, fan_out 64·15 = 960.
    let shape = [64, 32, 3, 5];
    let slope = 5f32.sqrt();
    for (initialiser, bound) in [
        (Initialiser::Uniform { bound: 0.25 }, 0.25),
        (Initialiser::KaimingUniform { slope }, 1.0 / 480f64.sqrt()),
        (Initialiser::KaimingUniform { slope: 0.0 }, (6.0 / 480f64).sqrt()),
        (Initialiser::XavierUniform, (6.0 / 1440f64).sqrt()),
    ] {
        let values = drawn("w", &shape, initialiser, 1);
        assert_moments(&values, bound / 3f64.sqrt(), 1.8);
        let largest = values.iter().fold(0f64, |largest, &x| largest.max(x.abs().into()));
        assert!(largest <= bound * (1.0 + 1e-6) && largest > 0.999 * bound, "{initialiser:?}: {largest}");
    }
    for (initialiser, std) in [
        (Initialiser::Normal { std: 0.5 }, 0.5),
        (Initialiser::KaimingNormalFanOut, (2.0 / 960f64).sqrt()),
        (Initialiser::XavierNormal, (2.0 / 1440f64).sqrt()),
    ] {
        assert_moments(&drawn("w", &shape, initialiser, 1), std, 3.0);
    }
    assert_eq!(drawn("w", &[3], Initialiser::Constant(0.5), 1), [0.5; 3]);
}

#[test]
fn normal_values_have_normal_tails() {
    // P(|x| < σ) = 0.682689 and P(|x| > 3σ) = 0.0026998, within five standard errors of a binomial share.
    let values = drawn("w", &[100_000], Initialiser::Normal { std: 1.0 }, 2);
    let share = |limit: f32| values.iter().filter(|x| x.abs() < limit).count() as f64 / 1e5;
    let error = |p: f64| 5.0 * (p * (1.0 - p) / 1e5).sqrt();
    for (limit, expected) in [(1.0, 0.682_689), (3.0, 0.997_300)] {
        assert!((share(limit) - expected).abs() < error(expected), "{}", share(limit));
    }
}

/// The weight `[O, C/groups, 3, 3]` of a convolution initialised by Dirac, as indices of its ones.
fn ones(channels: usize, outputs: usize, groups: usize) -> Vec<[usize; 4]> {
    let network = Builder::new();
    let conv = kernel(3).padding(1).groups(groups).initialiser(Initialiser::Dirac);
    network.image(channels, [5, 5]).name("c").conv(outputs, conv).output("y");
    let parameters = Parameters::initialise(&network.finish().unwrap(), 0).unwrap();
    let weight = parameters.get("c.weight").unwrap();
    let inputs = weight.shape()[1];
    let values = weight.as_f32().unwrap().iter().enumerate();
    let places = values.filter(|&(_, &value)| value != 0.0).map(|(index, &value)| {
        assert_eq!(value, 1.0);
        [index / 9 / inputs, index / 9 % inputs, index / 3 % 3, index % 3]
    });
    places.collect()
}

#[test]
fn dirac_copies_the_input_per_group() {
    assert_eq!(ones(2, 2, 1), [[0, 0, 1, 1], [1, 1, 1, 1]]);
    assert_eq!(ones(4, 4, 2), [[0, 0, 1, 1], [1, 1, 1, 1], [2, 0, 1, 1], [3, 1, 1, 1]]);
    assert_eq!(ones(1, 3, 1), [[0, 0, 1, 1]]);
    assert_eq!(ones(4, 2, 2), [[0, 0, 1, 1], [1, 0, 1, 1]]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    for initialiser in [Initialiser::KaimingNormalFanOut, Initialiser::XavierUniform, Initialiser::Dirac] {
        let error = Parameters::initialise(&graph_of(&[("bias", &[3], initialiser)]), 0).unwrap_err();
        assert!(error.to_string().starts_with("parameter `bias`:"), "{error}");
    }
}
