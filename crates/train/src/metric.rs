//! What an evaluation measures beside the loss.

use svertka_data::Targets;

/// A measure over all samples of an evaluation, gathered batch by batch. Larger is better.
pub trait Metric: Send {
    /// Its name in reports, such as `accuracy`.
    fn name(&self) -> &'static str;

    /// The output of the network that it looks at.
    fn output(&self) -> &'static str {
        "logits"
    }

    /// Forgets what was gathered.
    fn clear(&mut self);

    /// Takes in a batch: the values of [`output`](Self::output) `[rows, …]` and the targets of the rows.
    fn add(&mut self, rows: usize, output: &[f32], targets: &Targets);

    /// The measure over all that was gathered; NaN if that is nothing.
    fn value(&self) -> f64;
}

/// The share of samples whose largest score is that of their class; of equal scores the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    right: u64,
    samples: u64,
}

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Soft targets count by their largest probability.
    fn add(&mut self, rows: usize, output: &[f32], targets: &Targets) {
        for (scores, class) in scored(rows, output, targets) {
            self.right += u64::from(argmax(scores) == class);
            self.samples += 1;
        }
    }

    fn value(&self) -> f64 {
        self.right as f64 / self.samples as f64
    }
}

/// The scores of each row with the class of its target; soft targets have that of their largest probability.
pub fn scored<'a>(
    rows: usize,
    scores: &'a [f32],
    targets: &'a Targets,
) -> impl Iterator<Item = (&'a [f32], usize)> {
    let width = scores.len() / rows.max(1);
    (0..rows).map(move |row| {
        let class = match targets {
            // A class below 0 never agrees with an argmax.
            Targets::Class(classes) => usize::try_from(classes[row]).unwrap_or(usize::MAX),
            Targets::Dense(values) => argmax(&values[row * width..][..width]),
        };
        (&scores[row * width..][..width], class)
    })
}

/// The place of the largest value, of equal ones the first; 0 of nothing. NaN is never the largest.
pub fn argmax(values: &[f32]) -> usize {
    let larger = |best: usize, index: usize| {
        let better = values[index] > values[best] || values[best].is_nan() && !values[index].is_nan();
        if better { index } else { best }
    };
    (0..values.len()).reduce(larger).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_the_exact_share_over_all_batches() {
        let mut accuracy = Accuracy::default();
        assert!(accuracy.value().is_nan());
        accuracy.add(3, &[0.0, 1.0, 2.0, 1.0, 5.0, 5.0], &Targets::Class(vec![1, 0, 0]));
        accuracy.add(1, &[0.0, 1.0], &Targets::Dense(vec![0.9, 0.1]));
        assert_eq!(accuracy.value(), 0.75);
        accuracy.clear();
        accuracy.add(1, &[0.0, 1.0], &Targets::Class(vec![1]));
        assert_eq!(accuracy.value(), 1.0);
    }

    #[test]
    fn the_first_of_equal_maxima_counts_and_nan_never() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NAN, 1.0, f32::NAN]), 1);
        assert_eq!(argmax(&[f32::NAN; 2]), 0);
        assert_eq!(argmax(&[]), 0);
    }
}
