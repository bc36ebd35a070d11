//! The search that all encoders share: which scale loses least.
//!
//! A block format fixes a grid of levels; what is free is the scale of each block (and its minimum,
//! and in super-blocks how the scales themselves are stored). Squared error as a function of the
//! scale is a saw-tooth with many local minima, so the search tries [`LANES`] candidates side by
//! side, one in each SIMD lane, and every weight is read once for all of them. Written on plain
//! arrays, the loops vectorise to whatever the CPU has, and the bytes are the same on every CPU:
//! no operation depends on the vector width.
//!
//! What ggml's own search finds is one more candidate, so that no row is worse than ggml's; on long
//! rows of ordinary weights, where ours is better for sure, it is left out for speed.
//!
//! Errors are weighted: `sum(importance[i] * (x[i] - decoded[i])^2)`, with [`Flat`] weights when
//! nothing is known of the activations.

mod affine;
mod grid;
mod lanes;
mod ordinary;
mod reference;
mod shared;
mod super_affine;
mod super_symmetric;
mod symmetric;

pub use affine::{Affine, fit_affine};
pub use grid::{Grid, Iq4, Signed, Unsigned};
pub use lanes::LANES;
pub use ordinary::{CHUNK, distinct, effective_chunks, ordinary};
pub use reference::{
    Steps, affines, scales_by_importance, scales_of_16, sum_of_squares, uneven_scale,
};
pub use shared::{Scales, fit_shared_scale};
pub use super_affine::{SuperAffine, SuperReference, fit_super_affine, super_references};
pub use super_symmetric::fit_super_symmetric;
pub use symmetric::fit_scale;

use lanes::{Lanes, by_lane};
use pulp::Simd;

/// What a squared error counts, by position in the block.
pub trait Weights: Copy {
    /// Whether every error counts the same.
    const EVEN: bool;
    /// `lanes` times the weight of value `i`.
    fn times<S: Simd>(self, simd: S, i: usize, lanes: Lanes<S>) -> Lanes<S>;
    /// The weights from value `start` on.
    fn skip(self, start: usize) -> Self;
    /// The weight of value `i`.
    fn at(self, i: usize) -> f32;
    /// The weight of value `i` as ggml's own search has it.
    fn raw(self, i: usize) -> f32;
    /// The mean square of the values of the row.
    fn row_mean_square(self) -> f32;
}

/// Every error counts the same.
#[derive(Clone, Copy)]
pub struct Flat;

impl Weights for Flat {
    const EVEN: bool = true;

    #[inline(always)]
    fn times<S: Simd>(self, _: S, _: usize, lanes: Lanes<S>) -> Lanes<S> {
        lanes
    }

    #[inline(always)]
    fn skip(self, _: usize) -> Self {
        Flat
    }

    #[inline(always)]
    fn at(self, _: usize) -> f32 {
        1.0
    }

    #[inline(always)]
    fn raw(self, _: usize) -> f32 {
        1.0
    }

    #[inline(always)]
    fn row_mean_square(self) -> f32 {
        0.0
    }
}

/// Errors count by the importance of their input column.
#[derive(Clone, Copy)]
pub struct Importance<'a> {
    /// Of the columns from the block's first on, none of them zero.
    pub columns: &'a [f32],
    /// The same as it was given.
    pub raw: &'a [f32],
    /// Of the values of the row, which ggml's own search goes by.
    pub row_mean_square: f32,
}

impl Weights for Importance<'_> {
    const EVEN: bool = false;

    #[inline(always)]
    fn times<S: Simd>(self, simd: S, i: usize, lanes: Lanes<S>) -> Lanes<S> {
        lanes * Lanes::splat(simd, self.columns[i])
    }

    #[inline(always)]
    fn skip(self, start: usize) -> Self {
        Importance { columns: &self.columns[start..], raw: &self.raw[start..], ..self }
    }

    #[inline(always)]
    fn at(self, i: usize) -> f32 {
        self.columns[i]
    }

    #[inline(always)]
    fn raw(self, i: usize) -> f32 {
        self.raw[i]
    }

    #[inline(always)]
    fn row_mean_square(self) -> f32 {
        self.row_mean_square
    }
}

/// A block of values below this decodes to zeros: far below the smallest F16 scale, 6e-8.
const NEGLIGIBLE: f32 = 1e-12;
/// The largest finite F16: no scale may exceed it.
const F16_MAX: f32 = 65504.0;
/// The smallest normal F16; below it F16 is an even grid of steps of 2^-24.
const F16_MIN_NORMAL: f32 = 6.103_515_6e-5;
/// The smallest F16 above 0, 2^-24.
const F16_MIN: f32 = 5.960_464_5e-8;

/// `value` rounded to the nearest F16, kept finite. Plain arithmetic, so that it vectorises.
#[inline(always)]
pub fn round_to_f16(value: f32) -> f32 {
    let bits = value.to_bits();
    let normal = f32::from_bits((bits + 0xfff + ((bits >> 13) & 1)) & !0x1fff);
    // Adding 0.75 leaves a last place worth 2^-24, the step of subnormal F16.
    let magnitude = value.abs();
    let subnormal = ((magnitude + 0.75) - 0.75).copysign(value);
    let rounded = if magnitude < F16_MIN_NORMAL { subnormal } else { normal };
    let capped = if rounded.abs() > F16_MAX { F16_MAX } else { rounded.abs() };
    capped.copysign(value)
}

/// `value` rounded to the nearest number that both F16 and BF16 represent: of 8 significant bits, a
/// multiple of 2^-24, and at most 65280. Plain arithmetic, so that it vectorises.
#[inline(always)]
pub fn round_to_f16_and_bf16(value: f32) -> f32 {
    /// 2^-17: below, the steps of subnormal F16 are the wider ones.
    const STEPS_OF_F16: f32 = 128.0 * F16_MIN;
    /// The largest number of 8 significant bits within F16.
    const MOST: f32 = 65280.0;
    let bits = value.to_bits();
    let eight_bits = f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & !0xffff);
    let magnitude = value.abs();
    let even_steps = (magnitude + 0.75) - 0.75;
    let rounded = if magnitude < STEPS_OF_F16 { even_steps } else { eight_bits.abs() };
    let capped = if rounded > MOST { MOST } else { rounded };
    capped.copysign(value)
}

/// The unit of a super-block is small if rounding it to F16, whose subnormal values are an even
/// grid, may leave the integers too few steps, or none.
const SMALL_UNIT: f32 = 128.0 * F16_MIN;

/// `unit` in F16; a small one rounded away from zero, so that the integers reach as far as with the
/// exact one.
#[inline(always)]
fn small_unit(unit: f32) -> f32 {
    if unit.abs() >= SMALL_UNIT {
        return round_to_f16(unit);
    }
    let steps = (unit.abs() / F16_MIN).ceil();
    (steps * F16_MIN).copysign(unit)
}

/// `1 / scale`, or 0 for a scale of 0, which decodes everything to 0.
#[inline(always)]
pub fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The value of largest magnitude, with its sign.
#[inline(always)]
fn peak<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (low, high) = extremes(simd, x);
    if high > -low { high } else { low }
}

/// The smallest and the largest value of a block of whole [`LANES`].
#[inline(always)]
fn extremes<S: Simd>(simd: S, x: &[f32]) -> (f32, f32) {
    let mut low = Lanes::splat(simd, x[0]);
    let mut high = low;
    for x in x.as_chunks().0 {
        let x = Lanes::new(simd, x);
        low = low.min(x);
        high = high.max(x);
    }
    (low.least(), high.greatest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_agrees_with_half(value in any::<f32>().prop_filter("finite", |v| v.is_finite())) {
            let expected = f16::from_f32(value).to_f32().clamp(-F16_MAX, F16_MAX);
            prop_assert_eq!(round_to_f16(value).to_bits(), expected.to_bits());
        }

        /// Nothing that both types represent lies nearer, and what they represent stays.
        #[test]
        fn rounding_to_both_types_is_to_the_nearest(
            value in prop_oneof![
                any::<f32>().prop_filter("finite", |v| v.is_finite()),
                -1e-3f32..1e-3,
                -1e-5f32..1e-5,
                -2e-7f32..2e-7,
                6e4f32..7e4,
            ],
        ) {
            let rounded = round_to_f16_and_bf16(value);
            prop_assert_eq!(f16::from_f32(rounded).to_f32(), rounded);
            prop_assert_eq!(bf16::from_f32(rounded).to_f32(), rounded);
            prop_assert_eq!(round_to_f16_and_bf16(rounded), rounded);
            prop_assert_eq!(rounded.is_sign_negative(), value.is_sign_negative());
            let distance = (f64::from(rounded) - f64::from(value)).abs();
            // The neighbours among BF16 that F16 represents too.
            let bits = bf16::from_f32(rounded).to_bits();
            for neighbour in [bits.wrapping_sub(1), bits.wrapping_add(1)] {
                let neighbour = bf16::from_bits(neighbour).to_f32();
                if f16::from_f32(neighbour).to_f32() == neighbour && neighbour.is_finite() {
                    let other = (f64::from(neighbour) - f64::from(value)).abs();
                    prop_assert!(distance <= other, "{} to {}, not {}", value, rounded, neighbour);
                }
            }
        }

        #[test]
        fn rounding_agrees_with_half_on_small_values(value in -1e-4f32..1e-4) {
            prop_assert_eq!(round_to_f16(value).to_bits(), f16::from_f32(value).to_f32().to_bits());
        }
    }

    #[test]
    fn rounding_to_both_types_at_the_edges() {
        let unit = 2f32.powi(-24);
        for (value, rounded) in [
            (0.0, 0.0),
            (0.49 * unit, 0.0),
            (0.51 * unit, unit),
            (f32::MIN_POSITIVE, 0.0),
            (1e-45, 0.0),
            (127.4 * unit, 127.0 * unit),
            (127.6 * unit, 128.0 * unit),
            (128.4 * unit, 128.0 * unit),
            (255.4 * unit, 255.0 * unit),
            // Beyond, steps are twice as long.
            (256.9 * unit, 256.0 * unit),
            (257.1 * unit, 258.0 * unit),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 1.0 / 64.0),
            (65280.0, 65280.0),
            (65504.0, 65280.0),
            (1e30, 65280.0),
            (f32::MAX, 65280.0),
        ] {
            assert_eq!(round_to_f16_and_bf16(value), rounded, "{value:e}");
            assert_eq!(round_to_f16_and_bf16(-value), -rounded, "{value:e}");
        }
    }
}
