//! A validation part for sets that come without one.

use std::fmt;

use crate::DataSet;
use crate::random::Random;

/// What a split did, for the log.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Split {
    /// Share asked for.
    pub fraction: f64,
    /// Seed of the draw.
    pub seed: u64,
    /// Samples left to train on.
    pub train: usize,
    /// Samples taken for validation.
    pub validation: usize,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no validation part: {} of {} training samples set aside, by class, with seed {}",
            self.validation,
            self.train + self.validation,
            self.seed
        )
    }
}

impl DataSet {
    /// Sets aside a share of the training part for validation, the same share of every class, if there is no validation part
    /// yet. A class of two or more keeps at least one sample on either side; the rest is rounded. Both parts keep
    /// the order of the samples. The draw depends on `seed` and a sample's place in its class alone.
    ///
    /// Returns what it did, if anything: a share of zero or less does nothing, one above a half of every class is allowed.
    pub fn split_validation(&mut self, fraction: f64, seed: u64) -> Option<Split> {
        if self.validation.is_some() || self.train.is_empty() || fraction.is_nan() || fraction <= 0.0 {
            return None;
        }
        let mut chosen = vec![false; self.train.len()];
        for class in 0..self.classes.len() {
            let mut members: Vec<_> =
                (0..self.train.len()).filter(|i| self.train.label(*i) == class).collect();
            Random::for_split(seed, class as u64).shuffle(&mut members);
            members[..share(members.len(), fraction)].iter().for_each(|index| chosen[*index] = true);
        }
        let (validation, train): (Vec<_>, Vec<_>) = (0..chosen.len()).partition(|index| chosen[*index]);
        let split = Split { fraction, seed, train: train.len(), validation: validation.len() };
        self.validation = Some(self.train.subset(&validation));
        self.train = self.train.subset(&train);
        Some(split)
    }
}

fn share(members: usize, fraction: f64) -> usize {
    let rounded = (members as f64 * fraction).round() as usize;
    if members < 2 { 0 } else { rounded.clamp(1, members - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_gives_its_share_and_nothing_is_lost() {
        let mut set = crate::digits();
        let before = set.train.class_counts(10);
        let split = set.split_validation(0.1, 3).unwrap();
        let validation = set.validation.as_ref().unwrap();
        let (kept, taken) = (set.train.class_counts(10), validation.class_counts(10));
        for class in 0..10 {
            assert_eq!(kept[class] + taken[class], before[class]);
            assert_eq!(taken[class], (before[class] as f64 / 10.0).round() as usize);
        }
        let mut names: Vec<_> = (0..set.train.len()).map(|i| set.train.name(i)).collect();
        names.extend((0..validation.len()).map(|i| validation.name(i)));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 8_500);
        assert!(split.to_string().contains(&format!("{} of 8500 training samples", validation.len())));
    }

    #[test]
    fn a_split_depends_on_its_seed_alone() {
        let names = |seed| {
            let mut set = crate::digits();
            set.split_validation(0.05, seed).unwrap();
            let part = set.validation.unwrap();
            (0..part.len()).map(|i| part.name(i)).collect::<Vec<_>>()
        };
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn a_set_with_a_validation_part_is_left_alone() {
        let mut set = crate::digits();
        set.validation = Some(set.train.subset(&[0]));
        assert_eq!(set.split_validation(0.5, 0), None);
        assert_eq!(crate::digits().split_validation(0.0, 0), None);
    }

    #[test]
    fn small_classes_keep_one_on_either_side() {
        assert_eq!([share(1, 0.5), share(2, 0.01), share(2, 1.0), share(10, 0.25)], [0, 1, 1, 3]);
    }
}
