//! Text to learn from, and text to judge by: two types, so that neither is taken for the other.

use serde::{Deserialize, Serialize};

use super::{Diversity, Sequence};

/// One sequence of so many is held out where there is little text, but two at least.
const OF_LITTLE: usize = 3;
const FEWEST: usize = 2;
/// Where one of so many is enough to judge by, the others are to learn from.
const OF_MUCH: usize = 10;
const ENOUGH: usize = 16;

/// What the model wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationText {
    /// Statistics are gathered on these sequences, and weights trained on them.
    pub learn: Learn,
    /// What came of it is judged on these, and on nothing else.
    pub held_out: HeldOut,
    /// How varied all of them are.
    pub diversity: Diversity,
}

/// Sequences to learn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learn(Vec<Sequence>);

/// Sequences that nothing was learnt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOut(Vec<Sequence>);

impl Learn {
    /// The sequences.
    pub fn sequences(&self) -> &[Sequence] {
        &self.0
    }
}

impl HeldOut {
    /// The sequences.
    pub fn sequences(&self) -> &[Sequence] {
        &self.0
    }
}

/// Sets every third sequence aside, up to 16, and of much text every tenth; two at least, but never
/// more than half.
pub fn split(sequences: Vec<Sequence>) -> (Learn, HeldOut) {
    let count = sequences.len();
    let held_out = (count / OF_LITTLE).clamp(FEWEST, ENOUGH).max(count / OF_MUCH).min(count / 2);
    // Spread evenly: the last of each of `held_out` parts.
    let is_held_out = |i: usize| (i + 1) * held_out / count > i * held_out / count;
    let (mut learn, mut held) = (Vec::new(), Vec::new());
    for (i, sequence) in sequences.into_iter().enumerate() {
        if is_held_out(i) { held.push(sequence) } else { learn.push(sequence) }
    }
    (Learn(learn), HeldOut(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_is_held_out_and_less_of_much() {
        let held_out = |count: u32| -> Vec<u32> {
            let (learn, held_out) = split((0..count).map(|i| vec![i]).collect());
            let (learn, held_out) = (learn.sequences().concat(), held_out.sequences().concat());
            assert_eq!(learn.len() + held_out.len(), count as usize);
            assert!(learn.iter().all(|i| !held_out.contains(i)));
            held_out
        };
        assert_eq!(held_out(12), [2, 5, 8, 11]);
        assert_eq!([42, 48, 140, 200].map(|count| held_out(count).len()), [14, 16, 16, 20]);
        assert_eq!(held_out(5), [2, 4]);
        assert_eq!(held_out(2), [1]);
        assert!(held_out(1).is_empty());
        assert!(held_out(0).is_empty());
    }
}
