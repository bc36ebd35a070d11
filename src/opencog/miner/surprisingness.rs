//! How surprising a pattern is: how far its frequency is from what its parts, taken as independent,
//! let expect (`Surprisingness.cc` of OpenCog's miner; where that one samples, all is counted here).

use super::super::atomspace::{confidence_of_count, count_of_confidence};
use super::abstraction::{component, components, is_more_abstract, partitions};
use super::beta::{Beta, Evidence};
use super::groundings::Groundings;
use super::pattern::{Clause, Variable, variables_of};

/// In how many bins distributions are compared.
const BINS: usize = 100;

/// What upstream multiplies the confidence of any estimate by.
const DOUBT: f64 = 0.1;

/// How surprising a pattern of two or more clauses is, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surprise {
    /// The distance of the probability from the interval of the estimates.
    pub isurp: f64,
    /// That distance in relation to the larger one of probability and estimates.
    pub nisurp: f64,
    /// As [`isurp`](Self::isurp), shared variables not taken into account.
    pub isurp_old: f64,
    /// As [`nisurp`](Self::nisurp), shared variables not taken into account.
    pub nisurp_old: f64,
    /// The Jensen-Shannon distance of the probability's distribution from that of the estimate.
    pub jsdsurp: f64,
}

/// How surprising a pattern is, in data of so many trees; none if a part of it has too many
/// groundings to be counted.
pub(super) fn surprise(
    clauses: &[Clause],
    trees: usize,
    groundings: &mut Groundings,
) -> Option<Surprise> {
    let mut measure = Measure { trees: trees as f64, groundings };
    let divisions = partitions(clauses.len());
    let divisions = divisions.iter().filter(|division| division.len() > 1);
    let divisions: Vec<Vec<Vec<Clause>>> = divisions
        .map(|division| {
            let block = |block: &Vec<usize>| block.iter().map(|&i| clauses[i].clone()).collect();
            division.iter().map(block).collect()
        })
        .collect();
    let support = measure.support(clauses)?;
    let (isurp, nisurp) = measure.isurp(clauses, support, &divisions)?;
    let (isurp_old, nisurp_old) = measure.isurp_old(clauses.len(), support, &divisions)?;
    let jsdsurp = measure.jsdsurp(clauses.len(), support, &divisions)?;
    Some(Surprise { isurp, nisurp, isurp_old, nisurp_old, jsdsurp })
}

struct Measure<'g> {
    trees: f64,
    groundings: &'g mut Groundings,
}

/// The least and the greatest.
fn interval(estimates: &[f64]) -> (f64, f64) {
    estimates.iter().fold((f64::INFINITY, 0.0), |(least, greatest), &estimate| {
        (estimate.min(least), estimate.max(greatest))
    })
}

fn distance((least, greatest): (f64, f64), value: f64) -> f64 {
    (value - greatest).max(least - value).max(0.0)
}

impl Measure<'_> {
    /// The product of the numbers of groundings of what is connected.
    fn support(&mut self, clauses: &[Clause]) -> Option<f64> {
        let parts = components(clauses);
        parts.iter().try_fold(1.0, |product, part| {
            Some(product * self.groundings.facts(part)?.support as f64)
        })
    }

    /// In how many ways trees can be chosen for so many clauses.
    fn universe(&self, clauses: usize) -> f64 {
        self.trees.powi(clauses as i32)
    }

    fn isurp(
        &mut self,
        clauses: &[Clause],
        support: f64,
        divisions: &[Vec<Vec<Clause>>],
    ) -> Option<(f64, f64)> {
        let probability = support / self.universe(clauses.len());
        let mut estimates = Vec::with_capacity(divisions.len());
        for blocks in divisions {
            let mut estimate = self.equal(blocks)?;
            for block in blocks {
                estimate *= self.support(block)? / self.universe(block.len());
            }
            estimates.push(estimate);
        }
        let interval = interval(&estimates);
        let distance = distance(interval, probability);
        Some((distance.min(1.0), (distance / probability.max(interval.1)).min(1.0)))
    }

    /// Upstream's older measure: of all sets of as many trees as the pattern has clauses, also for
    /// its parts.
    fn isurp_old(
        &mut self,
        conjuncts: usize,
        support: f64,
        divisions: &[Vec<Vec<Clause>>],
    ) -> Option<(f64, f64)> {
        let sets = (0..conjuncts)
            .fold(1.0, |sets, i| sets * (self.trees - i as f64).max(0.0) / (i as f64 + 1.0));
        if sets == 0.0 {
            return Some((0.0, 0.0));
        }
        let probability = support.min(sets) / sets;
        let mut estimates = Vec::with_capacity(divisions.len());
        for blocks in divisions {
            let mut estimate = 1.0;
            for block in blocks {
                estimate *= self.support(block)?.min(sets) / sets;
            }
            estimates.push(estimate);
        }
        let distance = distance(interval(&estimates), probability);
        Some((distance.min(1.0), (distance / probability).min(1.0)))
    }

    fn jsdsurp(
        &mut self,
        conjuncts: usize,
        support: f64,
        divisions: &[Vec<Vec<Clause>>],
    ) -> Option<f64> {
        let mut estimates = Vec::with_capacity(divisions.len());
        for blocks in divisions {
            let mut of_blocks = Vec::with_capacity(blocks.len());
            for block in blocks {
                let support = self.support(block)?;
                of_blocks.push(self.evidence(support, block.len()));
            }
            let Evidence { strength, count } = mixture(&of_blocks);
            let strength = strength * self.equal(blocks)?;
            estimates.push(Evidence { strength, count: doubted(count) });
        }
        Some(jensen_shannon(self.evidence(support, conjuncts), mixture(&estimates)))
    }

    /// How probable so many groundings of so many clauses make it that there is one.
    fn evidence(&self, support: f64, conjuncts: usize) -> Evidence {
        let universe = self.universe(conjuncts);
        Evidence { strength: support / universe, count: doubted(universe) }
    }

    /// The probability that the variables that blocks share stand for the same atoms in all of them.
    fn equal(&mut self, blocks: &[Vec<Clause>]) -> Option<f64> {
        let mut probability = 1.0;
        for variable in variables_of(blocks.iter().flatten()) {
            let parts = blocks.iter().map(|block| component(block, variable));
            let mut parts: Vec<Vec<Clause>> = parts.filter(|part| !part.is_empty()).collect();
            rank(&mut parts, variable);
            for later in 1..parts.len() {
                let more_abstract = (0..later)
                    .rev()
                    .find(|&before| is_more_abstract(&parts[before], &parts[later], variable));
                probability /= match more_abstract {
                    Some(before) => self.values(&parts[before], variable)?,
                    None => self.trees,
                };
            }
        }
        Some(probability)
    }

    /// How many atoms a variable stands for in clauses that are connected.
    fn values(&mut self, clauses: &[Clause], variable: Variable) -> Option<f64> {
        let place = variables_of(clauses.iter()).iter().position(|&other| other == variable)?;
        Some(self.groundings.facts(clauses)?.values[place] as f64)
    }
}

/// Puts what is strictly more abstract first.
fn rank(parts: &mut [Vec<Clause>], variable: Variable) {
    let is_strictly = |a: &[Clause], b: &[Clause]| {
        is_more_abstract(a, b, variable) && !is_more_abstract(b, a, variable)
    };
    for i in 0..parts.len() {
        let first = (i..parts.len())
            .find(|&j| (i..parts.len()).all(|other| !is_strictly(&parts[other], &parts[j])));
        parts[i..=first.unwrap_or(i)].rotate_right(1);
    }
}

/// The count that remains when the confidence is doubted.
fn doubted(count: f64) -> f64 {
    count_of_confidence(DOUBT * confidence_of_count(count))
}

/// The evidence whose distribution has the mean and the variance of the mixture of distributions.
fn mixture(parts: &[Evidence]) -> Evidence {
    let n = parts.len() as f64;
    let parts: Vec<Beta> = parts.iter().map(|&part| Beta::of(part)).collect();
    let mean = parts.iter().map(|part| part.mean()).sum::<f64>() / n;
    let spread = |part: &Beta| part.variance() + (part.mean() - mean).powi(2);
    Beta::evidence(mean, parts.iter().map(spread).sum::<f64>() / n)
}

/// The Jensen-Shannon distance of the distributions after two pieces of evidence: the root of the
/// mean divergence, in bits, from their middle.
fn jensen_shannon(left: Evidence, right: Evidence) -> f64 {
    let bins = |evidence| {
        let beta = Beta::of(evidence);
        let up_to: Vec<f64> = (0..=BINS).map(|i| beta.cumulative(i as f64 / BINS as f64)).collect();
        up_to.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<f64>>()
    };
    let (left, right) = (bins(left), bins(right));
    let divergence = |from: &[f64]| {
        let parts = from.iter().zip(left.iter().zip(&right)).map(|(&p, (l, r))| {
            let middle = (l + r) / 2.0;
            if p > 1e-32 && middle > 1e-32 { p * (p / middle).log2() } else { 0.0 }
        });
        parts.sum::<f64>()
    };
    ((divergence(&left) + divergence(&right)) / 2.0).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_distributions_are_upstream_s() {
        let evidence = |positive: f64, count: f64| Evidence { strength: positive / count, count };
        for (left, right, of_10000_bins) in [
            (evidence(1.0, 3.0), evidence(4.0, 6.0), 0.484_582),
            (evidence(800.0, 1000.0), evidence(800.0, 1004.0), 0.106_229),
            (evidence(80.0, 100.0), evidence(100.0, 1000.0), 1.0),
        ] {
            assert!((jensen_shannon(left, right) - of_10000_bins).abs() < 0.003);
        }
        assert_eq!(jensen_shannon(evidence(1.0, 3.0), evidence(1.0, 3.0)), 0.0);
    }

    #[test]
    fn distance_is_zero_inside_the_interval() {
        let interval = interval(&[0.3, 0.1, 0.2]);
        assert_eq!(interval, (0.1, 0.3));
        for (value, expected) in [(0.2, 0.0), (0.4, 0.1), (0.0, 0.1)] {
            assert!((distance(interval, value) - expected).abs() < 1e-12);
        }
    }
}
