//! What a code did to truth values, in the terms of those who use them.

use std::collections::HashSet;

use serde::Serialize;

use super::Truth;
use super::quantity::{NEARLY_CERTAIN, Part, Quantity};
use crate::opencog::atomspace::value::LARGEST_CONFIDENCE;

/// What became of truth values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Damage {
    /// How many truth values there are.
    pub values: usize,
    /// Distinct pairs before.
    pub distinct_before: usize,
    /// Distinct pairs after.
    pub distinct_after: usize,
    /// Default truth values (1, 0) that are it no more, and others that became it.
    pub defaults_changed: usize,
    /// Values on which a test of PLN's deduction comes out otherwise: whether the confidence is 0,
    /// the strength above 0.99, their product above 0.99, the confidence 0.99 or more.
    pub branches_changed: usize,
    /// Of the strengths.
    pub strength: ColumnDamage,
    /// Of the confidences.
    pub confidence: ColumnDamage,
}

/// What became of one column.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ColumnDamage {
    /// Other values that became 0.
    pub zeroed: usize,
    /// Zeros that are none any more.
    pub zeros_lost: usize,
    /// Values below 1 that became 1 or more.
    pub raised_to_one: usize,
    /// Ones that are none any more.
    pub ones_lost: usize,
    /// Values outside of \[0, 1\] that are no longer on their side of it.
    pub pulled_inside: usize,
    /// Neighbours in the order of size (distinct values) that changed places.
    pub order_broken: usize,
    /// The greatest relative error of strength or of count, infinite where there is no such ratio.
    /// NaN, which no error is measured of, doesn't count.
    pub max_error: f64,
    /// The root of the mean square of those errors that are finite.
    pub rms_error: f64,
    /// Values with an error of more than [`super::TOLERANCE`].
    pub beyond_tolerance: usize,
}

impl Damage {
    /// Compares values before and after.
    ///
    /// # Panics
    /// If they differ in number.
    pub fn between(before: &[Truth], after: &[Truth]) -> Damage {
        assert_eq!(before.len(), after.len(), "the same values before and after");
        let changed = |is: fn(&Truth) -> bool| {
            let pairs = before.iter().zip(after);
            pairs.filter(|(before, after)| is(before) != is(after)).count()
        };
        let branches = |(before, after): &(&Truth, &Truth)| branches(before) != branches(after);
        let column = |quantity, of: fn(&Truth) -> f64| {
            let pairs = before.iter().zip(after).map(|(before, after)| (of(before), of(after)));
            ColumnDamage::of(quantity, pairs.collect())
        };
        Damage {
            values: before.len(),
            distinct_before: distinct(before),
            distinct_after: distinct(after),
            defaults_changed: changed(|truth| *truth == Truth::DEFAULT),
            branches_changed: before.iter().zip(after).filter(branches).count(),
            strength: column(Quantity::Strength, |truth| truth.strength),
            confidence: column(Quantity::Confidence, |truth| truth.confidence),
        }
    }

    /// Whether any value is another one now.
    pub fn is_lossy(&self) -> bool {
        let column = |column: &ColumnDamage| column.max_error > 0.0 || column.zeroed > 0;
        column(&self.strength) || column(&self.confidence) || self.guards_broken() > 0
    }

    /// What becomes of the same values where nothing is lost.
    pub fn undone(&self) -> Damage {
        let (values, distinct_before) = (self.values, self.distinct_before);
        Damage { values, distinct_before, distinct_after: distinct_before, ..Damage::default() }
    }

    /// How often a guard was broken.
    pub fn guards_broken(&self) -> usize {
        self.defaults_changed + self.strength.guards_broken() + self.confidence.guards_broken()
    }
}

impl ColumnDamage {
    /// How often a guard was broken.
    pub fn guards_broken(&self) -> usize {
        self.zeroed
            + self.zeros_lost
            + self.raised_to_one
            + self.ones_lost
            + self.pulled_inside
            + self.order_broken
    }

    /// Of pairs of a value before and after.
    fn of(quantity: Quantity, mut pairs: Vec<(f64, f64)>) -> ColumnDamage {
        let mut damage = ColumnDamage::default();
        let (mut squares, mut finite) = (0.0, 0usize);
        for &(before, after) in &pairs {
            damage.see_parts(quantity, before, after);
            if before.is_nan() {
                continue;
            }
            let error = felt_error(quantity, before, after);
            damage.max_error = damage.max_error.max(error);
            damage.beyond_tolerance += usize::from(error > super::TOLERANCE);
            if error.is_finite() {
                squares += error * error;
                finite += 1;
            }
        }
        damage.rms_error = (squares / finite.max(1) as f64).sqrt();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // Equal values have equal codes, so that neighbours tell it all.
        let turned = |pair: &&[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1;
        damage.order_broken = pairs.windows(2).filter(turned).count();
        damage
    }

    fn see_parts(&mut self, quantity: Quantity, before: f64, after: f64) {
        let [from, to] = [before, after].map(|value| quantity.part(value));
        let outside = |part| matches!(part, Some(Part::Negative | Part::Above));
        let below_one = |part| part < Some(Part::One);
        self.zeroed += usize::from(from != Some(Part::Zero) && to == Some(Part::Zero));
        self.zeros_lost += usize::from(from == Some(Part::Zero) && to != Some(Part::Zero));
        self.raised_to_one += usize::from(from.is_some() && below_one(from) && !below_one(to));
        self.ones_lost += usize::from(from == Some(Part::One) && to != Some(Part::One));
        self.pulled_inside += usize::from(outside(from) && to != from);
    }
}

/// The error as PLN sees it: confidences past [`LARGEST_CONFIDENCE`] stand for the same count.
fn felt_error(quantity: Quantity, before: f64, after: f64) -> f64 {
    let capped = |c: f64| if (0.0..=1.0).contains(&c) { c.min(LARGEST_CONFIDENCE) } else { c };
    match quantity {
        Quantity::Strength => quantity.error(before, after),
        Quantity::Confidence => quantity.error(capped(before), capped(after)),
    }
}

/// How the tests of deduction on one truth value come out.
fn branches(truth: &Truth) -> [bool; 4] {
    let Truth { strength, confidence } = *truth;
    [
        confidence == 0.0,
        Quantity::Strength.nearly_certain(strength),
        strength * confidence > NEARLY_CERTAIN,
        Quantity::Confidence.nearly_certain(confidence),
    ]
}

fn distinct(values: &[Truth]) -> usize {
    values.iter().map(|value| value.bits()).collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_damage_is_counted() {
        let truth = |strength, confidence| Truth { strength, confidence };
        let before = [
            truth(1.0, 0.0),
            truth(1e-5, 0.5),
            truth(0.0, 1.0),
            truth(-0.2, 0.999),
            truth(1.5, 1.0 / 801.0),
        ];
        let after = [
            truth(0.9, 0.0),
            truth(0.0, 0.5),
            truth(0.1, 0.9),
            truth(0.2, 1.0),
            truth(1.0, 2.0 / 802.0),
        ];
        let damage = Damage::between(&before, &after);
        assert_eq!((damage.values, damage.distinct_before, damage.distinct_after), (5, 5, 5));
        // The default became (0.9, 0); its strength is no longer above 0.99. A confidence of 1 fell
        // below 0.99, and no product changed its side.
        assert_eq!((damage.defaults_changed, damage.branches_changed), (1, 2));
        let ColumnDamage { zeroed, zeros_lost, ones_lost, pulled_inside, .. } = damage.strength;
        assert_eq!((zeroed, zeros_lost, ones_lost, pulled_inside), (1, 1, 1, 2));
        assert_eq!(damage.strength.order_broken, 2, "-0.2 over 0, 0 over 1e-5");
        assert_eq!(damage.strength.max_error, f64::INFINITY);
        let confidence = damage.confidence;
        assert_eq!((confidence.raised_to_one, confidence.ones_lost), (1, 1));
        assert_eq!(confidence.order_broken, 1, "0.999 over 1");
        // 799,200 observations became 3,999,999,200, the most there are.
        assert!((confidence.max_error - 5004.0).abs() < 0.01, "{confidence:?}");
        assert_eq!(damage.guards_broken(), 1 + (1 + 1 + 1 + 2 + 2) + (1 + 1 + 1));
    }

    #[test]
    fn what_is_kept_is_not_damaged() {
        let values = [Truth::DEFAULT, Truth { strength: f64::NAN, confidence: f64::INFINITY }];
        let damage = Damage::between(&values, &values);
        assert_eq!((damage.guards_broken(), damage.branches_changed), (0, 0));
        assert_eq!((damage.strength.max_error, damage.confidence.max_error), (0.0, 0.0));
    }

    #[test]
    fn counts_past_the_greatest_are_the_same() {
        let value = |confidence| [Truth { strength: 0.5, confidence }];
        let damage = Damage::between(&value(0.999_999_9), &value(0.999_999_99));
        assert_eq!(damage.confidence.max_error, 0.0);
    }
}
