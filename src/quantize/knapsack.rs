//! The multiple-choice knapsack: one option of each group, least cost within a budget of bytes.

use std::collections::BTreeMap;

use crate::hardware::Time;

use super::size::Bytes;

/// One way to store a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Bytes it takes.
    pub bytes: Bytes,
    /// What a token takes in it, if a speed is asked for; else 0.
    pub time: Time,
    /// What it loses, a finite number that is not negative.
    pub cost: f64,
}

/// Partial choices kept at most; beyond, those nearly equal in bytes are thinned out.
const FRONT: usize = 200_000;
/// The same of all groups together: of a file with no two names alike, each tensor is one.
const FRONTS: usize = 64 * FRONT;

/// A choice for the first groups that no other beats in both counts of bytes and in cost.
#[derive(Debug, Clone, Copy)]
struct State {
    bytes: Bytes,
    cost: f64,
    /// The option taken of the last group, and the state of the groups before.
    option: u32,
    parent: u32,
}

/// The option of each group that together cost least within `budget`; `None` where none fit. Of
/// equal costs, the smallest file.
///
/// Exact: groups are added one by one to the Pareto front of bytes and cost. Only a front beyond
/// 200,000 states, which some dozen groups of ten options do not reach, is thinned.
pub fn choose(groups: &[Vec<Item>], budget: Bytes) -> Option<Vec<usize>> {
    let start = State { bytes: Bytes::default(), cost: 0.0, option: 0, parent: 0 };
    let most = FRONT.min(FRONTS / groups.len().max(1)).max(1);
    let mut fronts = vec![vec![start]];
    for (i, group) in groups.iter().enumerate() {
        let rest: Bytes = groups[i + 1..].iter().map(|group| smallest(group)).sum();
        let front = thin(extend(&fronts[i], group, budget, rest), most);
        tracing::trace!(group = i, states = front.len(), "front");
        fronts.push(front);
    }
    // Sorted by bytes of the file: of equal costs, the first takes fewest.
    let last = fronts[groups.len()].iter().enumerate();
    let (mut at, _) = last.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost))?;
    let mut options = vec![0; groups.len()];
    for group in (0..groups.len()).rev() {
        let state = fronts[group + 1][at];
        options[group] = state.option as usize;
        at = state.parent as usize;
    }
    Some(options)
}

/// The least that a group takes, by each count on its own.
pub fn smallest(group: &[Item]) -> Bytes {
    group.iter().map(|item| item.bytes).reduce(Bytes::min).unwrap_or_default()
}

/// The front of every state with every option that leave `rest` of the budget.
fn extend(front: &[State], group: &[Item], budget: Bytes, rest: Bytes) -> Vec<State> {
    let mut states = Vec::with_capacity(front.len() * group.len());
    for (parent, state) in front.iter().enumerate() {
        for (option, item) in group.iter().enumerate() {
            let bytes = state.bytes + item.bytes;
            if (bytes + rest).within(budget) {
                let (option, parent) = (option as u32, parent as u32);
                states.push(State { bytes, cost: state.cost + item.cost, option, parent });
            }
        }
    }
    let by_bytes = |state: &State| (state.bytes.file, state.cost.to_bits(), state.bytes.tensors);
    states.sort_by_key(by_bytes);
    let mut beaten = Beaten::default();
    states.retain(|state| beaten.add(state));
    states
}

/// What states have reached so far: the fewest bytes of tensors at each cost, where a higher cost
/// stands only with fewer. Costs are kept as their bits, which are in the same order.
#[derive(Default)]
struct Beaten(BTreeMap<u64, u64>);

impl Beaten {
    /// Adds a state, unless one before it is as good.
    fn add(&mut self, state: &State) -> bool {
        let (cost, bytes) = (state.cost.to_bits(), state.bytes.tensors);
        let as_cheap = self.0.range(..=cost).next_back();
        if as_cheap.is_some_and(|(_, &least)| least <= bytes) {
            return false;
        }
        while let Some((&worse, _)) = self.0.range(cost..).next().filter(|(_, b)| **b >= bytes) {
            self.0.remove(&worse);
        }
        self.0.insert(cost, bytes);
        true
    }
}

/// Keeps every n-th state of a front of more than `most`, and its last.
fn thin(states: Vec<State>, most: usize) -> Vec<State> {
    let every = states.len().div_ceil(most).max(1);
    let last = states.len().saturating_sub(1);
    let kept = |i: usize| i.is_multiple_of(every) || i == last;
    states.into_iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, state)| state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(groups: &[Vec<Item>], options: &[usize]) -> Item {
        let chosen = || groups.iter().zip(options).map(|(group, &option)| group[option]);
        let bytes = chosen().map(|item| item.bytes).sum();
        Item { bytes, time: 0, cost: chosen().map(|item| item.cost).sum() }
    }

    /// Tries everything.
    fn brute_force(groups: &[Vec<Item>], budget: Bytes) -> Option<f64> {
        let mut sums = vec![Item { bytes: Bytes::default(), time: 0, cost: 0.0 }];
        for group in groups {
            let with = |sum: &Item| {
                let sum = *sum;
                group.iter().map(move |item| Item {
                    bytes: sum.bytes + item.bytes,
                    time: 0,
                    cost: sum.cost + item.cost,
                })
            };
            sums = sums.iter().flat_map(with).collect();
        }
        let fitting = sums.iter().filter(|sum| sum.bytes.within(budget));
        fitting.map(|sum| sum.cost).min_by(f64::total_cmp)
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(
            groups in prop::collection::vec(
                prop::collection::vec((1u64..50, 0u64..50, 0u32..1000), 1..5), 0..6),
            tensors in 0u64..250,
            file in 0u64..400,
        ) {
            let budget = Bytes { tensors, file };
            let groups: Vec<Vec<Item>> = groups
                .into_iter()
                .map(|group| {
                    let item = |(tensors, more, cost)| Item {
                        bytes: Bytes { tensors, file: tensors + more },
                        time: 0,
                        cost: f64::from(cost),
                    };
                    group.into_iter().map(item).collect()
                })
                .collect();
            let chosen = choose(&groups, budget);
            prop_assert_eq!(chosen.as_ref().map(|o| total(&groups, o).cost),
                            brute_force(&groups, budget));
            if let Some(options) = chosen {
                prop_assert!(total(&groups, &options).bytes.within(budget));
            }
        }
    }

    #[test]
    fn a_dozen_groups_of_ten_are_solved() {
        let item = |g: u64, o: u64| {
            let tensors = 1_000_003 * (g + 1) * (o + 4) / 7;
            Item {
                bytes: Bytes { tensors, file: tensors + o % 3 },
                time: 0,
                cost: (g + 2) as f64 / f64::powi(4.0, o as i32),
            }
        };
        let groups: Vec<Vec<Item>> =
            (0..12).map(|g| (0..10).map(|o| item(g, o)).collect()).collect();
        let budget = Bytes { tensors: 80_000_000, file: 80_000_000 };
        let bytes = total(&groups, &choose(&groups, budget).unwrap()).bytes;
        assert!(bytes.within(budget));
        assert!(bytes.tensors > budget.tensors * 99 / 100);
    }
}
