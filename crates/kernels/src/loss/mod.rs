//! Softmax cross-entropy, ONNX's SoftmaxCrossEntropyLoss, with PyTorch's label smoothing and soft targets
//! beside it.

pub mod reference;

use crate::Machine;
use crate::activation::math::exp;
use crate::problem::{ProblemError, positive};
use crate::simd::Lanes;
use crate::softmax::Softmax;
use crate::vector::{CHUNK, Elements, Map, sum_in_parts};
use std::fmt;

/// How the losses of all positions become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum divided by the class weights of the labels present (soft targets: by the number of
    /// positions); 0 where every label is ignored (ONNX and PyTorch divide 0 by 0 there).
    Mean,
    /// Their sum.
    Sum,
    /// They stay as they are.
    None,
}

/// What the logits are compared with.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// The class of every position `[outer, inner]`.
    Labels(&'a [i64]),
    /// A probability for every class `[outer, classes, inner]`.
    Probabilities(&'a [f32]),
}

/// What the logits are compared with, and how much each class weighs.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Labels or probabilities.
    pub values: Targets<'a>,
    /// `[classes]`; `None`: 1 each.
    pub class_weights: Option<&'a [f32]>,
}

impl Target<'_> {
    fn weight(&self, class: usize) -> f64 {
        self.class_weights.map_or(1.0, |weights| f64::from(weights[class]))
    }
}

/// A label that names no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelError {
    /// Index into the labels.
    pub index: usize,
    /// The label.
    pub label: i64,
    /// Number of classes.
    pub classes: usize,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, label, classes } = self;
        write!(
            f,
            "label {label} at position {index} is not one of the {classes} classes 0 to {}",
            classes - 1
        )
    }
}

impl std::error::Error for LabelError {}

/// `-sum over c of w_c q_c log p_c` with `p` the softmax of the logits along the middle axis of `[outer,
/// classes, inner]`, `w` the class weights, and `q = (1 - label_smoothing) target + label_smoothing /
/// classes`; with labels the class weight of the first term is the label's.
///
/// Source: ONNX SoftmaxCrossEntropyLoss; PyTorch's `CrossEntropyLoss`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    softmax: Softmax,
    ignore_index: Option<i64>,
    label_smoothing: f32,
    reduction: Reduction,
}

impl CrossEntropy {
    /// The mean over `[outer, classes, inner]`, no label ignored, no smoothing. Channels-last pictures and
    /// rows of logits have `inner` 1.
    ///
    /// # Errors
    /// Sizes of 0.
    pub fn new(classes: usize, inner: usize) -> Result<Self, ProblemError> {
        positive(classes, "classes")?;
        let softmax = Softmax::new(classes, inner)?;
        Ok(Self { softmax, ignore_index: None, label_smoothing: 0.0, reduction: Reduction::Mean })
    }

    /// Positions with this label have no loss and no weight; it need not be a class.
    pub fn with_ignore_index(self, ignore_index: Option<i64>) -> Self {
        Self { ignore_index, ..self }
    }

    /// The share of every target that is spread evenly over the classes, from 0 to 1.
    ///
    /// # Errors
    /// Numbers outside of that.
    pub fn with_label_smoothing(self, label_smoothing: f32) -> Result<Self, ProblemError> {
        if !(0.0..=1.0).contains(&label_smoothing) {
            return Err(ProblemError::Range("label smoothing must be from 0 to 1"));
        }
        Ok(Self { label_smoothing, ..self })
    }

    /// How losses are joined.
    pub fn with_reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.softmax.axis()
    }

    /// Positions behind the class axis.
    pub fn inner(&self) -> usize {
        self.softmax.inner()
    }

    /// The label that is ignored.
    pub fn ignore_index(&self) -> Option<i64> {
        self.ignore_index
    }

    /// The share of every target that is spread evenly.
    pub fn label_smoothing(&self) -> f32 {
        self.label_smoothing
    }

    /// How losses are joined.
    pub fn reduction(&self) -> Reduction {
        self.reduction
    }

    /// The number of losses: 1, or `outer inner` where nothing is reduced.
    pub fn loss_len(&self, outer: usize) -> usize {
        if self.reduction == Reduction::None { outer * self.inner() } else { 1 }
    }

    /// The class that `label` names.
    pub(crate) fn check(&self, index: usize, label: i64) -> Result<usize, LabelError> {
        let classes = self.classes();
        usize::try_from(label).ok().filter(|&class| class < classes).ok_or(LabelError {
            index,
            label,
            classes,
        })
    }

    /// Writes the loss (see [`loss_len`](Self::loss_len)) and `log_probabilities`, which the gradient reads
    /// and whose exponentials are the probabilities.
    ///
    /// # Errors
    /// The first label that names no class; nothing is written then.
    ///
    /// # Panics
    /// If a slice is shorter than `outer` blocks need.
    pub fn forward_into(
        &self,
        machine: &Machine,
        outer: usize,
        logits: &[f32],
        target: Target<'_>,
        loss: &mut [f32],
        log_probabilities: &mut [f32],
    ) -> Result<(), LabelError> {
        let terms = Terms::new(self, outer, target)?;
        let log_probabilities = &mut log_probabilities[..self.softmax.len(outer)];
        self.softmax.log_softmax_into(machine, outer, logits, log_probabilities);
        let positions = outer * self.inner();
        if self.reduction == Reduction::None {
            machine.threads.run_chunks(&mut loss[..positions], POSITIONS, |index, losses| {
                for (i, loss) in losses.iter_mut().enumerate() {
                    *loss = terms.loss(index * POSITIONS + i, log_probabilities) as f32;
                }
            });
            return Ok(());
        }
        let sum = sum_in_parts(machine, positions, |range| {
            range.map(|position| terms.loss(position, log_probabilities)).sum()
        });
        loss[0] = (sum * terms.scale) as f32;
        Ok(())
    }

    /// The gradient with respect to the logits, given `dloss` (as long as the loss); overwrites `dlogits`.
    ///
    /// With `k_c` the coefficient of `-log p_c`: `dloss (p_c sum k - k_c)`.
    ///
    /// # Errors
    /// The first label that names no class; nothing is written then.
    ///
    /// # Panics
    /// If a slice is shorter than `outer` blocks need.
    pub fn gradient_into(
        &self,
        machine: &Machine,
        outer: usize,
        log_probabilities: &[f32],
        target: Target<'_>,
        dloss: &[f32],
        dlogits: &mut [f32],
    ) -> Result<(), LabelError> {
        let terms = Terms::new(self, outer, target)?;
        let (block, inner) = (self.softmax.len(1), self.inner());
        let blocks = (CHUNK / block).max(1);
        machine.threads.run_chunks(
            &mut dlogits[..self.softmax.len(outer)],
            blocks * block,
            |index, dlogits| {
                let start = index * blocks * block;
                let x = Some(&log_probabilities[start..start + dlogits.len()]);
                machine.isa.run(Elements { out: dlogits, x, others: [], map: Exponential });
                for position in 0..dlogits.len() / self.classes() {
                    let block = &mut dlogits[position / inner * block..];
                    terms.gradient(index * blocks * inner + position, dloss, &mut block[position % inner..]);
                }
            },
        );
        Ok(())
    }
}

/// Positions of one task.
const POSITIONS: usize = 1024;

#[derive(Clone, Copy)]
struct Exponential;

impl Map<0> for Exponential {
    #[inline(always)]
    fn apply<L: Lanes>(self, lanes: L, x: L::Vector, _: [L::Vector; 0]) -> L::Vector {
        exp(lanes, x)
    }
}

/// The coefficients of `-log p` in the losses of all positions, and what their sum is multiplied with.
struct Terms<'a> {
    problem: &'a CrossEntropy,
    target: Target<'a>,
    /// The coefficient that smoothing gives a class of weight 1.
    spread: f64,
    scale: f64,
}

impl<'a> Terms<'a> {
    /// Checks every label.
    fn new(problem: &'a CrossEntropy, outer: usize, target: Target<'a>) -> Result<Self, LabelError> {
        let positions = outer * problem.inner();
        let divisor = match target.values {
            Targets::Probabilities(_) => positions as f64,
            Targets::Labels(labels) => {
                let mut sum = 0.0;
                for (index, &label) in labels[..positions].iter().enumerate() {
                    if Some(label) != problem.ignore_index {
                        sum += target.weight(problem.check(index, label)?);
                    }
                }
                sum
            }
        };
        let scale = match problem.reduction {
            Reduction::Mean if divisor == 0.0 => 0.0,
            Reduction::Mean => 1.0 / divisor,
            Reduction::Sum | Reduction::None => 1.0,
        };
        let spread = f64::from(problem.label_smoothing) / problem.classes() as f64;
        Ok(Self { problem, target, spread, scale })
    }

    /// The coefficient of every class that has one at `position`.
    fn coefficients(&self, position: usize) -> impl Iterator<Item = (usize, f64)> {
        let (classes, inner) = (self.problem.classes(), self.problem.inner());
        let share = 1.0 - f64::from(self.problem.label_smoothing);
        let start = position / inner * classes * inner + position % inner;
        let label = self.label(position);
        let range = match (self.target.values, label) {
            (Targets::Labels(_), None) => 0..0,
            (Targets::Labels(_), Some(label)) if self.spread == 0.0 => label..label + 1,
            _ => 0..classes,
        };
        range.map(move |class| {
            let target = match self.target.values {
                Targets::Labels(_) => f64::from(label == Some(class)),
                Targets::Probabilities(values) => f64::from(values[start + class * inner]),
            };
            (class, self.target.weight(class) * (share * target + self.spread))
        })
    }

    /// The label at `position`, if there is one and it is not ignored.
    fn label(&self, position: usize) -> Option<usize> {
        match self.target.values {
            Targets::Labels(labels) => {
                Some(labels[position]).filter(|&label| Some(label) != self.problem.ignore_index)
            }
            Targets::Probabilities(_) => None,
        }
        .map(|label| label as usize)
    }

    fn loss(&self, position: usize, log_probabilities: &[f32]) -> f64 {
        let (classes, inner) = (self.problem.classes(), self.problem.inner());
        let start = position / inner * classes * inner + position % inner;
        // A coefficient of 0 must silence a log-probability of minus infinity.
        let terms = self.coefficients(position).filter(|term| term.1 != 0.0);
        -terms.map(|(class, k)| k * f64::from(log_probabilities[start + class * inner])).sum::<f64>()
    }

    /// Overwrites probabilities with gradients; `dlogits` starts at the position's first class.
    fn gradient(&self, position: usize, dloss: &[f32], dlogits: &mut [f32]) {
        let (classes, inner) = (self.problem.classes(), self.problem.inner());
        let reduced = self.problem.reduction != Reduction::None;
        let dloss = f64::from(dloss[if reduced { 0 } else { position }]) * self.scale;
        let total: f64 = self.coefficients(position).map(|term| term.1).sum();
        let factor = (dloss * total) as f32;
        (0..classes).for_each(|class| dlogits[class * inner] *= factor);
        for (class, coefficient) in self.coefficients(position) {
            dlogits[class * inner] -= (dloss * coefficient) as f32;
        }
    }
}

#[cfg(test)]
mod tests;
