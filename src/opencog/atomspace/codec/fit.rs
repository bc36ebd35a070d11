//! Levels fitted to the values of a column.

use super::column::{Column, MAX_LEVELS};
use super::lattice::OnLattice;
use super::quantity::{Part, Quantity};

/// Halvings of the interval in which the least worst error is looked for.
const HALVINGS: usize = 40;

/// A column by levels of its own: its values where there are few enough of them, else the levels of
/// least worst error. Where even that could be beyond `tolerance`, those levels of a lattice that keep
/// the most values within it, each counted as often as `times` says, or once. What was coded by any
/// of these is coded so again.
pub(super) fn column(
    quantity: Quantity,
    values: &[f64],
    times: Option<&[usize]>,
    tolerance: f64,
) -> Column {
    let distinct = Distinct::of(quantity, values, times);
    if distinct.values.len() > MAX_LEVELS {
        let counted = distinct.values.iter().copied().zip(distinct.weights.iter().copied());
        let on = OnLattice::of(quantity, counted, tolerance);
        if on.groups() > MAX_LEVELS && tolerance.is_finite() {
            return on.column(values);
        }
    }
    Column::guarded(quantity, distinct.levels(tolerance), values, tolerance)
}

/// The distinct finite values of a column.
struct Distinct {
    quantity: Quantity,
    /// Ascending.
    values: Vec<f64>,
    /// How often each of them is in the column.
    weights: Vec<usize>,
}

/// Distinct values that share a level: `first` to `last`, both included.
struct Group {
    first: usize,
    last: usize,
}

impl Distinct {
    fn of(quantity: Quantity, values: &[f64], times: Option<&[usize]>) -> Distinct {
        let times = |place: usize| times.map_or(1, |times| times[place]);
        let finite = values.iter().enumerate().filter(|(_, value)| value.is_finite());
        // -0 is 0.
        let mut sorted: Vec<(f64, usize)> =
            finite.map(|(place, value)| (value + 0.0, times(place))).collect();
        sorted.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let runs = || sorted.chunk_by(|(a, _), (b, _)| a == b);
        let sum = |run: &[(f64, usize)]| run.iter().fold(0usize, |n, (_, m)| n.saturating_add(*m));
        Distinct {
            quantity,
            values: runs().map(|run| run[0].0).collect(),
            weights: runs().map(sum).collect(),
        }
    }

    /// The values themselves where they are few enough, else levels within `tolerance` of all of them,
    /// of the least worst error.
    fn levels(&self, tolerance: f64) -> Vec<f64> {
        if self.values.len() <= MAX_LEVELS {
            return self.values.clone();
        }
        let groups = self.groups(self.least_worst_error().min(tolerance));
        groups.iter().take(MAX_LEVELS).map(|group| self.level(group)).collect()
    }

    /// The least error such that [`MAX_LEVELS`] levels are within it of every value, nearly.
    fn least_worst_error(&self) -> f64 {
        let enough = |error: f64| self.groups(error).len() <= MAX_LEVELS;
        // Errors are looked for between these on a logarithmic scale. No level between two positive
        // values is further than 1 from either.
        let (mut low, mut high) = (1e-12f64.ln(), 0.0f64);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            match enough(middle.exp()) {
                true => high = middle,
                false => low = middle,
            }
        }
        high.exp()
    }

    /// The fewest groups of neighbours of which each has a level within `error` of all its values:
    /// each begins where the one before it ends, and goes as far as it can.
    fn groups(&self, error: f64) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut first = 0;
        while first < self.values.len() {
            let end = self.reach(first, error);
            groups.push(Group { first, last: end - 1 });
            first = end;
        }
        groups
    }

    /// The end of the group that begins at `first`.
    fn reach(&self, first: usize, error: f64) -> usize {
        let low = self.values[first];
        let part = self.part(low);
        let fits = |&value: &f64| {
            let level = self.quantity.middle(low, value);
            // Both ends: where there is no such level, it is one of them.
            let worst = [low, value].map(|end| self.quantity.error(end, level));
            self.part(value) == part && worst[0].max(worst[1]) <= error
        };
        first + 1 + self.values[first + 1..].partition_point(fits)
    }

    fn part(&self, value: f64) -> Option<Part> {
        self.quantity.part(value)
    }

    fn level(&self, group: &Group) -> f64 {
        self.quantity.middle(self.values[group.first], self.values[group.last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_their_own_levels() {
        let values = [0.5, 0.1, 0.5, -3.0, f64::NAN, -0.0, 0.0, 1.0];
        assert_eq!(
            column(Quantity::Strength, &values, None, 0.005).levels,
            [-3.0, 0.0, 0.1, 0.5, 1.0]
        );
    }

    #[test]
    fn many_values_get_levels_of_the_same_worst_error() {
        // From 0.01 to 0.98 in 2000 steps: the levels are in equal ratios, so that the worst error
        // is about ln(98) / 254 / 2.
        let values: Vec<f64> = (0..2000).map(|i| 0.01 + 0.97 * f64::from(i) / 1999.0).collect();
        let levels = column(Quantity::Strength, &values, None, f64::INFINITY).levels;
        assert!(levels.len() <= MAX_LEVELS);
        let error = |&value: &f64| {
            let errors = levels.iter().map(|&level| Quantity::Strength.error(value, level));
            errors.fold(f64::INFINITY, f64::min)
        };
        let worst = values.iter().map(error).fold(0.0, f64::max);
        assert!(worst < 98f64.ln() / 254.0 / 2.0, "{worst}");
    }

    #[test]
    fn the_most_values_are_kept_within_the_tolerance() {
        // Too wide a range for 254 levels of 0.1 %, and one value that is there a thousand times.
        let mut values: Vec<f64> = (0..3000).map(|i| 1e-6 * 1.004f64.powi(i)).collect();
        values.push(0.123_456);
        let mut times = vec![1; 3000];
        times.push(1000);
        let counted = column(Quantity::Strength, &values, Some(&times), 0.001).levels;
        values.extend(std::iter::repeat_n(0.123_456, 999));
        let levels = column(Quantity::Strength, &values, None, 0.001).levels;
        assert_eq!(levels, counted);
        assert_eq!(levels.len(), MAX_LEVELS);
        let near = |level: &&f64| Quantity::Strength.error(0.123_456, **level) <= 0.001;
        assert_eq!(levels.iter().filter(near).count(), 1);
    }
}
