//! What coding changes for those who use OpenCog data, where it was measured.

use serde::Serialize;

use crate::opencog::miner::MinerOptions;
use crate::validate::opencog::attention::AttentionChange;
use crate::validate::opencog::latency::{Latency, Nanoseconds, Operation};
use crate::validate::opencog::mining::MiningAgreement;
use crate::validate::opencog::moses::Evolutions;

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
