//! Inputs that are too large for what llama.cpp keeps of them in F16: their products are NaN there.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::activations::{BLOCK, Rounding, sums};

/// From here on F16 rounds to infinity; below, to 65504 at most.
const INFINITE: f32 = 65_520.0;

/// The largest magnitudes among inputs of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Extremes {
    /// The largest input.
    pub input: f32,
    /// The largest sum that Q8_1 keeps of 32 inputs; 0 if rows are no whole blocks.
    pub sum: f32,
}

impl Extremes {
    /// The extremes of rows of `columns` inputs.
    pub fn of(x: &[f32], columns: usize) -> Extremes {
        /// A multiple of a block.
        const TASK: usize = 16 << 10;
        let whole = columns.is_multiple_of(BLOCK);
        let of_task = |x: &[f32]| {
            let largest = |largest: f32, x: f32| largest.max(x.abs());
            let sum = if whole { sums(x).fold(0.0, largest) } else { 0.0 };
            Extremes { input: x.iter().copied().fold(0.0, largest), sum }
        };
        x.par_chunks(TASK).map(of_task).reduce(Extremes::default, Extremes::or)
    }

    /// The larger of each.
    pub fn or(self, other: Extremes) -> Extremes {
        Extremes { input: self.input.max(other.input), sum: self.sum.max(other.sum) }
    }

    /// What llama.cpp could not hold if the inputs were `margin` times as large.
    pub fn overflow(self, rounding: Rounding, margin: f32) -> Option<Overflow> {
        let scale = self.input / 127.0;
        let found = |kept, value| (value * margin >= INFINITE).then_some(Overflow { kept, value });
        match rounding {
            Rounding::Half => found(InHalf::Input, self.input),
            Rounding::Q8_0 => found(InHalf::Scale, scale),
            Rounding::Q8_1 => found(InHalf::Scale, scale).or(found(InHalf::Sum, self.sum)),
            Rounding::None | Rounding::Brain | Rounding::Q8_K => None,
        }
    }
}

/// What llama.cpp keeps of inputs in F16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InHalf {
    /// Each input, if weights are F16.
    Input,
    /// The scale of each 32 inputs (Q8_0, Q8_1).
    Scale,
    /// The sum of each 32 inputs (Q8_1).
    Sum,
}

impl InHalf {
    /// Which formats keep no such thing.
    pub fn way_out(self) -> &'static str {
        match self {
            InHalf::Input => "BF16, F32 and block formats hold them",
            InHalf::Scale => "the K-quants and IQ4_XS keep scales in F32",
            InHalf::Sum => "all formats but Q4_1 and Q5_1 do without",
        }
    }
}

impl fmt::Display for InHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InHalf::Input => "each of its inputs",
            InHalf::Scale => "the scale of each 32 of its inputs",
            InHalf::Sum => "the sum of each 32 of its inputs",
        })
    }
}

/// A magnitude that F16 cannot hold, or could not with some margin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overflow {
    /// What llama.cpp keeps.
    pub kept: InHalf,
    /// How large it was seen.
    pub value: f32,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overflow { kept, value } = self;
        write!(f, "llama.cpp keeps {kept} in F16, which ends at 65504, and one reaches {value:.4e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_of_all_rows_and_blocks() {
        let mut x = vec![1.0; 3 * 64];
        x[70] = -5.0;
        let Extremes { input, sum } = Extremes::of(&x, 64);
        // 31 ones and -5 in steps of 5 / 127, and 32 ones elsewhere.
        assert_eq!((input, sum), (5.0, 32.0));
        assert_eq!(Extremes::of(&x[..72], 36), Extremes { input: 5.0, sum: 0.0 });
        assert_eq!(Extremes::of(&[], 64), Extremes::default());
    }

    #[test]
    fn each_rounding_ends_where_its_f16_does() {
        use Rounding::*;
        let ends = |input, sum| {
            let extremes = Extremes { input, sum };
            [None, Half, Brain, Q8_0, Q8_1, Q8_K]
                .map(|rounding| extremes.overflow(rounding, 1.0).map(|it| it.kept))
        };
        let none = Option::None;
        assert_eq!(ends(65_519.0, 65_519.0), [none; 6]);
        assert_eq!(
            ends(3e6, 7e4),
            [none, Some(InHalf::Input), none, none, Some(InHalf::Sum), none]
        );
        let scale = Some(InHalf::Scale);
        assert_eq!(ends(9e6, 9e6), [none, Some(InHalf::Input), none, scale, scale, none]);
        let close = Extremes { input: 1e3, sum: 2e4 };
        assert_eq!(close.overflow(Q8_1, 1.0), Option::None);
        let overflow = close.overflow(Q8_1, 4.0).unwrap();
        assert_eq!(overflow, Overflow { kept: InHalf::Sum, value: 2e4 });
        assert!(overflow.to_string().contains("sum of each 32 of its inputs in F16"));
    }
}
