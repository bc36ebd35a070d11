//! A scale and a minimum for a block: Q4_1, Q5_1, and each sub-block of Q4_K and Q5_K.

use pulp::Simd;

use super::grid::Unsigned;
use super::{F16_MIN, LANES, Lanes, NEGLIGIBLE, Weights, by_lane, extremes, inverse, round_to_f16};

/// `x` is stored as `scale * code + min`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Affine {
    /// The distance of two levels, not negative.
    pub scale: f32,
    /// What code 0 decodes to.
    pub min: f32,
}

/// How far each end of the grid is pulled into the block's range, as a share of it: the search
/// tries each with each.
const PULLS: [f32; 4] = [-0.015, 0.015, 0.045, 0.08];
/// The same, when errors do not all count the same: then it is worth a try to clip the largest
/// values, which may stand where little counts.
const FAR_PULLS: [f32; 4] = [0.01, 0.1, 0.18, 0.28];

/// The determinant of the normal equations as a share of its first term, below which rounding
/// errors may be most of it.
const UNSOUND: f32 = 1e-5;

/// The F16 scale and minimum that lose least on the block `x`. Plain rounding takes part, and
/// `theirs`, what ggml's search found if it searches, so that no block is worse than they are.
#[inline(always)]
pub fn fit_affine<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    theirs: Option<Affine>,
) -> Affine {
    let real = fit_real_affine::<TOP, S, W>(simd, x, w, f32::INFINITY);
    let (mut scales, mut mins) = ([0.0; LANES], [0.0; LANES]);
    for l in 0..LANES {
        // Move either end of the grid by up to a quarter of a step.
        let low = real.scale * (0.16 * (l % 4) as f32 - 0.24);
        let high = real.scale * (0.16 * (l / 4) as f32 - 0.24);
        scales[l] = round_to_f16(real.scale + (high - low) / TOP as f32);
        mins[l] = round_to_f16(real.min + low);
    }
    let (low, high) = extremes(simd, x);
    scales[0] = round_to_f16((high - low) / TOP as f32);
    mins[0] = round_to_f16(low);
    if let Some(theirs) = theirs {
        (scales[3], mins[3]) = (round_to_f16(theirs.scale), round_to_f16(theirs.min));
    }
    let errors = errors::<TOP, S, W>(simd, x, w, &scales, &mins);
    let best = errors.lane_of_least();
    let fit = Affine { scale: scales[best], min: mins[best] };
    if errors.to_array()[best] < EXACT * (high - low) * (high - low) {
        return fit_exact::<TOP, S, W>(
            simd,
            x,
            w,
            fit,
            [(scales[0], mins[0]), (scales[3], mins[3])],
        );
    }
    if real.scale < SMALL {
        return fit_small::<TOP, S, W>(simd, x, w, real, (fit, errors.to_array()[best]));
    }
    fit
}

/// What is left of values on a grid, as a share of their range's square: rounding errors, which the
/// errors of candidates next to each other do not tell from those of decoding.
const EXACT: f32 = 1e-10;

/// The best of candidates that leave next to nothing.
#[inline(always)]
fn fit_exact<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    mut best: Affine,
    others: [(f32, f32); 2],
) -> Affine {
    let mut least = error::<TOP, S, W>(simd, x, w, best);
    for (scale, min) in others {
        let other = Affine { scale, min };
        let error = error::<TOP, S, W>(simd, x, w, other);
        if error < least {
            (best, least) = (other, error);
        }
    }
    best
}

/// Scales below this are so few steps of F16's smallest that all around are worth a try.
const SMALL: f32 = 32.0 * F16_MIN;

/// The scale and minimum that lose least where F16 has few to choose from: `best`, with its error,
/// multiples of F16's smallest number around `real`, or zeros.
#[inline(always)]
fn fit_small<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    real: Affine,
    best: (Affine, f32),
) -> Affine {
    let first_scale = (real.scale / F16_MIN).floor() - 1.0;
    let scales = by_lane(|l| F16_MIN * (first_scale + (l % 4) as f32).max(0.0));
    let first_min = (real.min / F16_MIN).floor() - 1.0;
    let mut mins = by_lane(|l| round_to_f16(F16_MIN * (first_min + (l / 4) as f32)));
    if real.scale < F16_MIN {
        // All values alike: half-way between the ends, or zeros.
        let (low, high) = extremes(simd, x);
        (mins[0], mins[4]) = (round_to_f16(0.5 * (low + high)), 0.0);
    }
    let errors = errors::<TOP, S, W>(simd, x, w, &scales, &mins);
    let least = errors.lane_of_least();
    let small = Affine { scale: scales[least], min: mins[least] };
    if errors.to_array()[least] < best.1 { small } else { best.0 }
}

/// The scale and minimum that lose least, before they are rounded to what the format stores; the
/// minimum is at most `ceiling`.
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
    let (near, near_error) = pull::<TOP, S, W>(simd, x, w, (low, range), ceiling, &PULLS);
    if W::EVEN {
        return near;
    }
    let (far, far_error) = pull::<TOP, S, W>(simd, x, w, (low, range), ceiling, &FAR_PULLS);
    if far_error < near_error { far } else { near }
}

/// The best scale and minimum among those that pull the ends of the grid into the block's range,
/// which begins at `low` and is `range` wide; and what they leave.
///
/// Each candidate quantizes `x`; for its codes the best scale and minimum follow from the normal
/// equations of what the candidate leaves of `x`. The pair that leaves least wins.
#[inline(always)]
fn pull<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    (low, range): (f32, f32),
    ceiling: f32,
    pulls: &[f32; 4],
) -> (Affine, f32) {
    let splat = |value| Lanes::splat(simd, value);
    let pull_low = by_lane(|l| pulls[l % 4]);
    let steps = by_lane(|l| TOP as f32 / (1.0 - pulls[l % 4] - pulls[l / 4]));
    let (zero, ceiling) = (splat(0.0), splat(ceiling));
    let mins = Lanes::new(simd, &pull_low).mul_add(splat(range), splat(low)).min(ceiling);
    let steps = Lanes::new(simd, &steps);
    let (scales, inverses) = (splat(range) / steps, steps * splat(1.0 / range));

    let mut sum_w = 0.0;
    let (mut q1, mut qq) = (zero, zero);
    let (mut e1, mut eq, mut ee) = (zero, zero, zero);
    for (i, &x) in x.iter().enumerate() {
        sum_w += w.at(i);
        let above = splat(x) - mins;
        let q = Unsigned::<TOP>::nearest(simd, above, inverses);
        let e = q.negate_mul_add(scales, above);
        let (wq, we) = (w.times(simd, i, q), w.times(simd, i, e));
        q1 = q1 + wq;
        qq = wq.mul_add(q, qq);
        e1 = e1 + we;
        eq = wq.mul_add(e, eq);
        ee = we.mul_add(e, ee);
    }
    // How far scale and minimum move: freely where the equations are sound in this precision and
    // the ceiling allows it, else the minimum stays (below the ceiling) and only the scale moves.
    let (sum_w, two) = (splat(sum_w), splat(2.0));
    let determinant = sum_w * qq - q1 * q1;
    let sound = determinant - splat(UNSOUND) * sum_w * qq;
    let free_min = (qq * e1 - q1 * eq).ratio(determinant).where_positive(sound, zero);
    let min = free_min.min(ceiling - mins);
    let scale = (eq - min * q1).ratio(qq);
    let taken = scale * (two * (eq - min * q1) - scale * qq) + min * (two * e1 - min * sum_w);
    let errors = (ee - taken).max(zero);
    let best = errors.lane_of_least();
    let scale = (scales + scale).to_array()[best].max(0.0);
    (Affine { scale, min: (mins + min).to_array()[best] }, errors.to_array()[best])
}

/// The error of `x`, whole [`LANES`] of values, at one candidate, rounded as decoding rounds.
#[inline(always)]
pub(super) fn error<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    fit: Affine,
) -> f32 {
    let splat = |value| Lanes::splat(simd, value);
    let (scale, min, inverse) = (splat(fit.scale), splat(fit.min), splat(inverse(fit.scale)));
    let mut error = splat(0.0);
    for (chunk, x) in x.as_chunks().0.iter().enumerate() {
        let (x, w) = (Lanes::new(simd, x), by_lane(|l| w.at(chunk * LANES + l)));
        let q = Unsigned::<TOP>::nearest(simd, x - min, inverse);
        let e = x - (q * scale + min);
        error = (e * Lanes::new(simd, &w)).mul_add(e, error);
    }
    error.to_array().iter().sum()
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
    let (scales, mins) = (Lanes::new(simd, scales), Lanes::new(simd, mins));
    let inverses = scales.inverse();
    let mut errors = Lanes::splat(simd, 0.0);
    for (i, &x) in x.iter().enumerate() {
        let above = Lanes::splat(simd, x) - mins;
        let e = Unsigned::<TOP>::nearest(simd, above, inverses).negate_mul_add(scales, above);
        errors = w.times(simd, i, e).mul_add(e, errors);
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::super::{Flat, Importance};
    use super::*;
    use crate::block::tests::{Columns, Random, Values, levels};
    use pulp::WithSimd;

    /// The best real scale and minimum of a block, and the errors at given ones.
    struct Search<'a, const TOP: i32, W> {
        x: &'a [f32],
        w: W,
        ceiling: f32,
        at: &'a [[f32; LANES]; 2],
    }

    impl<const TOP: i32, W: Weights> WithSimd for Search<'_, TOP, W> {
        type Output = (Affine, [f32; LANES]);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let Search { x, w, ceiling, at: [scales, mins] } = self;
            let errors = errors::<TOP, S, W>(simd, x, w, scales, mins).to_array();
            (fit_real_affine::<TOP, S, W>(simd, x, w, ceiling), errors)
        }
    }

    /// `sum(w * (x - scale * q - min)^2)` of the nearest codes, in plain numbers.
    fn error_plainly<const TOP: i32, W: Weights>(x: &[f32], w: W, scale: f32, min: f32) -> f32 {
        x.iter().enumerate().fold(0.0, |error, (i, &x)| {
            let q = Unsigned::<TOP>::level(x - min, inverse(scale));
            let e = (-q).mul_add(scale, x - min);
            (e * w.at(i)).mul_add(e, error)
        })
    }

    /// The least error of the candidates, as they are before their codes give them a better scale
    /// and minimum.
    fn least_plainly<const TOP: i32, W: Weights>(x: &[f32], w: W, ceiling: f32) -> f32 {
        let low = x.iter().copied().fold(ceiling, f32::min);
        let range = x.iter().copied().fold(f32::MIN, f32::max) - low;
        let far = if W::EVEN { &[][..] } else { &[FAR_PULLS] };
        let pulls = [PULLS].iter().chain(far).copied();
        let pulls = pulls
            .flat_map(|pulls| pulls.map(|low| pulls.map(|high| (low, high))).into_iter().flatten());
        let error = |(pull_low, pull_high): (f32, f32)| {
            let scale = range * (1.0 - pull_low - pull_high) / TOP as f32;
            let min = (low + pull_low * range).min(ceiling);
            error_plainly::<TOP, W>(x, w, scale, min)
        };
        pulls.map(error).fold(f32::INFINITY, f32::min)
    }

    fn check<const TOP: i32, W: Weights>(x: &[f32], w: W, ceiling: f32) {
        let mut random = Random(x[0].to_bits().into());
        let mut some = |size: f32| std::array::from_fn(|_| size * random.uniform());
        let at = &[some(x[0].abs() / 4.0), some(-x[0].abs())];
        let plain = std::array::from_fn(|l| error_plainly::<TOP, W>(x, w, at[0][l], at[1][l]));
        let mut fits = Vec::new();
        for level in levels() {
            let (fit, errors) = level.run(Search::<TOP, W> { x, w, ceiling, at });
            assert_eq!(errors.map(f32::to_bits), plain.map(f32::to_bits), "{level:?}");
            fits.push([fit.scale.to_bits(), fit.min.to_bits()]);
            assert!(fit.scale >= 0.0 && fit.min <= ceiling, "{fit:?}");
            let error = error_plainly::<TOP, W>(x, w, fit.scale, fit.min);
            let least = least_plainly::<TOP, W>(x, w, ceiling);
            assert!(error <= 1.001 * least, "{fit:?}: {error} for {least}");
        }
        assert!(fits.windows(2).all(|pair| pair[0] == pair[1]), "{fits:?}");
    }

    #[test]
    fn the_search_agrees_with_a_plain_one() {
        let mut random = Random(1);
        let kinds = [Values::Gaussian, Values::HeavyTailed, Values::Spike, Values::Positive];
        for (k, values) in kinds.into_iter().cycle().take(200).enumerate() {
            let x = values.sample(&mut random, [0.02, 30.0][k % 2], 32);
            let w = Columns::Uneven.sample(&mut random, 32).unwrap();
            for ceiling in [0.0, f32::INFINITY] {
                check::<15, _>(&x, Flat, ceiling);
                check::<31, _>(
                    &x,
                    Importance { columns: &w, raw: &w, row_mean_square: 1.0 },
                    ceiling,
                );
            }
        }
    }

    #[test]
    fn blocks_that_leave_the_equations_open_stay_sane() {
        // One value, two values, one column that counts: the equations have no single solution.
        let mut one_counts = [1e-5; 32];
        one_counts[7] = 1e5;
        let alternating: Vec<f32> = (0..32).map(|i| if i % 2 == 0 { 3.0 } else { 2.5 }).collect();
        for x in [&[2.0; 32], &[-2.0; 32], &alternating[..]] {
            for ceiling in [0.0, f32::INFINITY] {
                check::<15, _>(x, Flat, ceiling);
                check::<31, _>(
                    x,
                    Importance { columns: &one_counts, raw: &one_counts, row_mean_square: 1.0 },
                    ceiling,
                );
            }
        }
    }
}
