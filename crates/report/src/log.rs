//! The log of a run, `metrics.jsonl`: one JSON object per line.
//!
//! ```text
//! {"event":"step","step":12,"epoch":0,"loss":2.3021,"loss_bits":1075000000,"rate":0.01}
//! {"event":"epoch","epoch":0,"step":67,"train_loss":0.9,"validation_loss":0.7,"validation_accuracy":0.8,"seconds":1.2}
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use crate::ReportError;

/// One step of training. What the log lacks, or gives as null, is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord {
    /// Number of the step within the run.
    pub step: u64,
    /// Mean loss over the batch.
    pub loss: f64,
    /// Learning rate.
    pub rate: f64,
}

/// The end of an epoch. What the log lacks, or gives as null, is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRecord {
    /// Number of the epoch, from 0.
    pub epoch: u64,
    /// Number of the step at which it ended.
    pub step: u64,
    /// Mean loss over the epoch's batches.
    pub train_loss: f64,
    /// Mean loss over the held-out samples.
    pub validation_loss: f64,
    /// Part of the held-out samples classified rightly, 0 to 1.
    pub validation_accuracy: f64,
    /// How long the epoch took, in seconds.
    pub seconds: f64,
}

/// What a run has logged so far, steps and epochs each in rising order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunLog {
    /// The steps.
    pub steps: Vec<StepRecord>,
    /// The epochs that have ended.
    pub epochs: Vec<EpochRecord>,
}

#[derive(Deserialize)]
struct Line {
    event: String,
    step: Option<u64>,
    epoch: Option<u64>,
    loss: Option<f64>,
    rate: Option<f64>,
    train_loss: Option<f64>,
    validation_loss: Option<f64>,
    validation_accuracy: Option<f64>,
    seconds: Option<f64>,
}

impl RunLog {
    /// Reads `metrics.jsonl` of a run folder.
    ///
    /// # Errors
    /// As [`RunLog::parse`]; [`ReportError::File`] where the file cannot be opened.
    pub fn read(run: &Path) -> Result<Self, ReportError> {
        let file = run.join("metrics.jsonl");
        match File::open(&file) {
            Ok(open) => Self::parse(BufReader::new(open), &file),
            Err(source) => Err(ReportError::File { file, source }),
        }
    }

    /// Reads a log; `file` names it in errors.
    ///
    /// Events other than `step` and `epoch` are skipped. A run that was resumed logs some steps again: the later
    /// lines stand. A last line that was cut off is left out.
    ///
    /// # Errors
    /// [`ReportError::Line`] for a line before the last that is not such an object, [`ReportError::File`] where
    /// reading fails.
    pub fn parse(mut reader: impl BufRead, file: &Path) -> Result<Self, ReportError> {
        let mut log = Self::default();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes);
            if read.map_err(|source| ReportError::File { file: file.into(), source })? == 0 {
                break;
            }
            let complete = bytes.ends_with(b"\n");
            match parse_line(&bytes).and_then(|parsed| parsed.map_or(Ok(()), |parsed| log.push(&parsed))) {
                Err(cause) if complete => return Err(ReportError::Line { file: file.into(), line, cause }),
                _ => {}
            }
        }
        Ok(log)
    }

    fn push(&mut self, line: &Line) -> Result<(), String> {
        let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let step = || line.step.ok_or_else(|| format!("event \"{}\" without \"step\"", line.event));
        match line.event.as_str() {
            "step" => {
                let step = step()?;
                self.rewind(step);
                self.steps.push(StepRecord { step, loss: or_nan(line.loss), rate: or_nan(line.rate) });
            }
            "epoch" => {
                let step = step()?;
                self.epochs.retain(|earlier| earlier.step < step);
                self.epochs.push(EpochRecord {
                    epoch: line.epoch.unwrap_or(self.epochs.len() as u64),
                    step,
                    train_loss: or_nan(line.train_loss),
                    validation_loss: or_nan(line.validation_loss),
                    validation_accuracy: or_nan(line.validation_accuracy),
                    seconds: or_nan(line.seconds),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets what a run logged from that step on, before it was killed and resumed.
    fn rewind(&mut self, step: u64) {
        let kept = self.steps.partition_point(|earlier| earlier.step < step);
        if kept < self.steps.len() {
            self.steps.truncate(kept);
            // An epoch that ended just before this step stands, whether steps are counted from 0 or 1.
            self.epochs.retain(|earlier| earlier.step <= step);
        }
    }
}

/// A blank line is no event.
fn parse_line(bytes: &[u8]) -> Result<Option<Line>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    // JSON has no NaN or infinity, yet some writers put the bare words.
    let parsed = serde_json::from_str(text).or_else(|error| {
        let words = ["NaN", "-Infinity", "Infinity"];
        let spelt = words
            .iter()
            .fold(text.replace(": ", ":"), |text, word| text.replace(&format!(":{word}"), ":null"));
        serde_json::from_str(&spelt).map_err(|_| error.to_string())
    });
    parsed.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RunLog, ReportError> {
        RunLog::parse(text.as_bytes(), Path::new("metrics.jsonl"))
    }

    #[test]
    fn steps_and_epochs_are_read_and_other_events_skipped() {
        let log = parse(concat!(
            "{\"event\":\"start\",\"seed\":1}\n",
            "{\"event\":\"step\",\"step\":12,\"epoch\":0,\"loss\":2.5,\"loss_bits\":1075838976,\"rate\":0.01}\n",
            "\n",
            "{\"event\":\"epoch\",\"epoch\":0,\"step\":67,\"train_loss\":0.5,\"validation_loss\":0.25,",
            "\"validation_accuracy\":0.75,\"seconds\":2}\n",
        ))
        .unwrap();
        assert_eq!(log.steps, [StepRecord { step: 12, loss: 2.5, rate: 0.01 }]);
        let epoch = EpochRecord {
            epoch: 0,
            step: 67,
            train_loss: 0.5,
            validation_loss: 0.25,
            validation_accuracy: 0.75,
            seconds: 2.0,
        };
        assert_eq!(log.epochs, [epoch]);
    }

    #[test]
    fn missing_null_and_nan_are_nan() {
        for field in ["", ",\"loss\":null", ",\"loss\":NaN", ",\"loss\": -Infinity"] {
            let log = parse(&format!("{{\"event\":\"step\",\"step\":1{field}}}\n")).unwrap();
            assert!(log.steps[0].loss.is_nan() && log.steps[0].rate.is_nan(), "{field}");
        }
    }

    #[test]
    fn a_cut_last_line_is_left_out_and_a_broken_middle_one_named() {
        let whole = "{\"event\":\"step\",\"step\":1,\"loss\":1}\n";
        assert_eq!(parse(&format!("{whole}{{\"event\":\"st")).unwrap().steps.len(), 1);
        let error = parse(&format!("{whole}{{\"event\":\"st\n{whole}")).unwrap_err();
        assert!(error.to_string().starts_with("metrics.jsonl, line 2: "), "{error}");
        let error = parse("{\"event\":\"step\"}\n").unwrap_err();
        assert_eq!(error.to_string(), "metrics.jsonl, line 1: event \"step\" without \"step\"");
        assert!(RunLog::parse(&b"\xff\xfe\n"[..], Path::new("m")).is_err());
    }

    #[test]
    fn a_resumed_run_replaces_the_steps_it_repeats() {
        let step = |step: u64, loss: u64| format!("{{\"event\":\"step\",\"step\":{step},\"loss\":{loss}}}\n");
        let epoch = "{\"event\":\"epoch\",\"step\":3}\n";
        let text = [step(1, 9), step(2, 9), step(3, 9), epoch.into(), step(2, 5), step(3, 4)].concat();
        let log = parse(&text).unwrap();
        let losses: Vec<f64> = log.steps.iter().map(|step| step.loss).collect();
        assert_eq!(losses, [9.0, 5.0, 4.0]);
        assert!(log.epochs.is_empty());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = RunLog::read(Path::new("no/such/run")).unwrap_err().to_string();
        assert!(error.starts_with("no/such/run/metrics.jsonl: "), "{error}");
    }
}
