//! Super-blocks of eight sub-blocks with a scale and a minimum each: Q4_K and Q5_K.

use pulp::{Simd, WithSimd};

use super::affine::{Affine, error, errors, fit_real_affine};
use super::grid::{Unsigned, clamp, round};
use super::reference::{self, Steps, sum_of_squares};
use super::{LANES, SMALL_UNIT, Weights, by_lane, extremes, inverse, round_to_f16, small_unit};

/// Sub-block `k` decodes as `scale * scales[k] * code - min * mins[k]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuperAffine {
    /// The F16 unit of the sub-block scales.
    pub scale: f32,
    /// The F16 unit of the sub-block minimums.
    pub min: f32,
    /// Integers from 0 to 63.
    pub scales: [f32; SUBS],
    /// Integers from 0 to 63.
    pub mins: [f32; SUBS],
}

const SUBS: usize = 8;
const SUB_LEN: usize = 32;
const LIMIT: f32 = 63.0;

/// The first units put the largest sub-block scale and minimum here, so that they too have integers
/// above them to choose from.
const HEADROOM: f32 = 61.0;

/// The units tried, as factors of the least-squares ones. What a sub-block loses depends on which
/// integer pairs its units can reach, as good as at random, so several units are worth a try; the
/// factors cover a few steps of the integers evenly (a two-dimensional golden-ratio sequence).
const UNITS: [(f32, f32); 6] =
    [(1.0, 1.0), (1.022, 1.028), (0.999, 1.011), (1.036, 0.993), (1.013, 0.976), (0.990, 1.029)];

/// How many integer minimums are tried with four scales each.
const NARROW: usize = 4;
const WIDE: usize = 8;

/// The scales and minimums that lose least on the super-block `x` of 256 values.
#[inline(always)]
pub fn fit_super_affine<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    theirs: Option<&SuperReference>,
) -> SuperAffine {
    let mut real = [Affine { scale: 0.0, min: 0.0 }; SUBS];
    let mut plain = real;
    for k in 0..SUBS {
        let sub = &x[k * SUB_LEN..][..SUB_LEN];
        real[k] = fit_real_affine::<TOP, S, W>(simd, sub, w.skip(k * SUB_LEN), 0.0);
        let (low, high) = extremes(simd, sub);
        let min = low.min(0.0);
        plain[k] = Affine { scale: (high - min) / TOP as f32, min };
    }
    // Zeros take part, plain rounding, and what ggml finds, so that no super-block is worse than they.
    let zeros = SuperAffine { scale: 0.0, min: 0.0, scales: [0.0; SUBS], mins: [0.0; SUBS] };
    let mut others = with_error::<TOP, S, W>(simd, x, w, zeros);
    let plain = rounded::<TOP, S, W>(simd, x, w, &plain, per_stored_unit);
    others = if plain.1 < others.1 { plain } else { others };
    if let Some(theirs) = theirs {
        let found = stored::<TOP, S, W>(simd, x, w, theirs);
        others = if found.1 < others.1 { found } else { others };
    }
    let mut best = fit_subs::<TOP, NARROW, S, W>(simd, x, w, units(&real, HEADROOM), &real);
    let found = best.0.subs();
    let (scale, min) = refit_units::<TOP, W>(x, w, &best.0);
    for (scale_factor, min_factor) in UNITS {
        let units = (round_to_f16(scale * scale_factor), round_to_f16(min * min_factor));
        let fit = fit_subs::<TOP, NARROW, S, W>(simd, x, w, units, &found);
        best = if fit.1 < best.1 { fit } else { best };
    }
    let (scale, min) = refit_units::<TOP, W>(x, w, &best.0);
    let units = (round_to_f16(scale), round_to_f16(min));
    let fit = fit_subs::<TOP, WIDE, S, W>(simd, x, w, units, &best.0.subs());
    best = if fit.1 < best.1 { fit } else { best };
    let (scale, min) = exact_units(&real, LIMIT);
    if scale < SMALL_UNIT {
        let units = (small_unit(scale), small_unit(min));
        let fit = fit_subs::<TOP, WIDE, S, W>(simd, x, w, units, &real);
        best = if fit.1 < best.1 { fit } else { best };
    }
    // Once more, rounded as decoding rounds, in case that next to nothing is left.
    let best = if theirs.is_some() { with_error::<TOP, S, W>(simd, x, w, best.0) } else { best };
    if others.1 < best.1 { others.0 } else { best.0 }
}

/// What ggml finds for a super-block.
#[derive(Debug, Clone, Copy, Default)]
pub struct SuperReference {
    subs: [Affine; SUBS],
    /// What ggml weights the errors of each sub-block with, added up.
    weights: [f32; SUBS],
}

/// What ggml finds for two super-blocks `x`, or for one.
#[inline(always)]
pub fn super_references<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    found: &mut [SuperReference],
) {
    let steps = match TOP {
        _ if !W::EVEN => Steps::IMPORTANCE,
        15 => Steps::Q4_K,
        _ => Steps::Q5_K,
    };
    let mut mean_squares = [0.0; LANES];
    if !W::EVEN {
        for (squares, x) in mean_squares.chunks_mut(SUBS).zip(x.chunks(SUBS * SUB_LEN)) {
            squares.fill(2.0 * sum_of_squares(x) / x.len() as f32);
        }
    }
    let (subs, weights) = reference::affines::<TOP, S, W>(simd, x, w, steps, &mean_squares);
    let pairs = subs.as_chunks().0.iter().zip(weights.as_chunks().0);
    for (found, (&subs, &weights)) in found.iter_mut().zip(pairs) {
        *found = SuperReference { subs, weights };
    }
}

/// How ggml stores what it found.
#[inline(always)]
fn stored<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    theirs: &SuperReference,
) -> (SuperAffine, f32) {
    let SuperReference { subs, weights } = theirs;
    if W::EVEN {
        return rounded::<TOP, S, W>(simd, x, w, subs, per_exact_unit);
    }
    let (scale, scales) = reference::integers(&subs.map(|sub| sub.scale), weights);
    let (min, mins) = reference::integers(&subs.map(|sub| -sub.min), weights);
    let (scale, min) = (round_to_f16(scale), round_to_f16(min));
    with_error::<TOP, S, W>(simd, x, w, SuperAffine { scale, min, scales, mins })
}

/// The scales and minimums `real` rounded to multiples of units that put the largest at the last
/// integer, and the error. A multiple is the number times what `per_unit` gives for the largest one.
#[inline(always)]
fn rounded<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    real: &[Affine; SUBS],
    per_unit: impl Fn(f32) -> f32,
) -> (SuperAffine, f32) {
    let (scale, depth) = exact_units(real, 1.0);
    let (per_scale, per_depth) = (per_unit(scale), per_unit(depth));
    let fit = SuperAffine {
        scale: round_to_f16(scale / LIMIT),
        min: round_to_f16(depth / LIMIT),
        scales: real.map(|real| round(clamp(real.scale * per_scale, 0.0, LIMIT))),
        mins: real.map(|real| round(clamp(-real.min * per_depth, 0.0, LIMIT))),
    };
    with_error::<TOP, S, W>(simd, x, w, fit)
}

/// Multiples of the unit as it is stored.
#[inline(always)]
fn per_stored_unit(largest: f32) -> f32 {
    inverse(round_to_f16(largest / LIMIT))
}

/// Multiples of the unit before it was rounded, as ggml has them.
#[inline(always)]
fn per_exact_unit(largest: f32) -> f32 {
    if largest > 0.0 { LIMIT / largest } else { 0.0 }
}

/// `fit` and what it leaves of `x`.
#[inline(always)]
fn with_error<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    fit: SuperAffine,
) -> (SuperAffine, f32) {
    let mut total = 0.0;
    for (k, sub) in fit.subs().into_iter().enumerate() {
        let start = k * SUB_LEN;
        total += error::<TOP, S, W>(simd, &x[start..][..SUB_LEN], w.skip(start), sub);
    }
    (fit, total)
}

/// The units that put the largest scale and the deepest minimum at the integer `largest`.
#[inline(always)]
fn units(real: &[Affine; SUBS], largest: f32) -> (f32, f32) {
    let (scale, min) = exact_units(real, largest);
    (round_to_f16(scale), round_to_f16(min))
}

/// The same before they are rounded to F16.
#[inline(always)]
fn exact_units(real: &[Affine; SUBS], largest: f32) -> (f32, f32) {
    let (mut scale, mut depth) = (0.0f32, 0.0f32);
    for real in real {
        scale = scale.max(real.scale);
        depth = depth.max(-real.min);
    }
    (scale / largest, depth / largest)
}

impl SuperAffine {
    /// The scale and minimum of each sub-block.
    #[inline(always)]
    fn subs(&self) -> [Affine; SUBS] {
        std::array::from_fn(|k| Affine {
            scale: self.scale * self.scales[k],
            min: -(self.min * self.mins[k]),
        })
    }
}

/// The integer scales and minimums around `real` that lose least under given units, and the error.
#[inline(always)]
fn fit_subs<const TOP: i32, const MINS: usize, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    (scale, min): (f32, f32),
    real: &[Affine; SUBS],
) -> (SuperAffine, f32) {
    Simd::vectorize(simd, FitSubs::<'_, TOP, MINS, W> { x, w, scale, min, real })
}

/// The arguments of [`fit_subs`], for a function of its own: inlined at each call it would take
/// the compiler minutes.
struct FitSubs<'a, const TOP: i32, const MINS: usize, W> {
    x: &'a [f32],
    w: W,
    scale: f32,
    min: f32,
    real: &'a [Affine; SUBS],
}

impl<const TOP: i32, const MINS: usize, W: Weights> WithSimd for FitSubs<'_, TOP, MINS, W> {
    type Output = (SuperAffine, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (SuperAffine, f32) {
        let FitSubs { x, w, scale, min, real } = self;
        let mut fit = SuperAffine { scale, min, scales: [0.0; SUBS], mins: [0.0; SUBS] };
        let mut total = 0.0;
        for k in 0..SUBS {
            let (sub, w) = (&x[k * SUB_LEN..][..SUB_LEN], w.skip(k * SUB_LEN));
            let mut least = f32::INFINITY;
            for pass in 0..MINS / 4 {
                let below = (pass * 4) as f32 - (MINS / 2 - 1) as f32;
                let (scales, mins) = integer_pairs::<TOP>(real[k], scale, min, below);
                let real_scales = by_lane(|l| scale * scales[l]);
                let real_mins = by_lane(|l| -(min * mins[l]));
                let errors = errors::<TOP, S, W>(simd, sub, w, &real_scales, &real_mins);
                let best = errors.lane_of_least();
                let error = errors.to_array()[best];
                if error < least {
                    (least, fit.scales[k], fit.mins[k]) = (error, scales[best], mins[best]);
                }
            }
            total += least;
        }
        (fit, total)
    }
}

/// Four minimums, the first `below` steps from the real one, with four scales each that keep the
/// grid's upper end about where it was.
#[inline(always)]
fn integer_pairs<const TOP: i32>(
    real: Affine,
    scale: f32,
    min: f32,
    below: f32,
) -> ([f32; LANES], [f32; LANES]) {
    let upper_end = real.scale * TOP as f32 + real.min;
    let first_min = (-real.min * inverse(min)).floor() + below;
    let per_scale = inverse(scale * TOP as f32);
    let mins = by_lane(|l| clamp(first_min + (l / 4) as f32, 0.0, LIMIT));
    let scales = by_lane(|l| {
        let centre = ((upper_end + min * mins[l]) * per_scale).floor();
        clamp(centre + (l % 4) as f32 - 1.0, 0.0, LIMIT)
    });
    (scales, mins)
}

/// The least-squares units for the codes that `fit` gives.
#[inline(always)]
fn refit_units<const TOP: i32, W: Weights>(x: &[f32], w: W, fit: &SuperAffine) -> (f32, f32) {
    // Normal equations of x ~ scale * a - min * b, with a = scales[k] * code and b = mins[k].
    // Sums run in eight lanes, so that they vectorise alike on every CPU.
    let (mut aa, mut xa) = ([0.0; 8], [0.0; 8]);
    let (mut ab, mut bb, mut xb) = (0.0, 0.0, 0.0);
    for k in 0..SUBS {
        let (scale, b) = (fit.scales[k], fit.mins[k]);
        let (inverse, min) = (inverse(fit.scale * scale), fit.min * b);
        let (mut sum_a, mut sum_x, mut sum_w) = ([0.0; 8], [0.0; 8], [0.0; 8]);
        for (i, &x) in x[k * SUB_LEN..][..SUB_LEN].iter().enumerate() {
            let w = w.at(k * SUB_LEN + i);
            let a = scale * Unsigned::<TOP>::level(x + min, inverse);
            aa[i % 8] += w * a * a;
            xa[i % 8] += w * a * x;
            sum_a[i % 8] += w * a;
            sum_x[i % 8] += w * x;
            sum_w[i % 8] += w;
        }
        ab += b * sum_a.iter().sum::<f32>();
        xb += b * sum_x.iter().sum::<f32>();
        bb += b * b * sum_w.iter().sum::<f32>();
    }
    let (aa, xa): (f32, f32) = (aa.iter().sum(), xa.iter().sum());
    let determinant = aa * bb - ab * ab;
    if determinant <= 0.0 {
        return (xa * inverse(aa), fit.min);
    }
    let scale = (xa * bb - xb * ab) / determinant;
    let min = (xa * ab - xb * aa) / determinant;
    (scale.max(0.0), min.max(0.0))
}
