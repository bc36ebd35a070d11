//! The time that training may take, dealt out layer by layer.

use std::time::Duration;

/// What is left of it.
#[derive(Debug, Clone, Copy)]
pub struct TimeBudget {
    /// Seconds; infinite where there is no limit.
    left: f64,
    /// Seconds and passes of the layers so far.
    seconds: f64,
    passes: usize,
}

impl TimeBudget {
    /// All of it; `None` where there is no limit.
    pub fn new(time: Option<Duration>) -> TimeBudget {
        let left = time.map_or(f64::INFINITY, |time| time.as_secs_f64());
        TimeBudget { left, seconds: 0.0, passes: 0 }
    }

    /// Counts a layer that took this long.
    pub fn spend(&mut self, seconds: f64, passes: usize) {
        self.left -= seconds;
        self.seconds += seconds;
        self.passes += passes;
    }

    /// How often the text is passed for the next layer, at most `most` times, if `layers` layers
    /// share what is left: once at least, as long as there is time for it. A pass takes what it took
    /// so far; before there was any, as many seconds as `trial` finds.
    pub fn passes(self, most: usize, layers: usize, trial: impl FnOnce() -> f64) -> usize {
        if self.left == f64::INFINITY {
            return most;
        }
        let pass = match self.passes {
            0 => trial(),
            passes => self.seconds / passes as f64,
        };
        let share = self.left / layers as f64;
        let least = usize::from(self.left >= pass);
        ((share / pass) as usize).clamp(least, most.max(least))
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
        assert_eq!(seconds(100).passes(4, 10, || 1.0), 4);
        assert_eq!(seconds(100).passes(4, 10, || 4.0), 2);
        let mut budget = seconds(100);
        budget.spend(30.0, 2);
        assert_eq!(budget.passes(4, 1, || unreachable!()), 4);
        assert_eq!(budget.passes(4, 2, || unreachable!()), 2);
    }

    #[test]
    fn where_it_is_short_the_first_layers_have_one_pass_and_the_last_ones_none() {
        let mut budget = seconds(25);
        assert_eq!(budget.passes(4, 10, || 10.0), 1);
        budget.spend(10.0, 1);
        assert_eq!(budget.passes(4, 9, || unreachable!()), 1);
        budget.spend(10.0, 1);
        assert_eq!(budget.passes(4, 8, || unreachable!()), 0);
        assert_eq!(seconds(0).passes(4, 8, || 1e-3), 0);
    }

    #[test]
    fn without_a_limit_nothing_is_tried() {
        assert_eq!(TimeBudget::new(None).passes(4, 30, || unreachable!()), 4);
    }
}
