//! A scale and a minimum for a block: Q4_1, Q5_1, and each sub-block of Q4_K and Q5_K.

use pulp::Simd;

use super::grid::Unsigned;
use super::{LANES, Lanes, NEGLIGIBLE, Weights, extremes, inverse, round_to_f16};

/// `x` is stored as `scale * code + min`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// The distance of two levels, not negative.
    pub scale: f32,
    /// What code 0 decodes to.
    pub min: f32,
}

/// How far each end of the grid is pulled into the block's range, as a share of it: the search
/// tries each with each.
const PULLS: [f32; 4] = [-0.015, 0.015, 0.045, 0.08];

/// The F16 scale and minimum that lose least on the block `x`.
#[inline(always)]
pub fn fit_affine<const TOP: i32, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> Affine {
    let real = fit_real_affine::<TOP, S, W>(simd, x, w, f32::INFINITY);
    let (mut scales, mut mins) = ([0.0; LANES], [0.0; LANES]);
    for l in 0..LANES {
        // Move either end of the grid by up to a quarter of a step.
        let low = real.scale * (0.16 * (l % 4) as f32 - 0.24);
        let high = real.scale * (0.16 * (l / 4) as f32 - 0.24);
        scales[l] = round_to_f16(real.scale + (high - low) / TOP as f32);
        mins[l] = round_to_f16(real.min + low);
    }
    let best = errors::<TOP, S, W>(simd, x, w, &scales, &mins).lane_of_least();
    Affine { scale: scales[best], min: mins[best] }
}

/// The scale and minimum that lose least, before they are rounded to what the format stores; the
/// minimum is at most `ceiling`.
///
/// Each candidate quantizes `x`; for its codes the best scale and minimum follow from the normal
/// equations. The pair that explains most of `x` wins.
#[inline(always)]
pub fn fit_real_affine<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    ceiling: f32,
) -> Affine {
    let (low, high) = extremes(simd, x);
    let low = low.min(ceiling);
    let range = high - low;
    if range < NEGLIGIBLE {
        return Affine { scale: 0.0, min: low };
    }
    let splat = |value| Lanes::splat(simd, value);
    let pull_low: [f32; LANES] = std::array::from_fn(|l| PULLS[l % 4]);
    let grid: [f32; LANES] =
        std::array::from_fn(|l| TOP as f32 / (1.0 - PULLS[l % 4] - PULLS[l / 4]));
    let ceiling = splat(ceiling);
    let mins = Lanes::new(simd, &pull_low).mul_add(splat(range), splat(low)).min(ceiling);
    let inverses = Lanes::new(simd, &grid) * splat(1.0 / range);

    let zero = splat(0.0);
    let (mut sum_w, mut sum_x) = (0.0, 0.0);
    let (mut q1, mut qq, mut xq) = (zero, zero, zero);
    for (i, &x) in x.iter().enumerate() {
        sum_w += w.at(i);
        sum_x += w.at(i) * x;
        let x = splat(x);
        let q = Unsigned::<TOP>::nearest(simd, x - mins, inverses);
        let wq = w.times(simd, i, q);
        q1 = q1 + wq;
        qq = wq.mul_add(q, qq);
        xq = wq.mul_add(x, xq);
    }
    let (sum_w, sum_x, two) = (splat(sum_w), splat(sum_x), splat(2.0));
    let determinant = (sum_w * qq - q1 * q1).max(zero);
    let free_min = (qq * sum_x - q1 * xq).ratio(determinant);
    let min = free_min.min(ceiling);
    let free_scale = (sum_w * xq - sum_x * q1).ratio(determinant);
    let bound_scale = (xq - min * q1).ratio(qq);
    let scale = free_scale.where_positive(ceiling - free_min, bound_scale);
    // The weighted square of x less the error.
    let explained =
        scale * (two * (xq - min * q1) - scale * qq) + min * (two * sum_x - min * sum_w);
    let best = explained.max(zero).lane_of_greatest();
    Affine { scale: scale.to_array()[best].max(0.0), min: min.to_array()[best] }
}

/// The error of `x` at each candidate.
#[inline(always)]
pub(super) fn errors<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    scales: &[f32; LANES],
    mins: &[f32; LANES],
) -> Lanes<S> {
    let inverses = Lanes::new(simd, &scales.map(inverse));
    let (scales, mins) = (Lanes::new(simd, scales), Lanes::new(simd, mins));
    let mut errors = Lanes::splat(simd, 0.0);
    for (i, &x) in x.iter().enumerate() {
        let above = Lanes::splat(simd, x) - mins;
        let e = Unsigned::<TOP>::nearest(simd, above, inverses).negate_mul_add(scales, above);
        errors = w.times(simd, i, e).mul_add(e, errors);
    }
    errors
}
