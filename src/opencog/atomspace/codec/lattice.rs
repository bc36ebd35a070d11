//! Levels that lie where no data decides: equal ratios apart in each part of the number line. What
//! they coded is coded so again.

use std::collections::HashMap;

use super::column::{Column, MAX_LEVELS};
use super::quantity::{NEARLY_CERTAIN, Part, Quantity, odds};

/// How a column lies on its lattice.
pub(super) struct OnLattice {
    lattice: Lattice,
    /// The levels that values are nearest to, and how many are.
    uses: HashMap<u64, usize>,
    /// Distinct values that are near no level.
    others: usize,
}

impl OnLattice {
    /// Of distinct values and how often each is there.
    pub fn of(
        quantity: Quantity,
        values: impl Iterator<Item = (f64, usize)>,
        tolerance: f64,
    ) -> OnLattice {
        let lattice = Lattice::new(quantity, tolerance);
        let mut on = OnLattice { lattice, uses: HashMap::new(), others: 0 };
        for (value, count) in values {
            match on.lattice.nearest(value) {
                Some(level) => {
                    let uses = on.uses.entry(level.to_bits()).or_default();
                    *uses = uses.saturating_add(count);
                }
                None => on.others += 1,
            }
        }
        on
    }

    /// Into how many groups the lattice divides the values. Coding by it makes them no fewer.
    pub fn groups(&self) -> usize {
        self.uses.len() + self.others
    }

    /// Codes the column by the levels that most values are nearest to, all others as exceptions.
    pub fn column(&self, values: &[f64]) -> Column {
        let mut uses: Vec<(f64, usize)> =
            self.uses.iter().map(|(bits, count)| (f64::from_bits(*bits), *count)).collect();
        uses.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
        uses.truncate(MAX_LEVELS);
        let mut levels: Vec<f64> = uses.into_iter().map(|(level, _)| level).collect();
        levels.sort_by(f64::total_cmp);
        let escape = levels.len() as u8;
        let mut exceptions = Vec::new();
        let mut code = |(place, &value): (usize, &f64)| {
            let level = self.lattice.nearest(value);
            let code = level
                .and_then(|level| levels.binary_search_by(|known| known.total_cmp(&level)).ok());
            code.map_or_else(
                || {
                    exceptions.push((place as u32, value));
                    escape
                },
                |code| code as u8,
            )
        };
        let codes = values.iter().enumerate().map(&mut code).collect();
        Column { levels, codes, exceptions }
    }
}

struct Lattice {
    quantity: Quantity,
    tolerance: f64,
    /// The logarithm of the ratio of two levels next to each other.
    step: f64,
}

impl Lattice {
    fn new(quantity: Quantity, tolerance: f64) -> Lattice {
        // At 1, one level would be infinitely far from the next.
        let tolerance = tolerance.min(0.5);
        Lattice { quantity, tolerance, step: ((1.0 + tolerance) / (1.0 - tolerance)).ln() }
    }

    /// The nearest level in the part of a value; none where there is none near enough.
    fn nearest(&self, value: f64) -> Option<f64> {
        let part = self.quantity.part(value)?;
        let near = self.near(value, part)?;
        // A level that rounding makes another one of is none.
        let is_level = |level: &f64| self.near(*level, part) == Some(*level);
        Some(near).filter(is_level)
    }

    fn near(&self, value: f64, part: Part) -> Option<f64> {
        if matches!(part, Part::Zero | Part::One) {
            return Some(value + 0.0);
        }
        let place = (self.scale(value, part)?.ln() / self.step).floor();
        let levels = [place - 1.0, place, place + 1.0].map(|place| self.level(part, place));
        let mut best: Option<(f64, f64)> = None;
        let mut ascending = levels;
        ascending.sort_by(f64::total_cmp);
        for level in ascending.into_iter().filter(|level| self.quantity.part(*level) == Some(part))
        {
            let error = self.quantity.error(value, level);
            if error <= self.tolerance && best.is_none_or(|(least, _)| error < least) {
                best = Some((error, level));
            }
        }
        best.map(|(_, level)| level)
    }

    /// What the levels of a part are equal ratios of: 1 at the end of the part where they begin.
    fn scale(&self, value: f64, part: Part) -> Option<f64> {
        let scaled = match (part, self.quantity) {
            (Part::Negative, _) => -value,
            (Part::Fraction, Quantity::Strength) => value / NEARLY_CERTAIN,
            (Part::Fraction, Quantity::Confidence) => odds(value) / odds(NEARLY_CERTAIN),
            (Part::NearlyCertain, Quantity::Strength) => value,
            (Part::NearlyCertain, Quantity::Confidence) => odds(value) / odds(NEARLY_CERTAIN),
            _ => value,
        };
        Some(scaled).filter(|scaled| scaled.is_normal())
    }

    /// The level of a place: as far from both ends of it.
    fn level(&self, part: Part, place: f64) -> f64 {
        let [low, high] = [place, place + 1.0].map(|place| (place * self.step).exp());
        let scaled = 2.0 / (1.0 / low + 1.0 / high);
        let of_odds = |odds: f64| odds / (1.0 + odds);
        match (part, self.quantity) {
            (Part::Negative, _) => -scaled,
            (Part::Fraction, Quantity::Strength) => scaled * NEARLY_CERTAIN,
            (Part::Fraction | Part::NearlyCertain, Quantity::Confidence) => {
                of_odds(scaled * odds(NEARLY_CERTAIN))
            }
            _ => scaled,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn levels_are_levels_of_themselves(
            values in proptest::collection::vec(
                prop_oneof![0.0..1.0f64, -3.0..3.0f64, (-60.0..0.0f64).prop_map(f64::exp), 0.98..1.0f64],
                1..50,
            ),
            tolerance in 0.0005..0.3f64,
        ) {
            for quantity in [Quantity::Strength, Quantity::Confidence] {
                let lattice = Lattice::new(quantity, tolerance);
                for &value in &values {
                    let Some(level) = lattice.nearest(value) else { continue };
                    prop_assert_eq!(lattice.nearest(level), Some(level));
                    prop_assert!(quantity.error(value, level) <= tolerance);
                    prop_assert_eq!(quantity.part(value), quantity.part(level));
                }
            }
        }
    }

    #[test]
    fn nearly_all_values_have_a_level() {
        let lattice = Lattice::new(Quantity::Strength, 0.005);
        let found = (1..10_000).filter(|i| lattice.nearest(f64::from(*i) / 10_000.0).is_some());
        assert!(found.count() > 9_800);
    }
}
