//! One class of several: cross-entropy of softmax, named probabilities, the confusion matrix.

use crate::TaskError;
use svertka_data::Targets;
use svertka_graph::{Graph, GraphError, op::SoftmaxCrossEntropyLoss, with_loss};
use svertka_train::{
    Metric,
    metric::{argmax, scored},
};

/// The classes, in the order of the network's scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Their names.
    pub classes: Vec<String>,
}

impl Target {
    /// The graph with `loss`, the mean cross-entropy of `logits` and the classes handed in as `target`.
    ///
    /// # Errors
    /// [`TaskError::Mismatch`] if there are not as many scores as classes; those of [`with_loss`].
    pub fn with_loss(&self, network: &Graph, label_smoothing: f32) -> Result<Graph, TaskError> {
        self.check(network)?;
        let loss = SoftmaxCrossEntropyLoss { label_smoothing, ..SoftmaxCrossEntropyLoss::default() };
        Ok(with_loss(network, "logits", loss, None)?)
    }

    /// Whether a network gives as many scores as there are classes.
    ///
    /// # Errors
    /// [`TaskError::Mismatch`]; [`TaskError::Graph`] if it has no `logits`.
    pub fn check(&self, network: &Graph) -> Result<(), TaskError> {
        let (scores, classes) = (scores(network)?, self.classes.len());
        if scores == classes {
            return Ok(());
        }
        let message = format!("the network gives {scores} scores, there are {classes} classes");
        Err(TaskError::Mismatch(format!("{message}; give it another head")))
    }

    /// Where each of `classes` stands among these.
    ///
    /// # Errors
    /// [`TaskError::UnknownClass`].
    pub fn labels(&self, classes: &[String]) -> Result<Vec<i64>, TaskError> {
        let label = |class: &String| {
            let place = self.classes.iter().position(|own| own == class);
            place
                .map(|place| place as i64)
                .ok_or_else(|| TaskError::UnknownClass { class: class.clone(), known: self.classes.clone() })
        };
        classes.iter().map(label).collect()
    }

    /// Probabilities with the names of their classes, the largest first; of equal ones the first class.
    pub fn decode(&self, probabilities: &[f32]) -> Vec<(String, f32)> {
        let mut named: Vec<_> = self.classes.iter().cloned().zip(probabilities.iter().copied()).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1));
        named
    }
}

/// How many scores a network gives per sample; at least one, and as many probabilities where there are any.
pub(crate) fn scores(network: &Graph) -> Result<usize, GraphError> {
    let logits = network.expect("logits")?;
    let shape = network.shape(logits);
    let width = (shape.rank() == 2).then(|| shape[1].fixed()).flatten().filter(|&width| width > 0);
    let width = width.ok_or_else(|| {
        GraphError::Surgery(format!("`logits` has shape {shape}; scores of classes are [N, classes]"))
    })?;
    match network.find("probabilities").map(|id| network.shape(id)).filter(|found| *found != shape) {
        None => Ok(width),
        Some(found) => Err(GraphError::Surgery(format!(
            "`probabilities` has shape {found}, `logits` has {shape}; each class has one of both"
        ))),
    }
}

/// Counts what was taken for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// By class and prediction, row-major.
    counts: Vec<u64>,
}

impl Confusion {
    /// No sample yet.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// A row for each class, in which each class has the number of samples that were taken for it.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes.max(1))
    }

    /// Samples that were counted.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Metric for Confusion {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn clear(&mut self) {
        self.counts.fill(0);
    }

    fn add(&mut self, rows: usize, output: &[f32], targets: &Targets) {
        for (scores, class) in scored(rows, output, targets) {
            if class < self.classes {
                self.counts[class * self.classes + argmax(scores)] += 1;
            }
        }
    }

    /// The share of samples on the diagonal.
    fn value(&self) -> f64 {
        let right: u64 = self.rows().enumerate().map(|(class, row)| row[class]).sum();
        right as f64 / self.samples() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { classes: ["cat", "dog", "owl"].map(String::from).to_vec() }
    }

    #[test]
    fn probabilities_are_named_and_sorted() {
        let named = target().decode(&[0.2, 0.6, 0.2]);
        let names: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["dog", "cat", "owl"]);
        assert_eq!(named[0].1, 0.6);
    }

    #[test]
    fn labels_follow_the_names() {
        let other = ["owl", "cat"].map(String::from);
        assert_eq!(target().labels(&other).unwrap(), [2, 0]);
        let error = target().labels(&["cow".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "class `cow` is not among the model's: cat, dog, owl");
    }

    #[test]
    fn the_matrix_counts_by_class_and_prediction() {
        let mut confusion = Confusion::new(2);
        confusion.add(3, &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0], &Targets::Class(vec![0, 0, 1]));
        assert_eq!(confusion.rows().collect::<Vec<_>>(), [[1, 1], [1, 0]]);
        assert_eq!(confusion.value(), 1.0 / 3.0);
    }
}
