//! Which candidate each tensor gets: what is predicted of them, and the limits, go to the knapsack.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::calibrate::{HEAD, place};
use crate::hardware::Time;
use crate::quantize::allocate::{within_cost, within_room};
use crate::quantize::candidate::Candidate;
use crate::quantize::knapsack::Item;
use crate::quantize::pace::Room;
use crate::quantize::record::{Chosen, Cost, TensorCosts};
use crate::quantize::search::{Aim, Search, expected_share};
use crate::quantize::sensitivity::{Factors, Sensitivity};
use crate::quantize::size::Bytes;

/// How much more the output head counts than on the model's own text: there its loss, as a share of
/// what the layers lose, is least like that on other text. On WikiText-2 it is 1.75 times as large
/// for SmolLM2 and 0.73 times for Gemma-3-270M, in Q5_1 each; this is the mean. It counts where
/// formats are allocated; what is measured decides.
const HEAD_ELSEWHERE: f64 = 1.25;

/// Which candidate each tensor gets.
pub struct Allocator<'p, 's, 'a> {
    pub search: &'p Search<'s, 'a>,
    pub sensitivities: &'p [Sensitivity],
    pub factors: Factors,
    /// What the cost of each tensor is multiplied with, from what was found on the way.
    pub weights: Vec<f64>,
    /// How much more each tensor counts on other text, or once the others are trained.
    elsewhere: Vec<f64>,
    /// How much more each tensor counts where formats are exchanged.
    pub emphasis: Vec<f64>,
    /// The tensors that get one format together, by their places: most of them alone.
    together: Vec<Vec<usize>>,
}

impl<'p, 's, 'a> Allocator<'p, 's, 'a> {
    pub fn new(search: &'p Search<'s, 'a>, sensitivities: &'p [Sensitivity]) -> Self {
        Allocator {
            search,
            sensitivities,
            factors: Factors::default(),
            weights: vec![1.0; sensitivities.len()],
            elsewhere: sensitivities.iter().map(|s| elsewhere(search, s)).collect(),
            emphasis: vec![1.0; sensitivities.len()],
            together: together(search, sensitivities),
        }
    }

    /// Whether every tensor can have one format only.
    pub fn is_forced(&self) -> bool {
        self.sensitivities.iter().all(|s| s.candidates.len() == 1)
    }

    /// The choice by what is aimed at. `finished` tensors keep theirs, and lost `lost` together;
    /// what is predicted of the others is multiplied by `scale`.
    pub fn allocate(&self, finished: &BTreeMap<usize, usize>, scale: f64, lost: f64) -> Vec<usize> {
        match self.search.untrained_aim() {
            Aim::Best => self.allocate_bytes(finished),
            Aim::Smallest { kld } => self.allocate_to(finished, scale, kld - lost),
        }
    }

    /// The choice of fewest bytes that loses `kld` in what is not finished; where nothing loses so
    /// little, that of the lowest KLD within the limits.
    pub fn allocate_to(
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
    pub fn allocate_bytes(&self, finished: &BTreeMap<usize, usize>) -> Vec<usize> {
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
    pub fn time(&self, i: usize, at: usize) -> Time {
        let Sensitivity { tensor, candidates, .. } = &self.sensitivities[i];
        let tensor = &self.search.gguf.tensors()[*tensor];
        self.search.searchable.time_of(tensor, candidates[at].format)
    }

    pub fn bytes(&self, choice: &[usize]) -> Bytes {
        choice.iter().enumerate().map(|(i, &at)| self.tensor_bytes(i, at)).sum()
    }

    /// What a tensor is predicted to cost in the candidate at a place.
    pub fn cost(&self, i: usize, at: usize) -> f64 {
        self.weights[i] * self.factors.cost(&self.sensitivities[i], at)
    }

    pub fn sum(&self, group: &[usize], choice: &[usize]) -> f64 {
        group.iter().map(|&i| self.cost(i, choice[i])).sum()
    }

    pub fn sum_all(&self, choice: &[usize]) -> f64 {
        choice.iter().enumerate().map(|(i, &at)| self.cost(i, at)).sum()
    }

    pub fn sum_elsewhere(&self, choice: &[usize]) -> f64 {
        let costs = choice.iter().enumerate().map(|(i, &at)| self.elsewhere[i] * self.cost(i, at));
        costs.sum()
    }

    /// The least sensitive of the pending tensors, which are in that order: so many that they cost
    /// as much as each of the steps that are left.
    pub fn next_group(&self, pending: &[usize], choice: &[usize], steps: usize) -> Vec<usize> {
        if steps <= 1 {
            return pending.to_vec();
        }
        let share = self.sum(pending, choice) / steps as f64;
        let mut cost = 0.0;
        let within = |&(place, &i): &(usize, &usize)| {
            cost += self.cost(i, choice[i]);
            place == 0 || cost <= share
        };
        pending.iter().enumerate().take_while(within).map(|(_, &i)| i).collect()
    }

    /// The flag that keeps the tensors from formats that lose less.
    pub fn bound(&self) -> String {
        let least = |(i, s): (usize, &Sensitivity)| {
            let cost = |&a: &usize, &b: &usize| self.cost(i, a).total_cmp(&self.cost(i, b));
            (0..s.candidates.len()).min_by(cost).unwrap_or(0)
        };
        let choice: Vec<usize> = self.sensitivities.iter().enumerate().map(least).collect();
        let time = choice.iter().enumerate().map(|(i, &at)| self.time(i, at)).sum();
        self.search.searchable.bound(self.search.config, self.bytes(&choice), time)
    }

    /// What the measured KLD of a choice is multiplied with where models of equal bytes are compared:
    /// 1; if they are still to be trained, it is more for what training leaves as it is.
    pub fn judged_by(&self, choice: &[usize]) -> f64 {
        let raw = self.sum_all(choice);
        let counts = self.search.trains() && raw > 0.0;
        if counts { self.sum_elsewhere(choice) / raw } else { 1.0 }
    }

    /// The formats that a group has by a choice.
    pub fn chosen(&self, group: &[usize], choice: &[usize]) -> Vec<Chosen> {
        let chosen = |&i: &usize| {
            let Sensitivity { name, candidates, .. } = &self.sensitivities[i];
            Chosen { tensor: name.clone(), format: candidates[choice[i]].format.name() }
        };
        group.iter().map(chosen).collect()
    }

    pub fn candidates(&self, choice: &[usize]) -> BTreeMap<&'p str, Candidate> {
        let chosen = self.sensitivities.iter().zip(choice);
        chosen.map(|(s, &at)| (s.name.as_str(), s.candidates[at])).collect()
    }

    /// What each tensor costs in each format, for the record.
    pub fn costs(&self) -> Vec<TensorCosts> {
        let costs = |s: &Sensitivity| TensorCosts {
            tensor: s.name.clone(),
            formats: (0..s.candidates.len())
                .map(|at| Cost {
                    format: s.candidates[at].format.name(),
                    bpw: s.candidates[at].format.bpw(),
                    output_error: s.output_errors[at],
                    predicted_kld: self.factors.cost(s, at),
                })
                .collect(),
        };
        self.sensitivities.iter().map(costs).collect()
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
fn together(search: &Search, sensitivities: &[Sensitivity]) -> Vec<Vec<usize>> {
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

/// How much more a tensor counts than it costs on the model's own text, before training: training
/// layer by layer leaves the output head as it is, and all else with a share of its cost.
fn elsewhere(search: &Search, sensitivity: &Sensitivity) -> f64 {
    let trained = if search.trains() { expected_share(search.config) } else { 1.0 };
    match place(&sensitivity.name, search.model.weights.tied) {
        Some(HEAD) => HEAD_ELSEWHERE / trained,
        _ => 1.0,
    }
}
