//! Which rows ggml's search need not be tried on: long ones of ordinary weights, without importance.
//!
//! There our search leaves 4 to 13 % less on average, and a row is so many blocks that its sum hardly
//! varies: of 36,000 Gaussian and heavy-tailed rows of 512 values, less than the least length, none
//! was worse than ggml's in IQ4_NL, where it varies most. Trying both takes up to twice the time. On
//! short rows chance may favour ggml, and on values of some order (all alike, few that are not zero,
//! on a lattice) more than chance.

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

/// Whether the values lie around zero, and neither all at the same distance nor with far outliers.
#[inline(always)]
pub fn ordinary<S: Simd>(simd: S, x: &[f32]) -> bool {
    /// The mean square as a share of the largest one: a third for uniform values, among which ggml
    /// wins now and then.
    const SHARES: std::ops::Range<f32> = 0.02..0.28;
    /// The square of the mean as a share of the mean square, at most.
    const OFFSET: f32 = 0.06;
    let (low, high) = extremes(simd, x);
    let peak = high.max(-low);
    let (len, squares, sum) = (x.len() as f32, sum_of_squares(simd, x), sum(simd, x));
    SHARES.contains(&(squares / (len * peak * peak))) && sum * sum <= OFFSET * len * squares
}

/// Whether few of the values are (nearly) equal: on a lattice many would be.
#[inline(always)]
pub fn distinct<S: Simd>(simd: S, x: &[f32]) -> bool {
    /// The values of the first [`LANES`] are compared with some of the others.
    const OTHERS: usize = 3 * LANES;
    /// How many pairs may be equal. On a lattice of 32 levels some 24 would be.
    const PAIRS: f32 = 10.0;
    let (low, high) = extremes(simd, x);
    let distance = Lanes::splat(simd, (high - low) / 4096.0);
    let Some((first, others)) = x.split_first_chunk::<LANES>() else { return false };
    let (first, zero) = (Lanes::new(simd, first), Lanes::splat(simd, 0.0));
    let (one, mut pairs) = (Lanes::splat(simd, 1.0), zero);
    for &x in &others[..OTHERS.min(others.len())] {
        let apart = first - Lanes::splat(simd, x);
        let near = distance - apart.max(zero - apart);
        pairs = pairs + one.where_positive(near, zero);
    }
    pairs.to_array().iter().sum::<f32>() <= PAIRS
}

#[inline(always)]
fn sum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let mut sum = Lanes::splat(simd, 0.0);
    for x in x.as_chunks().0 {
        sum = sum + Lanes::new(simd, x);
    }
    sum.to_array().iter().sum()
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
