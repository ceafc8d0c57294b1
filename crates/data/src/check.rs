//! `svertka data check`: everything that is wrong with a data set, before it is trained on.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use svertka_image::Size;

use crate::{Broken, DataSet, Error, Part, open};

/// Times the smallest class fits into the largest before it is worth a remark.
const IMBALANCE: f64 = 10.0;

/// Lines of a kind that `Display` prints; serde writes all.
const LINES: usize = 20;

/// What a data set holds and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Name of the set.
    pub name: String,
    /// Samples of each class.
    pub classes: Vec<ClassCount>,
    /// What each part holds.
    pub parts: Vec<PartReport>,
    /// Equal files in two parts: what is learnt is also tested.
    pub duplicates: Vec<Duplicate>,
    /// Files that equal an earlier one of their own part.
    pub repeated: usize,
    /// Samples of the largest class for each of the smallest, in the first part.
    pub imbalance: f64,
    /// Why it cannot be trained on, if it cannot.
    pub untrainable: Option<String>,
}

/// Number of samples of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Its samples in each part, in the order of [`CheckReport::parts`].
    pub samples: Vec<usize>,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// Number of samples, broken ones included.
    pub samples: usize,
    /// Smallest and largest width and height.
    pub sizes: Option<(Size, Size)>,
    /// Whether all pictures have one size.
    pub one_size: bool,
    /// Pictures by number of channels.
    pub channels: BTreeMap<usize, usize>,
    /// Pictures of 16 bits a sample.
    pub sixteen_bit: usize,
    /// Samples that cannot be read, with their cause.
    pub broken: Vec<Broken>,
}

/// One file in two parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// Name in the earlier part.
    pub first: String,
    /// Name in the later part.
    pub second: String,
    /// Whether both have one label.
    pub same_class: bool,
}

/// Opens a path and reads all of it.
///
/// # Errors
/// As [`open`]; broken samples are part of the report.
pub fn check(path: impl AsRef<Path>) -> Result<CheckReport, Error> {
    Ok(check_data_set(&open(path)?))
}

/// Reads every sample of a data set.
pub fn check_data_set(set: &DataSet) -> CheckReport {
    let parts: Vec<_> = set.parts().collect();
    let facts: Vec<Vec<Fact>> = parts
        .iter()
        .map(|(_, part)| (0..part.len()).into_par_iter().map(|i| look(part, i)).collect())
        .collect();
    let counts: Vec<_> = parts.iter().map(|(_, part)| part.class_counts(set.classes.len())).collect();
    let class = |(label, name): (usize, &String)| ClassCount {
        name: name.clone(),
        samples: counts.iter().map(|counts| counts[label]).collect(),
    };
    let (duplicates, repeated) = find_duplicates(&parts, &facts);
    CheckReport {
        name: set.name.clone(),
        classes: set.classes.iter().enumerate().map(class).collect(),
        parts: parts.iter().zip(&facts).map(|((name, part), facts)| summarise(name, part, facts)).collect(),
        duplicates,
        repeated,
        imbalance: counts.first().map_or(1.0, |counts| imbalance(counts)),
        untrainable: set.check_trainable().err().map(|error| error.to_string()),
    }
}

/// What is kept of a sample once it has been read.
struct Fact {
    hash: Option<u64>,
    form: Result<(Size, usize, u32), String>,
}

fn look(part: &Part, index: usize) -> Fact {
    let bytes = match part.bytes(index) {
        Ok(bytes) => bytes,
        Err(error) => return Fact { hash: None, form: Err(error.to_string()) },
    };
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let picture = part.picture_of(bytes);
    let form = picture.map(|picture| (picture.size(), picture.channels(), picture.bits()));
    Fact { hash: Some(hasher.finish()), form: form.map_err(|error| error.to_string()) }
}

fn summarise(name: &str, part: &Part, facts: &[Fact]) -> PartReport {
    let forms: Vec<_> = facts.iter().filter_map(|fact| fact.form.as_ref().ok()).collect();
    let mut channels = BTreeMap::new();
    forms.iter().for_each(|(_, count, _)| *channels.entry(*count).or_insert(0) += 1);
    let broken = facts.iter().enumerate().filter_map(|(index, fact)| {
        let cause = fact.form.as_ref().err()?.clone();
        Some(Broken { index, name: part.name(index), cause })
    });
    PartReport {
        name: name.to_string(),
        samples: part.len(),
        sizes: forms.iter().map(|(size, ..)| (*size, *size)).reduce(extremes),
        one_size: forms.windows(2).all(|pair| pair[0].0 == pair[1].0),
        channels,
        sixteen_bit: forms.iter().filter(|(_, _, bits)| *bits == 16).count(),
        broken: broken.collect(),
    }
}

fn extremes(a: (Size, Size), b: (Size, Size)) -> (Size, Size) {
    let smallest = Size { width: a.0.width.min(b.0.width), height: a.0.height.min(b.0.height) };
    let largest = Size { width: a.1.width.max(b.1.width), height: a.1.height.max(b.1.height) };
    (smallest, largest)
}

/// Equal samples in different parts, and the number of those in one part. Equal hashes are confirmed by the bytes.
fn find_duplicates(parts: &[(&str, &Part)], facts: &[Vec<Fact>]) -> (Vec<Duplicate>, usize) {
    let mut first_with: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    let (mut duplicates, mut repeated) = (Vec::new(), 0);
    for (number, (_, part)) in parts.iter().enumerate() {
        for (index, fact) in facts[number].iter().enumerate() {
            let Some(hash) = fact.hash else { continue };
            let (earlier, other) = *first_with.entry(hash).or_insert((number, index));
            let other_part = parts[earlier].1;
            if (earlier, other) == (number, index) || !equal(other_part, other, part, index) {
                continue;
            }
            if earlier == number {
                repeated += 1;
            } else {
                let same_class = other_part.label(other) == part.label(index);
                let (first, second) = (other_part.name(other), part.name(index));
                duplicates.push(Duplicate { first, second, same_class });
            }
        }
    }
    (duplicates, repeated)
}

fn equal(first: &Part, i: usize, second: &Part, j: usize) -> bool {
    matches!((first.bytes(i), second.bytes(j)), (Ok(a), Ok(b)) if a == b)
}

fn imbalance(counts: &[usize]) -> f64 {
    let largest = counts.iter().max().copied().unwrap_or(0);
    let smallest = counts.iter().min().copied().unwrap_or(0);
    largest as f64 / smallest.max(1) as f64
}

impl CheckReport {
    /// A row for each class, a column for each part.
    fn write_classes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.classes.iter().map(|class| class.name.chars().count());
        let width = names.max().unwrap_or(0).max("class".len());
        let heads: String = self.parts.iter().map(|part| format!(" {:>10}", part.name)).collect();
        writeln!(f, "  {:width$}{heads}", "class")?;
        for class in &self.classes {
            let counts: String = class.samples.iter().map(|count| format!(" {count:>10}")).collect();
            writeln!(f, "  {:width$}{counts}", class.name)?;
        }
        Ok(())
    }

    /// Number of samples that cannot be read.
    pub fn broken(&self) -> usize {
        self.parts.iter().map(|part| part.broken.len()).sum()
    }

    /// Whether nothing is wrong: no broken samples, no duplicates between parts, and it can be trained on.
    pub fn is_clean(&self) -> bool {
        self.broken() == 0 && self.duplicates.is_empty() && self.untrainable.is_none()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, count(self.classes.len(), "class", "classes"))?;
        self.parts.iter().try_for_each(|part| write!(f, "{part}"))?;
        self.write_classes(f)?;
        if self.imbalance >= IMBALANCE {
            writeln!(
                f,
                "unbalanced: the largest class has {:.0} times as many samples as the smallest",
                self.imbalance
            )?;
        }
        if self.repeated > 0 {
            writeln!(f, "{} samples repeat another of their part", self.repeated)?;
        }
        let duplicate = |duplicate: &Duplicate| {
            let labels = if duplicate.same_class { "" } else { " (with another label)" };
            format!("{} is also {}{labels}", duplicate.second, duplicate.first)
        };
        write_lines(f, "duplicates between parts", self.duplicates.iter().map(duplicate))?;
        let broken = self.parts.iter().flat_map(|part| &part.broken);
        write_lines(f, "broken", broken.map(ToString::to_string))?;
        match &self.untrainable {
            Some(cause) => writeln!(f, "cannot be trained on: {cause}"),
            None if self.is_clean() => writeln!(f, "nothing is wrong"),
            None => Ok(()),
        }
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A title with a count, and the first of the lines.
fn write_lines(f: &mut fmt::Formatter<'_>, title: &str, lines: impl Iterator<Item = String>) -> fmt::Result {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "{}: {title}", lines.len())?;
    lines.iter().take(LINES).try_for_each(|line| writeln!(f, "  {line}"))?;
    if lines.len() > LINES { writeln!(f, "  and {} more", lines.len() - LINES) } else { Ok(()) }
}

impl fmt::Display for PartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: {}", self.name, count(self.samples, "sample", "samples"))?;
        match self.sizes {
            Some((size, _)) if self.one_size => write!(f, ", {size} pixels")?,
            Some((smallest, largest)) => write!(f, ", {smallest} to {largest} pixels")?,
            None => {}
        }
        for (channels, pictures) in &self.channels {
            write!(f, ", {pictures} of {}", count(*channels, "channel", "channels"))?;
        }
        if self.sixteen_bit > 0 {
            write!(f, ", {} of 16 bits", self.sixteen_bit)?;
        }
        writeln!(f)
    }
}
