//! The twin of softmax cross-entropy in f64 over logits `[outer, classes, inner]`, written from the
//! definition.

use super::{CrossEntropy, LabelError, Reduction, Target, Targets};

/// What every vector of logits is compared with: a weight for each class, and the divisor of the mean.
struct Weighted {
    /// `[outer, classes, inner]`: the coefficient of `-log p`.
    coefficients: Vec<f64>,
    divisor: f64,
}

fn weigh(loss: &CrossEntropy, rows: usize, target: Target<'_>) -> Result<Weighted, LabelError> {
    let (classes, inner) = (loss.classes(), loss.inner());
    let smoothing = f64::from(loss.label_smoothing());
    let weight = |class: usize| target.class_weights.map_or(1.0, |weights| f64::from(weights[class]));
    let mut coefficients = vec![0.0; rows * classes * inner];
    let mut divisor = 0.0;
    for position in 0..rows * inner {
        let (row, i) = (position / inner, position % inner);
        let at = |class: usize| (row * classes + class) * inner + i;
        let label = match target.values {
            Targets::Labels(labels) if Some(labels[position]) == loss.ignore_index() => continue,
            Targets::Labels(labels) => Some(loss.check(position, labels[position])?),
            Targets::Probabilities(_) => None,
        };
        divisor += label.map_or(1.0, weight);
        for class in 0..classes {
            let share = match target.values {
                Targets::Labels(_) => f64::from(label == Some(class)),
                Targets::Probabilities(probabilities) => f64::from(probabilities[at(class)]),
            };
            coefficients[at(class)] = weight(class) * smoothing / classes as f64;
            coefficients[at(class)] += weight(class) * (1.0 - smoothing) * share;
        }
    }
    Ok(Weighted { coefficients, divisor })
}

/// `log p` of one class at one position, from the definition of softmax.
fn log_probability(loss: &CrossEntropy, logits: &[f64], index: usize) -> f64 {
    let (classes, inner) = (loss.classes(), loss.inner());
    let start = index / (classes * inner) * classes * inner + index % inner;
    let vector = || (0..classes).map(|class| logits[start + class * inner]);
    let max = vector().fold(f64::NEG_INFINITY, f64::max);
    logits[index] - max - vector().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// The loss (one value, or one for each of `[outer, inner]` where nothing is reduced) and the
/// log-probabilities.
///
/// # Errors
/// The first label that names no class.
pub fn cross_entropy(
    loss: &CrossEntropy,
    logits: &[f64],
    target: Target<'_>,
) -> Result<(Vec<f64>, Vec<f64>), LabelError> {
    let (classes, inner) = (loss.classes(), loss.inner());
    let rows = logits.len() / (classes * inner);
    let Weighted { coefficients, divisor } = weigh(loss, rows, target)?;
    let log_probabilities: Vec<f64> = (0..logits.len()).map(|i| log_probability(loss, logits, i)).collect();
    let mut losses = vec![0.0; rows * inner];
    for (index, coefficient) in coefficients.iter().enumerate().filter(|(_, c)| **c != 0.0) {
        losses[index / (classes * inner) * inner + index % inner] -= coefficient * log_probabilities[index];
    }
    let sum = losses.iter().sum::<f64>();
    let reduced = match loss.reduction() {
        Reduction::Mean if divisor == 0.0 => vec![0.0],
        Reduction::Mean => vec![sum / divisor],
        Reduction::Sum => vec![sum],
        Reduction::None => losses,
    };
    Ok((reduced, log_probabilities))
}

/// The gradient with respect to the logits, given that of the loss.
///
/// # Errors
/// The first label that names no class.
pub fn cross_entropy_gradient(
    loss: &CrossEntropy,
    logits: &[f64],
    target: Target<'_>,
    dloss: &[f64],
) -> Result<Vec<f64>, LabelError> {
    let (classes, inner) = (loss.classes(), loss.inner());
    let rows = logits.len() / (classes * inner);
    let Weighted { coefficients, divisor } = weigh(loss, rows, target)?;
    let gradient = |index: usize| {
        let (row, i) = (index / (classes * inner), index % inner);
        let total: f64 = (0..classes).map(|class| coefficients[(row * classes + class) * inner + i]).sum();
        let probability = log_probability(loss, logits, index).exp();
        let dloss = match loss.reduction() {
            Reduction::Mean if divisor == 0.0 => 0.0,
            Reduction::Mean => dloss[0] / divisor,
            Reduction::Sum => dloss[0],
            Reduction::None => dloss[row * inner + i],
        };
        dloss * (probability * total - coefficients[index])
    };
    Ok((0..logits.len()).map(gradient).collect())
}
