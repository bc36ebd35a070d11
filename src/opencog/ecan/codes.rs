//! Importance in 8 bits: a level of a column's own table each.

use std::fmt;
use std::str::FromStr;

use super::values::AttentionValues;
use crate::opencog::codec_names::CodecNames;

/// The most levels of a column: what 8 bits can tell apart.
pub const LEVELS: usize = 256;

/// How the levels of a column are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttentionCodec {
    /// The values themselves, up to 256 of them; where they are more, geometric levels
    /// moved to where values are.
    Palette,
    /// Zero, and levels of either sign that grow by a factor, from the smallest to the largest
    /// value: as OpenCog's own importance index has ever wider bins.
    Geometric,
    /// Equal steps from the smallest to the largest value.
    Uniform,
}

impl AttentionCodec {
    const NAMES: CodecNames<AttentionCodec> = CodecNames(&[
        (AttentionCodec::Palette, "palette"),
        (AttentionCodec::Geometric, "geometric"),
        (AttentionCodec::Uniform, "uniform"),
    ]);

    /// All of them.
    pub fn all() -> impl Iterator<Item = AttentionCodec> {
        AttentionCodec::NAMES.all()
    }
}

impl fmt::Display for AttentionCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(AttentionCodec::NAMES.name(*self))
    }
}

impl FromStr for AttentionCodec {
    type Err = String;

    fn from_str(name: &str) -> Result<AttentionCodec, String> {
        AttentionCodec::NAMES.find(name)
    }
}

/// A column of values in 8 bits each.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Ascending, each once; at most 256.
    levels: Vec<f64>,
    codes: Vec<u8>,
}

/// Parts that make no column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// More levels than 8 bits can tell apart.
    #[error("expected at most {LEVELS} levels, found {0}")]
    Count(usize),
    /// Levels that are not ascending, or not finite.
    #[error("expected ascending finite levels, found another order at level {0}")]
    Order(usize),
    /// A code without a level.
    #[error("atom {atom}: expected a code below {levels}, found {code}")]
    Code {
        /// The atom.
        atom: usize,
        /// The number of levels.
        levels: usize,
        /// The code.
        code: u8,
    },
    /// Very long-term importance that is no count.
    #[error("expected counts, found {0}")]
    Fraction(String),
}

impl Column {
    /// Codes finite values.
    ///
    /// The palette and the geometric codec keep 0 as 0, and other values other than 0 and of their
    /// sign. All keep the order of values, but for those that become equal.
    pub fn encode(codec: AttentionCodec, values: &[f64]) -> Column {
        let mut sorted: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        let levels = match codec {
            AttentionCodec::Palette if sorted.len() <= LEVELS => sorted,
            AttentionCodec::Palette => dense(&sorted, values),
            AttentionCodec::Geometric => geometric(&sorted),
            AttentionCodec::Uniform => uniform(&sorted, LEVELS),
        };
        let code = |value: &f64| match codec {
            AttentionCodec::Uniform => nearest(&levels, *value, |a, b| (a - b).abs()),
            AttentionCodec::Palette => guarded(&levels, *value, |a, b| (a - b).abs()),
            AttentionCodec::Geometric => guarded(&levels, *value, |a, b| (a / b).ln().abs()),
        };
        let codes: Vec<u8> = values.iter().map(code).collect();
        // What was coded is coded so again: a palette of it has no other levels.
        match codec {
            AttentionCodec::Palette => Column { levels, codes }.in_use(),
            _ => Column { levels, codes },
        }
    }

    /// Codes counts, by levels that are counts. By any codec, 0 stays 0 and what is more stays more.
    pub fn encode_counts(codec: AttentionCodec, counts: &[u32]) -> Column {
        let values: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
        let levels = match codec {
            AttentionCodec::Uniform => {
                let mut above: Vec<f64> =
                    values.iter().copied().filter(|value| *value > 0.0).collect();
                above.sort_by(f64::total_cmp);
                above.dedup();
                let mut levels = vec![0.0];
                levels.extend(uniform(&above, LEVELS - 1));
                levels
            }
            AttentionCodec::Geometric => geometric(&raised(&values)),
            AttentionCodec::Palette => Column::encode(codec, &values).levels,
        };
        let levels = ascending(levels.into_iter().map(f64::round).collect());
        let distance = |a: f64, b: f64| match codec {
            AttentionCodec::Geometric => (a / b).ln().abs(),
            _ => (a - b).abs(),
        };
        let codes = values.iter().map(|value| guarded(&levels, *value, distance)).collect();
        match codec {
            AttentionCodec::Palette => Column { levels, codes }.in_use(),
            _ => Column { levels, codes },
        }
    }

    /// A column that was stored.
    pub fn from_parts(levels: Vec<f64>, codes: Vec<u8>) -> Result<Column, ColumnError> {
        if levels.len() > LEVELS {
            return Err(ColumnError::Count(levels.len()));
        }
        let is_wrong =
            |at: usize| !levels[at].is_finite() || at > 0 && levels[at - 1] >= levels[at];
        if let Some(at) = (0..levels.len()).find(|at| is_wrong(*at)) {
            return Err(ColumnError::Order(at));
        }
        let code = codes.iter().enumerate().find(|(_, code)| usize::from(**code) >= levels.len());
        match code {
            None => Ok(Column { levels, codes }),
            Some((atom, code)) => {
                Err(ColumnError::Code { atom, levels: levels.len(), code: *code })
            }
        }
    }

    /// The levels, ascending.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// A code for each atom.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The number of atoms.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The value of an atom.
    ///
    /// # Panics
    ///
    /// Where there are no more than `atom` atoms.
    pub fn value(&self, atom: usize) -> f64 {
        self.levels[usize::from(self.codes[atom])]
    }

    /// All values.
    pub fn decode(&self) -> Vec<f64> {
        (0..self.len()).map(|atom| self.value(atom)).collect()
    }

    /// Without the levels that no code names.
    fn in_use(mut self) -> Column {
        let mut used = vec![false; self.levels.len()];
        self.codes.iter().for_each(|code| used[usize::from(*code)] = true);
        let mut next = 0;
        let places: Vec<u8> = used
            .iter()
            .map(|used| {
                let place = next;
                next += usize::from(*used);
                place as u8
            })
            .collect();
        let mut used = used.into_iter();
        self.levels.retain(|_| used.next() == Some(true));
        self.codes.iter_mut().for_each(|code| *code = places[usize::from(*code)]);
        self
    }
}

/// The level nearest to a value, the lower of two.
fn nearest(levels: &[f64], value: f64, distance: impl Fn(f64, f64) -> f64) -> u8 {
    let above = levels.partition_point(|level| *level < value);
    match above {
        0 => 0,
        above if above == levels.len() => (above - 1) as u8,
        above => {
            let is_lower = distance(levels[above - 1], value) <= distance(levels[above], value);
            (above - usize::from(is_lower)) as u8
        }
    }
}

/// The nearest level of the value's own sign; 0 for 0. There is one, as the levels are made.
fn guarded(levels: &[f64], value: f64, distance: impl Fn(f64, f64) -> f64) -> u8 {
    let negative = levels.partition_point(|level| *level < 0.0);
    let positive = levels.partition_point(|level| *level <= 0.0);
    let (start, own) = match value.total_cmp(&0.0) {
        _ if value == 0.0 => return negative as u8,
        std::cmp::Ordering::Less => (0, &levels[..negative]),
        _ => (positive, &levels[positive..]),
    };
    start as u8 + nearest(own, value, distance)
}

/// Equal steps.
fn uniform(sorted: &[f64], count: usize) -> Vec<f64> {
    let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let along = |level: usize| level as f64 / (count - 1) as f64;
    // Halves first: the difference of two huge numbers overflows.
    let level = |level| low * (1.0 - along(level)) + high * along(level) + 0.0;
    ascending((0..count).map(level).collect())
}

/// Rounding can swap levels that are nearly equal.
fn ascending(mut levels: Vec<f64>) -> Vec<f64> {
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}

/// How often the smallest level is doubled up to the largest, at most. OpenCog's importance index
/// spans as much, from 1 to 32767; below that importance hardly matters, and only its sign is kept.
const OCTAVES: i32 = 15;

/// Zero, and the rest of the levels for either sign as the logarithms of its values ask for.
fn geometric(sorted: &[f64]) -> Vec<f64> {
    let largest = sorted.first().zip(sorted.last()).map_or(0.0, |(low, high)| high.max(-low));
    let least = largest * 0.5f64.powi(OCTAVES);
    let sizes = |values: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
        let mut sizes: Vec<f64> = values.map(|size| size.max(least)).collect();
        sizes.dedup();
        sizes
    };
    let below = sizes(&mut sorted.iter().rev().filter(|value| **value < 0.0).map(|value| -value));
    let above = sizes(&mut sorted.iter().filter(|value| **value > 0.0).copied());
    let (wide_below, wide_above) = (octaves(&below), octaves(&above));
    let left = LEVELS - 1;
    let share = match (wide_below > 0.0, wide_above > 0.0) {
        (false, _) => usize::from(!below.is_empty()),
        (true, false) => left - usize::from(!above.is_empty()),
        (true, true) => {
            let share = left as f64 * wide_below / (wide_below + wide_above);
            (share as usize).clamp(2, left - 2)
        }
    };
    let mut levels: Vec<f64> = growing(&below, share).into_iter().map(|size| -size).collect();
    levels.push(0.0);
    levels.extend(growing(&above, left - share));
    ascending(levels)
}

/// How often the smallest of ascending values is doubled up to the largest.
fn octaves(sizes: &[f64]) -> f64 {
    match (sizes.first(), sizes.last()) {
        (Some(low), Some(high)) => high.log2() - low.log2(),
        _ => 0.0,
    }
}

/// Counts, ascending and each once, those below the smallest geometric level at the count next to it.
fn raised(counts: &[f64]) -> Vec<f64> {
    let largest = counts.iter().copied().fold(0.0, f64::max);
    let least = (largest * 0.5f64.powi(OCTAVES)).round();
    let raise = |count: &f64| if *count > 0.0 { count.max(least) } else { 0.0 };
    ascending(counts.iter().map(raise).collect())
}

fn growing(sizes: &[f64], count: usize) -> Vec<f64> {
    let (Some(low), Some(high)) = (sizes.first(), sizes.last()) else { return Vec::new() };
    if low == high || count < 2 {
        return vec![*high];
    }
    let along = |level: usize| level as f64 / (count - 1) as f64;
    let level = |level| (low.ln() * (1.0 - along(level)) + high.ln() * along(level)).exp();
    let mut levels: Vec<f64> = (1..count - 1).map(level).collect();
    levels.retain(|level| low < level && level < high);
    levels.insert(0, *low);
    levels.push(*high);
    levels
}

/// Rounds of Lloyd's algorithm: after some ten the levels hardly move.
const ROUNDS: usize = 20;

/// The geometric levels, moved to the means of what is nearest to them, so that sums are kept too.
fn dense(sorted: &[f64], values: &[f64]) -> Vec<f64> {
    let mut levels = geometric(sorted);
    for _ in 0..ROUNDS {
        let mut sums = vec![(0.0, 0.0); levels.len()];
        for value in values {
            let (sum, count) =
                &mut sums[usize::from(guarded(&levels, *value, |a, b| (a - b).abs()))];
            *sum += value / 2.0;
            *count += 0.5;
        }
        for (level, (sum, count)) in levels.iter_mut().zip(sums) {
            if count > 0.0 && *level != 0.0 {
                *level = sum / count;
            }
        }
        levels = ascending(levels);
    }
    levels
}

/// Attention values in 3 bytes an atom.
#[derive(Debug, Clone, PartialEq)]
pub struct CodedAttention {
    /// How the levels were chosen.
    pub codec: AttentionCodec,
    /// Short-term importance.
    pub sti: Column,
    /// Long-term importance.
    pub lti: Column,
    /// Very long-term importance, its levels counts.
    pub vlti: Column,
}

impl CodedAttention {
    /// Codes attention values.
    pub fn encode(codec: AttentionCodec, values: &AttentionValues) -> CodedAttention {
        CodedAttention {
            codec,
            sti: Column::encode(codec, &values.sti),
            lti: Column::encode(codec, &values.lti),
            vlti: Column::encode_counts(codec, &values.vlti),
        }
    }

    /// The values that the codes stand for.
    pub fn decode(&self) -> AttentionValues {
        let vlti = self.vlti.decode().into_iter().map(|count| count as u32).collect();
        AttentionValues { sti: self.sti.decode(), lti: self.lti.decode(), vlti }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decoded(codec: AttentionCodec, values: &[f64]) -> Vec<f64> {
        Column::encode(codec, values).decode()
    }

    #[test]
    fn few_values_are_kept_exactly() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i % 256 - 40)).collect();
        assert_eq!(decoded(AttentionCodec::Palette, &values), values);
        let uniform = decoded(AttentionCodec::Uniform, &[-40.0, 0.0, 977.0]);
        assert!(uniform[1].abs() > 0.1, "equal steps have no 0: {uniform:?}");
    }

    #[test]
    fn geometric_levels_err_by_a_share() {
        let values: Vec<f64> = (0..2000).map(|i| 0.5 * 1.005f64.powi(i)).collect();
        let largest = |codec| {
            let error = |(a, b): (&f64, &f64)| (a - b).abs() / a;
            values.iter().zip(&decoded(codec, &values)).map(error).fold(0.0, f64::max)
        };
        // 2000 steps of 0.5 % in 255 levels: half a level is 2 %.
        let geometric = largest(AttentionCodec::Geometric);
        assert!((0.015..0.025).contains(&geometric), "{geometric}");
        assert!(largest(AttentionCodec::Uniform) > 0.9);
    }

    #[test]
    fn names_lead_back() {
        for codec in AttentionCodec::all() {
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert!("lattice".parse::<AttentionCodec>().unwrap_err().contains("found `lattice`"));
    }

    #[test]
    fn what_is_no_column_is_refused() {
        assert_eq!(Column::from_parts(vec![0.0; 257], vec![]), Err(ColumnError::Count(257)));
        assert_eq!(Column::from_parts(vec![1.0, 0.0], vec![]), Err(ColumnError::Order(1)));
        let error = Column::from_parts(vec![0.0], vec![0, 1]).unwrap_err().to_string();
        assert_eq!(error, "atom 1: expected a code below 1, found 1");
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            -1e5..1e5f64,
            -1.0..1.0f64,
            any::<f64>().prop_filter("finite", |x| x.is_finite()),
        ]
    }

    proptest! {
        #[test]
        fn no_guard_is_broken(values in vec(finite(), 0..400)) {
            for codec in AttentionCodec::all() {
                let column = Column::encode(codec, &values);
                let decoded = column.decode();
                let mut order: Vec<usize> = (0..values.len()).collect();
                order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
                prop_assert!(order.windows(2).all(|w| decoded[w[0]] <= decoded[w[1]]));
                if codec != AttentionCodec::Uniform {
                    for (value, decoded) in values.iter().zip(&decoded) {
                        prop_assert_eq!(*value > 0.0, *decoded > 0.0);
                        prop_assert_eq!(*value < 0.0, *decoded < 0.0);
                    }
                }
                let (levels, codes) = (column.levels().to_vec(), column.codes().to_vec());
                prop_assert_eq!(Column::from_parts(levels, codes), Ok(column));
            }
        }

        #[test]
        fn what_was_coded_is_coded_so_again(
            values in prop_oneof![vec(finite(), 0..400), vec(finite(), 700..900)],
            counts in vec(prop_oneof![0..9u32, 0..3000u32, any::<u32>()], 0..900),
        ) {
            for codec in AttentionCodec::all() {
                let column = Column::encode(codec, &values);
                let again = Column::encode(codec, &column.decode());
                prop_assert_eq!(again, column, "{}", codec);
                let column = Column::encode_counts(codec, &counts);
                let decoded: Vec<u32> = column.decode().iter().map(|count| *count as u32).collect();
                prop_assert_eq!(Column::encode_counts(codec, &decoded), column, "{}", codec);
            }
        }

        #[test]
        fn zero_counts_stay_zero_by_any_codec(counts in vec(prop_oneof![Just(0), 0..5u32, any::<u32>()], 0..600)) {
            for codec in AttentionCodec::all() {
                let column = Column::encode_counts(codec, &counts);
                for (count, decoded) in counts.iter().zip(column.decode()) {
                    prop_assert_eq!(*count == 0, decoded == 0.0);
                    prop_assert_eq!(decoded.fract(), 0.0);
                }
            }
        }
    }
}
