//! The time that training may take: dealt out layer by layer, and what it is enough for end to end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Fewer steps do nothing for a layer, unless its text has no more.
const LEAST_STEPS: usize = 8;

/// What a layer takes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerTime {
    /// To find out how long it takes: the first one only.
    pub tried: f64,
    /// Beside its steps: the text is passed through it, and it is measured.
    pub around: f64,
    /// Each of its steps.
    pub step: f64,
}

impl LayerTime {
    /// Of a layer that learnt in so many steps.
    pub fn seconds(self, steps: usize) -> f64 {
        self.tried + self.around + self.step * steps as f64
    }

    /// The steps that there is time for, once nothing is to be tried any more.
    fn steps_in(self, seconds: f64) -> usize {
        ((seconds - self.around) / self.step) as usize
    }
}

/// What is left of it.
#[derive(Debug, Clone, Copy)]
pub struct TimeBudget {
    /// Seconds; infinite where there is no limit.
    left: f64,
    /// What the layer before took.
    last: Option<LayerTime>,
}

impl TimeBudget {
    /// All of it; `None` where there is no limit.
    pub fn new(time: Option<Duration>) -> TimeBudget {
        let left = time.map_or(f64::INFINITY, |time| time.as_secs_f64());
        TimeBudget { left, last: None }
    }

    /// Counts a layer that learnt in so many steps.
    pub fn spend(&mut self, time: LayerTime, steps: usize) {
        self.left -= time.seconds(steps);
        self.last = Some(LayerTime { tried: 0.0, ..time });
    }

    /// Steps of the next layer, at most `most`, if `layers` layers share what is left: all have as
    /// many, as each makes good some of what those before it lost. Where they would be too few, the
    /// first layers have enough and the last ones none. A layer takes what the one before it took,
    /// and the first one what `trial` finds.
    pub fn steps(self, most: usize, layers: usize, trial: impl FnOnce() -> LayerTime) -> usize {
        if self.left == f64::INFINITY || most == 0 {
            return most;
        }
        let time = self.last.unwrap_or_else(trial);
        let left = self.left - time.tried;
        let enough = LEAST_STEPS.min(most);
        let share = time.steps_in(left / layers as f64);
        match share < enough {
            true if time.steps_in(left) < enough => 0,
            true => enough,
            false => share.min(most),
        }
    }
}

/// What a token costs, in products with one weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenCost {
    /// Learnt from layer by layer: all layers once on the way there and twice on the way back.
    by_layers: f64,
    /// Learnt from end to end: all layers twice on the way there, twice on the way back and once in
    /// full precision; the output head once in full precision, once there and once back.
    end_to_end: f64,
    /// Measured on the way: all layers once, the output head twice.
    checked: f64,
}

impl TokenCost {
    /// Of a model with so many weights in all layers, and in the output head.
    pub fn new(layers: usize, head: usize) -> TokenCost {
        let (layers, head) = (layers as f64, head as f64);
        TokenCost {
            by_layers: 3.0 * layers,
            end_to_end: 5.0 * layers + 3.0 * head,
            checked: layers + 2.0 * head,
        }
    }

    /// Tokens that can be learnt from end to end in `time`, beside so many that are measured, where a
    /// token layer by layer took `seconds`.
    pub fn affordable(self, time: Duration, seconds: f64, checked: usize) -> usize {
        let products = time.as_secs_f64() * self.by_layers / seconds;
        ((products - self.checked * checked as f64) / self.end_to_end).max(0.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> TimeBudget {
        TimeBudget::new(Some(Duration::from_secs(seconds)))
    }

    fn taking(around: f64, step: f64) -> LayerTime {
        LayerTime { tried: 0.0, around, step }
    }

    #[test]
    fn what_a_trial_took_is_spent_once() {
        let (mut budget, time) = (seconds(110), LayerTime { tried: 10.0, ..taking(2.0, 1.0) });
        assert_eq!(budget.steps(40, 10, || time), LEAST_STEPS);
        assert_eq!(budget.steps(40, 5, || time), 18);
        budget.spend(time, 18);
        assert_eq!(budget.steps(40, 4, || unreachable!()), 18);
    }

    #[test]
    fn the_time_that_is_left_is_shared_by_the_layers_that_are_left() {
        assert_eq!(seconds(1000).steps(40, 10, || taking(0.0, 1.0)), 40);
        assert_eq!(seconds(1000).steps(40, 10, || taking(20.0, 4.0)), 20);
        let mut budget = seconds(1000);
        budget.spend(taking(50.0, 10.0), 25);
        assert_eq!(budget.steps(70, 1, || unreachable!()), 65);
        assert_eq!(budget.steps(70, 2, || unreachable!()), 30);
    }

    #[test]
    fn all_layers_have_as_many_steps_however_much_is_around_them() {
        let (mut budget, time) = (seconds(1000), taking(7.0, 0.5));
        let steps: Vec<usize> = (1..=30)
            .rev()
            .map(|layers| {
                let steps = budget.steps(200, layers, || time);
                budget.spend(time, steps);
                steps
            })
            .collect();
        assert!(steps.iter().all(|steps| (52..=53).contains(steps)), "{steps:?}");
    }

    #[test]
    fn where_it_is_short_the_first_layers_have_enough_and_the_last_ones_none() {
        let (mut budget, time) = (seconds(25), taking(2.0, 1.0));
        assert_eq!(budget.steps(40, 10, || time), LEAST_STEPS);
        budget.spend(time, LEAST_STEPS);
        assert_eq!(budget.steps(40, 9, || unreachable!()), LEAST_STEPS);
        budget.spend(time, LEAST_STEPS);
        assert_eq!(budget.steps(40, 8, || unreachable!()), 0);
        assert_eq!(seconds(0).steps(40, 8, || taking(0.0, 1e-3)), 0);
        assert_eq!(seconds(1).steps(3, 8, || taking(0.0, 0.3)), 3, "there is no more text");
    }

    #[test]
    fn a_large_head_and_held_out_text_make_tokens_dear() {
        let time = Duration::from_secs(100);
        assert_eq!(TokenCost::new(100, 0).affordable(time, 0.1, 0), 600);
        assert_eq!(TokenCost::new(100, 100).affordable(time, 0.1, 0), 375);
        assert_eq!(TokenCost::new(100, 100).affordable(time, 0.1, 400), 225);
        assert_eq!(TokenCost::new(100, 100).affordable(time, 0.1, 4000), 0);
    }

    #[test]
    fn without_a_limit_nothing_is_tried() {
        assert_eq!(TimeBudget::new(None).steps(40, 30, || unreachable!()), 40);
    }
}
