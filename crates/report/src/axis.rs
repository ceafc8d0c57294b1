//! Axes: a range of values, ticks at round numbers, a place on paper.

use crate::table::thousands;

/// A range of values and how it is spread over a length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// From `low` to `high`; an empty range is widened about its value.
    pub(crate) fn linear(low: f64, high: f64) -> Self {
        let half = if high > low { 0.0 } else { (low.abs() * 0.1).max(0.5e-3) };
        Self { low: low - half, high: high + half, logarithmic: false }
    }

    /// Equal factors take equal lengths. Both ends must be positive.
    pub(crate) fn logarithmic(low: f64, high: f64) -> Self {
        let factor = if high > low { 1.0 } else { 2.0 };
        Self { low: low / factor, high: high * factor, logarithmic: true }
    }

    /// The axis widened to the next ticks outside its range.
    pub(crate) fn rounded(self, wanted: usize) -> Self {
        if self.logarithmic {
            return Self {
                low: one_two_five(self.low, f64::floor),
                high: one_two_five(self.high, f64::ceil),
                ..self
            };
        }
        let step = self.tick_step(wanted);
        Self {
            low: (self.low / step + 1e-9).floor() * step,
            high: (self.high / step - 1e-9).ceil() * step,
            ..self
        }
    }

    /// The part of the axis between two values.
    pub(crate) fn within(self, low: f64, high: f64) -> Self {
        Self { low: self.low.max(low), high: self.high.min(high), ..self }
    }

    /// Where a value stands: 0 at the low end, 1 at the high end, outside of both beyond.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        if self.logarithmic {
            // A loss of exactly zero has no logarithm: far below the axis is where it belongs.
            let logarithm = value.max(f64::MIN_POSITIVE).ln();
            return (logarithm - self.low.ln()) / (self.high.ln() - self.low.ln());
        }
        (value - self.low) / (self.high - self.low)
    }

    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Round values within the range, about as many as wanted, with their labels.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let inside = |value: &f64| (-1e-6..=1.0 + 1e-6).contains(&self.fraction(*value));
        if self.logarithmic {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let span = (self.high / self.low).log10();
            let digits: &[f64] = if span * 3.0 <= wanted as f64 * 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let values =
                decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
            return values.filter(inside).map(|value| (value, short(value))).collect();
        }
        let step = self.tick_step(wanted);
        let first = (self.low / step - 1e-6).ceil() as i64;
        let last = (self.high / step + 1e-6).floor() as i64;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let label = |value: f64| match decimals {
            0 if value >= 0.0 => thousands(value.round() as u64),
            0..=4 => format!("{value:.decimals$}"),
            _ => short(value),
        };
        (first..=last).map(|index| index as f64 * step).map(|value| (value, label(value))).collect()
    }

    /// 1, 2 or 5 times a power of ten that cuts the range into about as many parts as wanted.
    fn tick_step(&self, wanted: usize) -> f64 {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        // Between two digits the geometric mean decides.
        let digit = match rough / power {
            ratio if ratio < 2f64.sqrt() => 1.0,
            ratio if ratio < 10f64.sqrt() => 2.0,
            ratio if ratio < 50f64.sqrt() => 5.0,
            _ => 10.0,
        };
        digit * power
    }
}

/// The nearest 1, 2 or 5 times a power of ten on the side to which `direction` rounds.
fn one_two_five(value: f64, direction: fn(f64) -> f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let close = |step: &&f64| (**step / value - 1.0).abs() < 1e-9;
    let below = steps.iter().rfind(|step| **step <= value);
    let above = steps.iter().find(|step| **step >= value);
    let side = if direction(0.5) == 0.0 { below } else { above };
    *steps.iter().find(close).or(side).unwrap_or(&value)
}

/// A number with three significant digits, in powers of ten where it is very small or large.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "none".into();
    }
    let magnitude = value.abs();
    if value != 0.0 && !(1e-3..1e6).contains(&magnitude) {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trim_zeros(digits));
    }
    let decimals = if value == 0.0 { 0 } else { (2 - magnitude.log10().floor() as i32).clamp(0, 6) as usize };
    trim_zeros(&format!("{value:.decimals$}")).into()
}

fn trim_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, wanted: usize) -> Vec<String> {
        axis.ticks(wanted).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(labels(Axis::linear(0.0, 1.0), 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Axis::linear(0.0, 2680.0), 6), ["0", "500", "1,000", "1,500", "2,000", "2,500"]);
        assert_eq!(
            labels(Axis::linear(0.13, 0.97).rounded(4), 4),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_one_two_five() {
        let axis = Axis::logarithmic(0.013, 2.3).rounded(5);
        assert_eq!((axis.low, axis.high), (0.01, 5.0));
        assert_eq!(labels(axis, 6), ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]);
        assert!((axis.fraction(0.01)).abs() < 1e-12 && (axis.fraction(5.0) - 1.0).abs() < 1e-12);
        assert!(axis.fraction(0.0) < -1.0);
    }

    #[test]
    fn an_empty_range_has_a_middle() {
        for axis in [Axis::linear(3.0, 3.0), Axis::linear(0.0, 0.0), Axis::logarithmic(3.0, 3.0)] {
            assert!((axis.fraction(axis.low.midpoint(axis.high)) - 0.5).abs() < 0.2, "{axis:?}");
            assert!(!axis.ticks(5).is_empty(), "{axis:?}");
        }
    }

    #[test]
    fn short_numbers() {
        let cases = [
            (0.0, "0"),
            (2.3021, "2.3"),
            (0.0123456, "0.0123"),
            (1e-4, "1e-4"),
            (123.4, "123"),
            (2.5e7, "2.5e7"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(f64::NAN), "none");
    }
}
