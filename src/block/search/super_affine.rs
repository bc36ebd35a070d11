//! Super-blocks of eight sub-blocks with a scale and a minimum each: Q4_K and Q5_K.

use pulp::Simd;

use super::affine::{Affine, errors, fit_real_affine};
use super::grid::{Unsigned, clamp};
use super::{LANES, Weights, inverse, round_to_f16};

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

/// The scales and minimums that lose least on the super-block `x` of 256 values.
#[inline(always)]
pub fn fit_super_affine<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
) -> SuperAffine {
    let mut real = [Affine { scale: 0.0, min: 0.0 }; SUBS];
    let (mut scale, mut depth) = (0.0f32, 0.0f32);
    for k in 0..SUBS {
        let sub = &x[k * SUB_LEN..][..SUB_LEN];
        real[k] = fit_real_affine::<TOP, S, W>(simd, sub, w.skip(k * SUB_LEN), 0.0);
        scale = scale.max(real[k].scale);
        depth = depth.max(-real[k].min);
    }
    let (scale, min) = (round_to_f16(scale / LIMIT), round_to_f16(depth / LIMIT));
    let first = fit_subs::<TOP, S, W>(simd, x, w, scale, min, &real);
    let mut best = first;
    for _ in 0..std::env::var("ROUNDS").map(|s| s.parse().unwrap()).unwrap_or(1) {
        let (scale, min) = refit_units::<TOP, W>(x, w, &best.0);
        let mut r2 = real;
        for k in 0..SUBS { r2[k] = Affine { scale: best.0.scale * (best.0.scales[k]+0.4), min: -best.0.min * (best.0.mins[k]+0.4) }; }
        let next = fit_subs::<TOP, S, W>(simd, x, w, round_to_f16(scale), round_to_f16(min), &r2);
        if next.1 < best.1 { best = next; }
    }
    best.0
}

/// The integer scales and minimums that lose least under given units, and the error.
#[inline(always)]
fn fit_subs<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    scale: f32,
    min: f32,
    real: &[Affine; SUBS],
) -> (SuperAffine, f32) {
    let mut fit = SuperAffine { scale, min, scales: [0.0; SUBS], mins: [0.0; SUBS] };
    let mut error = 0.0;
    for k in 0..SUBS {
        let scale_centre = (real[k].scale * inverse(scale)).floor();
        let min_centre = (-real[k].min * inverse(min)).floor();
        let (mut scales, mut mins) = ([0.0; LANES], [0.0; LANES]);
        for l in 0..LANES {
            scales[l] = clamp(scale_centre + (l % 4) as f32 - 1.0, 0.0, LIMIT);
            mins[l] = clamp(min_centre + (l / 4) as f32 - 1.0, 0.0, LIMIT);
        }
        let (sub, w) = (&x[k * SUB_LEN..][..SUB_LEN], w.skip(k * SUB_LEN));
        let (real_scales, real_mins) = (scales.map(|s| scale * s), mins.map(|m| -(min * m)));
        let errors = errors::<TOP, S, W>(simd, sub, w, &real_scales, &real_mins);
        let best = errors.lane_of_least();
        fit.scales[k] = scales[best];
        fit.mins[k] = mins[best];
        error += errors.to_array()[best];
    }
    (fit, error)
}

/// The least-squares units for the codes that `fit` gives.
#[inline(always)]
fn refit_units<const TOP: i32, W: Weights>(x: &[f32], w: W, fit: &SuperAffine) -> (f32, f32) {
    // Normal equations of x ~ scale * a - min * b, with a = scales[k] * code and b = mins[k].
    let (mut aa, mut xa) = ([0.0; 8], [0.0; 8]);
    let (mut ab, mut bb, mut xb) = (0.0, 0.0, 0.0);
    for k in 0..SUBS {
        let (scale, b) = (fit.scales[k], fit.mins[k]);
        let (inverse, min) = (inverse(fit.scale * scale), fit.min * b);
        let (mut wa, mut wx, mut sum_w) = ([0.0; 8], [0.0; 8], [0.0; 8]);
        for (i, &x) in x[k * SUB_LEN..][..SUB_LEN].iter().enumerate() {
            let w = w.at(k * SUB_LEN + i);
            let a = scale * Unsigned::<TOP>::level(x + min, inverse);
            aa[i % 8] += w * a * a;
            xa[i % 8] += w * a * x;
            wa[i % 8] += w * a;
            wx[i % 8] += w * x;
            sum_w[i % 8] += w;
        }
        ab += b * wa.iter().sum::<f32>();
        xb += b * wx.iter().sum::<f32>();
        bb += b * b * sum_w.iter().sum::<f32>();
    }
    let (aa, xa): (f32, f32) = (aa.iter().sum(), xa.iter().sum());
    let determinant = aa * bb - ab * ab;
    if determinant <= 0.0 {
        return (xa * inverse(aa), fit.min);
    }
    ((xa * bb - xb * ab) / determinant, (xa * ab - xb * aa) / determinant)
}
