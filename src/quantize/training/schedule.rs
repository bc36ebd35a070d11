//! Which sequences each step of training end to end learns from.

use super::examples::order;

/// Pass after pass over the text, each in another order, until there are enough tokens.
#[derive(Debug)]
pub struct Schedule {
    /// Tokens of each sequence.
    lengths: Vec<usize>,
    /// Sequences of one step.
    batch: usize,
    seed: u64,
    /// All steps.
    pub steps: usize,
}

impl Schedule {
    /// As many steps as sequences of these lengths need for so many tokens.
    pub fn new(lengths: Vec<usize>, tokens: usize, batch: usize, seed: u64) -> Schedule {
        let mut schedule = Schedule { lengths, batch, seed, steps: 0 };
        if let Some(passes) = tokens.checked_div(schedule.tokens_of_pass()) {
            schedule.steps = passes * schedule.steps_of_pass();
            while schedule.tokens(schedule.steps) < tokens {
                schedule.steps += 1;
            }
        }
        schedule
    }

    /// The sequences of a step.
    pub fn batch(&self, step: usize) -> Vec<usize> {
        let (pass, step) = (step / self.steps_of_pass(), step % self.steps_of_pass());
        let order = order(self.lengths.len(), self.seed, pass);
        order.chunks(self.batch).nth(step).unwrap_or_default().to_vec()
    }

    /// Tokens of the first `steps` steps.
    pub fn tokens(&self, steps: usize) -> usize {
        let (passes, steps) = (steps / self.steps_of_pass(), steps % self.steps_of_pass());
        let order = order(self.lengths.len(), self.seed, passes);
        let last = order.iter().take(steps * self.batch).map(|&sequence| self.lengths[sequence]);
        last.sum::<usize>().saturating_add(self.tokens_of_pass().saturating_mul(passes))
    }

    fn tokens_of_pass(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// At least one, so that steps can be counted where there is no text.
    fn steps_of_pass(&self) -> usize {
        self.lengths.len().div_ceil(self.batch).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(lengths: &[usize], tokens: usize) -> Schedule {
        Schedule::new(lengths.to_vec(), tokens, 2, 3)
    }

    #[test]
    fn steps_are_taken_until_there_are_enough_tokens() {
        let lengths = [5, 7, 11, 13, 17];
        for tokens in 0..200 {
            let schedule = schedule(&lengths, tokens);
            let batches: Vec<Vec<usize>> =
                (0..schedule.steps).map(|at| schedule.batch(at)).collect();
            let so_far = |steps: usize| -> usize {
                batches[..steps].iter().flatten().map(|&sequence| lengths[sequence]).sum()
            };
            assert!(so_far(schedule.steps) >= tokens);
            assert!(schedule.steps == 0 || so_far(schedule.steps - 1) < tokens);
            assert!((0..=schedule.steps).all(|steps| schedule.tokens(steps) == so_far(steps)));
            for pass in batches.chunks(3).filter(|pass| pass.len() == 3) {
                let mut sequences = pass.concat();
                sequences.sort_unstable();
                assert_eq!(sequences, [0, 1, 2, 3, 4]);
            }
        }
    }

    #[test]
    fn there_are_steps_for_any_number_of_tokens_but_none_without_text() {
        assert_eq!(schedule(&[100, 28], usize::MAX).steps, usize::MAX / 128 + 1);
        assert_eq!(schedule(&[], 1000).steps, 0);
        assert_eq!(schedule(&[0, 0], 1000).steps, 0);
    }
}
