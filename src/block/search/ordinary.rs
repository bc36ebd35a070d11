//! Which rows ggml's search need not be tried on: long ones of ordinary weights, without importance.
//!
//! There our search leaves 4 to 13 % less on average, and a row is so many blocks that it is the
//! better one with a margin of five standard deviations or more. Trying both takes up to twice the
//! time. On short rows chance may favour ggml, and on values of some order (all alike, few that are
//! not zero, on a lattice) more than chance.

use pulp::Simd;

use super::{LANES, Lanes, extremes};

/// Values that are judged together: a super-block.
pub const CHUNK: usize = 256;

/// How many equal chunks would vary as much, added up, as those of `row`, which differ in size.
#[inline(always)]
pub fn effective_chunks<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (mut sum, mut squares) = (0.0, f32::MIN_POSITIVE);
    for x in row.chunks(CHUNK) {
        let energy = sum_of_squares(simd, x);
        sum += energy;
        squares += energy * energy;
    }
    sum * sum / squares
}

/// Whether the values are those of a continuous distribution around zero, without far outliers.
#[inline(always)]
pub fn ordinary<S: Simd>(simd: S, x: &[f32]) -> bool {
    /// The mean square as a share of the largest one: a third for uniform values.
    const SHARES: std::ops::Range<f32> = 0.04..0.4;
    /// Of the pairs of values next to each other, how many may be (nearly) equal.
    const PAIRS: f32 = 12.0;
    let (low, high) = extremes(simd, x);
    let peak = high.max(-low);
    let share = sum_of_squares(simd, x) / (x.len() as f32 * peak * peak);
    SHARES.contains(&share) && near_pairs(simd, x, peak / 2048.0) <= PAIRS
}

/// The pairs of a value of the first [`LANES`] and one of the second that are not further apart
/// than `distance`.
#[inline(always)]
fn near_pairs<S: Simd>(simd: S, x: &[f32], distance: f32) -> f32 {
    let [first, second, ..] = x.as_chunks::<LANES>().0 else { return f32::INFINITY };
    let (first, zero) = (Lanes::new(simd, first), Lanes::splat(simd, 0.0));
    let (one, distance) = (Lanes::splat(simd, 1.0), Lanes::splat(simd, distance));
    let mut pairs = zero;
    for &x in second {
        let apart = first - Lanes::splat(simd, x);
        let near = distance - apart.max(zero - apart);
        pairs = pairs + one.where_positive(near, zero);
    }
    pairs.to_array().iter().sum()
}

#[inline(always)]
fn sum_of_squares<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let mut sum = Lanes::splat(simd, 0.0);
    for x in x.as_chunks().0 {
        let x = Lanes::new(simd, x);
        sum = x.mul_add(x, sum);
    }
    sum.to_array().iter().sum()
}
