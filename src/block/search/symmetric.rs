//! One scale for a block: Q4_0, Q5_0, Q8_0, IQ4_NL, and each sub-block of Q6_K and IQ4_XS.

use pulp::Simd;

use super::grid::Grid;
use super::{
    F16_MIN, F16_MIN_NORMAL, LANES, Lanes, NEGLIGIBLE, Weights, by_lane, inverse, peak,
    round_to_f16,
};

/// The F16 scale that loses least on the block `x` of 32 values. Plain rounding takes part, and
/// `theirs`, the scale that ggml's search found if there is one, so that no block is worse than
/// they are.
#[inline(always)]
pub fn fit_scale<G: Grid, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    theirs: Option<f32>,
) -> f32 {
    let peak = peak(simd, x);
    let plain = [round_to_f16(peak / G::ENDS.0), round_to_f16(peak / G::ENDS.1)];
    let theirs = theirs.map(round_to_f16);
    if !G::FINE && plain[0].abs() > 2.0 * F16_MIN_NORMAL {
        let scale = fit_coarse_scale::<G, S, W>(simd, x, w, peak);
        let Some(theirs) = theirs else { return scale };
        let their_error = error::<G, S, W>(simd, x, w, theirs);
        let better = their_error < error::<G, S, W>(simd, x, w, scale);
        return if better { theirs } else { scale };
    }
    let mut candidates = neighbours(fit_real_scale::<G, S, W>(simd, x, w));
    [candidates[0], candidates[LANES - 1]] = plain;
    candidates[1] = theirs.unwrap_or(candidates[1]);
    candidates[errors::<G, S, W>(simd, x, w, &candidates).lane_of_least()]
}

/// The F16 scale that loses least where rounding it to F16 hardly matters: the best real scale,
/// rounded, unless one of the candidates as they stand is better.
#[inline(always)]
fn fit_coarse_scale<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W, peak: f32) -> f32 {
    /// What rounding errors may add up to in a sum of squares.
    const NOISE: f32 = 1e-6;
    let candidates = by_lane(|l| round_to_f16(peak / G::LANDINGS[l]));
    let fits = Fits::new::<G, W>(simd, x, w, &candidates);
    let refined = fits.refined();
    let rounded = round_to_f16(refined.scale);
    let moved = rounded - refined.scale;
    // Its codes will be the nearest ones to the rounded scale, so the error is this at most.
    let error = refined.error + moved * moved * refined.qq + NOISE * refined.unrefined_error;
    let best = fits.ee.lane_of_least();
    let (near, near_error) = match fits.ee.to_array()[best] {
        least if least < error => (candidates[best], least),
        _ => (rounded, error),
    };
    if W::EVEN {
        return near;
    }
    let refined = land::<G, S, W>(simd, x, w, peak, &G::FAR_LANDINGS);
    let rounded = round_to_f16(refined.scale);
    let moved = rounded - refined.scale;
    let error = refined.error + moved * moved * refined.qq + NOISE * refined.unrefined_error;
    if error < near_error { rounded } else { near }
}

/// The scale that loses least on `x`, before it is rounded to what the format stores.
#[inline(always)]
pub fn fit_real_scale<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> f32 {
    let peak = peak(simd, x);
    if peak.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let near = land::<G, S, W>(simd, x, w, peak, &G::LANDINGS);
    if W::EVEN {
        return near.scale;
    }
    let far = land::<G, S, W>(simd, x, w, peak, &G::FAR_LANDINGS);
    if far.error < near.error { far.scale } else { near.scale }
}

/// The best scale among those that put `peak` at one of `landings`.
#[inline(always)]
pub(super) fn land<G: Grid, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    peak: f32,
    landings: &[f32; LANES],
) -> Refined {
    refined::<G, S, W>(simd, x, w, &by_lane(|l| peak / landings[l]))
}

/// The best scale for the codes that some candidate gives.
#[inline(always)]
pub(super) fn refined<G: Grid, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    candidates: &[f32; LANES],
) -> Refined {
    Fits::new::<G, W>(simd, x, w, candidates).refined()
}

/// What candidate scales leave of `x`, side by side: with their codes `q` and errors `e`, the
/// weighted sums of `e * e`, `e * q` and `q * q`.
struct Fits<S: Simd> {
    scales: Lanes<S>,
    ee: Lanes<S>,
    eq: Lanes<S>,
    qq: Lanes<S>,
}

/// The best scale for the codes of a candidate.
pub(super) struct Refined {
    pub(super) scale: f32,
    pub(super) error: f32,
    /// The error of the candidate as it was.
    unrefined_error: f32,
    qq: f32,
}

impl<S: Simd> Fits<S> {
    #[inline(always)]
    fn new<G: Grid, W: Weights>(simd: S, x: &[f32], w: W, candidates: &[f32; LANES]) -> Self {
        let scales = Lanes::new(simd, candidates);
        let inverses = scales.inverse();
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
        Fits { scales, ee, eq, qq }
    }

    /// For the codes of a candidate the best scale is the candidate plus `eq / qq`, which takes
    /// `eq^2 / qq` off its error. Where that leaves least, wins.
    #[inline(always)]
    fn refined(&self) -> Refined {
        let Fits { scales, ee, eq, qq } = *self;
        let steps = eq.ratio(qq);
        let errors = steps.negate_mul_add(eq, ee).max(Lanes::splat(ee.simd(), 0.0));
        let best = errors.lane_of_least();
        Refined {
            scale: (scales + steps).to_array()[best],
            error: errors.to_array()[best],
            unrefined_error: ee.to_array()[best],
            qq: qq.to_array()[best],
        }
    }
}

/// The F16 values around `scale`.
#[inline(always)]
fn neighbours(scale: f32) -> [f32; LANES] {
    /// The spacing of F16 values relative to them, at most; the subnormal ones are further apart.
    const STEP: f32 = 1.0 / 1024.0;
    let step = (scale * STEP).abs().max(F16_MIN);
    by_lane(|l| round_to_f16(scale + step * (l as f32 - (LANES / 2) as f32)))
}

/// The error of `x` at each candidate scale.
#[inline(always)]
pub(super) fn errors<G: Grid, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    scales: &[f32; LANES],
) -> Lanes<S> {
    let scales = Lanes::new(simd, scales);
    let inverses = scales.inverse();
    let mut errors = Lanes::splat(simd, 0.0);
    for (i, &x) in x.iter().enumerate() {
        let x = Lanes::splat(simd, x);
        let e = G::nearest(simd, x, inverses).negate_mul_add(scales, x);
        errors = w.times(simd, i, e).mul_add(e, errors);
    }
    errors
}

/// The error of `x`, whole [`LANES`] of values, at one scale, rounded as decoding rounds.
#[inline(always)]
pub(super) fn error<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W, scale: f32) -> f32 {
    let (inverse, scale) = (Lanes::splat(simd, inverse(scale)), Lanes::splat(simd, scale));
    let mut error = Lanes::splat(simd, 0.0);
    for (chunk, x) in x.as_chunks().0.iter().enumerate() {
        let (x, w) = (Lanes::new(simd, x), by_lane(|l| w.at(chunk * LANES + l)));
        let e = x - G::nearest(simd, x, inverse) * scale;
        error = (e * Lanes::new(simd, &w)).mul_add(e, error);
    }
    error.to_array().iter().sum()
}

#[cfg(test)]
mod tests {
    use super::super::{Flat, Importance};
    use super::*;
    use crate::block::search::{Iq4, Signed};
    use crate::block::tests::{Columns, Random, Values, levels};
    use pulp::WithSimd;
    use std::marker::PhantomData;

    /// The best real scale of a block, and the errors at given scales.
    struct Search<'a, G, W> {
        x: &'a [f32],
        w: W,
        scales: &'a [f32; LANES],
        grid: PhantomData<G>,
    }

    impl<G: Grid, W: Weights> WithSimd for Search<'_, G, W> {
        type Output = (u32, [u32; LANES]);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let errors = errors::<G, S, W>(simd, self.x, self.w, self.scales).to_array();
            let real = fit_real_scale::<G, S, W>(simd, self.x, self.w);
            (real.to_bits(), errors.map(f32::to_bits))
        }
    }

    /// The same candidate by candidate, in plain numbers.
    fn plainly<G: Grid, W: Weights>(x: &[f32], w: W, scales: &[f32; LANES]) -> (f32, [f32; LANES]) {
        let (mut peak, mut errors) = (x[0], [0.0f32; LANES]);
        for &x in x {
            let larger = x.abs() > peak.abs() || (x.abs() == peak.abs() && x < 0.0);
            peak = if larger { x } else { peak };
        }
        for (error, &scale) in errors.iter_mut().zip(scales) {
            for (i, &x) in x.iter().enumerate() {
                let e = (-G::level(x, inverse(scale))).mul_add(scale, x);
                *error = (e * w.at(i)).mul_add(e, *error);
            }
        }
        let best_of = |landings: [f32; LANES]| {
            let mut best = (f32::INFINITY, 0.0);
            for landing in landings {
                let scale = peak / landing;
                let (mut ee, mut eq, mut qq) = (0.0f32, 0.0f32, 0.0f32);
                for (i, &x) in x.iter().enumerate() {
                    let q = G::level(x, 1.0 / scale);
                    let e = (-q).mul_add(scale, x);
                    ee = (e * w.at(i)).mul_add(e, ee);
                    eq = (q * w.at(i)).mul_add(e, eq);
                    qq = (q * w.at(i)).mul_add(q, qq);
                }
                let step = eq / qq.max(f32::MIN_POSITIVE);
                let left = (-step).mul_add(eq, ee).max(0.0);
                // Errors that differ in the lowest bits only count as equal.
                if left.to_bits() / (LANES as u32) < f32::to_bits(best.0) / LANES as u32 {
                    best = (left, scale + step);
                }
            }
            best
        };
        let (near, far) = (best_of(G::LANDINGS), best_of(G::FAR_LANDINGS));
        let best = if !W::EVEN && far.0 < near.0 { far } else { near };
        (best.1, errors)
    }

    fn check<G: Grid, W: Weights>(x: &[f32], w: W) {
        let scales = &neighbours(x[0] / 7.0);
        let (real, errors) = plainly::<G, W>(x, w, scales);
        for level in levels() {
            let search = Search::<G, W> { x, w, scales, grid: PhantomData };
            assert_eq!(level.run(search), (real.to_bits(), errors.map(f32::to_bits)), "{level:?}");
        }
    }

    #[test]
    fn the_search_agrees_with_a_plain_one() {
        let mut random = Random(1);
        let kinds = [Values::Gaussian, Values::HeavyTailed, Values::Spike, Values::Alternating];
        for (k, values) in kinds.into_iter().cycle().take(200).enumerate() {
            let x = values.sample(&mut random, [0.02, 30.0][k % 2], 32);
            let columns = [Columns::Uneven, Columns::HugeRatios][k / 2 % 2];
            let w = columns.sample(&mut random, 32).unwrap();
            check::<Signed<-8, 7>, _>(&x, Flat);
            check::<Signed<-128, 127>, _>(
                &x,
                Importance { columns: &w, raw: &w, row_mean_square: 1.0 },
            );
            check::<Iq4, _>(&x, Importance { columns: &w, raw: &w, row_mean_square: 1.0 });
        }
    }

    #[test]
    fn neighbours_are_f16_values_in_a_row() {
        for scale in [1.0, -0.013, 7e-5, 3e-6, -1e-7, 0.0] {
            let neighbours = neighbours(scale);
            assert!(neighbours.windows(2).all(|pair| pair[0] <= pair[1]), "{neighbours:?}");
            let nearest = round_to_f16(scale);
            assert!(neighbours.contains(&nearest), "{scale}: {neighbours:?}");
        }
    }
}
