//! The multiple-choice knapsack: one option of each group, least cost within a budget of bytes.

/// One way to store a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Bytes it takes.
    pub bytes: u64,
    /// What it loses.
    pub cost: f64,
}

/// Partial choices kept at most; beyond, those nearly equal in bytes are thinned out.
const FRONT: usize = 200_000;

/// A choice for the first groups that no other beats in both bytes and cost.
#[derive(Debug, Clone, Copy)]
struct State {
    bytes: u64,
    cost: f64,
    /// The option taken of the last group, and the state of the groups before.
    option: u32,
    parent: u32,
}

/// The option of each group that together cost least within `budget` bytes; `None` where even the
/// smallest do not fit. Of equal costs, the fewest bytes.
///
/// Exact: groups are added one by one to the Pareto front of bytes and cost. Only a front beyond
/// 200,000 states, which some dozen groups of ten options do not reach, is thinned.
pub fn choose(groups: &[Vec<Item>], budget: u64) -> Option<Vec<usize>> {
    let start = State { bytes: 0, cost: 0.0, option: 0, parent: 0 };
    let mut fronts = vec![vec![start]];
    // What the groups still to come take at least.
    let mut rest: u64 = groups.iter().map(|group| smallest(group)).sum();
    for group in groups {
        rest -= smallest(group);
        let front = extend(&fronts[fronts.len() - 1], group, budget.checked_sub(rest)?);
        fronts.push(front);
    }
    // A front falls in cost as it grows in bytes: its last state costs least.
    let mut at = fronts[groups.len()].len().checked_sub(1)?;
    let mut options = vec![0; groups.len()];
    for group in (0..groups.len()).rev() {
        let state = fronts[group + 1][at];
        options[group] = state.option as usize;
        at = state.parent as usize;
    }
    Some(options)
}

fn smallest(group: &[Item]) -> u64 {
    group.iter().map(|item| item.bytes).min().unwrap_or(0)
}

/// The front of every state with every option, within `limit` bytes.
fn extend(front: &[State], group: &[Item], limit: u64) -> Vec<State> {
    let mut states = Vec::with_capacity(front.len() * group.len());
    for (parent, state) in front.iter().enumerate() {
        for (option, item) in group.iter().enumerate() {
            let bytes = state.bytes + item.bytes;
            if bytes <= limit {
                let (option, parent) = (option as u32, parent as u32);
                states.push(State { bytes, cost: state.cost + item.cost, option, parent });
            }
        }
    }
    states.sort_by(|a, b| a.bytes.cmp(&b.bytes).then(a.cost.total_cmp(&b.cost)));
    let mut least = f64::INFINITY;
    states.retain(|state| {
        let better = state.cost < least;
        least = least.min(state.cost);
        better
    });
    thin(states)
}

/// Keeps every n-th state of a front that has grown too long, and its cheapest.
fn thin(states: Vec<State>) -> Vec<State> {
    let every = states.len().div_ceil(FRONT).max(1);
    let last = states.len().saturating_sub(1);
    let kept = |i: usize| i.is_multiple_of(every) || i == last;
    states.into_iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, state)| state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(groups: &[Vec<Item>], options: &[usize]) -> Item {
        let zero = Item { bytes: 0, cost: 0.0 };
        groups.iter().zip(options).fold(zero, |sum, (group, &option)| Item {
            bytes: sum.bytes + group[option].bytes,
            cost: sum.cost + group[option].cost,
        })
    }

    /// Tries everything.
    fn brute_force(groups: &[Vec<Item>], budget: u64) -> Option<f64> {
        let mut sums = vec![Item { bytes: 0, cost: 0.0 }];
        for group in groups {
            let with = |sum: &Item| {
                let sum = *sum;
                group.iter().map(move |item| Item {
                    bytes: sum.bytes + item.bytes,
                    cost: sum.cost + item.cost,
                })
            };
            sums = sums.iter().flat_map(with).collect();
        }
        let fitting = sums.iter().filter(|sum| sum.bytes <= budget);
        fitting.map(|sum| sum.cost).min_by(f64::total_cmp)
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(
            groups in prop::collection::vec(
                prop::collection::vec((1u64..50, 0u32..1000), 1..5), 0..6),
            budget in 0u64..250,
        ) {
            let groups: Vec<Vec<Item>> = groups
                .into_iter()
                .map(|group| {
                    let item = |(bytes, cost)| Item { bytes, cost: f64::from(cost) };
                    group.into_iter().map(item).collect()
                })
                .collect();
            let chosen = choose(&groups, budget);
            prop_assert_eq!(chosen.as_ref().map(|o| total(&groups, o).cost),
                            brute_force(&groups, budget));
            if let Some(options) = chosen {
                prop_assert!(total(&groups, &options).bytes <= budget);
            }
        }
    }

    #[test]
    fn a_dozen_groups_of_ten_are_solved() {
        let item = |g: u64, o: u64| Item {
            bytes: 1_000_003 * (g + 1) * (o + 4) / 7,
            cost: (g + 2) as f64 / f64::powi(4.0, o as i32),
        };
        let groups: Vec<Vec<Item>> =
            (0..12).map(|g| (0..10).map(|o| item(g, o)).collect()).collect();
        let budget = 80_000_000;
        let options = choose(&groups, budget).unwrap();
        assert!(total(&groups, &options).bytes <= budget);
        assert!(total(&groups, &options).bytes > budget * 99 / 100);
    }
}
