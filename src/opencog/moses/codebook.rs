//! Constants in 6 bits: a level of a codebook each.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::opencog::codec_names::CodecNames;

/// The most levels of a codebook: what 6 bits can tell apart.
pub const LEVELS: usize = 64;

/// How the levels of a codebook are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConstantCodec {
    /// The 63 values that a knob of MOSES turns to from 0.
    Lattice,
    /// The constants themselves, and beside them values of the lattice, the coarsest first, so
    /// that evolution finds more than there is; the best 63 levels where constants are more.
    Palette,
    /// Equal steps from the smallest to the largest constant.
    Uniform,
}

impl ConstantCodec {
    const NAMES: CodecNames<ConstantCodec> = CodecNames(&[
        (ConstantCodec::Lattice, "lattice"),
        (ConstantCodec::Palette, "palette"),
        (ConstantCodec::Uniform, "uniform"),
    ]);

    /// All of them.
    pub fn all() -> impl Iterator<Item = ConstantCodec> {
        ConstantCodec::NAMES.all()
    }
}

impl fmt::Display for ConstantCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ConstantCodec::NAMES.name(*self))
    }
}

impl FromStr for ConstantCodec {
    type Err = String;

    fn from_str(name: &str) -> Result<ConstantCodec, String> {
        ConstantCodec::NAMES.find(name)
    }
}

/// A coded constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A level of the codebook: 6 bits.
    Level(u8),
    /// A constant that is kept as it is, beside the levels.
    Exact(u32),
}

/// What codes stand for: at most 64 levels, and the constants that are kept as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    codec: ConstantCodec,
    /// Ascending, each once.
    levels: Vec<f64>,
    exact: Vec<f64>,
    exact_places: HashMap<u64, u32>,
}

/// Numbers that make no codebook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodebookError {
    /// More levels than 6 bits can tell apart, or none.
    #[error("expected 1 to {LEVELS} levels, found {0}")]
    Count(usize),
    /// Levels that are not ascending, or not finite.
    #[error("expected ascending finite levels, found another order at level {0}")]
    Order(usize),
    /// A constant beside the levels that is not finite or stands twice.
    #[error("expected finite constants, each once, found another at {0}")]
    Exact(usize),
}

impl Codebook {
    /// A codebook for these constants.
    pub fn new(codec: ConstantCodec, constants: &[f64]) -> Codebook {
        let levels = match codec {
            ConstantCodec::Lattice => lattice(5),
            ConstantCodec::Palette => with_lattice(palette(constants)),
            ConstantCodec::Uniform => uniform(constants),
        };
        Codebook { codec, levels, exact: Vec::new(), exact_places: HashMap::new() }
    }

    /// A codebook that was stored.
    pub fn from_parts(
        codec: ConstantCodec,
        levels: Vec<f64>,
        exact: Vec<f64>,
    ) -> Result<Codebook, CodebookError> {
        if levels.is_empty() || levels.len() > LEVELS {
            return Err(CodebookError::Count(levels.len()));
        }
        let is_wrong =
            |at: usize| !levels[at].is_finite() || at > 0 && levels[at - 1] >= levels[at];
        if let Some(at) = (0..levels.len()).find(|at| is_wrong(*at)) {
            return Err(CodebookError::Order(at));
        }
        let mut book = Codebook { codec, levels, exact: Vec::new(), exact_places: HashMap::new() };
        for (at, value) in exact.into_iter().enumerate() {
            if !value.is_finite() || book.keep(value) != Code::Exact(at as u32) {
                return Err(CodebookError::Exact(at));
            }
        }
        Ok(book)
    }

    /// How its levels were chosen.
    pub fn codec(&self) -> ConstantCodec {
        self.codec
    }

    /// Its levels, ascending.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The constants beside the levels.
    pub fn exact(&self) -> &[f64] {
        &self.exact
    }

    /// The number that a code of this codebook stands for.
    pub fn value(&self, code: Code) -> f64 {
        match code {
            Code::Level(level) => self.levels[usize::from(level)],
            Code::Exact(place) => self.exact[place as usize],
        }
    }

    /// The level nearest to a number, the lower of two.
    pub fn nearest(&self, value: f64) -> u8 {
        let above = self.levels.partition_point(|level| *level < value);
        let distance = |level: usize| (self.levels[level] - value).abs();
        let nearest = match above {
            0 => 0,
            above if above == self.levels.len() => above - 1,
            above if distance(above - 1) <= distance(above) => above - 1,
            above => above,
        };
        nearest as u8
    }

    /// The code of a number without any loss: a level that is this number, else the number itself
    /// is kept. The sign of a zero is kept too.
    pub fn lossless(&mut self, value: f64) -> Code {
        let level = self.nearest(value);
        let is_same = self.levels[usize::from(level)].to_bits() == value.to_bits();
        if is_same { Code::Level(level) } else { self.keep(value) }
    }

    fn keep(&mut self, value: f64) -> Code {
        let next = self.exact.len() as u32;
        let place = *self.exact_places.entry(value.to_bits()).or_insert(next);
        if place == next {
            self.exact.push(value);
        }
        Code::Exact(place)
    }
}

/// The values that a contin knob of MOSES turns to from 0 when its path has at most `depth` turns,
/// ascending.
///
/// A path of turns to the left and right begins with a step of 1. As long as all go one way, the
/// step doubles; the first that goes back has a quarter of the step then due, and each after it
/// half of the one before.
pub fn lattice(depth: u32) -> Vec<f64> {
    let mut values = vec![0.0];
    for length in 1..=depth {
        for path in 0..1u32 << length {
            values.push(
                (0..length)
                    .fold(Knob::at_rest(), |knob, turn| knob.turned(path >> turn & 1 == 1))
                    .value,
            );
        }
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

struct Knob {
    value: f64,
    step: f64,
    /// The way of all turns so far; `None` before the first, and after one that went back.
    way: Option<bool>,
    /// Whether a turn has gone back.
    settling: bool,
}

impl Knob {
    fn at_rest() -> Knob {
        Knob { value: 0.0, step: 1.0, way: None, settling: false }
    }

    fn turned(self, right: bool) -> Knob {
        let goes_back = !self.settling && self.way.is_some_and(|way| way != right);
        let step = if goes_back { self.step / 4.0 } else { self.step };
        let settling = self.settling || goes_back;
        Knob {
            value: if right { self.value + step } else { self.value - step },
            step: if settling { step / 2.0 } else { step * 2.0 },
            way: Some(right),
            settling,
        }
    }
}

/// Distinct constants that levels are chosen for, at most: finding the best takes their square.
const MOST_DISTINCT: usize = 1024;

/// All distinct constants if they are at most 64; else the 63 levels with the least sum of squared
/// differences, each constant counted as often as it stands (dynamic programming, exact). Of very
/// many, those that stand most often decide.
fn palette(constants: &[f64]) -> Vec<f64> {
    let mut distinct = by_use(constants);
    distinct.truncate(MOST_DISTINCT);
    distinct.sort_by(|a, b| a.0.total_cmp(&b.0));
    match distinct.len() {
        0 => vec![0.0],
        1..=LEVELS => distinct.into_iter().map(|(value, _)| value).collect(),
        // One code stays free, for constants that no level is near enough to.
        _ => best_levels(&distinct, LEVELS - 1),
    }
}

/// The distinct constants and how often each stands, those that stand most often first.
pub(super) fn by_use(constants: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = constants.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut distinct: Vec<(f64, f64)> = Vec::new();
    for value in sorted {
        match distinct.last_mut() {
            Some((last, count)) if *last == value => *count += 1.0,
            // -0 and 0 are one level.
            _ => distinct.push((value + 0.0, 1.0)),
        }
    }
    // A stable sort: of those that stand equally often, the lowest first.
    distinct.sort_by(|a, b| b.1.total_cmp(&a.1));
    distinct
}

/// Levels and, as long as codes are free, the values of ever finer lattices. One code stays free,
/// to say that a constant is kept as it is.
fn with_lattice(mut levels: Vec<f64>) -> Vec<f64> {
    for value in (0..=5).flat_map(lattice) {
        if levels.len() + 1 < LEVELS && !levels.contains(&value) {
            levels.push(value);
        }
    }
    levels.sort_by(f64::total_cmp);
    levels
}

fn best_levels(distinct: &[(f64, f64)], count: usize) -> Vec<f64> {
    let sums = Sums::of(distinct);
    let n = distinct.len();
    // cost[end]: of the first `end` values in as many levels as there are rounds so far.
    let mut cost: Vec<f64> = (0..=n).map(|end| sums.cost(0, end)).collect();
    let mut starts: Vec<Vec<usize>> = vec![vec![0; n + 1]];
    for _ in 1..count {
        let mut next = vec![0.0; n + 1];
        let mut start = vec![0; n + 1];
        for end in 1..=n {
            let with = |start: usize| (cost[start] + sums.cost(start, end), start);
            let best = (0..end).map(with).min_by(|a, b| a.0.total_cmp(&b.0));
            (next[end], start[end]) = best.unwrap_or_default();
        }
        cost = next;
        starts.push(start);
    }
    let mut levels = Vec::with_capacity(count);
    let mut end = n;
    for start in starts.iter().rev() {
        if end > 0 {
            levels.push(sums.mean(start[end], end));
            end = start[end];
        }
    }
    levels.reverse();
    levels.dedup();
    levels
}

/// Running sums of counts, values and squares, for the cost of a range in no time.
struct Sums(Vec<[f64; 3]>);

impl Sums {
    fn of(distinct: &[(f64, f64)]) -> Sums {
        let mut sums = vec![[0.0; 3]];
        let mut last = [0.0; 3];
        for (value, count) in distinct {
            last = [last[0] + count, last[1] + count * value, last[2] + count * value * value];
            sums.push(last);
        }
        Sums(sums)
    }

    fn range(&self, start: usize, end: usize) -> [f64; 3] {
        std::array::from_fn(|i| self.0[end][i] - self.0[start][i])
    }

    fn mean(&self, start: usize, end: usize) -> f64 {
        let [count, sum, _] = self.range(start, end);
        sum / count
    }

    fn cost(&self, start: usize, end: usize) -> f64 {
        if start == end {
            return 0.0;
        }
        let [count, sum, squares] = self.range(start, end);
        (squares - sum * sum / count).max(0.0)
    }
}

fn uniform(constants: &[f64]) -> Vec<f64> {
    let low = constants.iter().copied().fold(f64::INFINITY, f64::min);
    let high = constants.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return vec![0.0];
    }
    // Halves first: the difference of two huge numbers overflows.
    let along = |level: usize| level as f64 / (LEVELS - 1) as f64;
    let mut levels: Vec<f64> =
        (0..LEVELS).map(|level| (low * (1.0 - along(level)) + high * along(level)) + 0.0).collect();
    // Of constants that are nearly equal, rounding can swap levels.
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lattice_is_that_of_moses() {
        assert_eq!([3, 4, 5, 6].map(|depth| lattice(depth).len()), [15, 31, 63, 127]);
        let positive: Vec<f64> = lattice(5).into_iter().filter(|value| *value > 0.0).collect();
        let sixteenths = (1..=16).map(|i| f64::from(i) / 16.0);
        let quarters = (5..=12).map(|i| f64::from(i) / 4.0);
        let rest = [4.0, 5.0, 6.0, 7.0, 11.0, 15.0, 31.0];
        let expected: Vec<f64> = sixteenths.chain(quarters).chain(rest).collect();
        assert_eq!(positive, expected);
    }

    #[test]
    fn few_constants_are_their_own_palette() {
        let mut book = Codebook::new(ConstantCodec::Palette, &[0.3, -1.51, 0.3, 70.0]);
        for value in [0.3, -1.51, 70.0, 0.0, 1.0, -3.0, 0.125] {
            assert!(matches!(book.lossless(value), Code::Level(_)), "{value}");
        }
        assert_eq!(book.levels().len(), LEVELS - 1, "one code is free");
        assert_eq!(book.lossless(0.4), Code::Exact(0));
        let all = book.levels().to_vec();
        let nearest = |value| all[usize::from(book.nearest(value))];
        assert_eq!((nearest(0.302), nearest(-99.0), nearest(99.0)), (0.3, -31.0, 70.0));
    }

    #[test]
    fn a_full_palette_is_better_than_equal_steps() {
        let constants: Vec<f64> = (0..300).map(|i| (f64::from(i) / 60.0).exp()).collect();
        let error = |codec| {
            let book = Codebook::new(codec, &constants);
            assert!(book.levels().len() >= LEVELS - 1);
            let off = |x: &f64| (book.value(Code::Level(book.nearest(*x))) - x).powi(2);
            constants.iter().map(off).sum::<f64>()
        };
        let (palette, uniform) = (error(ConstantCodec::Palette), error(ConstantCodec::Uniform));
        assert!(palette < 0.6 * uniform, "{palette} {uniform}");
    }

    #[test]
    fn names_lead_back() {
        for codec in ConstantCodec::all() {
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert!("octal".parse::<ConstantCodec>().unwrap_err().contains("found `octal`"));
    }

    #[test]
    fn what_is_no_codebook_is_refused() {
        let of = |levels: &[f64], exact: &[f64]| {
            Codebook::from_parts(ConstantCodec::Palette, levels.into(), exact.into())
        };
        assert_eq!(of(&[], &[]), Err(CodebookError::Count(0)));
        assert_eq!(of(&[0.0; 65], &[]), Err(CodebookError::Count(65)));
        assert_eq!(of(&[1.0, 1.0], &[]), Err(CodebookError::Order(1)));
        assert_eq!(of(&[f64::NAN], &[]), Err(CodebookError::Order(0)));
        assert_eq!(of(&[1.0], &[2.0, f64::INFINITY]), Err(CodebookError::Exact(1)));
        assert_eq!(of(&[1.0], &[2.0, 2.0]), Err(CodebookError::Exact(1)));
    }

    proptest! {
        #[test]
        fn lossless_codes_lose_nothing(
            constants in proptest::collection::vec(-1e6..1e6f64, 0..200),
            others in proptest::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 0..20),
        ) {
            for codec in ConstantCodec::all() {
                let mut book = Codebook::new(codec, &constants);
                prop_assert!(book.levels().windows(2).all(|pair| pair[0] < pair[1]));
                for value in constants.iter().chain(&others) {
                    let code = book.lossless(*value);
                    prop_assert_eq!(book.value(code).to_bits(), value.to_bits());
                }
                let parts = (book.levels().to_vec(), book.exact().to_vec());
                prop_assert_eq!(Codebook::from_parts(codec, parts.0, parts.1), Ok(book));
            }
        }

        #[test]
        fn the_nearest_level_is_nearest(
            constants in proptest::collection::vec(-100.0..100.0f64, 1..100), value in -120.0..120.0f64,
        ) {
            let book = Codebook::new(ConstantCodec::Palette, &constants);
            let distance = |level: &f64| (level - value).abs();
            let best = book.levels().iter().map(distance).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(distance(&book.levels()[usize::from(book.nearest(value))]), best);
        }
    }
}
