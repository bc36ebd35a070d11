//! Whether a store says to a pattern miner what the original says: the same frequent patterns, as
//! often, and as surprising.

use std::collections::HashMap;

use serde::Serialize;

use super::ranking::spearman;
use crate::opencog::atomspace::AtomStore;
use crate::opencog::miner::{Mined, MinedPattern, MinerOptions, Surprise, mine};

/// How two minings agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MiningAgreement {
    /// Frequent patterns of the original.
    pub expected: usize,
    /// Frequent patterns of the other store.
    pub found: usize,
    /// How many are both.
    pub common: usize,
    /// Of the patterns found, the share that is expected; 1 if none is found.
    pub precision: f64,
    /// Of the patterns expected, the share that is found; 1 if none is expected.
    pub recall: f64,
    /// The largest difference of the supports of a common pattern.
    pub support_difference: u64,
    /// How the patterns of two or more clauses are ranked by nisurp.
    pub nisurp: RankAgreement,
    /// How they are ranked by jsdsurp.
    pub jsdsurp: RankAgreement,
}

/// How two rankings agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankAgreement {
    /// How many patterns both rankings have.
    pub ranked: usize,
    /// Spearman's rank correlation over these, see [`spearman`]; none where neither ranking has an
    /// order, as with fewer than two patterns.
    pub spearman: Option<f64>,
    /// Of the first k of the original (or all, where there are fewer), the share that is among the
    /// first k of the other.
    pub top_k: f64,
    /// The largest difference of the measures of a pattern.
    pub difference: f64,
}

impl MiningAgreement {
    /// Whether no pattern, support or surprisingness differs.
    pub fn is_perfect(&self) -> bool {
        let same = |ranks: &RankAgreement| ranks.difference == 0.0 && ranks.top_k == 1.0;
        self.precision == 1.0
            && self.recall == 1.0
            && self.support_difference == 0
            && same(&self.nisurp)
            && same(&self.jsdsurp)
    }
}

/// Mines both stores alike and compares; rankings also by their first `k`.
pub fn mining_agreement(
    original: &impl AtomStore,
    other: &impl AtomStore,
    options: &MinerOptions,
    k: usize,
) -> MiningAgreement {
    agreement(&mine(original, options), &mine(other, options), k)
}

/// Compares what was mined.
pub fn agreement(original: &Mined, other: &Mined, k: usize) -> MiningAgreement {
    let by_text: HashMap<&str, &MinedPattern> =
        other.patterns.iter().map(|pattern| (&*pattern.text, pattern)).collect();
    let pairs: Vec<(&MinedPattern, &MinedPattern)> = original
        .patterns
        .iter()
        .filter_map(|pattern| Some((pattern, *by_text.get(&*pattern.text)?)))
        .collect();
    let share = |of: usize| if of == 0 { 1.0 } else { pairs.len() as f64 / of as f64 };
    let (expected, found) = (original.patterns.len(), other.patterns.len());
    let difference = |(a, b): &(&MinedPattern, &MinedPattern)| a.support.abs_diff(b.support);
    let ranks = |measure: fn(&Surprise) -> f64| RankAgreement {
        top_k: top_k(&ranking(original, measure), &ranking(other, measure), k),
        ..rank_agreement(&pairs, measure)
    };
    MiningAgreement {
        expected,
        found,
        common: pairs.len(),
        precision: share(found),
        recall: share(expected),
        support_difference: pairs.iter().map(difference).max().unwrap_or(0),
        nisurp: ranks(|surprise| surprise.nisurp),
        jsdsurp: ranks(|surprise| surprise.jsdsurp),
    }
}

fn rank_agreement(
    pairs: &[(&MinedPattern, &MinedPattern)],
    measure: fn(&Surprise) -> f64,
) -> RankAgreement {
    let of = |pattern: &MinedPattern| pattern.surprise.as_ref().map(measure);
    let both = pairs.iter().filter_map(|(a, b)| Some((of(a)?, of(b)?)));
    let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
    let differences = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
    let difference = differences.fold(0.0, f64::max);
    let has_order = |values: &[f64]| values.iter().any(|value| *value != values[0]);
    let spearman = (has_order(&a) || has_order(&b)).then(|| spearman(&a, &b));
    RankAgreement { ranked: a.len(), spearman, top_k: 1.0, difference }
}

/// The texts of the patterns that have the measure, the most surprising first, equals by text.
fn ranking(mined: &Mined, measure: fn(&Surprise) -> f64) -> Vec<&str> {
    let measured = mined
        .patterns
        .iter()
        .filter_map(|pattern| Some((measure(pattern.surprise.as_ref()?), &*pattern.text)));
    let mut ranked: Vec<(f64, &str)> = measured.collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked.into_iter().map(|(_, text)| text).collect()
}

fn top_k(a: &[&str], b: &[&str], k: usize) -> f64 {
    let (first, other) = (&a[..k.min(a.len())], &b[..k.min(b.len())]);
    let common = first.iter().filter(|text| other.contains(text)).count();
    if first.is_empty() { 1.0 } else { common as f64 / first.len() as f64 }
}

#[cfg(test)]
mod tests {
    use crate::opencog::atomspace::AtomSpace;
    use crate::opencog::atomspace::query::TruthFilter;
    use crate::opencog::atomspace::read::{ReadOptions, read};

    use super::*;

    /// Animals of some classes, the surer the larger their number.
    fn animals(confidence: impl Fn(u32) -> f64) -> AtomSpace {
        let mut text = String::new();
        for i in 0..40u32 {
            let classes = [("animal", 1), ("bird", 2), ("red", 3), ("big", 5)];
            for (class, _) in classes.iter().filter(|(_, every)| i % every == 0) {
                let c = confidence(i);
                text +=
                    &format!("(Inheritance (stv 1 {c}) (Concept \"{i}\") (Concept \"{class}\"))");
            }
        }
        read(text.as_bytes(), &ReadOptions::default()).unwrap().0
    }

    fn options(filter: TruthFilter) -> MinerOptions {
        MinerOptions { minimum_support: 4, filter, ..MinerOptions::default() }
    }

    #[test]
    fn structure_alone_agrees_whatever_the_truth_values() {
        let (a, b) = (animals(|i| f64::from(i) / 40.0), animals(|_| 0.0));
        let agreement = mining_agreement(&a, &b, &options(TruthFilter::Any), 10);
        assert!(agreement.is_perfect() && agreement.expected > 20, "{agreement:?}");
        assert_eq!(agreement.nisurp.spearman, Some(1.0));
    }

    #[test]
    fn lost_truth_values_are_seen_by_a_filter() {
        let exact = |i| f64::from(i) / 40.0;
        let (a, b) = (animals(exact), animals(|i| (exact(i) * 4.0).floor() / 4.0));
        let filter = TruthFilter::ProductAtLeast(0.3);
        let agreement = mining_agreement(&a, &b, &options(filter), 10);
        assert!(agreement.recall < 1.0 && agreement.precision <= 1.0);
        assert!(agreement.support_difference > 0 && !agreement.is_perfect());
        let same = mining_agreement(&a, &a, &options(filter), 10);
        assert!(same.is_perfect() && same.expected == agreement.expected);
        let none = mining_agreement(&a, &animals(|_| 0.0), &options(filter), 10);
        assert_eq!(
            (none.found, none.precision, none.recall, none.nisurp.top_k),
            (0, 1.0, 0.0, 0.0)
        );
    }

    #[test]
    fn the_first_k_are_compared() {
        let (a, b) = (["x", "y", "z"], ["y", "w", "x"]);
        assert_eq!(top_k(&a, &b, 2), 0.5);
        assert_eq!(top_k(&a, &b, 10), 2.0 / 3.0);
        assert_eq!(top_k(&[], &b, 2), 1.0);
    }
}
