//! One scale for a block: Q4_0, Q5_0, Q8_0, IQ4_NL, and each sub-block of Q6_K and IQ4_XS.

use pulp::Simd;

use super::grid::Grid;
use super::{LANES, Lanes, NEGLIGIBLE, Weights, inverse, peak, round_to_f16};

/// The F16 scale that loses least on the block `x`.
#[inline(always)]
pub fn fit_scale<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> f32 {
    let real = fit_real_scale::<G, S, W>(simd, x, w);
    let candidates = neighbours(real);
    candidates[errors::<G, S, W>(simd, x, w, &candidates).lane_of_least()]
}

/// The scale that loses least on `x`, before it is rounded to what the format stores.
///
/// Each candidate quantizes `x`; for its codes q the best scale is `xq / qq`, which explains
/// `xq^2 / qq` of `x`. The scale that explains most wins.
#[inline(always)]
pub fn fit_real_scale<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> f32 {
    let peak = peak(simd, x);
    if peak.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let inverses = Lanes::new(simd, &G::LANDINGS) * Lanes::splat(simd, 1.0 / peak);
    let (mut xq, mut qq) = (Lanes::splat(simd, 0.0), Lanes::splat(simd, 0.0));
    for (i, &x) in x.iter().enumerate() {
        let q = G::nearest(simd, Lanes::splat(simd, x), inverses);
        let wq = w.times(simd, i, q);
        xq = wq.mul_add(Lanes::splat(simd, x), xq);
        qq = wq.mul_add(q, qq);
    }
    let scales = xq.ratio(qq);
    let best = (scales * xq).lane_of_greatest();
    scales.to_array()[best]
}

/// The F16 values around `scale`.
#[inline(always)]
fn neighbours(scale: f32) -> [f32; LANES] {
    /// The spacing of F16 values relative to them, at most.
    const STEP: f32 = 1.0 / 1024.0;
    std::array::from_fn(|l| {
        let steps = l as f32 - (LANES / 2) as f32;
        round_to_f16(scale + scale * (steps * STEP))
    })
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
