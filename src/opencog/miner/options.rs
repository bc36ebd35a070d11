//! What is mined for.

use serde::Serialize;

use super::super::atomspace::query::TruthFilter;

/// What is mined for; the defaults are those of OpenCog's miner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MinerOptions {
    /// How many groundings a pattern has at least.
    pub minimum_support: u64,
    /// How many clauses a pattern has at most.
    pub max_conjuncts: usize,
    /// How many variables a pattern has at most.
    pub max_variables: usize,
    /// Which links are data.
    pub filter: TruthFilter,
    /// Patterns of more groundings are left out, and counted.
    pub most_groundings: u64,
    /// How many patterns are looked for at most.
    pub most_patterns: usize,
    /// How many groundings are looked up at most, to see what another clause goes with: what the
    /// search costs. It ends there.
    pub most_lookups: u64,
}

impl Default for MinerOptions {
    fn default() -> MinerOptions {
        MinerOptions {
            minimum_support: 10,
            max_conjuncts: 3,
            max_variables: 3,
            filter: TruthFilter::Any,
            most_groundings: 1 << 22,
            most_patterns: 100_000,
            most_lookups: u64::MAX,
        }
    }
}
