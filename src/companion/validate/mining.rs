//! What a pattern miner finds in a companion.

use crate::opencog::atomspace::AtomStore;
use crate::opencog::atomspace::query::TruthFilter;
use crate::opencog::miner::{MinerOptions, mine, trees};
use crate::report::MiningReport;
use crate::validate::opencog::mining::agreement;

/// How many of the most surprising patterns are compared.
const TOP: usize = 10;

/// No pattern is told of fewer groundings.
const LEAST_SUPPORT: u64 = 2;

/// Mines both stores, all trees and those that a filter of truth values lets pass, where there are
/// any to filter by.
pub(super) fn compared(original: &impl AtomStore, packed: &impl AtomStore) -> Vec<MiningReport> {
    let filters = [Some(TruthFilter::Any), better_half(original)];
    let mined = |filter| {
        let options = options(trees(original, filter).len() as u64, filter);
        let (original, packed) = (mine(original, &options), mine(packed, &options));
        MiningReport {
            trees: original.trees,
            too_large: original.too_large,
            is_complete: original.is_complete && packed.is_complete,
            top: TOP,
            agreement: agreement(&original, &packed, TOP),
            options,
        }
    };
    filters.into_iter().flatten().map(mined).collect()
}

/// What is mined for in so many trees. The support grows with their root, so that large stores have
/// no more patterns to compare than small ones; the other bounds hold the time on stores where it
/// does not suffice.
fn options(trees: u64, filter: TruthFilter) -> MinerOptions {
    MinerOptions {
        minimum_support: trees.isqrt().max(LEAST_SUPPORT),
        filter,
        most_groundings: 1 << 16,
        most_patterns: 2000,
        most_lookups: 150_000_000,
        ..MinerOptions::default()
    }
}

/// The filter that half of the trees with something to filter by pass, in strength times confidence:
/// halfway between two values, as one who filters between kinds of evidence would have it, so that
/// rounding alone decides about no tree that is like many.
fn better_half(store: &impl AtomStore) -> Option<TruthFilter> {
    let product = |tree| {
        let truth = store.truth_value(tree)?;
        Some(truth.strength() * truth.confidence()).filter(|product| *product > 0.0)
    };
    let trees = trees(store, TruthFilter::Any).into_iter();
    let mut products: Vec<f64> = trees.filter_map(product).collect();
    products.sort_unstable_by(f64::total_cmp);
    let middle = *products.get(products.len() / 2)?;
    let below = products[..products.partition_point(|product| *product < middle)].last();
    Some(TruthFilter::ProductAtLeast((below.copied().unwrap_or(0.0) + middle) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencog::atomspace::AtomSpace;
    use crate::opencog::atomspace::read::{ReadOptions, read};

    /// Links of a confidence each, of two kinds of things.
    fn links(confidences: &[f64]) -> AtomSpace {
        let link = |(i, confidence): (usize, &f64)| {
            let pair = format!("(Concept \"{i}\") (Concept \"{}\")", ["a", "b"][i % 2]);
            format!("(Inheritance (stv 0.5 {confidence}) {pair})\n")
        };
        let text: String = confidences.iter().enumerate().map(link).collect();
        read(text.as_bytes(), &ReadOptions::default()).unwrap().0
    }

    #[test]
    fn the_filter_lies_between_values() {
        let filter = |confidences: &[f64]| better_half(&links(confidences));
        assert_eq!(filter(&[0.2, 0.4, 0.6, 0.8]), Some(TruthFilter::ProductAtLeast(0.25)));
        assert_eq!(filter(&[0.4, 0.4, 0.4]), Some(TruthFilter::ProductAtLeast(0.1)));
        assert_eq!(filter(&[0.0, 0.4]), Some(TruthFilter::ProductAtLeast(0.1)));
        assert_eq!(filter(&[0.0, 0.0]), None, "none would pass");
        assert_eq!(filter(&[]), None);
    }

    #[test]
    fn what_a_store_lost_is_told_with_the_filter_only() {
        let exact: Vec<f64> = (1..=40).map(|i| f64::from(i) / 50.0).collect();
        let coarse: Vec<f64> = exact.iter().map(|confidence| confidence.floor()).collect();
        let [any, filtered] = &compared(&links(&exact), &links(&coarse))[..] else {
            panic!("expected two minings");
        };
        assert_eq!((any.trees, any.options.minimum_support, any.is_complete), (40, 6, true));
        assert!(any.agreement.is_perfect() && any.agreement.expected > 2, "{any:?}");
        assert_eq!((filtered.trees, filtered.agreement.recall), (20, 0.0));
        let same = compared(&links(&exact), &links(&exact));
        assert!(same.iter().all(|mined| mined.agreement.is_perfect()));
        assert_eq!(compared(&links(&[]), &links(&[])).len(), 1);
    }
}
