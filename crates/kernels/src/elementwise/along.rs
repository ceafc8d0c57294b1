//! Places and order along one axis.

use crate::Machine;
use crate::SharedMut;
use crate::problem::{ProblemError, positive};
use std::cmp::Ordering;

/// Places are kept as f32, which are exact up to here.
const LARGEST: usize = 1 << 24;

fn check(size: usize, inner: usize) -> Result<(), ProblemError> {
    positive(size, "an axis with an extreme")?;
    positive(inner, "the values behind an axis")?;
    match size <= LARGEST {
        true => Ok(()),
        false => Err(ProblemError::Range("an axis whose places are counted has at most 2^24 values")),
    }
}

/// Whether `value` stands before `other`; NaN stands before every number, as NumPy's extremes have it.
fn precedes(largest: bool, value: f32, other: f32) -> bool {
    match (value.is_nan(), other.is_nan()) {
        (nan, other_nan) if nan || other_nan => nan && !other_nan,
        _ if largest => value > other,
        _ => value < other,
    }
}

/// ONNX's ArgMax and ArgMin. Shape: x `[outer, size, inner]` -> y `[outer, inner]`, places as f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgExtreme {
    size: usize,
    inner: usize,
    largest: bool,
    select_last: bool,
}

impl ArgExtreme {
    /// Along an axis of `size` values with `inner` values behind each. Of equal extremes the first one is taken, or with
    /// `select_last` the last.
    ///
    /// # Errors
    /// Sizes of 0 or above 2²⁴.
    pub fn new(size: usize, inner: usize, largest: bool, select_last: bool) -> Result<Self, ProblemError> {
        check(size, inner)?;
        Ok(Self { size, inner, largest, select_last })
    }

    /// The size of the axis and the number of values behind each.
    pub fn sizes(&self) -> [usize; 2] {
        [self.size, self.inner]
    }

    /// Whether the largest is sought, and whether the last of equal ones is taken.
    pub fn choices(&self) -> [bool; 2] {
        [self.largest, self.select_last]
    }

    /// Writes the places; how many `outer` rows there are is said by the slices.
    ///
    /// # Panics
    /// If x is shorter than y's rows need.
    pub fn index_into(&self, machine: &Machine, x: &[f32], y: &mut [f32]) {
        machine.threads.run_chunks(y, self.inner, |outer, y| {
            let x = &x[outer * self.size * self.inner..(outer + 1) * self.size * self.inner];
            y.iter_mut().enumerate().for_each(|(column, y)| *y = self.best(x, column) as f32);
        });
    }

    fn best(&self, x: &[f32], column: usize) -> usize {
        let value = |place: usize| x[place * self.inner + column];
        let wins = |place: usize, best: usize| match self.select_last {
            true => !precedes(self.largest, value(best), value(place)),
            false => precedes(self.largest, value(place), value(best)),
        };
        (1..self.size).fold(0, |best, place| if wins(place, best) { place } else { best })
    }
}

/// ONNX's TopK, sorted. Shape: x `[outer, size, inner]` -> values and places `[outer, k, inner]`, places as f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    size: usize,
    inner: usize,
    k: usize,
    largest: bool,
}

impl TopK {
    /// The `k` largest or smallest along an axis of `size` values with `inner` values behind each. Of equal ones the
    /// first comes first; NaN comes before all numbers.
    ///
    /// # Errors
    /// Sizes of 0 or above 2²⁴; a `k` of 0 or above `size`.
    pub fn new(size: usize, inner: usize, k: usize, largest: bool) -> Result<Self, ProblemError> {
        check(size, inner)?;
        positive(k, "the number of largest values")?;
        match k <= size {
            true => Ok(Self { size, inner, k, largest }),
            false => Err(ProblemError::Range("there are fewer values along the axis than are asked for")),
        }
    }

    /// The size of the axis, the number of values behind each, and how many are taken.
    pub fn sizes(&self) -> [usize; 3] {
        [self.size, self.inner, self.k]
    }

    /// Whether the largest are sought.
    pub fn largest(&self) -> bool {
        self.largest
    }

    /// Writes values and their places; how many `outer` rows there are is said by the slices. `order` is scratch, of
    /// [`scratch_len`](Self::scratch_len) for so many rows.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn top_into(
        &self,
        machine: &Machine,
        x: &[f32],
        values: &mut [f32],
        places: &mut [f32],
        order: &mut [f32],
    ) {
        let [taken, whole] = [self.k * self.inner, self.size * self.inner];
        let outer = values.len() / taken;
        let orders = SharedMut::new(order);
        let places = SharedMut::new(places);
        machine.threads.run_chunks(&mut values[..outer * taken], taken, |row, values| {
            let x = &x[row * whole..(row + 1) * whole];
            // SAFETY: every row has a part of its own of both.
            let (places, order) =
                unsafe { (places.slice(row * taken, taken), orders.slice(row * self.size, self.size)) };
            for column in 0..self.inner {
                order.iter_mut().enumerate().for_each(|(place, order)| *order = place as f32);
                order.sort_unstable_by(|&a, &b| self.compare(x, column, a as usize, b as usize));
                for (rank, &place) in order[..self.k].iter().enumerate() {
                    values[rank * self.inner + column] = x[place as usize * self.inner + column];
                    places[rank * self.inner + column] = place;
                }
            }
        });
    }

    /// Scratch of a call over so many rows.
    pub fn scratch_len(&self, outer: usize) -> usize {
        outer * self.size
    }

    fn compare(&self, x: &[f32], column: usize, a: usize, b: usize) -> Ordering {
        let (first, second) = (x[a * self.inner + column], x[b * self.inner + column]);
        if precedes(self.largest, first, second) {
            Ordering::Less
        } else if precedes(self.largest, second, first) {
            Ordering::Greater
        } else {
            a.cmp(&b)
        }
    }
}
