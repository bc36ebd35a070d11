//! The multiple-choice knapsack over single tensors, of which there are hundreds: one option of
//! each, least cost within what they may take of bytes and of time, or fewest bytes within a cost.
//!
//! Along the lower convex hull of each tensor's options the best steps are taken in the order of
//! what they gain for each byte, which is the Lagrangian solution; what room is left is then filled
//! by moves of one and of two tensors, until none helps.
//!
//! If a speed is asked for, time has a price in bytes: the least at which the smallest options are
//! fast enough, and some higher ones, of which the best is taken. Otherwise it has none.

use super::knapsack::Item;
use super::pace::Room;
use super::size::Bytes;
use crate::hardware::Time;

/// Moves of one or two tensors that fill the room that is left, at most.
const MOST_MOVES: usize = 100;

/// The option of each group that together cost least within `room`, or nearly so; `None` where
/// none fit.
pub fn within_room(groups: &[Vec<Item>], room: Room) -> Option<Vec<usize>> {
    let filled = prices_of_time(groups, room).into_iter().filter_map(|price| {
        let mut state = State::smallest(groups, room, price)?;
        for step in steps(groups, price) {
            state.take_if_better(step);
        }
        state.fill();
        if room.time < Time::MAX {
            state.improve();
        }
        Some(state)
    });
    // The first of equal ones: the least price.
    filled.min_by(|a, b| a.cost().total_cmp(&b.cost())).map(|state| state.chosen)
}

/// A choice that fits, improved by moves of its groups until none gains.
pub fn improved(groups: &[Vec<Item>], room: Room, chosen: Vec<usize>) -> Vec<usize> {
    let taken = || groups.iter().zip(&chosen).map(|(items, &at)| items[at]);
    let (bytes, time) = (taken().map(|item| item.bytes).sum(), taken().map(|it| it.time).sum());
    let mut state = State { groups, room, chosen, bytes, time };
    state.fill();
    state.improve();
    state.chosen
}

/// The option of each group that together take fewest bytes of the file within `cost` and within
/// `room`, or nearly so; `None` where none cost so little.
pub fn within_cost(groups: &[Vec<Item>], cost: f64, room: Room) -> Option<Vec<usize>> {
    let found = prices_of_time(groups, room).into_iter().filter_map(|price| {
        let mut state = State::smallest(groups, room, price)?;
        let mut steps = steps(groups, price).into_iter();
        while state.cost() > cost {
            state.take_if_better(steps.next()?);
        }
        // The last step may have gone further than it had to.
        while let Some(step) = state.largest_saving(cost - state.cost()) {
            state.take(step);
        }
        Some(state)
    });
    found.min_by_key(|state| state.bytes.file).map(|state| state.chosen)
}

/// Bytes that a part of time is worth: 0 if no speed is asked for; about what it is worth in the
/// smallest options if they are fast enough; else the least price at which they are, and higher ones,
/// as it is the bytes that may be short then; none where even the fastest are too slow.
fn prices_of_time(groups: &[Vec<Item>], room: Room) -> Vec<f64> {
    /// Halvings of the price: it is known to a millionth then.
    const HALVINGS: usize = 40;
    let is_fast = |price: f64| {
        let times = groups.iter().map(|items| items[smallest(items, price)].time);
        times.sum::<Time>() <= room.time
    };
    if room.time == Time::MAX {
        return vec![0.0];
    }
    if is_fast(0.0) {
        // What loses less may be slow all the same.
        let taken = || groups.iter().map(|items| items[smallest(items, 0.0)]);
        let bytes: u64 = taken().map(|item| item.bytes.file).sum();
        let time: Time = taken().map(|item| item.time).sum();
        let mean = bytes as f64 / time.max(1) as f64;
        return [0.0, 0.1, 0.3, 1.0, 3.0, 10.0].map(|times| times * mean).to_vec();
    }
    let (mut low, mut high) = (0.0, 1e-9);
    while !is_fast(high) {
        if high > 1e18 {
            return vec![];
        }
        (low, high) = (high, 4.0 * high);
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        (low, high) = if is_fast(middle) { (low, middle) } else { (middle, high) };
    }
    vec![high, 1.5 * high, 3.0 * high, 10.0 * high, 100.0 * high]
}

/// A group's move to another option.
#[derive(Debug, Clone, Copy)]
struct Step {
    group: usize,
    to: usize,
}

/// The options taken so far.
#[derive(Clone)]
struct State<'g> {
    groups: &'g [Vec<Item>],
    room: Room,
    chosen: Vec<usize>,
    bytes: Bytes,
    time: Time,
}

impl<'g> State<'g> {
    /// The smallest options at a price of time; `None` where even those are too large or too slow.
    fn smallest(groups: &'g [Vec<Item>], room: Room, price: f64) -> Option<State<'g>> {
        let chosen: Vec<usize> = groups.iter().map(|items| smallest(items, price)).collect();
        let taken = || groups.iter().zip(&chosen).map(|(items, &at)| items[at]);
        let bytes: Bytes = taken().map(|item| item.bytes).sum();
        let time: Time = taken().map(|item| item.time).sum();
        let mut state = State { groups, room, chosen, bytes, time };
        // Time that is left is given for bytes that are too many.
        while !state.bytes.within(room.bytes) {
            let step = state.largest_saving_of_time_left()?;
            state.take(step);
        }
        room.holds(state.bytes, state.time).then_some(state)
    }

    fn now(&self, group: usize) -> Item {
        self.groups[group][self.chosen[group]]
    }

    /// Summed anew: the same to the last bit however the choice was come by.
    fn cost(&self) -> f64 {
        (0..self.groups.len()).map(|group| self.now(group).cost).sum()
    }

    fn then(&self, step: Step) -> Item {
        self.groups[step.group][step.to]
    }

    fn after(&self, step: Step) -> Bytes {
        let (now, then) = (self.now(step.group).bytes, self.then(step).bytes);
        let after = |all: u64, now: u64, then: u64| all - now + then;
        Bytes {
            tensors: after(self.bytes.tensors, now.tensors, then.tensors),
            file: after(self.bytes.file, now.file, then.file),
        }
    }

    fn time_after(&self, step: Step) -> Time {
        self.time - self.now(step.group).time + self.then(step).time
    }

    /// Whether there is room after a step.
    fn fits(&self, step: Step) -> bool {
        self.room.holds(self.after(step), self.time_after(step))
    }

    fn gain(&self, step: Step) -> f64 {
        self.now(step.group).cost - self.groups[step.group][step.to].cost
    }

    fn take(&mut self, step: Step) {
        (self.bytes, self.time) = (self.after(step), self.time_after(step));
        self.chosen[step.group] = step.to;
    }

    fn take_if_better(&mut self, step: Step) {
        if self.gain(step) > 0.0 && self.fits(step) {
            self.take(step);
        }
    }

    /// Fills the room that is left.
    fn fill(&mut self) {
        for _ in 0..MOST_MOVES {
            match self.best_moves() {
                Some(moves) => moves.into_iter().for_each(|step| self.take(step)),
                None => break,
            }
        }
    }

    /// Takes each step in turn, though it may cost, and fills the room again; what gains most is kept,
    /// until nothing gains. If bytes and time are both short, moves of one and two groups get stuck:
    /// up to a third above the best choice of nine groups, and some 10 % of sixty.
    fn improve(&mut self) {
        /// Beyond, it would take too long, and single groups matter little.
        const MOST_OPTIONS: usize = 4000;
        if self.groups.iter().map(Vec::len).sum::<usize>() > MOST_OPTIONS {
            return;
        }
        loop {
            let steps: Vec<Step> = self.all_steps().filter(|&step| self.fits(step)).collect();
            let after = steps.into_iter().map(|step| {
                let mut state = self.clone();
                state.take(step);
                state.fill();
                state
            });
            match after.min_by(|a, b| a.cost().total_cmp(&b.cost())) {
                Some(best) if best.cost() < self.cost() * (1.0 - 1e-12) => *self = best,
                _ => return,
            }
        }
    }

    fn all_steps(&self) -> impl Iterator<Item = Step> + use<'_, 'g> {
        let of = |group: usize| (0..self.groups[group].len()).map(move |to| Step { group, to });
        (0..self.groups.len()).flat_map(of).filter(|step| self.chosen[step.group] != step.to)
    }

    /// The step, or the two steps of different groups, that gain most within the budget.
    fn best_moves(&self) -> Option<Vec<Step>> {
        let mut best: (f64, Vec<Step>) = (0.0, Vec::new());
        let mut up: Vec<(Step, f64)> = Vec::new();
        for step in self.all_steps() {
            let gain = self.gain(step);
            if gain > best.0 && self.fits(step) {
                best = (gain, vec![step]);
            }
            if gain > 0.0 {
                up.push((step, gain));
            }
        }
        up.sort_by(|a, b| b.1.total_cmp(&a.1));
        let downs: Vec<Step> = self.all_steps().filter(|&step| self.frees(step)).collect();
        for down in downs {
            let loss = -self.gain(down);
            for &(step, gain) in &up {
                if gain - loss <= best.0 {
                    break; // those after gain less
                }
                if step.group != down.group && self.both_fit(down, step) {
                    best = (gain - loss, vec![down, step]);
                }
            }
        }
        (!best.1.is_empty()).then_some(best.1)
    }

    fn frees(&self, step: Step) -> bool {
        let after = self.after(step);
        after.file < self.bytes.file
            || after.tensors < self.bytes.tensors
            || self.time_after(step) < self.time
    }

    fn both_fit(&self, first: Step, second: Step) -> bool {
        let (one, other) = (self.after(first), self.after(second));
        let bytes = Bytes {
            tensors: one.tensors + other.tensors - self.bytes.tensors,
            file: one.file + other.file - self.bytes.file,
        };
        let time = self.time_after(first) + self.time_after(second) - self.time;
        self.room.holds(bytes, time)
    }

    /// The step that takes most bytes off the file while time allows it.
    fn largest_saving_of_time_left(&self) -> Option<Step> {
        let saved = |step: &Step| self.bytes.file.saturating_sub(self.after(*step).file);
        let fits = |step: &Step| saved(step) > 0 && self.time_after(*step) <= self.room.time;
        self.all_steps().filter(fits).max_by_key(saved)
    }

    /// The step that takes most bytes off the file and costs `slack` at most.
    fn largest_saving(&self, slack: f64) -> Option<Step> {
        let saved = |step: &Step| self.bytes.file.saturating_sub(self.after(*step).file);
        let fits = |step: &Step| saved(step) > 0 && self.fits_slack(*step, slack);
        self.all_steps().filter(fits).max_by_key(saved)
    }

    /// With a hair to spare, so that rounding does not carry the sum above the limit.
    fn fits_slack(&self, step: Step, slack: f64) -> bool {
        -self.gain(step) * (1.0 + 1e-9) < slack && self.fits(step)
    }
}

/// Bytes and costs of the choices that no exchange of bytes between groups betters, the smallest
/// first: the lower convex hull over all groups.
pub fn frontier(groups: &[Vec<Item>]) -> Vec<(u64, f64)> {
    let mut at: Vec<usize> = groups.iter().map(|items| smallest(items, 0.0)).collect();
    let chosen = groups.iter().zip(&at).map(|(items, &at)| items[at]);
    let (mut bytes, mut cost) =
        chosen.fold((0, 0.0), |(bytes, cost), item| (bytes + item.bytes.file, cost + item.cost));
    let mut points = vec![(bytes, cost)];
    for Step { group, to } in steps(groups, 0.0) {
        let [before, after] = [at[group], to].map(|option| groups[group][option]);
        (bytes, cost) =
            (bytes + after.bytes.file - before.bytes.file, cost + after.cost - before.cost);
        at[group] = to;
        points.push((bytes, cost));
    }
    points
}

/// The steps along the lower convex hulls of all groups, those that gain most for each byte first;
/// time counts as bytes at its price.
fn steps(groups: &[Vec<Item>], price: f64) -> Vec<Step> {
    let hulls = groups.iter().enumerate().flat_map(|(group, items)| hull(group, items, price));
    let mut steps: Vec<(Step, f64)> = hulls.collect();
    // Stable: those of one group stay in order.
    steps.sort_by(|a, b| b.1.total_cmp(&a.1));
    steps.into_iter().map(|(step, _)| step).collect()
}

/// The steps along the hull of one group, with what each gains for each byte.
fn hull(group: usize, items: &[Item], price: f64) -> Vec<(Step, f64)> {
    let mut at = smallest(items, price);
    let mut steps = Vec::new();
    loop {
        let slope = |to: usize| {
            let bytes = size(&items[to], price) - size(&items[at], price);
            (items[at].cost - items[to].cost) / bytes.max(1.0)
        };
        let steepest = (0..items.len()).max_by(|&a, &b| slope(a).total_cmp(&slope(b)));
        match steepest {
            Some(to) if slope(to) > 0.0 => {
                steps.push((Step { group, to }, slope(to)));
                at = to;
            }
            _ => return steps,
        }
    }
}

/// The place of the smallest item; of equally small ones, of the one that costs least.
fn smallest(items: &[Item], price: f64) -> usize {
    let by_size = |a: &usize, b: &usize| {
        let (a, b) = (&items[*a], &items[*b]);
        let sizes = size(a, price).total_cmp(&size(b, price));
        sizes.then(a.bytes.tensors.cmp(&b.bytes.tensors)).then(a.cost.total_cmp(&b.cost))
    };
    (0..items.len()).min_by(by_size).unwrap_or(0)
}

/// Bytes of the file, and time at its price.
fn size(item: &Item, price: f64) -> f64 {
    item.bytes.file as f64 + price * item.time as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(groups: &[Vec<Item>], chosen: &[usize]) -> (u64, f64) {
        let items = groups.iter().zip(chosen).map(|(items, &at)| items[at]);
        items.fold((0, 0.0), |(bytes, cost), item| (bytes + item.bytes.file, cost + item.cost))
    }

    /// Every choice, with its bytes and its cost.
    fn all(groups: &[Vec<Item>]) -> Vec<(u64, f64)> {
        let mut all: Vec<Vec<usize>> = vec![vec![]];
        for items in groups {
            let with = |choice: Vec<usize>| {
                (0..items.len()).map(move |at| [choice.as_slice(), &[at]].concat())
            };
            all = all.into_iter().flat_map(with).collect();
        }
        all.iter().map(|chosen| total(groups, chosen)).collect()
    }

    fn room(file: u64) -> Room {
        let bytes = Bytes { tensors: u64::MAX / 4, file };
        Room { bytes, time: Time::MAX }
    }

    prop_compose! {
        fn item()(file in 1u64..60, cost in 0u32..1000) -> Item {
            Item { bytes: Bytes { tensors: file, file }, time: 0, cost: f64::from(cost) / 16.0 }
        }
    }

    fn groups() -> impl Strategy<Value = Vec<Vec<Item>>> {
        prop::collection::vec(prop::collection::vec(item(), 1..5), 1..6)
    }

    proptest! {
        #[test]
        fn a_choice_within_bytes_is_found_where_there_is_one(groups in groups(), file in 1u64..250) {
            let possible = all(&groups).into_iter().filter(|&(bytes, _)| bytes <= file);
            let least = possible.map(|(_, cost)| cost).min_by(f64::total_cmp);
            let found = within_room(&groups, room(file));
            prop_assert_eq!(found.is_some(), least.is_some());
            if let (Some(found), Some(least)) = (found, least) {
                let (bytes, cost) = total(&groups, &found);
                prop_assert!(bytes <= file);
                // No single item is worth more than this.
                let largest = groups.iter().flatten().map(|item| item.cost).fold(0.0, f64::max);
                prop_assert!(cost <= least + largest, "{} for {}", cost, least);
            }
        }

        #[test]
        fn nothing_betters_the_frontier(groups in groups()) {
            let points = frontier(&groups);
            prop_assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 > b.1));
            for (bytes, cost) in points {
                for other in all(&groups).into_iter().filter(|other| other.0 <= bytes) {
                    prop_assert!(other.1 >= cost - 1e-9, "{:?} for {:?}", other, (bytes, cost));
                }
            }
        }

        #[test]
        fn a_choice_within_a_cost_costs_no_more(groups in groups(), cost in 0f64..200.0) {
            let all = all(&groups);
            let possible = all.iter().filter(|choice| choice.1 <= cost);
            let least = possible.map(|&(bytes, _)| bytes).min();
            let found = within_cost(&groups, cost, room(u64::MAX / 4));
            prop_assert_eq!(found.is_some(), least.is_some());
            if let (Some(found), Some(least)) = (found, least) {
                let (bytes, found) = total(&groups, &found);
                prop_assert!(found <= cost && bytes <= least + 60, "{} for {}", bytes, least);
            }
        }

        #[test]
        fn one_group_gets_its_best(items in prop::collection::vec(item(), 1..9), file in 1u64..60) {
            let groups = [items];
            let possible = all(&groups).into_iter().filter(|&(bytes, _)| bytes <= file);
            let least = possible.map(|(_, cost)| cost).min_by(f64::total_cmp);
            let found = within_room(&groups, room(file));
            prop_assert_eq!(found.map(|chosen| total(&groups, &chosen).1), least);
        }
    }

    #[test]
    fn thousands_of_tensors_are_no_burden() {
        let item = |i: usize, at: usize| {
            let (bytes, cost) = (1000 * (at as u64 + 4), (1 + i % 17) as f64 / (1 << at) as f64);
            Item { bytes: Bytes { tensors: bytes, file: bytes }, time: 0, cost }
        };
        let groups: Vec<Vec<Item>> =
            (0..2000).map(|i| (0..10).map(|at| item(i, at)).collect()).collect();
        let chosen = within_room(&groups, room(14_000_500)).unwrap();
        let (bytes, _) = total(&groups, &chosen);
        assert!((13_999_000..=14_000_500).contains(&bytes), "{bytes}");
    }
}
