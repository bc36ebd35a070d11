//! Which candidate each tensor gets: what is predicted of them, and the limits, go to the knapsack.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Progressive;
use crate::hardware::Time;
use crate::quantize::allocate::{within_cost, within_room};
use crate::quantize::knapsack::Item;
use crate::quantize::pace::Room;
use crate::quantize::search::{Aim, Search};
use crate::quantize::sensitivity::Sensitivity;
use crate::quantize::size::Bytes;

impl Progressive<'_, '_, '_> {
    /// The choice by what is aimed at. `finished` tensors keep theirs, and lost `lost` together;
    /// what is predicted of the others is multiplied by `scale`.
    pub(super) fn allocate(
        &self,
        finished: &BTreeMap<usize, usize>,
        scale: f64,
        lost: f64,
    ) -> Vec<usize> {
        match self.search.untrained_aim() {
            Aim::Best => self.allocate_bytes(finished),
            Aim::Smallest { kld } => self.allocate_to(finished, scale, kld - lost),
        }
    }

    /// The choice of fewest bytes that loses `kld` in what is not finished; where nothing loses so
    /// little, that of the lowest KLD within the limits.
    pub(super) fn allocate_to(
        &self,
        finished: &BTreeMap<usize, usize>,
        scale: f64,
        kld: f64,
    ) -> Vec<usize> {
        let ways = self.ways(finished, scale);
        within_cost(&items(&ways), kld, self.room())
            .map(|chosen| self.places(&ways, &chosen))
            .unwrap_or_else(|| self.allocate_bytes(finished))
    }

    /// The choice of the lowest KLD within the limits; where nothing is small enough with what is
    /// finished, the smallest.
    pub(super) fn allocate_bytes(&self, finished: &BTreeMap<usize, usize>) -> Vec<usize> {
        let ways = self.ways(finished, 1.0);
        let items = items(&ways);
        let chosen = within_room(&items, self.room()).unwrap_or_else(|| {
            let least = |items: &Vec<Item>| {
                let bytes = |&at: &usize| (items[at].bytes.file, items[at].bytes.tensors);
                (0..items.len()).min_by_key(bytes).unwrap_or(0)
            };
            items.iter().map(least).collect()
        });
        self.places(&ways, &chosen)
    }

    /// What the tensors may take, beside the lines about them.
    fn room(&self) -> Room {
        let searchable = self.search.searchable;
        let file = searchable.budget.file.saturating_sub(searchable.lines.file);
        let bytes = Bytes { tensors: searchable.budget.tensors, file };
        Room { bytes, time: searchable.time() }
    }

    /// What may be chosen for the tensors that get one format together: what one of them finished
    /// in, else any candidate.
    fn ways(&self, finished: &BTreeMap<usize, usize>, scale: f64) -> Vec<Vec<Way>> {
        let cost = |i: usize, at: usize| match finished.contains_key(&i) {
            true => 0.0,
            false => scale * self.emphasis[i] * self.elsewhere[i] * self.cost(i, at),
        };
        let way = |members: &[usize], at: usize| {
            let bytes = members.iter().map(|&i| self.tensor_bytes(i, at)).sum();
            let time = members.iter().map(|&i| self.time(i, at)).sum();
            let cost = members.iter().map(|&i| cost(i, at)).sum();
            Way { at, item: Item { bytes, time, cost } }
        };
        let ways = |members: &Vec<usize>| match members.iter().find_map(|i| finished.get(i)) {
            Some(&at) => vec![way(members, at)],
            None => {
                let all = 0..self.sensitivities[members[0]].candidates.len();
                all.map(|at| way(members, at)).collect()
            }
        };
        self.together.iter().map(ways).collect()
    }

    /// The place of each tensor's candidate.
    fn places(&self, ways: &[Vec<Way>], chosen: &[usize]) -> Vec<usize> {
        let mut places = vec![0; self.sensitivities.len()];
        for ((members, ways), &chosen) in self.together.iter().zip(ways).zip(chosen) {
            members.iter().for_each(|&i| places[i] = ways[chosen].at);
        }
        places
    }

    fn tensor_bytes(&self, i: usize, at: usize) -> Bytes {
        let sensitivity = &self.sensitivities[i];
        let elements = self.search.gguf.tensors()[sensitivity.tensor].elements();
        let bytes = sensitivity.candidates[at].format.bytes_of(elements).unwrap_or(0);
        Bytes::of_tensor(bytes, self.search.searchable.alignment())
    }

    /// What a token takes in a tensor, if a speed is asked for.
    pub(super) fn time(&self, i: usize, at: usize) -> Time {
        let Sensitivity { tensor, candidates, .. } = &self.sensitivities[i];
        let tensor = &self.search.gguf.tensors()[*tensor];
        self.search.searchable.time_of(tensor, candidates[at].format)
    }

    pub(super) fn bytes(&self, choice: &[usize]) -> Bytes {
        choice.iter().enumerate().map(|(i, &at)| self.tensor_bytes(i, at)).sum()
    }

    /// What a tensor is predicted to cost in the candidate at a place.
    pub(super) fn cost(&self, i: usize, at: usize) -> f64 {
        self.weights[i] * self.factors.cost(&self.sensitivities[i], at)
    }

    pub(super) fn sum(&self, group: &[usize], choice: &[usize]) -> f64 {
        group.iter().map(|&i| self.cost(i, choice[i])).sum()
    }

    pub(super) fn sum_all(&self, choice: &[usize]) -> f64 {
        choice.iter().enumerate().map(|(i, &at)| self.cost(i, at)).sum()
    }

    pub(super) fn sum_elsewhere(&self, choice: &[usize]) -> f64 {
        let costs = choice.iter().enumerate().map(|(i, &at)| self.elsewhere[i] * self.cost(i, at));
        costs.sum()
    }
}

/// One choice for the tensors that get one format together.
struct Way {
    /// The place of their candidate.
    at: usize,
    /// What it takes and costs, over all of them.
    item: Item,
}

fn items(ways: &[Vec<Way>]) -> Vec<Vec<Item>> {
    ways.iter().map(|ways| ways.iter().map(|way| way.item).collect()).collect()
}

/// The places of tensors that are loaded as one, in the order of the first of each.
pub fn together(search: &Search, sensitivities: &[Sensitivity]) -> Vec<Vec<usize>> {
    let mut places: BTreeMap<Cow<str>, usize> = BTreeMap::new();
    let mut together: Vec<Vec<usize>> = Vec::new();
    for (i, sensitivity) in sensitivities.iter().enumerate() {
        let whole = search.config.hardware.loaded_as(&sensitivity.name);
        let place = *places.entry(whole).or_insert(together.len());
        match together.get_mut(place) {
            Some(members) => members.push(i),
            None => together.push(vec![i]),
        }
    }
    together
}
