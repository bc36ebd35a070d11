//! The choice: of all ways to give each kind its formats, the one that loses least within the limits.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::{Format, Gguf, TensorInfo};
use crate::hardware::{Hardware, Time};
use crate::model::Kind;

use super::budget::{Fixed, LimitKind};
use super::candidate::{Candidate, How};
use super::encode::EncodeError;
use super::error::PlanError;
use super::fast;
use super::knapsack::{self, Item, smallest};
use super::options::Options;
use super::pace::{Pace, Room};
use super::sample;
use super::size::{Bytes, line_bytes};

/// By kind, the tensors that get the same format: those with the same candidates. Kinds that the
/// hardware loads as one are one here.
pub type Groups<'a> = BTreeMap<Kind, KindGroups<'a>>;
type KindGroups<'a> = BTreeMap<&'a [Candidate], Vec<&'a TensorInfo>>;

/// The tensors that get the same format: of a kind, and of kinds that the hardware loads as one.
pub fn groups<'a>(gguf: &'a Gguf, hardware: Hardware, options: &'a [Options]) -> Groups<'a> {
    let mut groups = Groups::new();
    for (tensor, options) in gguf.tensors().iter().zip(options) {
        if let Options::Formats(candidates) = options {
            let kind = Kind::of(&hardware.loaded_as(&tensor.name));
            let kind = groups.entry(kind).or_default();
            kind.entry(candidates).or_default().push(tensor);
        }
    }
    groups
}

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
    /// What a token takes, if a speed is asked for.
    time: Time,
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
    let taken = || ways.iter().zip(&least).map(|(ways, &way)| &ways[way]);
    let least_fits = taken().map(|way| way.bytes).sum::<Bytes>().within(budget);
    if !least_fits && fixed.pace.is_none() {
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
        let item = |way: &Way| Item { bytes: way.bytes, time: way.time, cost: cost(way) };
        items.push(ways.iter().map(item).collect::<Vec<_>>());
    }
    let chosen = match fixed.pace {
        None => knapsack::choose(&items, budget),
        Some(pace) => fast::choose(&items, Room { bytes: budget, time: pace.room() }),
    };
    // Only a front that was thinned out could have lost every choice that fits; the least does.
    let Some(chosen) = chosen.or(least_fits.then_some(least)) else { return Ok(None) };

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
    units.iter().map(|unit| ways(unit, fixed)).collect()
}

/// Every way to store the tensors of a unit.
fn ways(unit: &Unit, fixed: &Fixed) -> Vec<Way> {
    let mut all: Vec<Vec<usize>> = vec![vec![]];
    for (candidates, _) in &unit.groups {
        let with =
            |way: Vec<usize>| (0..candidates.len()).map(move |at| [way.as_slice(), &[at]].concat());
        all = all.into_iter().flat_map(with).collect();
    }
    let way = |candidates: Vec<usize>| {
        let (mut bytes, mut time) = (Bytes::default(), 0);
        let mut counts: BTreeMap<(Kind, Format), usize> = BTreeMap::new();
        for ((group, tensors), &at) in unit.groups.iter().zip(&candidates) {
            let Candidate { format, how, .. } = group[at];
            let size = |tensor: &&TensorInfo| format.bytes_of(tensor.elements()).unwrap_or(0);
            let padded = |bytes| Bytes::of_tensor(bytes, fixed.header.alignment);
            bytes += tensors.iter().map(size).map(padded).sum();
            let taken = |pace: Pace| tensors.iter().map(|it| pace.time(it, format)).sum::<Time>();
            time += fixed.pace.map_or(0, taken);
            if how != How::Copied {
                for tensor in *tensors {
                    *counts.entry((Kind::of(&tensor.name), format)).or_default() += 1;
                }
            }
        }
        let lines = counts.into_iter();
        bytes += lines.map(|((kind, format), n)| line_bytes(&kind, format, n)).sum();
        Way { candidates, bytes, time }
    };
    all.into_iter().map(way).collect()
}

/// What the quantized tensors may take.
struct Limits {
    budget: Bytes,
    /// What to tell of limits that gave way.
    warnings: Vec<String>,
    /// The way of each unit that together take least within the budget, of bytes, or of time if a
    /// speed is asked for.
    least: Vec<usize>,
}

/// The limits that were asked for, which the least that can be had must meet.
fn limits(config: &Config, fixed: &Fixed, ways: &[Vec<Way>]) -> Result<Limits, PlanError> {
    // Where bytes of tensors are the cost, the choice is the least within the limits on the file.
    let item =
        |way: &Way| Item { bytes: way.bytes, time: way.time, cost: way.bytes.tensors as f64 };
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
    let mut least =
        knapsack::choose(&items, budget).expect("the smallest file is within its limits");
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
    if let Some(pace) = fixed.pace {
        // Only a front that was thinned out could have lost the smallest.
        least = fast::fastest(&items, budget).unwrap_or(least);
        let time: Time = ways.iter().zip(&least).map(|(ways, &way)| ways[way].time).sum();
        if time > pace.room() {
            let allowed = config.allowed_formats();
            return Err(PlanError::Unreachable(pace.unreachable(time, &allowed)));
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
