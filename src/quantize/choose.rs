//! The choice: of all ways to give each role its formats, the one that loses least within the limits.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::model::Role;

use super::budget::{Fixed, LimitKind};
use super::encode::EncodeError;
use super::knapsack::{self, Item, smallest};
use super::plan::PlanError;
use super::sample;
use super::size::{Bytes, line_bytes};

/// A format that a tensor may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The format.
    pub format: Format,
    /// The format that was asked for, but whose blocks do not divide the rows.
    pub instead_of: Option<Format>,
}

/// By role, the tensors that get the same format: those with the same candidates.
pub type Groups<'a> = BTreeMap<Role, RoleGroups<'a>>;
type RoleGroups<'a> = BTreeMap<&'a [Candidate], Vec<&'a TensorInfo>>;

/// What was chosen.
pub struct Chosen<'a> {
    /// For each group.
    pub candidates: BTreeMap<(Role, &'a [Candidate]), Candidate>,
    /// What to tell of limits that gave way.
    pub warnings: Vec<String>,
}

/// One way to store all tensors of a role: the place of each group's candidate. A role is chosen as
/// a whole because its groups share lines of metadata.
struct Way {
    candidates: Vec<usize>,
    bytes: Bytes,
}

/// The candidate of each group that together lose least within the limits and within `bytes`;
/// `None` where nothing is that small.
pub fn choose<'a>(
    gguf: &Gguf,
    config: &Config,
    importance: &Importance,
    fixed: &Fixed,
    groups: &Groups<'a>,
    bytes: Bytes,
) -> Result<Option<Chosen<'a>>, PlanError> {
    let ways = ways_of_all(fixed, groups);
    let Limits { budget, warnings, least } = limits(config, fixed, &ways)?;
    let budget = budget.min(bytes);
    let least_bytes: Bytes = ways.iter().zip(&least).map(|(ways, &way)| ways[way].bytes).sum();
    if !least_bytes.within(budget) {
        return Ok(None);
    }

    let mut items = Vec::new();
    for ((role, groups), ways) in groups.iter().zip(&ways) {
        let costs: Vec<Vec<f64>> = groups
            .iter()
            .map(|(candidates, tensors)| {
                costs(gguf, *role, tensors, candidates, importance, config.seed)
            })
            .collect::<Result<_, _>>()?;
        let cost =
            |way: &Way| way.candidates.iter().zip(&costs).map(|(&at, costs)| costs[at]).sum();
        let item = |way: &Way| Item { bytes: way.bytes, cost: cost(way) };
        items.push(ways.iter().map(item).collect::<Vec<_>>());
    }
    // Only a front that was thinned out could have lost every choice that fits; the least does.
    let chosen = knapsack::choose(&items, budget).unwrap_or(least);

    let mut candidates = BTreeMap::new();
    for (((&role, groups), ways), chosen) in groups.iter().zip(&ways).zip(chosen) {
        for (&group, &at) in groups.keys().zip(&ways[chosen].candidates) {
            tracing::debug!(role = role.name(), format = %group[at].format, "planned");
            candidates.insert((role, group), group[at]);
        }
    }
    Ok(Some(Chosen { candidates, warnings }))
}

/// What the quantized tensors may take by the limits, and what to tell of limits that gave way.
pub fn budget(
    config: &Config,
    fixed: &Fixed,
    groups: &Groups,
) -> Result<(Bytes, Vec<String>), PlanError> {
    let Limits { budget, warnings, .. } = limits(config, fixed, &ways_of_all(fixed, groups))?;
    Ok((budget, warnings))
}

fn ways_of_all(fixed: &Fixed, groups: &Groups) -> Vec<Vec<Way>> {
    groups.iter().map(|(role, groups)| ways(*role, groups, fixed.header.alignment)).collect()
}

/// Every way to store the tensors of a role.
fn ways(role: Role, groups: &RoleGroups, alignment: u64) -> Vec<Way> {
    let mut all: Vec<Vec<usize>> = vec![vec![]];
    for candidates in groups.keys() {
        let with =
            |way: Vec<usize>| (0..candidates.len()).map(move |at| [way.as_slice(), &[at]].concat());
        all = all.into_iter().flat_map(with).collect();
    }
    let way = |candidates: Vec<usize>| {
        let mut bytes = Bytes::default();
        let mut counts: BTreeMap<Format, usize> = BTreeMap::new();
        for ((group, tensors), &at) in groups.iter().zip(&candidates) {
            let format = group[at].format;
            let size = |tensor: &&TensorInfo| format.bytes_of(tensor.elements()).unwrap_or(0);
            let padded = |bytes| Bytes::of_tensor(bytes, alignment);
            bytes += tensors.iter().map(size).map(padded).sum();
            *counts.entry(format).or_default() += tensors.len();
        }
        bytes += counts.into_iter().map(|(format, n)| line_bytes(role, format, n)).sum();
        Way { candidates, bytes }
    };
    all.into_iter().map(way).collect()
}

/// What the quantized tensors may take.
struct Limits {
    budget: Bytes,
    /// What to tell of limits that gave way.
    warnings: Vec<String>,
    /// The way of each role that together take least within the budget.
    least: Vec<usize>,
}

/// The limits that were asked for, which the least that can be had must meet.
fn limits(config: &Config, fixed: &Fixed, ways: &[Vec<Way>]) -> Result<Limits, PlanError> {
    // Where bytes of tensors are the cost, the choice is the least within the limits on the file.
    let item = |way: &Way| Item { bytes: way.bytes, cost: way.bytes.tensors as f64 };
    let items: Vec<Vec<Item>> = ways.iter().map(|ways| ways.iter().map(item).collect()).collect();
    let unreachable = |limit, smallest| fixed.unreachable(config, limit, smallest);

    let smallest: Bytes = items.iter().map(|items| smallest(items)).sum();
    let mut budget = Bytes { tensors: u64::MAX, file: u64::MAX };
    for limit in fixed.file_limits(config) {
        if smallest.file > limit.bytes {
            return Err(PlanError::Unreachable(unreachable(limit, smallest.file)));
        }
        budget.file = budget.file.min(limit.bytes);
    }
    let least = knapsack::choose(&items, budget).expect("the smallest file is within its limits");
    let smallest = ways.iter().zip(&least).map(|(ways, &way)| ways[way].bytes.tensors).sum();
    let mut warnings = Vec::new();
    for limit in fixed.tensor_limits(config) {
        budget.tensors = budget.tensors.min(limit.bytes.max(smallest));
        if smallest > limit.bytes {
            match limit.kind {
                LimitKind::DefaultReduction => {
                    warnings.push(format!("default {}", unreachable(limit, smallest)));
                }
                _ => return Err(PlanError::Unreachable(unreachable(limit, smallest))),
            }
        }
    }
    Ok(Limits { budget, warnings, least })
}

/// The relative squared error of a group in each candidate, summed over its tensors.
fn costs(
    gguf: &Gguf,
    role: Role,
    tensors: &[&TensorInfo],
    candidates: &[Candidate],
    importance: &Importance,
    seed: u64,
) -> Result<Vec<f64>, EncodeError> {
    if candidates.len() == 1 {
        return Ok(vec![0.0]);
    }
    let formats: Vec<Format> = candidates.iter().map(|candidate| candidate.format).collect();
    let errors: Vec<Vec<f64>> = tensors
        .par_iter()
        .map(|tensor| {
            let importance = importance.of(&tensor.name);
            sample::relative_errors(gguf, tensor, &formats, importance, seed)
        })
        .collect::<Result<_, _>>()?;
    for (tensor, errors) in tensors.iter().zip(&errors) {
        for (format, error) in formats.iter().zip(errors) {
            tracing::trace!(tensor = tensor.name, role = role.name(), %format, error, "sampled");
        }
    }
    let total = |format: usize| errors.iter().map(|errors| errors[format]).sum();
    Ok((0..formats.len()).map(total).collect())
}
