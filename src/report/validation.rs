//! What coding changes for those who use OpenCog data, where it was measured.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::opencog::atomspace::query::TruthFilter;
use crate::opencog::miner::MinerOptions;
use crate::validate::opencog::attention::AttentionChange;
use crate::validate::opencog::latency::{Latency, Nanoseconds, Operation};
use crate::validate::opencog::mining::{MiningAgreement, RankAgreement};
use crate::validate::opencog::moses::Evolutions;

use super::opencog::percent;

/// What a pattern miner finds in a companion, against what it finds in what was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MiningReport {
    /// What both were mined for, and the bounds of both searches.
    pub options: MinerOptions,
    /// Links of the original that no other holds and that the filter lets pass.
    pub trees: usize,
    /// Patterns of the original that had too many groundings and were left out.
    pub too_large: u64,
    /// Whether neither search was ended by a bound.
    pub is_complete: bool,
    /// How many of the most surprising patterns `top_k` is of.
    pub top: usize,
    /// How they agree.
    pub agreement: MiningAgreement,
}

/// How long an operation takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyReport {
    /// The operation.
    pub operation: Operation,
    /// On the companion, as it is mapped.
    pub companion: Nanoseconds,
    /// On the unpacked store in memory.
    pub unpacked: Nanoseconds,
    /// How many times as long it takes on the companion, in the median.
    pub ratio: f64,
}

/// Where attention goes from coded values, against where it goes from those that were read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DynamicsReport {
    /// Cycles of attention allocation.
    pub cycles: usize,
    /// Atoms in the attentional focus.
    pub focus: usize,
    /// What differs. Correlations are over all atoms, those without values having 0: the more of
    /// these there are, the less the first one tells.
    pub change: AttentionChange,
    /// The mean Jaccard index of the foci of two runs from the values that were read, with different
    /// seeds: what chance alone changes.
    pub by_chance: f64,
}

/// What a Hopfield memory recalls of made-up patterns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecallReport {
    /// Patterns that were learnt.
    pub patterns: usize,
    /// Atoms that they are on.
    pub atoms: usize,
    /// The mean share of atoms that cues have as their pattern has them.
    pub cues: f64,
    /// The same of what cues lead to, as it is.
    pub uncoded: f64,
    /// The same with importance and Hebbian links in the code.
    pub coded: f64,
}

/// Where evolution goes from coded programs, against where it goes from those that were read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvolutionReport {
    /// Runs of each, with other seeds.
    pub seeds: usize,
    /// Programs that a run keeps.
    pub population: usize,
    /// Programs that a run scores.
    pub evaluations: usize,
    /// The best scores of all runs.
    pub best: Evolutions,
    /// How far the best from coded programs is below the other: as a share of its squared errors
    /// where the target is a number, else of what all rows weigh.
    pub shortfall: f64,
}

impl LatencyReport {
    /// Of what was timed.
    pub(crate) fn of(latency: &Latency) -> LatencyReport {
        let Latency { operation, store, reference } = *latency;
        LatencyReport { operation, companion: store, unpacked: reference, ratio: latency.ratio() }
    }
}

/// The lines about what was mined.
pub(super) fn write_mining(out: &mut String, mining: &MiningReport) -> fmt::Result {
    let MiningReport { options, trees, too_large, is_complete, top, agreement } = mining;
    let filter = match options.filter {
        TruthFilter::Any => String::new(),
        TruthFilter::ProductAtLeast(least) => {
            format!(" whose strength times confidence is at least {least:.4e}")
        }
        TruthFilter::CountAtLeast(least) => format!(" of a count of at least {least}"),
    };
    let MinerOptions { minimum_support, max_conjuncts, .. } = options;
    let MiningAgreement { expected, precision, recall, support_difference, .. } = agreement;
    writeln!(
        out,
        "  mining       {trees} trees{filter}: {expected} patterns of up to {max_conjuncts} clauses and support {minimum_support};"
    )?;
    writeln!(
        out,
        "               recall {recall:.4}, precision {precision:.4}, support off by at most {support_difference}"
    )?;
    for (name, ranks) in [("nisurp", &agreement.nisurp), ("jsdsurp", &agreement.jsdsurp)] {
        let RankAgreement { ranked, spearman, top_k, .. } = ranks;
        let spearman = spearman.map_or("no order".into(), |rank| format!("{rank:.4}"));
        writeln!(
            out,
            "    {name:<11}rank correlation {spearman} of {ranked}, {:.0} % of the {top} most surprising",
            100.0 * top_k
        )?;
    }
    if *too_large > 0 {
        writeln!(out, "               {too_large} patterns of too many groundings left out")?;
    }
    match is_complete {
        true => Ok(()),
        false => {
            writeln!(out, "               a bound ended the search: not all patterns compared")
        }
    }
}

/// A line for each operation.
pub(super) fn write_latency(out: &mut String, latency: &[LatencyReport]) -> fmt::Result {
    if latency.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  latency, ns       companion p50         p99  unpacked p50         p99  ratio of p50"
    )?;
    for LatencyReport { operation, companion, unpacked, ratio } in latency {
        writeln!(
            out,
            "    {operation:<16}{:>13.1}{:>12.1}{:>14.1}{:>12.1}{ratio:>14.2}",
            companion.p50, companion.p99, unpacked.p50, unpacked.p99
        )?;
    }
    Ok(())
}

/// The lines about attention allocation.
pub(super) fn write_dynamics(out: &mut String, dynamics: &DynamicsReport) -> fmt::Result {
    let DynamicsReport { cycles, focus, change, by_chance } = dynamics;
    let AttentionChange { first_jaccard, mean_jaccard, least_jaccard, .. } = change;
    writeln!(
        out,
        "  attending    {cycles} cycles, focus of {focus}: Jaccard {first_jaccard:.4} at first, {least_jaccard:.4} least, {mean_jaccard:.4} mean (between seeds {by_chance:.4});"
    )?;
    let AttentionChange { last_correlation, coding_error, drift, .. } = change;
    writeln!(
        out,
        "               rank correlation of STI {last_correlation:.4} at last; STI off by {} of the funds, drift {drift:.1e};",
        percent(*coding_error)
    )?;
    let AttentionChange { forgotten_jaccard, links_jaccard, strength_rmse, .. } = change;
    writeln!(
        out,
        "               Jaccard of the forgotten {forgotten_jaccard:.4}, of Hebbian links {links_jaccard:.4}, strengths off by {strength_rmse:.5}"
    )
}

/// The line about recall.
pub(super) fn write_recall(out: &mut String, recall: &RecallReport) -> fmt::Result {
    let RecallReport { patterns, atoms, cues, uncoded, coded } = recall;
    writeln!(
        out,
        "  recall       {patterns} made-up patterns of {atoms} atoms: {coded:.4}, uncoded {uncoded:.4}, cues {cues:.4}"
    )
}

/// The lines about evolution.
pub(super) fn write_evolution(out: &mut String, evolution: &EvolutionReport) -> fmt::Result {
    let EvolutionReport { seeds, evaluations, best, shortfall, .. } = evolution;
    let Evolutions { start, uncoded, coded } = best;
    writeln!(
        out,
        "  evolution    {seeds} times {evaluations} programs, from a best score of {start:.6}:"
    )?;
    writeln!(
        out,
        "               {coded:.6} on codes, {uncoded:.6} on numbers, {} short",
        percent(*shortfall)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(recall: f64) -> MiningAgreement {
        let ranks = RankAgreement { ranked: 7, spearman: None, top_k: 0.9, difference: 0.5 };
        MiningAgreement {
            expected: 12,
            found: 6,
            common: 6,
            precision: 1.0,
            recall,
            support_difference: 3,
            nisurp: ranks,
            jsdsurp: RankAgreement { spearman: Some(0.25), ..ranks },
        }
    }

    #[test]
    fn mining_is_told_with_its_bounds() {
        let filter = TruthFilter::ProductAtLeast(0.25);
        let mut mining = MiningReport {
            options: MinerOptions { filter, ..MinerOptions::default() },
            trees: 34,
            too_large: 0,
            is_complete: true,
            top: 10,
            agreement: agreement(0.5),
        };
        let told = |mining: &MiningReport| {
            let mut out = String::new();
            write_mining(&mut out, mining).unwrap();
            out
        };
        let text = told(&mining);
        for part in
            ["34 trees whose", "2.5000e-1", "recall 0.5000", "no order of 7", "0.2500", "90 %"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("bound") && !text.contains("left out"));
        (mining.too_large, mining.is_complete) = (4, false);
        let text = told(&mining);
        assert!(text.contains("4 patterns") && text.contains("a bound ended"), "{text}");
        let json = serde_json::to_value(&mining).unwrap();
        assert_eq!(json["options"]["filter"]["product_at_least"], 0.25);
        assert_eq!(json["agreement"]["jsdsurp"]["spearman"], 0.25);
    }

    #[test]
    fn operations_have_a_line_each() {
        let [store, reference] =
            [(3.0, 4.0), (1.5, 2.0)].map(|(p50, p99)| Nanoseconds { p50, p99 });
        let latency = Latency { operation: Operation::ByName, store, reference };
        let report = LatencyReport::of(&latency);
        let mut out = String::new();
        write_latency(&mut out, &[]).unwrap();
        assert_eq!(out, "");
        write_latency(&mut out, std::slice::from_ref(&report)).unwrap();
        let line = out.lines().last().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["name", "look-up", "3.0", "4.0", "1.5", "2.0", "2.00"]);
        assert_eq!(serde_json::to_value(&report).unwrap()["operation"], "by_name");
    }
}
