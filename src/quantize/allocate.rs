//! The multiple-choice knapsack over single tensors, of which there are hundreds: one option of
//! each, least cost within a budget of bytes, or fewest bytes within a cost.
//!
//! Along the lower convex hull of each tensor's options the best steps are taken in the order of
//! what they gain for each byte, which is the Lagrangian solution; what room is left is then filled
//! by moves of one and of two tensors, until none helps.

use super::knapsack::Item;
use super::size::Bytes;

/// Moves of one or two tensors that fill the room that is left, at most.
const MOST_MOVES: usize = 100;

/// The option of each group that together cost least within `budget`, or nearly so; `None` where
/// none fit.
pub fn within_bytes(groups: &[Vec<Item>], budget: Bytes) -> Option<Vec<usize>> {
    let mut state = State::smallest(groups, budget)?;
    for step in steps(groups) {
        state.take_if_better(step);
    }
    for _ in 0..MOST_MOVES {
        match state.best_moves() {
            Some(moves) => moves.into_iter().for_each(|step| state.take(step)),
            None => break,
        }
    }
    Some(state.chosen)
}

/// The option of each group that together take fewest bytes of the file within `cost` and within
/// `budget`, or nearly so; `None` where none cost so little.
pub fn within_cost(groups: &[Vec<Item>], cost: f64, budget: Bytes) -> Option<Vec<usize>> {
    let mut state = State::smallest(groups, budget)?;
    let mut steps = steps(groups).into_iter();
    while state.cost() > cost {
        state.take_if_better(steps.next()?);
    }
    // The last step may have gone further than it had to.
    while let Some(step) = state.largest_saving(cost - state.cost()) {
        state.take(step);
    }
    Some(state.chosen)
}

/// A group's move to another option.
#[derive(Debug, Clone, Copy)]
struct Step {
    group: usize,
    to: usize,
}

/// The options taken so far.
struct State<'g> {
    groups: &'g [Vec<Item>],
    budget: Bytes,
    chosen: Vec<usize>,
    bytes: Bytes,
}

impl<'g> State<'g> {
    /// The smallest options; `None` where even those are too large.
    fn smallest(groups: &'g [Vec<Item>], budget: Bytes) -> Option<State<'g>> {
        let chosen: Vec<usize> = groups.iter().map(|items| smallest(items)).collect();
        let bytes: Bytes = groups.iter().zip(&chosen).map(|(items, &at)| items[at].bytes).sum();
        bytes.within(budget).then_some(State { groups, budget, chosen, bytes })
    }

    fn now(&self, group: usize) -> Item {
        self.groups[group][self.chosen[group]]
    }

    /// Summed anew: the same to the last bit however the choice was come by.
    fn cost(&self) -> f64 {
        (0..self.groups.len()).map(|group| self.now(group).cost).sum()
    }

    fn after(&self, step: Step) -> Bytes {
        let (now, then) = (self.now(step.group).bytes, self.groups[step.group][step.to].bytes);
        let after = |all: u64, now: u64, then: u64| all - now + then;
        Bytes {
            tensors: after(self.bytes.tensors, now.tensors, then.tensors),
            file: after(self.bytes.file, now.file, then.file),
        }
    }

    fn gain(&self, step: Step) -> f64 {
        self.now(step.group).cost - self.groups[step.group][step.to].cost
    }

    fn take(&mut self, step: Step) {
        self.bytes = self.after(step);
        self.chosen[step.group] = step.to;
    }

    fn take_if_better(&mut self, step: Step) {
        if self.gain(step) > 0.0 && self.after(step).within(self.budget) {
            self.take(step);
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
            if gain > best.0 && self.after(step).within(self.budget) {
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
                if step.group != down.group && self.after_both(down, step).within(self.budget) {
                    best = (gain - loss, vec![down, step]);
                }
            }
        }
        (!best.1.is_empty()).then_some(best.1)
    }

    fn frees(&self, step: Step) -> bool {
        let after = self.after(step);
        after.file < self.bytes.file || after.tensors < self.bytes.tensors
    }

    fn after_both(&self, first: Step, second: Step) -> Bytes {
        let (one, other) = (self.after(first), self.after(second));
        Bytes {
            tensors: one.tensors + other.tensors - self.bytes.tensors,
            file: one.file + other.file - self.bytes.file,
        }
    }

    /// The step that takes most bytes off the file and costs `slack` at most.
    fn largest_saving(&self, slack: f64) -> Option<Step> {
        let saved = |step: &Step| self.bytes.file.saturating_sub(self.after(*step).file);
        let fits = |step: &Step| saved(step) > 0 && self.fits_slack(*step, slack);
        self.all_steps().filter(fits).max_by_key(saved)
    }

    /// With a hair to spare, so that rounding does not carry the sum above the limit.
    fn fits_slack(&self, step: Step, slack: f64) -> bool {
        -self.gain(step) * (1.0 + 1e-9) < slack && self.after(step).within(self.budget)
    }
}

/// The steps along the lower convex hulls of all groups, those that gain most for each byte first.
fn steps(groups: &[Vec<Item>]) -> Vec<Step> {
    let hulls = groups.iter().enumerate().flat_map(|(group, items)| hull(group, items));
    let mut steps: Vec<(Step, f64)> = hulls.collect();
    // Stable: those of one group stay in order.
    steps.sort_by(|a, b| b.1.total_cmp(&a.1));
    steps.into_iter().map(|(step, _)| step).collect()
}

/// The steps along the hull of one group, with what each gains for each byte.
fn hull(group: usize, items: &[Item]) -> Vec<(Step, f64)> {
    let mut at = smallest(items);
    let mut steps = Vec::new();
    loop {
        let slope = |to: usize| {
            let bytes = items[to].bytes.file.saturating_sub(items[at].bytes.file);
            (items[at].cost - items[to].cost) / bytes.max(1) as f64
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
fn smallest(items: &[Item]) -> usize {
    let key = |at: &usize| (items[*at].bytes.file, items[*at].bytes.tensors);
    (0..items.len())
        .min_by(|a, b| key(a).cmp(&key(b)).then(items[*a].cost.total_cmp(&items[*b].cost)))
        .unwrap_or(0)
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

    fn budget(file: u64) -> Bytes {
        Bytes { tensors: u64::MAX / 4, file }
    }

    prop_compose! {
        fn item()(file in 1u64..60, cost in 0u32..1000) -> Item {
            Item { bytes: Bytes { tensors: file, file }, cost: f64::from(cost) / 16.0 }
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
            let found = within_bytes(&groups, budget(file));
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
        fn a_choice_within_a_cost_costs_no_more(groups in groups(), cost in 0f64..200.0) {
            let all = all(&groups);
            let possible = all.iter().filter(|choice| choice.1 <= cost);
            let least = possible.map(|&(bytes, _)| bytes).min();
            let found = within_cost(&groups, cost, budget(u64::MAX / 4));
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
            let found = within_bytes(&groups, budget(file));
            prop_assert_eq!(found.map(|chosen| total(&groups, &chosen).1), least);
        }
    }

    #[test]
    fn thousands_of_tensors_are_no_burden() {
        let item = |i: usize, at: usize| {
            let (bytes, cost) = (1000 * (at as u64 + 4), (1 + i % 17) as f64 / (1 << at) as f64);
            Item { bytes: Bytes { tensors: bytes, file: bytes }, cost }
        };
        let groups: Vec<Vec<Item>> =
            (0..2000).map(|i| (0..10).map(|at| item(i, at)).collect()).collect();
        let chosen = within_bytes(&groups, budget(14_000_500)).unwrap();
        let (bytes, _) = total(&groups, &chosen);
        assert!((13_999_000..=14_000_500).contains(&bytes), "{bytes}");
    }
}
