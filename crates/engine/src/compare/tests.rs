use super::*;
use crate::{Machine, cpu::Workspace, reference::Array};
use std::collections::BTreeMap;
use svertka_graph::{Builder, Flow, Parameters, Sizes, builder::kernel, surgery::rename};

const TOLERANCE: f64 = 1e-4;

/// Two convolutions, a normalisation that fuses with one of them, and a head.
fn network() -> (Graph, Parameters) {
    let network = Builder::new();
    let maps = network.image(1, [8, 8]).conv(3, kernel(3)).relu().conv(2, 3).batch_norm().relu();
    let flat: Flow<'_> = maps.flatten();
    flat.linear(4).classify();
    let graph = network.finish().unwrap();
    let parameters = Parameters::initialise(&graph, 1).unwrap();
    (graph, parameters)
}

fn inputs(graph: &Graph) -> BTreeMap<String, Array> {
    let id = graph.inputs()[0];
    let shape = graph.shape(id).resolve(&Sizes::batch(2)).sizes().unwrap();
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| (index * 7919 % 256) as f64 / 128.0 - 1.0).collect();
    [(graph.value(id).name.clone(), Array::real(&shape, values).unwrap())].into()
}

fn workspace() -> Workspace {
    Workspace::new(Machine::new(1))
}

fn run<'a>(
    engine: Engine,
    (graph, parameters): &'a (Graph, Parameters),
    inputs: &'a BTreeMap<String, Array>,
) -> Run<'a> {
    Run::new(engine, Case { graph, parameters, inputs }, workspace()).unwrap()
}

/// The values of one run beside those of another.
fn compare(found: &Run<'_>, expected: &Run<'_>) -> Comparison {
    let difference = |id| {
        let other = counterpart(found.graph(), id, expected.graph());
        let pair = found.value(id).zip(other.and_then(|other| expected.value(other)));
        Ok::<_, ()>(pair.map(|(found, expected)| Difference::between(&found, &expected)))
    };
    Comparison::new(found.graph(), TOLERANCE, difference).unwrap()
}

fn real(shape: &[usize], values: &[f64]) -> Array {
    Array::real(shape, values.to_vec()).unwrap()
}

#[test]
fn the_engines_agree_on_every_node() {
    let network = network();
    let inputs = inputs(&network.0);
    let [cpu, reference] = [Engine::Cpu, Engine::Reference].map(|engine| run(engine, &network, &inputs));
    for (found, expected) in [(&cpu, &reference), (&reference, &cpu)] {
        let comparison = compare(found, expected);
        let nodes = network.0.nodes();
        assert_eq!(comparison.nodes(&network.0).count(), nodes.len(), "every node is compared");
        assert_eq!(comparison.diverging(&network.0).next(), None);
    }
    assert_eq!(cpu.fused().len(), network.0.outputs().len());
    for (id, value) in cpu.fused() {
        let difference = Difference::between(value, &reference.value(*id).unwrap());
        assert!(!difference.diverges(TOLERANCE), "{difference:?}");
    }
}

#[test]
fn the_first_node_to_diverge_is_the_one_that_reads_the_changed_weight() {
    let network = network();
    let inputs = inputs(&network.0);
    for (id, value, _) in network.0.parameters() {
        let reader = network.0.nodes().iter().find(|node| node.inputs.contains(&id)).unwrap();
        let mut changed = network.clone();
        changed.1.get_mut(&value.name).unwrap().as_f32_mut().unwrap().iter_mut().for_each(|x| *x += 1.0);
        for engine in [Engine::Cpu, Engine::Reference] {
            let comparison = compare(&run(engine, &changed, &inputs), &run(Engine::Cpu, &network, &inputs));
            let (node, ..) = comparison.diverging(&network.0).next().unwrap();
            assert_eq!(node.name, reader.name, "{} on {engine}", value.name);
            let error = |id| comparison.of(id).unwrap().diverges(TOLERANCE);
            assert!(error(id), "the weight itself is told to differ");
            assert!(node.inputs.iter().all(|&input| input == id || !error(input)));
        }
    }
}

#[test]
fn an_output_of_another_name_is_matched_by_its_place() {
    let network = network();
    let inputs = inputs(&network.0);
    let mut renamed = network.clone();
    for name in ["logits", "probabilities"] {
        renamed.0 = rename(&renamed.0, name, &format!("other_{name}")).unwrap();
    }
    let comparison = compare(&run(Engine::Cpu, &network, &inputs), &run(Engine::Cpu, &renamed, &inputs));
    for &output in network.0.outputs() {
        assert!(comparison.of(output).is_some(), "{}", network.0.value(output).name);
    }
    let first = renamed.0.value(renamed.0.nodes()[0].outputs[0]).name.clone();
    let hidden = rename(&renamed.0, &first, "other_first").unwrap();
    let comparison =
        compare(&run(Engine::Cpu, &network, &inputs), &run(Engine::Cpu, &(hidden, renamed.1), &inputs));
    assert_eq!(comparison.of(network.0.nodes()[0].outputs[0]), None, "no output, and no namesake");
    assert_eq!(comparison.diverging(&network.0).next(), None);
}

#[test]
fn values_of_other_shapes_diverge() {
    let difference = Difference::between(&real(&[2, 3], &[0.0; 6]), &real(&[3, 2], &[0.0; 6]));
    assert!(difference.diverges(1e9));
    assert_eq!((difference.relative(), difference.worst), (f64::INFINITY, None));
}

#[test]
fn the_worst_element_is_told_by_its_index() {
    let difference = Difference::between(
        &real(&[2, 1, 3], &[0.0, 1.0, 2.0, 3.0, 4.5, -5.25]),
        &real(&[2, 1, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, -5.0]),
    );
    assert_eq!((difference.absolute, difference.magnitude, difference.relative()), (0.5, 5.0, 0.1));
    assert_eq!(difference.worst, Some(Worst { index: vec![1, 0, 1], found: 4.5, expected: 4.0 }));
    assert!(difference.diverges(0.09) && !difference.diverges(0.11));
}

#[test]
fn nan_and_infinity_agree_with_themselves_only() {
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    for (found, expected, diverges) in [
        (nan, nan, false),
        (infinity, infinity, false),
        (nan, 1.0, true),
        (1.0, nan, true),
        (infinity, 1.0, true),
        (infinity, -infinity, true),
        (1.0, infinity, true),
        (nan, infinity, true),
    ] {
        let difference = Difference::between(&real(&[2], &[7.0, found]), &real(&[2], &[7.0, expected]));
        assert_eq!(difference.diverges(1e9), diverges, "{found} where {expected} is expected");
        assert_eq!(difference.worst.is_some(), diverges);
    }
}

#[test]
fn where_zeros_are_expected_every_other_number_diverges() {
    let zeros = real(&[2], &[0.0, -0.0]);
    assert!(!Difference::between(&real(&[2], &[0.0, 0.0]), &zeros).diverges(TOLERANCE));
    assert!(Difference::between(&real(&[2], &[0.0, 1e-9]), &zeros).diverges(TOLERANCE));
    let empty = real(&[0, 3], &[]);
    assert_eq!(Difference::between(&empty, &empty).relative(), 0.0);
}

#[test]
fn integers_have_to_be_equal_and_may_be_written_as_real_numbers() {
    let integers = |values: &[i64]| Array::integers(&[2], values.to_vec()).unwrap();
    let large = integers(&[1 << 60, 1]);
    assert!(!Difference::between(&large, &large).diverges(0.0));
    assert!(Difference::between(&integers(&[(1 << 60) + 1, 1]), &large).diverges(TOLERANCE));
    assert!(!Difference::between(&integers(&[3, 1]), &real(&[2], &[3.0, 1.0])).diverges(0.0));
}
