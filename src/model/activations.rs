//! What llama.cpp rounds activations to before it multiplies them with weights on a CPU (the
//! `vec_dot_type` of each format in `ggml-cpu.c`), so that what it computes can be foretold.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::gguf::Format;
use crate::simd::Level;

/// What the activations that meet a matrix are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Nothing: they stay F32.
    None,
    /// F16.
    Half,
    /// BF16.
    Brain,
    /// 8-bit integers with an F16 scale for each 32 (Q8_0, Q8_1).
    Blocks32,
    /// 8-bit integers with an F32 scale for each 256 (Q8_K).
    Blocks256,
}

impl Rounding {
    /// What llama.cpp does where the weights have this format.
    pub fn for_weights(format: Format) -> Rounding {
        use Format::*;
        match format {
            F16 => Rounding::Half,
            BF16 => Rounding::Brain,
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | IQ4_NL | MXFP4 => Rounding::Blocks32,
            Q2_K | Q3_K | Q4_K | Q5_K | Q6_K | IQ4_XS => Rounding::Blocks256,
            _ => Rounding::None,
        }
    }

    /// The same rows, rounded.
    pub fn rounded(self, x: &[f32]) -> Cow<'_, [f32]> {
        if self == Rounding::None {
            return Cow::Borrowed(x);
        }
        let mut rounded = x.to_vec();
        self.round(&mut rounded);
        Cow::Owned(rounded)
    }

    /// Rounds whole rows in place.
    pub fn round(self, x: &mut [f32]) {
        /// A multiple of every block's length.
        const TASK: usize = 16 << 10;
        x.par_chunks_mut(TASK).for_each(|x| match self {
            Rounding::None => {}
            Rounding::Half => {
                let mut halves = vec![f16::ZERO; x.len()];
                halves.convert_from_f32_slice(x);
                halves.convert_to_f32_slice(x);
            }
            Rounding::Brain => {
                x.iter_mut().for_each(|x| *x = bf16::from_f32(*x).to_f32());
            }
            Rounding::Blocks32 => Level::widest().run(Blocks::<32>(x)),
            Rounding::Blocks256 => Level::widest().run(Blocks::<256>(x)),
        });
    }
}

/// Rounds blocks of `N` values to 255 even levels.
struct Blocks<'a, const N: usize>(&'a mut [f32]);

impl<const N: usize> WithSimd for Blocks<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        /// Added to a number of less than 22 bits, it leaves the nearest integer.
        const TO_INTEGER: f32 = 12_582_912.0;
        for block in self.0.chunks_mut(N) {
            let largest = block
                .iter()
                .fold(0.0f32, |largest, x| if x.abs() > largest { x.abs() } else { largest });
            let inverse = if largest == 0.0 { 0.0 } else { 127.0 / largest };
            let step = largest / 127.0;
            let step = if N == 32 { f16::from_f32(step).to_f32() } else { step };
            for x in block {
                *x = step * ((*x * inverse + TO_INTEGER) - TO_INTEGER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_keep_their_largest_value_and_round_the_rest(
            x in proptest::collection::vec(-100.0f32..100.0, 512),
        ) {
            for (rounding, len, slack) in
                [(Rounding::Blocks32, 32, 1e-3), (Rounding::Blocks256, 256, 1e-6)]
            {
                let mut rounded = x.clone();
                rounding.round(&mut rounded);
                for (x, rounded) in x.chunks(len).zip(rounded.chunks(len)) {
                    let largest = x.iter().fold(0.0f32, |l, x| l.max(x.abs()));
                    for (x, rounded) in x.iter().zip(rounded) {
                        let allowed = largest * (0.5 / 127.0 + slack);
                        prop_assert!((x - rounded).abs() <= allowed, "{} for {}", rounded, x);
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_of_zeros_stay_zeros_and_rows_need_not_be_whole_tasks() {
        for rounding in [Rounding::Half, Rounding::Brain, Rounding::Blocks32, Rounding::Blocks256] {
            let mut x = vec![0.0; 40_000];
            x[39_999] = 2.0;
            rounding.round(&mut x);
            assert!(x[..39_744].iter().all(|&x| x == 0.0));
            assert!((x[39_999] - 2.0).abs() < 2e-3);
        }
        let mut x = vec![1.0 + 1e-4, -3.3];
        Rounding::None.round(&mut x);
        assert_eq!(x, [1.0 + 1e-4, -3.3]);
    }
}
