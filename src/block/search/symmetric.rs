//! One scale for a block: Q4_0, Q5_0, Q8_0, IQ4_NL, and each sub-block of Q6_K and IQ4_XS.

use pulp::Simd;

use super::grid::Grid;
use super::{F16_MIN, LANES, Lanes, NEGLIGIBLE, Weights, inverse, peak, round_to_f16};

/// The F16 scale that loses least on the block `x`.
#[inline(always)]
pub fn fit_scale<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> f32 {
    let mut candidates = neighbours(fit_real_scale::<G, S, W>(simd, x, w));
    // Plain rounding takes part, so that no block is worse than it.
    let peak = peak(simd, x);
    candidates[0] = round_to_f16(peak / G::ENDS.0);
    candidates[LANES - 1] = round_to_f16(peak / G::ENDS.1);
    candidates[errors::<G, S, W>(simd, x, w, &candidates).lane_of_least()]
}

/// The scale that loses least on `x`, before it is rounded to what the format stores.
///
/// Each candidate quantizes `x`; for its codes `q` the best scale is the candidate plus `eq / qq`,
/// where `e` is what it leaves of `x`, and that takes `eq^2 / qq` off its error.
#[inline(always)]
pub fn fit_real_scale<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> f32 {
    let peak = peak(simd, x);
    if peak.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let landings = Lanes::new(simd, &G::LANDINGS);
    let inverses = landings * Lanes::splat(simd, 1.0 / peak);
    let scales = Lanes::splat(simd, peak) / landings;
    let zero = Lanes::splat(simd, 0.0);
    let (mut ee, mut eq, mut qq) = (zero, zero, zero);
    for (i, &x) in x.iter().enumerate() {
        let x = Lanes::splat(simd, x);
        let q = G::nearest(simd, x, inverses);
        let e = q.negate_mul_add(scales, x);
        let (wq, we) = (w.times(simd, i, q), w.times(simd, i, e));
        ee = we.mul_add(e, ee);
        eq = wq.mul_add(e, eq);
        qq = wq.mul_add(q, qq);
    }
    let steps = eq.ratio(qq);
    let best = steps.negate_mul_add(eq, ee).max(zero).lane_of_least();
    (scales + steps).to_array()[best]
}

/// The F16 values around `scale`.
#[inline(always)]
fn neighbours(scale: f32) -> [f32; LANES] {
    /// The spacing of F16 values relative to them, at most; the subnormal ones are further apart.
    const STEP: f32 = 1.0 / 1024.0;
    let step = (scale * STEP).abs().max(F16_MIN);
    std::array::from_fn(|l| round_to_f16(scale + step * (l as f32 - (LANES / 2) as f32)))
}

/// The error of `x` at each candidate scale.
#[inline(always)]
pub(super) fn errors<G: Grid, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    scales: &[f32; LANES],
) -> Lanes<S> {
    let inverses = Lanes::new(simd, &scales.map(inverse));
    let scales = Lanes::new(simd, scales);
    let mut errors = Lanes::splat(simd, 0.0);
    for (i, &x) in x.iter().enumerate() {
        let x = Lanes::splat(simd, x);
        let e = G::nearest(simd, x, inverses).negate_mul_add(scales, x);
        errors = w.times(simd, i, e).mul_add(e, errors);
    }
    errors
}
