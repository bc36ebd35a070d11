//! How much text is made, and in what pieces.

/// How much calibration text is made, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Batches; with `batch_size` and `seq_len` they say how many tokens are made.
    pub batches: usize,
    /// Sequences of a batch.
    pub batch_size: usize,
    /// Tokens of a sequence.
    pub seq_len: usize,
    /// The longest sequence that the model is made for, in tokens, where it is known.
    pub context: Option<usize>,
    /// Where all randomness comes from.
    pub seed: u64,
}

/// Of so many sequences, two make room for one of twice the length.
const GROUP: usize = 8;

impl Recipe {
    /// Tokens of all sequences together.
    pub fn tokens(&self) -> usize {
        self.batches * self.batch_size * self.seq_len
    }

    /// The length of each sequence. Most have `seq_len` tokens; where the model's context allows,
    /// one of seven is twice as long, so that late positions are seen too.
    pub(super) fn lengths(&self) -> Vec<usize> {
        let (count, len) = (self.batches * self.batch_size, self.seq_len);
        if len == 0 {
            return Vec::new();
        }
        let longer = self.context.is_some_and(|context| context >= 2 * len);
        let groups = if longer { count / GROUP } else { 0 };
        let mut lengths = Vec::with_capacity(count);
        for _ in 0..groups {
            lengths.extend([len; GROUP - 2]);
            lengths.push(2 * len);
        }
        lengths.resize(count - groups, len);
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_sequences_take_the_place_of_two() {
        let recipe = Recipe { batches: 5, batch_size: 4, seq_len: 512, context: None, seed: 0 };
        assert_eq!(recipe.lengths(), [512; 20]);
        let recipe = Recipe { context: Some(1024), ..recipe };
        let lengths = recipe.lengths();
        assert_eq!(lengths.iter().sum::<usize>(), recipe.tokens());
        assert_eq!(lengths.iter().filter(|&&len| len == 1024).count(), 2);
        assert_eq!(Recipe { context: Some(1023), ..recipe }.lengths(), [512; 20]);
    }
}
