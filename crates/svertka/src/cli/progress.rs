//! What is shown of a run while it runs: a bar on a terminal, lines otherwise.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use svertka_train::{EpochEnd, Event, Observer, Start};

use super::console::{BARS, note};

/// Shows a run. Every epoch leaves a line.
pub(crate) struct Display {
    bar: ProgressBar,
    epochs: u64,
    /// The loss, smoothed over the last steps.
    loss: Option<f32>,
}

/// Share that a new loss has in the one shown.
const SMOOTHING: f32 = 0.05;

impl Display {
    pub(crate) fn new() -> Self {
        Self { bar: ProgressBar::hidden(), epochs: 0, loss: None }
    }

    fn start(&mut self, start: &Start) {
        let Start { samples, validation_samples, trainable, isa, threads, steps, settings, .. } = start;
        note(&format!(
            "{samples} samples to learn from, {validation_samples} to evaluate on, {trainable} parameters; \
             {isa}, {threads} threads"
        ));
        self.epochs = settings.epochs;
        if io::stderr().is_terminal() {
            self.bar = BARS.add(ProgressBar::new(*steps).with_style(style()));
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    fn step(&mut self, step: u64, loss: f32) {
        let shown = self.loss.map_or(loss, |shown| shown + SMOOTHING * (loss - shown));
        self.loss = Some(shown);
        self.bar.set_position(step);
        self.bar.set_message(format!("{shown:.4}"));
    }

    fn epoch(&self, end: &EpochEnd) {
        let EpochEnd { epoch, train_loss, validation_loss, seconds, .. } = end;
        let mut line = format!("epoch {:>3} of {}  loss {train_loss:.4}", epoch + 1, self.epochs);
        if let Some(accuracy) = end.validation_accuracy() {
            line += &format!("  validation loss {validation_loss:.4}, accuracy {:.2} %", 100.0 * accuracy);
        }
        let best = if end.best { "  best" } else { "" };
        note(&format!("{line}  {seconds:.1} s{best}"));
    }
}

impl Observer for Display {
    fn observe(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Start(start) => self.start(start),
            Event::Split(split) => note(&split.to_string()),
            Event::Resume(at) => {
                self.bar.set_position(at.step);
                self.bar.reset_eta();
                note(&format!("goes on after step {} in epoch {}", at.step, at.epoch + 1));
            }
            Event::Step(step) => self.step(step.step, step.loss),
            Event::Broken(sample) => note(&format!("skipped {}", sample.broken)),
            Event::Epoch(end) => self.epoch(end),
            Event::Checkpoint(written) => {
                tracing::debug!("{}: step {}", written.path.display(), written.step);
            }
            Event::Stop(_) | Event::Finish(_) => self.bar.finish_and_clear(),
        }
        Ok(())
    }
}

impl Drop for Display {
    /// An error must not be written into a bar.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} steps, {speed}/s  loss {msg}  {eta} left");
    let speed = |state: &ProgressState, text: &mut dyn fmt::Write| {
        text.write_fmt(format_args!("{:.0}", state.per_sec())).expect("a text can be written to");
    };
    style.expect("the template is well-formed").with_key("speed", speed).progress_chars("━╸─")
}
