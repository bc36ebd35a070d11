//! The multiple-choice knapsack with a limit of time beside that of bytes.

use crate::hardware::Time;

use super::allocate::{improved, within_room};
use super::knapsack::{self, Item};
use super::pace::Room;
use super::size::Bytes;

/// The option of each group that together cost least within `room`, or nearly so; `None` where none
/// fit.
///
/// Exact if the choice without a limit of time is fast enough. Otherwise time has a price: in cost,
/// which the knapsack then adds, and in bytes, as in the allocation over single groups. The better of
/// both is taken, improved by moves of single groups.
pub fn choose(groups: &[Vec<Item>], room: Room) -> Option<Vec<usize>> {
    let by_bytes = knapsack::choose(groups, room.bytes)?;
    if time(groups, &by_bytes) <= room.time {
        return Some(by_bytes);
    }
    let fast = at_a_price(groups, room, cost(groups, &by_bytes))?;
    let fast = [improved(groups, room, fast)].into_iter().chain(within_room(groups, room));
    fast.min_by(|a, b| cost(groups, a).total_cmp(&cost(groups, b)))
}

/// The choice of the least price of time, in cost, at which the knapsack is fast enough; the fastest
/// one, if none is at any price that is tried; `None` if even that is too slow. `cost` is what the
/// choice without a limit of time costs.
fn at_a_price(groups: &[Vec<Item>], room: Room, cost: f64) -> Option<Vec<usize>> {
    /// Halvings of the price's logarithm, from a range of 4^12: it is known to a thousandth then.
    const HALVINGS: usize = 14;
    let is_fast = |chosen: &Vec<usize>| time(groups, chosen) <= room.time;
    let fastest = fastest(groups, room.bytes).filter(is_fast)?;
    let at = |price: f64| {
        let priced = |item: &Item| item.cost + price * item.time as f64;
        choose_by(priced, groups, room.bytes).filter(is_fast)
    };
    let middle = cost.max(f64::MIN_POSITIVE) / room.time.max(1) as f64;
    let (mut low, mut high) = (middle / 4096.0, middle * 4096.0);
    let mut found = None;
    for _ in 0..HALVINGS {
        let price = (low * high).sqrt();
        match at(price) {
            Some(chosen) => (found, high) = (Some(chosen), price),
            None => low = price,
        }
    }
    found.or(Some(fastest))
}

/// The option of each group that together take least time within `budget`.
pub fn fastest(groups: &[Vec<Item>], budget: Bytes) -> Option<Vec<usize>> {
    choose_by(|item| item.time as f64, groups, budget)
}

/// The exact choice within `budget` if an item costs what `cost` says.
fn choose_by(
    cost: impl Fn(&Item) -> f64,
    groups: &[Vec<Item>],
    budget: Bytes,
) -> Option<Vec<usize>> {
    let with = |item: &Item| Item { cost: cost(item), ..*item };
    let groups: Vec<Vec<Item>> =
        groups.iter().map(|items| items.iter().map(with).collect()).collect();
    knapsack::choose(&groups, budget)
}

fn cost(groups: &[Vec<Item>], chosen: &[usize]) -> f64 {
    groups.iter().zip(chosen).map(|(items, &at)| items[at].cost).sum()
}

fn time(groups: &[Vec<Item>], chosen: &[usize]) -> Time {
    groups.iter().zip(chosen).map(|(items, &at)| items[at].time).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every choice.
    fn all(groups: &[Vec<Item>]) -> Vec<Vec<usize>> {
        let with = |all: Vec<Vec<usize>>, items: &Vec<Item>| {
            let more = |chosen: Vec<usize>| {
                (0..items.len()).map(move |at| [chosen.as_slice(), &[at]].concat())
            };
            all.into_iter().flat_map(more).collect()
        };
        groups.iter().fold(vec![vec![]], with)
    }

    /// Bytes, time and cost of a choice.
    fn taken(groups: &[Vec<Item>], chosen: &[usize]) -> (Bytes, Time, f64) {
        let items = groups.iter().zip(chosen).map(|(items, &at)| items[at]);
        (items.map(|item| item.bytes).sum(), time(groups, chosen), cost(groups, chosen))
    }

    prop_compose! {
        fn item()(bytes in 1u64..60, more in 0u64..9, time in 0u64..50, cost in 0u32..1000) -> Item {
            let bytes = Bytes { tensors: bytes, file: bytes + more };
            Item { bytes, time, cost: f64::from(cost) / 16.0 }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_choice_is_found_where_there_is_one_and_is_within_both_limits(
            groups in prop::collection::vec(prop::collection::vec(item(), 1..5), 1..6),
            file in 1u64..260,
            time in 0u64..200,
        ) {
            let room = Room { bytes: Bytes { tensors: u64::MAX / 4, file }, time };
            let possible = all(&groups).into_iter().map(|chosen| taken(&groups, &chosen));
            let possible = possible.filter(|&(bytes, time, _)| room.holds(bytes, time));
            let least = possible.map(|(_, _, cost)| cost).min_by(f64::total_cmp);
            let found = choose(&groups, room);
            prop_assert_eq!(found.is_some(), least.is_some());
            if let (Some(found), Some(least)) = (found, least) {
                let (bytes, time, cost) = taken(&groups, &found);
                prop_assert!(room.holds(bytes, time));
                prop_assert!(cost >= least - 1e-9);
            }
        }

        #[test]
        fn without_a_limit_of_time_it_is_the_exact_choice(
            groups in prop::collection::vec(prop::collection::vec(item(), 1..5), 1..6),
            file in 1u64..260,
        ) {
            let bytes = Bytes { tensors: u64::MAX / 4, file };
            let found = choose(&groups, Room { bytes, time: Time::MAX });
            prop_assert_eq!(found, knapsack::choose(&groups, bytes));
        }
    }

    /// Of groups whose formats lose by the fourth power of bits, as those of a model do, and of which
    /// one is slow, as 5 bits are on a CPU.
    #[test]
    fn little_is_lost_to_the_exact_choice() {
        let mut ratios = Vec::new();
        for seed in 0..20u64 {
            let item = |group: u64, bits: u64| {
                let weights = 1000 * (1 + (group * 7 + seed) % 3);
                let bytes = weights * bits / 8;
                let time = weights * if bits == 5 { 9 } else { bits };
                let cost = 1 + (group * group + 5 * seed) % 9;
                let bytes = Bytes { tensors: bytes, file: bytes };
                Item { bytes, time, cost: cost as f64 / f64::powi(4.0, bits as i32 - 4) }
            };
            let groups: Vec<Vec<Item>> =
                (0..7).map(|group| [4, 5, 6, 8].map(|bits| item(group, bits)).to_vec()).collect();
            let (least_bytes, least_time, _) = taken(&groups, &[0; 7]);
            let file = least_bytes.file * (110 + seed % 5 * 10) / 100;
            let time = least_time * (105 + seed % 7 * 7) / 100;
            let room = Room { bytes: Bytes { tensors: u64::MAX / 4, file }, time };
            let possible = all(&groups).into_iter().map(|chosen| taken(&groups, &chosen));
            let possible = possible.filter(|&(bytes, time, _)| room.holds(bytes, time));
            let least = possible.map(|(_, _, cost)| cost).min_by(f64::total_cmp).unwrap();
            let (bytes, time, cost) = taken(&groups, &choose(&groups, room).unwrap());
            assert!(room.holds(bytes, time));
            ratios.push(cost / least);
        }
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!(mean < 1.01 && ratios.iter().all(|&ratio| ratio < 1.1), "{ratios:?}");
    }
}
