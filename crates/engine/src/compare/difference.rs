use crate::reference::Array;

/// How far a value lies from the one that is expected.
///
/// NaN agrees with NaN and an infinity with itself; either is infinitely far from any other number.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The value's extents.
    pub shape: Vec<usize>,
    /// The extents that are expected. If they are others, nothing else is compared and the values are infinitely far apart.
    pub expected_shape: Vec<usize>,
    /// The largest distance of two elements.
    pub absolute: f64,
    /// The largest finite magnitude of what is expected.
    pub magnitude: f64,
    /// The elements that are farthest apart, if any differ.
    pub worst: Option<Worst>,
    /// Integers on both sides: any distance is too large.
    exact: bool,
}

/// A pair of elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Where they stand, one number per axis.
    pub index: Vec<usize>,
    /// The value's element.
    pub found: f64,
    /// The one that is expected.
    pub expected: f64,
}

impl Difference {
    /// Compares element by element.
    pub fn between(found: &Array, expected: &Array) -> Self {
        let exact = found.as_i64().is_some() && expected.as_i64().is_some();
        let mut difference = Self {
            shape: found.shape().to_vec(),
            expected_shape: expected.shape().to_vec(),
            absolute: 0.0,
            magnitude: 0.0,
            worst: None,
            exact,
        };
        if found.shape() != expected.shape() {
            difference.absolute = f64::INFINITY;
            return difference;
        }
        match (found.as_i64(), expected.as_i64()) {
            (Some(found), Some(expected)) => {
                let pairs = found.iter().zip(expected);
                difference.scan(pairs.map(|(&a, &b)| (a as f64, b as f64, a.abs_diff(b) as f64)));
            }
            _ => {
                let pairs = numbers(found).zip(numbers(expected));
                difference.scan(pairs.map(|(a, b)| (a, b, distance(a, b))));
            }
        }
        difference
    }

    /// Takes in every pair of elements and their distance.
    fn scan(&mut self, elements: impl Iterator<Item = (f64, f64, f64)>) {
        let mut worst = None;
        for (place, (found, expected, distance)) in elements.enumerate() {
            if expected.is_finite() {
                self.magnitude = self.magnitude.max(expected.abs());
            }
            if distance > self.absolute {
                self.absolute = distance;
                worst = Some((place, found, expected));
            }
        }
        self.worst = worst.map(|(place, found, expected)| {
            let index = unravel(place, &self.shape);
            Worst { index, found, expected }
        });
    }

    /// The largest distance as a share of the largest magnitude: 0 if all elements agree, infinite if they do not and all that
    /// is expected is 0.
    pub fn relative(&self) -> f64 {
        if self.absolute == 0.0 { 0.0 } else { self.absolute / self.magnitude }
    }

    /// Whether the values are farther apart than `tolerance`, a share of the largest magnitude; integers have to be equal.
    pub fn diverges(&self, tolerance: f64) -> bool {
        if self.exact { self.absolute > 0.0 } else { self.relative() > tolerance }
    }
}

fn numbers(array: &Array) -> impl Iterator<Item = f64> {
    let real = array.as_f64().unwrap_or_default().iter().copied();
    real.chain(array.as_i64().unwrap_or_default().iter().map(|&value| value as f64))
}

fn distance(found: f64, expected: f64) -> f64 {
    if found == expected || found.is_nan() && expected.is_nan() {
        0.0
    } else if found.is_nan() || expected.is_nan() {
        f64::INFINITY
    } else {
        (found - expected).abs()
    }
}

/// The index, one number per axis, of the element at `place` in row-major order.
fn unravel(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> =
        shape.iter().rev().map(|&extent| (place % extent, place /= extent).0).collect();
    index.reverse();
    index
}
