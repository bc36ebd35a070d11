//! Super-blocks of scaled sub-blocks: Q6_K (16 of 16 values) and IQ4_XS (8 of 32 values).

use pulp::Simd;

use super::grid::{Grid, clamp, round};
use super::symmetric::{errors, fit_real_scale};
use super::{LANES, Weights, inverse, round_to_f16};

/// Sub-block `k` decodes with the scale `scale * subs[k]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuperSymmetric<const SUBS: usize> {
    /// The F16 scale of the super-block.
    pub scale: f32,
    /// The integer scale of each sub-block, from `-limit` to `limit - 1`.
    pub subs: [f32; SUBS],
}

/// The scales that lose least on the super-block `x` of `SUBS` equal sub-blocks.
#[inline(always)]
pub fn fit_super_symmetric<G: Grid, S: Simd, W: Weights, const SUBS: usize>(
    simd: S,
    x: &[f32],
    w: W,
    limit: f32,
) -> SuperSymmetric<SUBS> {
    let len = x.len() / SUBS;
    let mut real = [0.0; SUBS];
    for k in 0..SUBS {
        real[k] = fit_real_scale::<G, S, W>(simd, &x[k * len..][..len], w.skip(k * len));
    }
    // The largest sub-scale takes the longer, negative end of the integers.
    let scale = round_to_f16(largest_magnitude(&real) / -limit);
    let first = fit_subs::<G, S, W, SUBS>(simd, x, w, scale, &real, limit);
    let refitted = round_to_f16(refit_scale::<G, W, SUBS>(x, w, &first.0));
    let second = fit_subs::<G, S, W, SUBS>(simd, x, w, refitted, &real, limit);
    if second.1 < first.1 { second.0 } else { first.0 }
}

/// The integer sub-scales that lose least under a given super-block scale, and the error.
#[inline(always)]
fn fit_subs<G: Grid, S: Simd, W: Weights, const SUBS: usize>(
    simd: S,
    x: &[f32],
    w: W,
    scale: f32,
    real: &[f32; SUBS],
    limit: f32,
) -> (SuperSymmetric<SUBS>, f32) {
    let len = x.len() / SUBS;
    let mut fit = SuperSymmetric { scale, subs: [0.0; SUBS] };
    let mut error = 0.0;
    for k in 0..SUBS {
        let centre = round(clamp(real[k] * inverse(scale), -limit, limit - 1.0));
        let mut subs = [0.0; LANES];
        for (l, sub) in subs.iter_mut().enumerate() {
            *sub = clamp(centre + l as f32 - (LANES / 2) as f32, -limit, limit - 1.0);
        }
        let scales = subs.map(|sub| scale * sub);
        let errors = errors::<G, S, W>(simd, &x[k * len..][..len], w.skip(k * len), &scales);
        let best = errors.lane_of_least();
        fit.subs[k] = subs[best];
        error += errors.to_array()[best];
    }
    (fit, error)
}

/// The least-squares scale of the super-block for the codes that `fit` gives.
#[inline(always)]
fn refit_scale<G: Grid, W: Weights, const SUBS: usize>(
    x: &[f32],
    w: W,
    fit: &SuperSymmetric<SUBS>,
) -> f32 {
    let len = x.len() / SUBS;
    let (mut xq, mut qq) = ([0.0; 8], [0.0; 8]);
    for k in 0..SUBS {
        let (sub, inverse) = (fit.subs[k], inverse(fit.scale * fit.subs[k]));
        for (i, &x) in x[k * len..][..len].iter().enumerate() {
            let q = sub * G::level(x, inverse);
            let wq = w.at(k * len + i) * q;
            xq[i % 8] += wq * x;
            qq[i % 8] += wq * q;
        }
    }
    xq.iter().sum::<f32>() * inverse(qq.iter().sum())
}

/// The number of largest magnitude, with its sign.
#[inline(always)]
fn largest_magnitude(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |largest: f32, &n| if n.abs() > largest.abs() { n } else { largest })
}
