use super::*;
use crate::testing::{Cases, Draw, narrow};

/// Logarithms and exponentials in f32 on logits of order 1; sums are f64.
const TOLERANCE: f64 = 2e-6;

#[derive(Debug)]
struct Case {
    loss: CrossEntropy,
    outer: usize,
    logits: Vec<f64>,
    labels: Vec<i64>,
    probabilities: Option<Vec<f32>>,
    class_weights: Option<Vec<f32>>,
    dloss: Vec<f64>,
}

impl Case {
    fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let (classes, inner) = (draw.pick(&[2, 10, 21]), draw.pick(&[1, 1, 6]));
        let outer = draw.pick(&[1, 5, 300]);
        let reduction = draw.pick(&[Reduction::Mean, Reduction::Sum, Reduction::None]);
        let loss = CrossEntropy::new(classes, inner)
            .unwrap()
            .with_ignore_index(draw.pick(&[None, Some(1), Some(-100)]))
            .with_label_smoothing(draw.pick(&[0.0, 0.1]))
            .unwrap()
            .with_reduction(reduction);
        let positive = |x: Vec<f64>| x.iter().map(|x| x.abs() as f32 + 0.1).collect::<Vec<f32>>();
        let mut label = |_| match loss.ignore_index() {
            Some(-100) if draw.coin() => -100,
            _ => draw.size(0, classes - 1) as i64,
        };
        let labels = (0..outer * inner).map(&mut label).collect();
        let logits = draw.normal(outer * classes * inner);
        let probabilities = draw.coin().then(|| positive(draw.normal(logits.len())));
        let class_weights = draw.coin().then(|| positive(draw.normal(classes)));
        let dloss = draw.normal(loss.loss_len(outer));
        Self { loss, outer, logits, labels, probabilities, class_weights, dloss }
    }

    fn target(&self) -> Target<'_> {
        let values = match &self.probabilities {
            Some(probabilities) => Targets::Probabilities(probabilities),
            None => Targets::Labels(&self.labels),
        };
        Target { values, class_weights: self.class_weights.as_deref() }
    }
}

#[test]
fn loss_log_probabilities_and_gradient_are_the_twins() {
    let mut cases = Cases::default();
    for seed in 0..100 {
        let case = Case::draw(seed);
        let (loss, outer, target) = (case.loss, case.outer, case.target());
        let problem = |what: &str| format!("{seed}: {loss:?}, {outer} blocks, {what}");
        let (value, log) = reference::cross_entropy(&loss, &case.logits, target).unwrap();
        let forward = |machine: &Machine| {
            let (mut value, mut log) =
                (vec![f32::NAN; loss.loss_len(outer)], vec![f32::NAN; case.logits.len()]);
            loss.forward_into(machine, outer, &narrow(&case.logits), target, &mut value, &mut log).unwrap();
            (value, log)
        };
        cases.check(problem("loss"), &value, TOLERANCE, |machine| forward(machine).0);
        cases.check(problem("log-probabilities"), &log, TOLERANCE, |machine| forward(machine).1);
        let gradient = reference::cross_entropy_gradient(&loss, &case.logits, target, &case.dloss).unwrap();
        cases.check(problem("gradient"), &gradient, TOLERANCE, |machine| {
            let mut dlogits = vec![f32::NAN; case.logits.len()];
            let (log, dloss) = (narrow(&log), narrow(&case.dloss));
            loss.gradient_into(machine, outer, &log, target, &dloss, &mut dlogits).unwrap();
            dlogits
        });
        if case.logits.len() < 200 && gradient.iter().any(|&x| x != 0.0) {
            let value = |x: &[f64]| reference::cross_entropy(&loss, x, target).unwrap().0;
            cases.differentiate(problem("gradient"), &case.logits, &case.dloss, &gradient, value);
        }
    }
}

#[test]
fn a_label_that_names_no_class_is_an_error() {
    let loss = CrossEntropy::new(3, 1).unwrap().with_ignore_index(Some(-1));
    for label in [3, -2, i64::MIN] {
        let labels = [0, -1, label];
        let target = Target { values: Targets::Labels(&labels), class_weights: None };
        let (mut value, mut log) = ([7.0], [7.0; 9]);
        let result = loss.forward_into(&Machine::single(), 3, &[0.0; 9], target, &mut value, &mut log);
        assert_eq!(result, Err(LabelError { index: 2, label, classes: 3 }));
        assert_eq!((value, log), ([7.0], [7.0; 9]), "nothing is written");
        let gradient = loss.gradient_into(&Machine::single(), 3, &[0.0; 9], target, &[1.0], &mut [0.0; 9]);
        assert_eq!(gradient, Err(LabelError { index: 2, label, classes: 3 }));
    }
}

#[test]
fn the_mean_over_no_labels_is_zero() {
    let loss = CrossEntropy::new(2, 1).unwrap().with_ignore_index(Some(-1));
    let target = Target { values: Targets::Labels(&[-1, -1]), class_weights: None };
    let (mut value, mut log, mut dlogits) = ([7.0], [7.0; 4], [7.0; 4]);
    loss.forward_into(&Machine::single(), 2, &[1.0; 4], target, &mut value, &mut log).unwrap();
    loss.gradient_into(&Machine::single(), 2, &log, target, &[1.0], &mut dlogits).unwrap();
    assert_eq!((value, dlogits), ([0.0], [0.0; 4]));
}
