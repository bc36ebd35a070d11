//! How varied a text is.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tracing::info;

/// Below this mean entropy, in nats, a text is no sample of a language any more. SmolLM2-135M comes
/// to 4.4 at the default settings, tiny.gguf to between 2 and 5.
const LEAST_ENTROPY: f64 = 0.5;
/// Below this share of distinct groups of four tokens, most of a text repeats itself.
const LEAST_DISTINCT_4: f64 = 0.5;
/// Above this share of dropped sequences, the model writes little else than repetitions.
const MOST_DROPPED: f64 = 0.3;

/// How varied a text is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Mean entropy of the model's next-token distributions at temperature 1, in nats.
    pub entropy: f64,
    /// Share of distinct tokens among all. It falls with the length of a text, as do the others.
    pub distinct_1: f64,
    /// Share of distinct groups of two tokens.
    pub distinct_2: f64,
    /// Share of distinct groups of four tokens.
    pub distinct_4: f64,
    /// Share of the sequences written that were dropped because they repeat themselves.
    pub dropped: f64,
    /// Sequences that repeat themselves and were kept, as no better ones came.
    pub repetitive: usize,
}

impl Diversity {
    /// Measures sequences. `entropy` is their mean entropy; `written` how many were written to get
    /// these; `repetitive` how many of these repeat themselves.
    pub(super) fn of(
        sequences: &[Vec<u32>],
        entropy: f64,
        written: usize,
        repetitive: usize,
    ) -> Diversity {
        Diversity {
            entropy,
            distinct_1: distinct::<1>(sequences),
            distinct_2: distinct::<2>(sequences),
            distinct_4: distinct::<4>(sequences),
            dropped: 1.0 - sequences.len() as f64 / written.max(1) as f64,
            repetitive,
        }
    }

    /// What is wrong with the text, if it has collapsed: its entropy is below 0.5 nats, fewer than
    /// half of its groups of four tokens are distinct, or three of ten sequences were dropped.
    pub fn collapse(&self) -> Option<String> {
        let Diversity { entropy, distinct_4, dropped, .. } = self;
        let what = if *entropy < LEAST_ENTROPY {
            format!("the mean entropy of a token is {entropy:.2} nats")
        } else if *distinct_4 < LEAST_DISTINCT_4 {
            format!("{:.0} % of its groups of four tokens are distinct", distinct_4 * 100.0)
        } else if *dropped > MOST_DROPPED {
            format!("{:.0} % of its sequences repeat themselves", dropped * 100.0)
        } else {
            return None;
        };
        Some(format!(
            "the text that the model wrote has little variety: {what}; what was learnt from it and \
             measured on it may mislead: try another --seed, or measure on --eval-text"
        ))
    }

    /// Tells of it.
    pub(super) fn log(&self) {
        let Diversity { entropy, distinct_1, distinct_2, distinct_4, dropped, repetitive } = self;
        info!(entropy, distinct_1, distinct_2, distinct_4, dropped, repetitive, "text sampled");
    }
}

/// The share of a sequence's groups of four tokens that repeat earlier ones.
pub fn repetition(sequence: &[u32]) -> f64 {
    if sequence.len() < 4 {
        return 0.0;
    }
    1.0 - distinct::<4>(std::slice::from_ref(&sequence))
}

/// The share of distinct groups of `N` tokens; 1 where there are none.
fn distinct<const N: usize>(sequences: &[impl AsRef<[u32]>]) -> f64 {
    let groups = || sequences.iter().flat_map(|sequence| sequence.as_ref().windows(N));
    let distinct: HashSet<&[u32]> = groups().collect();
    match groups().count() {
        0 => 1.0,
        all => distinct.len() as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_within_sequences() {
        let text = [vec![1, 2, 1, 2, 1, 2], vec![1, 2, 1, 2]];
        let diversity = Diversity::of(&text, 2.0, 3, 1);
        assert_eq!(diversity.distinct_1, 0.2);
        assert_eq!(diversity.distinct_2, 2.0 / 8.0);
        assert_eq!(diversity.distinct_4, 2.0 / 4.0);
        assert!((diversity.dropped - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn repetitions_are_seen() {
        let varied: Vec<u32> = (0..100).collect();
        assert_eq!(repetition(&varied), 0.0);
        assert!(repetition(&[7; 100]) > 0.98);
        let half: Vec<u32> = (0..50).chain(0..50).collect();
        assert!((repetition(&half) - 47.0 / 97.0).abs() < 1e-9);
        assert_eq!(repetition(&[1, 1, 1]), 0.0);
    }

    #[test]
    fn collapse_is_told() {
        let varied = Diversity::of(&[(0..100).collect()], 2.0, 1, 0);
        assert_eq!(varied.collapse(), None);
        let told = |diversity: Diversity| diversity.collapse().unwrap();
        assert!(told(Diversity { entropy: 0.4, ..varied }).contains("0.40 nats"));
        assert!(told(Diversity { distinct_4: 0.4, ..varied }).contains("40 % of its groups"));
        assert!(told(Diversity { dropped: 0.5, ..varied }).contains("50 % of its sequences"));
    }
}
