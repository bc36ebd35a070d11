//! The choice: of all ways to give each kind its formats, the one that loses least within the limits.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::model::Kind;

use super::budget::{Fixed, LimitKind};
use super::candidate::{Candidate, How};
use super::encode::EncodeError;
use super::knapsack::{self, Item, smallest};
use super::plan::PlanError;
use super::sample;
use super::size::{Bytes, line_bytes};

/// By kind, the tensors that get the same format: those with the same candidates. Kinds that the
/// hardware loads as one are one here.
pub type Groups<'a> = BTreeMap<Kind, KindGroups<'a>>;
type KindGroups<'a> = BTreeMap<&'a [Candidate], Vec<&'a TensorInfo>>;

/// What was chosen for each group.
pub type Chosen<'a> = BTreeMap<(Kind, &'a [Candidate]), Candidate>;

/// Groups of a kind that are chosen together, because they share lines of metadata.
struct Unit<'g, 'a> {
    kind: &'g Kind,
    groups: Vec<(&'a [Candidate], &'g [&'a TensorInfo])>,
}

/// One way to store all tensors of a unit: the place of each group's candidate.
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
    let units = units(groups);
    let ways = ways_of_all(fixed, &units);
    let Limits { budget, least, .. } = limits(config, fixed, &ways)?;
    let budget = budget.min(bytes);
    let least_bytes: Bytes = ways.iter().zip(&least).map(|(ways, &way)| ways[way].bytes).sum();
    if !least_bytes.within(budget) {
        return Ok(None);
    }

    let mut items = Vec::new();
    for (unit, ways) in units.iter().zip(&ways) {
        let costs = unit.groups.iter().map(|(candidates, tensors)| {
            costs(gguf, unit.kind, tensors, candidates, importance, config.seed)
        });
        let costs: Vec<Vec<f64>> = costs.collect::<Result<_, _>>()?;
        let cost =
            |way: &Way| way.candidates.iter().zip(&costs).map(|(&at, costs)| costs[at]).sum();
        let item = |way: &Way| Item { bytes: way.bytes, cost: cost(way) };
        items.push(ways.iter().map(item).collect::<Vec<_>>());
    }
    // Only a front that was thinned out could have lost every choice that fits; the least does.
    let chosen = knapsack::choose(&items, budget).unwrap_or(least);

    let mut candidates = BTreeMap::new();
    for ((unit, ways), chosen) in units.iter().zip(&ways).zip(chosen) {
        for (&(group, _), &at) in unit.groups.iter().zip(&ways[chosen].candidates) {
            tracing::debug!(role = unit.kind.to_string(), format = %group[at].format, "planned");
            candidates.insert((unit.kind.clone(), group), group[at]);
        }
    }
    Ok(Some(candidates))
}

/// What the quantized tensors may take by the limits, and what to tell of limits that gave way.
pub fn budget(
    config: &Config,
    fixed: &Fixed,
    groups: &Groups,
) -> Result<(Bytes, Vec<String>), PlanError> {
    let ways = ways_of_all(fixed, &units(groups));
    let Limits { budget, warnings, .. } = limits(config, fixed, &ways)?;
    Ok((budget, warnings))
}

/// All groups, in units of no more ways than can be looked at. Where a kind has more, its lines of
/// metadata are counted as if its units shared none.
fn units<'g, 'a>(groups: &'g Groups<'a>) -> Vec<Unit<'g, 'a>> {
    const WAYS: usize = 128;
    let mut units: Vec<Unit> = Vec::new();
    for (kind, groups) in groups {
        let mut ways = WAYS;
        for (&candidates, tensors) in groups {
            ways *= candidates.len();
            match units.last_mut() {
                Some(unit) if unit.kind == kind && ways <= WAYS => {
                    unit.groups.push((candidates, tensors));
                }
                _ => {
                    units.push(Unit { kind, groups: vec![(candidates, tensors)] });
                    ways = candidates.len();
                }
            }
        }
    }
    units
}

fn ways_of_all(fixed: &Fixed, units: &[Unit]) -> Vec<Vec<Way>> {
    units.iter().map(|unit| ways(unit, fixed.header.alignment)).collect()
}

/// Every way to store the tensors of a unit.
fn ways(unit: &Unit, alignment: u64) -> Vec<Way> {
    let mut all: Vec<Vec<usize>> = vec![vec![]];
    for (candidates, _) in &unit.groups {
        let with =
            |way: Vec<usize>| (0..candidates.len()).map(move |at| [way.as_slice(), &[at]].concat());
        all = all.into_iter().flat_map(with).collect();
    }
    let way = |candidates: Vec<usize>| {
        let mut bytes = Bytes::default();
        let mut counts: BTreeMap<(Kind, Format), usize> = BTreeMap::new();
        for ((group, tensors), &at) in unit.groups.iter().zip(&candidates) {
            let Candidate { format, how, .. } = group[at];
            let size = |tensor: &&TensorInfo| format.bytes_of(tensor.elements()).unwrap_or(0);
            let padded = |bytes| Bytes::of_tensor(bytes, alignment);
            bytes += tensors.iter().map(size).map(padded).sum();
            if how != How::Copied {
                for tensor in *tensors {
                    *counts.entry((Kind::of(&tensor.name), format)).or_default() += 1;
                }
            }
        }
        let lines = counts.into_iter();
        bytes += lines.map(|((kind, format), n)| line_bytes(&kind, format, n)).sum();
        Way { candidates, bytes }
    };
    all.into_iter().map(way).collect()
}

/// What the quantized tensors may take.
struct Limits {
    budget: Bytes,
    /// What to tell of limits that gave way.
    warnings: Vec<String>,
    /// The way of each unit that together take least within the budget.
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
    kind: &Kind,
    tensors: &[&TensorInfo],
    candidates: &[Candidate],
    importance: &Importance,
    seed: u64,
) -> Result<Vec<f64>, EncodeError> {
    if candidates.len() == 1 {
        return Ok(vec![0.0]);
    }
    let errors: Vec<Vec<f64>> = tensors
        .par_iter()
        .map(|tensor| {
            let importance = importance.of(&tensor.name);
            sample::relative_errors(gguf, tensor, candidates, importance, seed)
        })
        .collect::<Result<_, _>>()?;
    for (tensor, errors) in tensors.iter().zip(&errors) {
        for (Candidate { format, .. }, error) in candidates.iter().zip(errors) {
            let role = kind.to_string();
            tracing::trace!(tensor = tensor.name, role, %format, error, "sampled");
        }
    }
    let total = |at: usize| errors.iter().map(|errors| errors[at]).sum();
    Ok((0..candidates.len()).map(total).collect())
}
