//! Gradients against central differences, on the reference engine.

use super::{Problem, Random, differentiable};
use std::collections::BTreeMap;
use svertka_engine::{
    RunKey,
    reference::{Array, evaluate},
};
use svertka_graph::{Differentiated, Graph, Rules, ValueId, differentiate};

pub const KEY: RunKey = RunKey { seed: 11, step: 3 };

/// Central differences with step h are off by h²/6 times the third derivative and by rounding, about 1e-16·|L|/h: with
/// h = 1e-5, 1e-10 and 1e-11 times numbers of the size of 1 to 1000. A wrong rule is off by a good part of the gradient.
const STEP: f64 = 1e-5;
/// Allowed error, as a share of Σ |gradient · direction|.
const RELATIVE: f64 = 1e-6;
/// Allowed error, as a share of Σ |seed · output|, for what rounds to nothing.
const ABSOLUTE: f64 = 1e-8;

/// `L = Σ ⟨seed, output⟩`, of which `differentiate` gives the gradient.
struct Objective<'a> {
    graph: &'a Graph,
    problem: &'a Problem,
    seeds: Vec<Array>,
}

impl Objective<'_> {
    /// L and, for its scale, Σ |seed · output|.
    fn value(&self, point: &BTreeMap<String, Array>) -> Result<(f64, f64), String> {
        let values =
            evaluate(self.graph, &self.problem.parameters, point, KEY).map_err(|error| error.to_string())?;
        let products = self.graph.outputs().iter().zip(&self.seeds).flat_map(|(&id, seed)| {
            let output = values.of(id).as_f64().unwrap();
            output.iter().zip(seed.as_f64().unwrap()).map(|(a, b)| a * b).collect::<Vec<f64>>()
        });
        Ok(products.fold((0.0, 0.0), |(sum, scale), product| (sum + product, scale + product.abs())))
    }

    /// The derivative along `direction`, by central differences of step `h`.
    fn slope(
        &self,
        point: &BTreeMap<String, Array>,
        direction: &BTreeMap<String, Vec<f64>>,
        h: f64,
    ) -> Result<f64, String> {
        let at = |h: f64| {
            let mut moved = point.clone();
            for (name, direction) in direction {
                let values = moved.get_mut(name).unwrap().as_f64_mut().unwrap();
                values.iter_mut().zip(direction).for_each(|(value, d)| *value += h * d);
            }
            self.value(&moved).map(|(value, _)| value)
        };
        Ok((at(h)? - at(-h)?) / (2.0 * h))
    }
}

/// Compares the derivatives of `graph`'s outputs with what `rules` derive: along `together` random directions of all
/// inputs and parameters at once, and if `each`, along one of each alone.
pub fn check(
    problem: &Problem,
    graph: &Graph,
    rules: &Rules,
    together: usize,
    each: bool,
) -> Result<(), String> {
    let leaves = differentiable(graph);
    let derived = differentiate(graph, graph.outputs(), &leaves, rules).map_err(|error| error.to_string())?;
    let point = point(problem, graph, &leaves);
    let mut random = Random(99);
    let objective = Objective { graph, problem, seeds: seeds(problem, graph, &point, &mut random)? };
    let gradients = gradients(&objective, &derived, &leaves, &point)?;
    let names: Vec<&String> = leaves.iter().map(|&id| &graph.value(id).name).collect();
    let alone = names.chunks(1).filter(|_| each);
    for group in std::iter::repeat_n(names.as_slice(), together).chain(alone) {
        check_along(&objective, &point, &gradients, group, &mut random)?;
    }
    Ok(())
}

/// The inputs and, in f64, the parameters.
fn point(problem: &Problem, graph: &Graph, leaves: &[ValueId]) -> BTreeMap<String, Array> {
    let parameters = leaves.iter().filter_map(|&id| {
        let name = &graph.value(id).name;
        Some((name.clone(), Array::from(problem.parameters.get(name)?)))
    });
    problem.inputs.clone().into_iter().chain(parameters).collect()
}

/// A gradient for every output: 1 for a scalar, otherwise random.
fn seeds(
    problem: &Problem,
    graph: &Graph,
    point: &BTreeMap<String, Array>,
    random: &mut Random,
) -> Result<Vec<Array>, String> {
    let values = evaluate(graph, &problem.parameters, point, KEY).map_err(|error| error.to_string())?;
    let mut seed = |&output: &ValueId| {
        let shape = values.of(output).shape();
        let elements =
            if shape.is_empty() { vec![1.0] } else { random_vector(shape.iter().product(), random) };
        Array::real(shape, elements).unwrap()
    };
    Ok(graph.outputs().iter().map(&mut seed).collect())
}

/// What the derived graph computes, by name.
fn gradients(
    objective: &Objective<'_>,
    derived: &Differentiated,
    leaves: &[ValueId],
    point: &BTreeMap<String, Array>,
) -> Result<BTreeMap<String, Vec<f64>>, String> {
    let mut inputs = point.clone();
    for (&seed, array) in derived.seeds.iter().zip(&objective.seeds) {
        if derived.graph.inputs().contains(&seed) {
            inputs.insert(derived.graph.value(seed).name.clone(), array.clone());
        }
    }
    let values = evaluate(&derived.graph, &objective.problem.parameters, &inputs, KEY)
        .map_err(|error| error.to_string())?;
    let gradient = |(&id, gradient): (&ValueId, &Option<ValueId>)| {
        let name = &derived.graph.value(id).name;
        let wanted = values.of(id);
        let found = match gradient {
            Some(gradient) if values.of(*gradient).shape() == wanted.shape() => values.of(*gradient).as_f64(),
            Some(gradient) => {
                return Err(format!("the gradient of {name} has shape {:?}", values.of(*gradient).shape()));
            }
            None => None,
        };
        let zeros = || vec![0.0; wanted.as_f64().unwrap().len()];
        Ok((name.clone(), found.map_or_else(zeros, <[f64]>::to_vec)))
    };
    leaves.iter().zip(&derived.gradients).map(gradient).collect()
}

/// A kink between the two points of a difference spoils it: then the step is made smaller, and then another direction is
/// tried. A wrong gradient agrees along none.
fn check_along(
    objective: &Objective<'_>,
    point: &BTreeMap<String, Array>,
    gradients: &BTreeMap<String, Vec<f64>>,
    names: &[&String],
    random: &mut Random,
) -> Result<(), String> {
    let (_, scale) = objective.value(point)?;
    if !scale.is_finite() {
        return Err("the outputs are not finite".into());
    }
    let mut error = String::new();
    for _ in 0..3 {
        let entry = |name: &&String| ((*name).clone(), random_vector(gradients[*name].len(), random));
        let direction: BTreeMap<String, Vec<f64>> = names.iter().map(entry).collect();
        let products: Vec<f64> = direction
            .iter()
            .flat_map(|(name, d)| gradients[name].iter().zip(d).map(|(g, d)| g * d))
            .collect();
        let (derived, size) = (products.iter().sum::<f64>(), products.iter().map(|p| p.abs()).sum::<f64>());
        for shrinking in [1.0, 8.0, 64.0] {
            let tolerance = RELATIVE * size + ABSOLUTE * scale * shrinking;
            let measured = objective.slope(point, &direction, STEP / shrinking)?;
            if (measured - derived).abs() <= tolerance {
                return Ok(());
            }
            error = format!(
                "along {names:?}: derived {derived:e}, measured {measured:e} (tolerance {tolerance:e})"
            );
        }
    }
    Err(error)
}

/// Entries uniform over [−1, 1).
fn random_vector(len: usize, random: &mut Random) -> Vec<f64> {
    (0..len).map(|_| 2.0 * random.unit() - 1.0).collect()
}
