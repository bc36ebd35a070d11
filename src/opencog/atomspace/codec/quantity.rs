//! The two quantities of a truth value, and how PLN weighs an error in them.

use std::cmp::Ordering;

/// Where PLN's deduction begins to take a value for certain (`deduction.scm`, `formulas.scm`).
pub(super) const NEARLY_CERTAIN: f64 = 0.99;

/// A column of truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// The strength; its error is relative to itself.
    Strength,
    /// The confidence; its error is relative to the count n = 800 c / (1 - c) that it stands for.
    Confidence,
}

/// The parts of the number line that a guarded code never leads out of, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Negative,
    Zero,
    Fraction,
    NearlyCertain,
    One,
    Above,
}

impl Quantity {
    /// The part that a value is in; none for NaN.
    pub(super) fn part(self, value: f64) -> Option<Part> {
        Some(match (value.partial_cmp(&0.0)?, value.partial_cmp(&1.0)?) {
            (Ordering::Less, _) => Part::Negative,
            (Ordering::Equal, _) => Part::Zero,
            (_, Ordering::Greater) => Part::Above,
            (_, Ordering::Equal) => Part::One,
            _ if self.nearly_certain(value) => Part::NearlyCertain,
            _ => Part::Fraction,
        })
    }

    /// Whether deduction takes it for certain: a strength above 0.99, a confidence from 0.99 on.
    pub(super) fn nearly_certain(self, value: f64) -> bool {
        match self {
            Quantity::Strength => value > NEARLY_CERTAIN,
            Quantity::Confidence => value >= NEARLY_CERTAIN,
        }
    }

    /// The error of `coded` where `exact` was meant, relative to `exact`. 0 where both are equal,
    /// infinite where there is no such ratio.
    ///
    /// Between 0 and 1 a confidence is weighed by its count, which is not cut off at
    /// 0.9999998 here, as PLN does: a code must not make use of that.
    pub fn error(self, exact: f64, coded: f64) -> f64 {
        if exact == coded {
            return 0.0;
        }
        let (exact, coded) = match self {
            Quantity::Confidence if is_fraction(exact) && is_fraction(coded) => {
                (odds(exact), odds(coded))
            }
            _ => (exact, coded),
        };
        let error = ((coded - exact) / exact).abs();
        if error.is_nan() { f64::INFINITY } else { error }
    }

    /// A level between `low` and `high`, two values of one part, whose error for both is the same.
    pub(super) fn middle(self, low: f64, high: f64) -> f64 {
        if low == high {
            return low;
        }
        let middle = match self {
            Quantity::Confidence if is_fraction(low) && is_fraction(high) => {
                let odds = harmonic_mean(odds(low), odds(high));
                odds / (1.0 + odds)
            }
            _ => harmonic_mean(low, high),
        };
        // Rounding must not lead out of the part.
        middle.clamp(low, high)
    }
}

fn is_fraction(value: f64) -> bool {
    0.0 < value && value < 1.0
}

/// The count that a confidence stands for, in units of
/// [`LOOKAHEAD`](crate::opencog::atomspace::LOOKAHEAD).
pub(super) fn odds(confidence: f64) -> f64 {
    confidence / (1.0 - confidence)
}

fn harmonic_mean(a: f64, b: f64) -> f64 {
    2.0 / (1.0 / a + 1.0 / b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::atomspace::LOOKAHEAD;

    #[test]
    fn a_confidence_is_weighed_by_its_count() {
        // One observation against one and a half.
        let [one, more] = [1.0 / 801.0, 1.5 / 801.5];
        assert!((Quantity::Confidence.error(one, more) - 0.5).abs() < 1e-12);
        assert!((LOOKAHEAD * odds(one) - 1.0).abs() < 1e-12);
        assert_eq!(Quantity::Confidence.error(0.0, 0.1), f64::INFINITY);
        assert_eq!(Quantity::Strength.error(0.5, 0.25), 0.5);
        assert_eq!(Quantity::Strength.error(f64::NAN, 0.25), f64::INFINITY);
        assert!((Quantity::Confidence.error(-4.0, -3.0) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_middle_is_as_far_from_both() {
        for quantity in [Quantity::Strength, Quantity::Confidence] {
            for (low, high) in [(1e-9, 2e-9), (0.2, 0.9), (0.991, 0.999_999_9), (-3.0, -1.0)] {
                let middle = quantity.middle(low, high);
                let [a, b] = [low, high].map(|end| quantity.error(end, middle));
                assert!((a - b).abs() < 1e-6 * a, "{quantity:?} {low} {high}: {a} {b}");
            }
            let (low, high) = (1.0 - f64::EPSILON, 1.0 - f64::EPSILON / 2.0);
            assert!(quantity.middle(low, high) < 1.0);
        }
    }

    #[test]
    fn parts_are_in_order() {
        let values = [-1.0, 0.0, 1e-300, 0.995, 1.0, 1.5];
        for quantity in [Quantity::Strength, Quantity::Confidence] {
            let parts: Vec<Part> = values.map(|value| quantity.part(value).unwrap()).to_vec();
            assert!(parts.is_sorted_by(|a, b| a < b), "{parts:?}");
        }
        assert_eq!(Quantity::Strength.part(0.99), Some(Part::Fraction));
        assert_eq!(Quantity::Confidence.part(0.99), Some(Part::NearlyCertain));
        assert_eq!(Quantity::Strength.part(-0.0), Some(Part::Zero));
        assert_eq!(Quantity::Strength.part(f64::NAN), None);
    }
}
