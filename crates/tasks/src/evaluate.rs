use crate::{Model, TaskError, targets::class::Confusion};
use serde::Serialize;
use svertka_data::{Broken, Part};
use svertka_engine::cpu::Workspace;
use svertka_train::{EvaluationJob, EvaluationOptions};

/// What a model is worth on a part of a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The share of samples that were taken for what they are, 0 to 1.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Samples that were measured.
    pub samples: usize,
    /// Samples that could not be used.
    pub broken: Vec<Broken>,
    /// By class and by what it was taken for: numbers of samples.
    pub confusion: Vec<Vec<u64>>,
    /// Class by class.
    pub classes: Vec<ClassScore>,
}

/// How a class fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// Its name.
    pub name: String,
    /// Its samples.
    pub samples: u64,
    /// The share of them that was recognised; NaN (in JSON: null) without any.
    pub recall: f64,
    /// The share that it has among what was taken for it; NaN if that is nothing.
    pub precision: f64,
}

/// Measures a model on a part of a data set with these classes. A network of a fixed batch takes its own.
///
/// # Errors
/// [`TaskError::UnknownClass`] if the model does not know one of the classes; [`TaskError::Data`] if no picture can be read;
/// [`TaskError::Train`] for too many broken ones or pictures that do not fit the network.
pub fn evaluate(
    model: &Model,
    classes: &[String],
    part: &Part,
    options: EvaluationOptions,
    workspace: impl Into<Workspace>,
) -> Result<Evaluation, TaskError> {
    let samples = model.input.samples(part, model.target.labels(classes)?)?;
    let graph = model.target.with_loss(&model.graph, 0.0)?;
    let mut confusion = Confusion::new(model.target.classes.len());
    let (parameters, workspace) = (&model.parameters, workspace.into());
    let job = EvaluationJob { graph: &graph, parameters, examples: samples, options, workspace };
    let (measured, broken) = svertka_train::evaluate(job, &mut confusion)?;
    let rows: Vec<Vec<u64>> = confusion.rows().map(<[u64]>::to_vec).collect();
    Ok(Evaluation {
        accuracy: measured.metric,
        loss: measured.loss,
        samples: measured.samples,
        broken,
        classes: class_scores(&model.target.classes, &rows),
        confusion: rows,
    })
}

fn class_scores(names: &[String], rows: &[Vec<u64>]) -> Vec<ClassScore> {
    let score = |(class, name): (usize, &String)| {
        let (samples, taken): (u64, u64) =
            (rows[class].iter().sum(), rows.iter().map(|row| row[class]).sum());
        let share = |of: u64| rows[class][class] as f64 / of as f64;
        ClassScore { name: name.clone(), samples, recall: share(samples), precision: share(taken) }
    };
    names.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_along_rows_and_precision_along_columns() {
        let scores = class_scores(&["a".into(), "b".into()], &[vec![3, 1], vec![0, 0]]);
        assert_eq!((scores[0].samples, scores[0].recall, scores[0].precision), (4, 0.75, 1.0));
        assert_eq!((scores[1].samples, scores[1].precision), (0, 0.0));
        assert!(scores[1].recall.is_nan());
    }
}
