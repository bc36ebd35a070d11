//! What llama.cpp makes of activations before it multiplies them with weights on a CPU (the
//! `vec_dot_type` of each format in `ggml-cpu.c`, `quantize_row_q8_*` for x86), so that what it
//! computes can be foretold.
//!
//! Every field of a block is rounded as it is stored:
//!
//! | block | values | scale | sum |
//! |---|---|---|---|
//! | Q8_0 | 32 integers, ±127 | F16 | none |
//! | Q8_1 | 32 integers, ±127 | F16 | of the values, in F16: the unrounded scale times the integers' sum |
//! | Q8_K | 256 integers, ±127 | F32 | of 16 integers, exact: it adds nothing to the values |
//!
//! The sum of a Q8_1 block is multiplied with the minimum of the block of weights that it meets. So
//! a product of `columns` inputs becomes one of `columns + columns / 32`: the values, then what each
//! sum is above that of the values; and the weights, then the minimums of their blocks. What passes
//! 65504 in F16 is infinite, here as there, and what is computed with it is not finite.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::block;
pub use crate::block::Rounding;
use crate::gguf::Format;
use crate::simd::Level;

/// Values of a block with an F16 scale.
pub(super) const BLOCK: usize = 32;
/// Values of a Q8_K block.
const SUPER_BLOCK: usize = 256;
/// Added to a number of less than 22 bits, it leaves the nearest integer, of two the even one.
const TO_INTEGER: f32 = 12_582_912.0;

impl Rounding {
    /// What llama.cpp does where the weights have this format.
    pub fn for_weights(format: Format) -> Rounding {
        block::activations(format)
    }

    /// Values of a row of inputs as it is multiplied: one for each of its columns and, in Q8_1, one
    /// for each block.
    pub fn depth(self, columns: usize) -> usize {
        match self {
            Rounding::Q8_1 => columns + columns / BLOCK,
            _ => columns,
        }
    }

    /// Rows of inputs as they are multiplied. Shapes: `x` tokens x columns, the result tokens x
    /// [`depth`](Rounding::depth).
    pub fn inputs(self, x: &[f32], columns: usize) -> Cow<'_, [f32]> {
        if self != Rounding::Q8_1 {
            return self.rounded(x);
        }
        let depth = self.depth(columns);
        let mut rows = vec![0.0; x.len() / columns * depth];
        rows.par_chunks_exact_mut(depth).zip(x.par_chunks_exact(columns)).for_each(|(row, x)| {
            let (values, surplus) = row.split_at_mut(columns);
            values.copy_from_slice(x);
            Level::widest().run(WithSums { values, surplus });
        });
        Cow::Owned(rows)
    }

    /// The same rows, rounded: values only.
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
            Rounding::Q8_0 | Rounding::Q8_1 => Level::widest().run(Blocks(x)),
            Rounding::Q8_K => Level::widest().run(SuperBlocks(x)),
        });
    }
}

/// The sum that Q8_1 keeps of each 32 values, in F32, before it is rounded to F16.
pub(super) fn sums(x: &[f32]) -> impl Iterator<Item = f32> {
    x.chunks_exact(BLOCK).map(|block| {
        let mut integers = [0.0; BLOCK];
        integers.copy_from_slice(block);
        let scale = to_integers(&mut integers).scale;
        scale * integers.iter().sum::<f32>()
    })
}

/// The scale of a block.
struct Scaled {
    /// The largest value over 127.
    scale: f32,
    /// 127 over the largest value, or 0 of zeros.
    inverse: f32,
}

/// Replaces the values of a block by integers up to 127.
#[inline(always)]
fn to_integers(block: &mut [f32]) -> Scaled {
    let largest =
        block.iter().fold(0.0f32, |largest, x| if x.abs() > largest { x.abs() } else { largest });
    let scaled = Scaled {
        scale: largest / 127.0,
        inverse: if largest == 0.0 { 0.0 } else { 127.0 / largest },
    };
    if scaled.inverse == f32::INFINITY {
        // So small that no scale is left: whatever the integers are there, they count as zeros.
        block.fill(0.0);
        return scaled;
    }
    for x in block {
        *x = (*x * scaled.inverse + TO_INTEGER) - TO_INTEGER;
    }
    scaled
}

#[inline(always)]
fn multiply(block: &mut [f32], scale: f32) {
    block.iter_mut().for_each(|x| *x *= scale);
}

/// Rounds blocks of 32.
struct Blocks<'a>(&'a mut [f32]);

impl WithSimd for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for block in self.0.chunks_mut(BLOCK) {
            let Scaled { scale, .. } = to_integers(block);
            multiply(block, f16::from_f32(scale).to_f32());
        }
    }
}

/// Rounds blocks of 256.
struct SuperBlocks<'a>(&'a mut [f32]);

impl WithSimd for SuperBlocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for block in self.0.chunks_mut(SUPER_BLOCK) {
            let Scaled { inverse, .. } = to_integers(block);
            multiply(block, if inverse == 0.0 { 0.0 } else { 1.0 / inverse });
        }
    }
}

/// Rounds blocks of 32, and tells by how much the sum that is kept of each is above that of the
/// rounded values, which F32 adds up exactly.
struct WithSums<'a> {
    values: &'a mut [f32],
    surplus: &'a mut [f32],
}

impl WithSimd for WithSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (block, surplus) in self.values.chunks_exact_mut(BLOCK).zip(self.surplus) {
            let Scaled { scale, .. } = to_integers(block);
            let sum: f32 = block.iter().sum();
            let kept = f16::from_f32(scale * sum).to_f32();
            let scale = f16::from_f32(scale).to_f32();
            *surplus = kept - scale * sum;
            multiply(block, scale);
        }
    }
}

#[cfg(test)]
mod tests;
