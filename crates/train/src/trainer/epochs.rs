//! What happens at the end of epochs and between them: evaluation, the best, checkpoints.

use super::{BEST, CHECKPOINT, Outcome, Trained, Trainer};
use crate::{
    Best, BrokenSample, EpochEnd, Event, Finish, Keep, Measured, Observer, Progress, Settings, TrainError,
    Written, checkpoint,
};
use std::collections::BTreeMap;
use svertka_data::Broken;
use svertka_graph::Parameters;

impl Trainer {
    /// Evaluates, keeps the best and goes on to the next epoch.
    pub(super) fn end_epoch(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.count_seconds();
        let measured = self.evaluate(observer)?;
        let best = measured.map_or(Ok(false), |measured| self.keep_best(measured))?;
        let after = (self.clock)();
        let name = format!("validation_{}", self.metric.name());
        let event = EpochEnd {
            epoch: self.progress.epoch,
            step: self.position().step,
            train_loss: self.progress.loss / self.progress.samples as f64,
            validation_loss: measured.map_or(f64::NAN, |measured| measured.loss),
            metrics: measured.map(|measured| (name, measured.metric)).into_iter().collect::<BTreeMap<_, _>>(),
            seconds: self.progress.seconds,
            validation_seconds: after.saturating_sub(self.counted).as_secs_f64(),
            best,
        };
        self.counted = after;
        self.progress = Progress {
            epoch: self.progress.epoch + 1,
            batch: 0,
            loss: 0.0,
            samples: 0,
            seconds: 0.0,
            ..std::mem::take(&mut self.progress)
        };
        observer.observe(&Event::Epoch(event))?;
        Ok(())
    }

    /// Measures the values that would be kept: the average, where there is one, in the place of the weights for so long.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<Option<Measured>, TrainError> {
        let Some(loader) = &self.validation else { return Ok(None) };
        self.network.state.exchange_average();
        let measured = self.evaluator.run(loader, &mut self.network, &mut *self.metric);
        self.network.state.exchange_average();
        let (broken, step) = (loader.broken(), self.position().step);
        report_broken(&broken, &mut self.progress.validation_broken, ("validation", step), observer)?;
        measured.map(Some)
    }

    /// Whether this epoch is the best so far; if so, and if it may be asked for, its values are put aside.
    fn keep_best(&mut self, measured: Measured) -> Result<bool, TrainError> {
        let Measured { metric, loss, .. } = measured;
        let better = |best: Best| metric > best.metric || metric == best.metric && loss < best.loss;
        if !loss.is_finite() || !metric.is_finite() || !self.progress.best.is_none_or(better) {
            return Ok(false);
        }
        self.progress.best = Some(Best { epoch: self.progress.epoch, metric, loss });
        if self.settings.keep == Keep::Best {
            let parameters = self.present();
            if let Some(folder) = &self.folder {
                checkpoint::save_parameters(&folder.join(BEST), &parameters)?;
            }
            self.best = Some(parameters);
        }
        Ok(true)
    }

    /// The values that stand for the network now.
    fn present(&self) -> Parameters {
        self.network.state.average().unwrap_or_else(|| self.network.state.parameters())
    }

    pub(super) fn finish(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let best = self.progress.best;
        let (parameters, epoch) = match (self.settings.keep, best) {
            (Keep::Best, Some(best)) => (self.best_parameters()?, Some(best.epoch)),
            _ => (self.present(), self.progress.epoch.checked_sub(1)),
        };
        observer.observe(&Event::Finish(Finish { step: self.position().step, kept_epoch: epoch }))?;
        Ok(Outcome::Finished(Trained { parameters, epoch, best }))
    }

    /// The values of the best epoch: at hand, or in the file of the run that was resumed.
    fn best_parameters(&mut self) -> Result<Parameters, TrainError> {
        match (self.best.take(), &self.folder) {
            (None, Some(folder)) => Ok(checkpoint::load_parameters(&folder.join(BEST))?),
            (best, _) => Ok(best.unwrap_or_else(|| self.present())),
        }
    }

    /// Adds the time since it was last called to the epoch's.
    pub(super) fn count_seconds(&mut self) {
        let now = (self.clock)();
        self.progress.seconds += now.saturating_sub(self.counted).as_secs_f64();
        self.counted = now;
    }

    /// Not at an epoch's last step: its end writes one, after the evaluation.
    pub(super) fn checkpoint_is_due(&self) -> bool {
        let Settings { checkpoint_steps, checkpoint_seconds, .. } = self.settings;
        let steps = self.position().step - self.saved.1;
        let seconds = || (self.clock)().saturating_sub(self.saved.0).as_secs_f64();
        self.folder.is_some()
            && self.progress.batch < self.train.batches()
            && (checkpoint_steps > 0 && steps >= checkpoint_steps
                || checkpoint_seconds > 0.0 && seconds() >= checkpoint_seconds)
    }

    pub(super) fn save(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(CHECKPOINT)) else { return Ok(()) };
        self.count_seconds();
        checkpoint::save(&path, &self.network.state, &self.progress, &self.facts)?;
        let step = self.position().step;
        self.saved = ((self.clock)(), step);
        observer.observe(&Event::Checkpoint(Written { step, path }))?;
        Ok(())
    }
}

/// Reports the broken samples that are not known yet, and knows them from then on.
pub(super) fn report_broken(
    found: &[Broken],
    known: &mut Vec<Broken>,
    (part, step): (&'static str, u64),
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    for broken in found {
        if known.iter().all(|other| other.index != broken.index) {
            known.push(broken.clone());
            observer.observe(&Event::Broken(BrokenSample { step, part, broken: broken.clone() }))?;
        }
    }
    Ok(())
}
