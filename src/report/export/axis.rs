//! Where numbers lie on an axis, and which of them are written beside it.

use crate::report::document::{Axis, Unit};
use crate::report::numbers::short;

/// Height of a plot between its axes, in CSS pixels.
pub const HEIGHT: f64 = 280.0;
/// Numbers beside an axis, about.
const TICKS: f64 = 5.0;

/// An axis with its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    is_log: bool,
    unit: Unit,
}

impl Range {
    /// An axis that all of these values lie on, those that can be drawn, with some room beyond
    /// them; from 0 on if it is to be.
    pub fn of(axis: &Axis, values: impl Iterator<Item = f64>, from_zero: bool) -> Range {
        let Axis { is_log, unit, .. } = *axis;
        let drawn = values.filter(|&value| is_drawn(is_log, value));
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut low, mut high) = drawn.fold(ends, |(a, b), x| (a.min(x), b.max(x)));
        if low > high {
            (low, high) = if is_log { (0.1, 1.0) } else { (0.0, 1.0) };
        }
        if is_log {
            let room = (high / low).ln().max(0.3) * 0.06;
            return Range { low: low / room.exp(), high: high * room.exp(), is_log, unit };
        }
        let least = if high == 0.0 { 1.0 } else { 0.1 * high.abs() };
        let room = (high - low).max(least) * 0.05;
        let low = if from_zero && low >= 0.0 { 0.0 } else { low - room };
        Range { low, high: high + room, is_log, unit }
    }

    /// Where a value lies, 0 at the low end and 1 at the high one, if it can be drawn.
    pub fn place(&self, value: f64) -> Option<f64> {
        let Range { low, high, is_log, .. } = *self;
        is_drawn(is_log, value).then(|| match is_log {
            true => (value / low).ln() / (high / low).ln(),
            false => (value - low) / (high - low),
        })
    }

    /// The numbers beside it: where they lie, and how they are written.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let decades = if self.is_log { self.decades() } else { Vec::new() };
        let values = if decades.len() < 3 { self.even() } else { decades };
        let tick = |value| Some((self.place(value)?, self.written(value)));
        values.into_iter().filter_map(tick).collect()
    }

    /// Powers of ten, and 2 and 5 times these where there are few.
    fn decades(&self) -> Vec<f64> {
        let from = self.low.log10().floor() as i32;
        let to = self.high.log10().ceil() as i32;
        let within = |leading: &[f64]| {
            let all = (from..=to)
                .flat_map(|power| leading.iter().map(move |leading| leading * 10f64.powi(power)));
            all.filter(|value| (self.low..=self.high).contains(value)).collect::<Vec<f64>>()
        };
        let tries = [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0]].map(within);
        let few = |ticks: &Vec<f64>| ticks.len() as f64 <= TICKS + 2.0;
        let most = tries.iter().filter(|ticks| few(ticks)).max_by_key(|ticks| ticks.len());
        most.cloned().unwrap_or_else(|| {
            let powers = &tries[0];
            let every = powers.len().div_ceil(TICKS as usize);
            powers.iter().copied().step_by(every).collect()
        })
    }

    /// Numbers at even steps of 1, 2 or 5 times a power of ten.
    fn even(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / TICKS;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * power);
        let step = step.into_iter().find(|&step| step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last.min(first + 20)).map(|i| i as f64 * step).collect()
    }

    fn written(&self, value: f64) -> String {
        match self.unit {
            Unit::Plain => short(value),
            Unit::Bytes => {
                let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")];
                let (size, unit) =
                    units.into_iter().find(|(size, _)| value >= *size).unwrap_or((1.0, "B"));
                format!("{} {unit}", short(value / size))
            }
        }
    }
}

fn is_drawn(is_log: bool, value: f64) -> bool {
    value.is_finite() && (value > 0.0 || !is_log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(is_log: bool, unit: Unit, values: &[f64]) -> Range {
        Range::of(&Axis { label: "", is_log, unit }, values.iter().copied(), false)
    }

    fn written(range: Range) -> Vec<String> {
        range.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_ends() {
        assert_eq!(written(range(false, Unit::Plain, &[0.0, 10.0])), ["0", "5", "10"]);
        assert_eq!(
            written(range(true, Unit::Plain, &[0.001, 0.1])),
            ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]
        );
        let bytes = written(range(false, Unit::Bytes, &[80e6, 120e6]));
        assert_eq!(bytes, ["80 MB", "90 MB", "100 MB", "110 MB", "120 MB"]);
        for range in [
            range(true, Unit::Plain, &[0.0101, 0.0102]),
            range(true, Unit::Plain, &[1e-12, 1e3]),
            range(false, Unit::Plain, &[-3.0, 1e9]),
            range(false, Unit::Plain, &[5.0]),
            range(true, Unit::Bytes, &[]),
            range(false, Unit::Plain, &[0.0, f64::NAN]),
        ] {
            let ticks = range.ticks();
            assert!((2..=9).contains(&ticks.len()), "{range:?}: {ticks:?}");
            assert!(ticks.iter().all(|(place, _)| (0.0..=1.0).contains(place)), "{ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[0].1 != pair[1].1), "{ticks:?}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_has_no_place() {
        let log = range(true, Unit::Plain, &[0.01, 1.0, 0.0, f64::INFINITY]);
        assert_eq!([log.place(0.0), log.place(-1.0), log.place(f64::NAN)], [None; 3]);
        assert!((log.place(0.1).unwrap() - 0.5).abs() < 1e-9);
        let linear = range(false, Unit::Plain, &[0.0, 1.0]);
        assert!((linear.place(0.5).unwrap() - 0.5).abs() < 1e-9);
    }
}
