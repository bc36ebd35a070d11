//! What one layer learns from: sequences as they enter it, and as they should leave it.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Sequences before and after a layer. Those that are learnt from come first.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'e> {
    /// How much each channel of the residual stream weighs.
    pub channel_weights: &'e [f32],
    /// Tokens of each sequence.
    pub lengths: &'e [usize],
    /// The residual stream that enters the layer: tokens x width.
    pub inputs: &'e [f32],
    /// What should leave it.
    pub targets: &'e [f32],
    /// Sequences that are learnt from; the others judge.
    pub learnt: usize,
}

/// Some of the sequences, one after another.
#[derive(Debug, Default)]
pub struct Batch {
    pub lengths: Vec<usize>,
    pub inputs: Vec<f32>,
    pub targets: Vec<f32>,
}

impl Examples<'_> {
    /// Gathers sequences.
    pub fn gather(&self, sequences: &[usize], batch: &mut Batch) {
        let Batch { lengths, inputs, targets } = batch;
        lengths.clear();
        inputs.clear();
        targets.clear();
        for &sequence in sequences {
            let values = self.values(sequence);
            lengths.push(self.lengths[sequence]);
            inputs.extend_from_slice(&self.inputs[values.clone()]);
            targets.extend_from_slice(&self.targets[values]);
        }
    }

    /// Where the values of a sequence lie.
    fn values(&self, sequence: usize) -> Range<usize> {
        let start: usize = self.lengths[..sequence].iter().sum();
        let width = self.channel_weights.len();
        start * width..(start + self.lengths[sequence]) * width
    }

    /// The sequences that judge.
    pub fn held_out(&self) -> Vec<usize> {
        (self.learnt..self.lengths.len()).collect()
    }
}

/// So many sequences in the order of one pass: the same for the same seed.
pub fn order(sequences: usize, seed: u64, pass: usize) -> Vec<usize> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed ^ ((pass as u64) << 32));
    let mut order: Vec<usize> = (0..sequences).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_the_sequences_and_orders_are_permutations() {
        let inputs: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let targets: Vec<f32> = inputs.iter().map(|x| -x).collect();
        let examples = Examples {
            channel_weights: &[1.0, 1.0],
            lengths: &[1, 2, 3],
            inputs: &inputs,
            targets: &targets,
            learnt: 2,
        };
        let mut batch = Batch::default();
        for _ in 0..2 {
            examples.gather(&[2, 0], &mut batch);
            assert_eq!(batch.lengths, [3, 1]);
            assert_eq!(batch.inputs, [6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 0.0, 1.0]);
            assert_eq!(batch.targets[0], -6.0);
        }
        assert_eq!(examples.held_out(), [2]);
        let mut order = order(100, 1, 0);
        assert_eq!(order, super::order(100, 1, 0));
        assert_ne!(order, super::order(100, 2, 0));
        assert_ne!(order, super::order(100, 1, 1));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));
    }
}
