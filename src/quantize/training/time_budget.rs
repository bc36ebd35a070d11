//! The time that training may take: dealt out layer by layer, and what it is enough for end to end.

use std::time::Duration;

/// Fewer steps do nothing for a layer, unless its text has no more.
const LEAST_STEPS: usize = 8;

/// What is left of it.
#[derive(Debug, Clone, Copy)]
pub struct TimeBudget {
    /// Seconds; infinite where there is no limit.
    left: f64,
    /// Seconds and steps of the layers so far.
    seconds: f64,
    steps: usize,
}

impl TimeBudget {
    /// All of it; `None` where there is no limit.
    pub fn new(time: Option<Duration>) -> TimeBudget {
        let left = time.map_or(f64::INFINITY, |time| time.as_secs_f64());
        TimeBudget { left, seconds: 0.0, steps: 0 }
    }

    /// Counts a layer that took this long.
    pub fn spend(&mut self, seconds: f64, steps: usize) {
        self.left -= seconds;
        self.seconds += seconds;
        self.steps += steps;
    }

    /// Steps of the next layer, at most `most`, if `layers` layers share what is left: all have as
    /// many, as each makes good some of what those before it lost. Where they would be too few, the
    /// first layers have enough and the last ones none. A step takes what it took so far; before
    /// there was any, as many seconds as `trial` finds.
    pub fn steps(self, most: usize, layers: usize, trial: impl FnOnce() -> f64) -> usize {
        if self.left == f64::INFINITY || most == 0 {
            return most;
        }
        let step = match self.steps {
            0 => trial(),
            steps => self.seconds / steps as f64,
        };
        let enough = LEAST_STEPS.min(most);
        let least = if self.left >= step * enough as f64 { enough } else { 0 };
        let share = (self.left / layers as f64 / step) as usize;
        if share < enough { least } else { share.min(most) }
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

    #[test]
    fn the_time_that_is_left_is_shared_by_the_layers_that_are_left() {
        assert_eq!(seconds(1000).steps(40, 10, || 1.0), 40);
        assert_eq!(seconds(1000).steps(40, 10, || 4.0), 25);
        let mut budget = seconds(1000);
        budget.spend(300.0, 25);
        assert_eq!(budget.steps(40, 1, || unreachable!()), 40);
        assert_eq!(budget.steps(40, 2, || unreachable!()), 29);
    }

    #[test]
    fn where_it_is_short_the_first_layers_have_enough_and_the_last_ones_none() {
        let mut budget = seconds(25);
        assert_eq!(budget.steps(40, 10, || 1.25), LEAST_STEPS);
        budget.spend(10.0, LEAST_STEPS);
        assert_eq!(budget.steps(40, 9, || unreachable!()), LEAST_STEPS);
        budget.spend(10.0, LEAST_STEPS);
        assert_eq!(budget.steps(40, 8, || unreachable!()), 0);
        assert_eq!(seconds(0).steps(40, 8, || 1e-3), 0);
        assert_eq!(seconds(1).steps(3, 8, || 0.3), 3, "there is no more text");
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
