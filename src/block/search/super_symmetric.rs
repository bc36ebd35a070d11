//! Super-blocks of scaled sub-blocks: Q6_K (16 of 16 values) and IQ4_XS (8 of 32 values).

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::grid::{Grid, clamp, round};
use super::symmetric::{error, errors, fit_real_scale};
use super::{LANES, SMALL_UNIT, Weights, inverse, peak, round_to_f16, small_unit};

/// Sub-block `k` decodes with the scale `scale * subs[k]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuperSymmetric<const SUBS: usize> {
    /// The F16 scale of the super-block.
    pub scale: f32,
    /// The integer scale of each sub-block, from `-limit` to `limit - 1`.
    pub subs: [f32; SUBS],
}

/// How many super-block scales are tried side by side, and integers around each real sub-scale.
const UNITS: usize = 2;
const INTEGERS: usize = LANES / UNITS;

/// The scales that lose least on the super-block `x` of `SUBS` equal sub-blocks. Those that ggml's
/// search found, `theirs`, take part, stored as ggml stores them.
#[inline(always)]
pub fn fit_super_symmetric<G: Grid, S: Simd, W: Weights, const SUBS: usize>(
    simd: S,
    x: &[f32],
    w: W,
    limit: f32,
    theirs: Option<&[f32; SUBS]>,
) -> SuperSymmetric<SUBS> {
    let len = x.len() / SUBS;
    let (mut real, mut plain) = ([0.0; SUBS], [0.0; SUBS]);
    for k in 0..SUBS {
        let sub = &x[k * len..][..len];
        real[k] = fit_real_scale::<G, S, W>(simd, sub, w.skip(k * len));
        plain[k] = peak(simd, sub) / G::ENDS.0;
    }
    // The largest sub-scale takes the longer, negative end of the integers. Plain rounding takes
    // part, so that no super-block is worse than it.
    let units = [&real, &plain].map(|real| largest_magnitude(real) / -limit);
    let first = fit_subs::<G, S, W, SUBS>(simd, x, w, units, [&real, &plain], limit);
    // What the integers can reach differs between nearby units as good as at random, so a second
    // one is worth a try: the one that puts the largest integer one lower.
    let refitted = refit_scale::<G, W, SUBS>(x, w, &first.0);
    let units = [refitted, refitted * (1.0 + 1.0 / limit)];
    let second = fit_subs::<G, S, W, SUBS>(simd, x, w, units, [&real, &real], limit);
    let mut best = if second.1 < first.1 { second } else { first };
    let unit = largest_magnitude(&real) / -limit;
    if unit.abs() < SMALL_UNIT {
        let small =
            simd.vectorize(FitSmall::<G, W, SUBS> { x, w, unit, real, limit, grid: PhantomData });
        best = if small.1 < best.1 { small } else { best };
    }
    let Some(theirs) = theirs else { return best.0 };
    let theirs = stored::<G, S, W, SUBS>(simd, x, w, theirs, limit);
    let best = with_error::<G, S, W, SUBS>(simd, x, w, best.0);
    if theirs.1 < best.1 { theirs.0 } else { best.0 }
}

/// The fit of a unit that is [small](SMALL_UNIT), and the error, never more than that of zeros. It is
/// rare, so a function of its own.
struct FitSmall<'a, G, W, const SUBS: usize> {
    x: &'a [f32],
    w: W,
    unit: f32,
    real: [f32; SUBS],
    limit: f32,
    grid: PhantomData<G>,
}

impl<G: Grid, W: Weights, const SUBS: usize> WithSimd for FitSmall<'_, G, W, SUBS> {
    type Output = (SuperSymmetric<SUBS>, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let FitSmall { x, w, unit, real, limit, .. } = self;
        let units = [small_unit(unit), 2.0 * small_unit(unit)];
        let small = fit_subs::<G, S, W, SUBS>(simd, x, w, units, [&real, &real], limit);
        let zeros = SuperSymmetric { scale: 0.0, subs: [0.0; SUBS] };
        let zeros = with_error::<G, S, W, SUBS>(simd, x, w, zeros);
        if zeros.1 < small.1 { zeros } else { small }
    }
}

/// How ggml stores the sub-scales `real` that it found, and the error.
#[inline(always)]
fn stored<G: Grid, S: Simd, W: Weights, const SUBS: usize>(
    simd: S,
    x: &[f32],
    w: W,
    real: &[f32; SUBS],
    limit: f32,
) -> (SuperSymmetric<SUBS>, f32) {
    let largest = largest_magnitude(real);
    let inverse = -limit * inverse(largest);
    let subs = real.map(|real| round(clamp(real * inverse, -limit, limit - 1.0)));
    let fit = SuperSymmetric { scale: round_to_f16(largest / -limit), subs };
    with_error::<G, S, W, SUBS>(simd, x, w, fit)
}

/// `fit` and what it leaves of `x`.
#[inline(always)]
fn with_error<G: Grid, S: Simd, W: Weights, const SUBS: usize>(
    simd: S,
    x: &[f32],
    w: W,
    fit: SuperSymmetric<SUBS>,
) -> (SuperSymmetric<SUBS>, f32) {
    let len = x.len() / SUBS;
    let mut total = 0.0;
    for (k, sub) in fit.subs.iter().enumerate() {
        let start = k * len;
        total += error::<G, S, W>(simd, &x[start..][..len], w.skip(start), fit.scale * sub);
    }
    (fit, total)
}

/// The integer sub-scales that lose least under the better of two super-block scales, and the
/// error. The integers lie around the given real sub-scales.
#[inline(always)]
fn fit_subs<G: Grid, S: Simd, W: Weights, const SUBS: usize>(
    simd: S,
    x: &[f32],
    w: W,
    units: [f32; UNITS],
    real: [&[f32; SUBS]; UNITS],
    limit: f32,
) -> (SuperSymmetric<SUBS>, f32) {
    let len = x.len() / SUBS;
    let scales = units.map(round_to_f16);
    let inverses = scales.map(inverse);
    let mut fits = scales.map(|scale| SuperSymmetric { scale, subs: [0.0; SUBS] });
    let mut totals = [0.0; UNITS];
    for k in 0..SUBS {
        let mut centres = [0.0; UNITS];
        for u in 0..UNITS {
            centres[u] = round(clamp(real[u][k] * inverses[u], -limit, limit - 1.0));
        }
        let (mut subs, mut lanes) = ([0.0; LANES], [0.0; LANES]);
        for l in 0..LANES {
            let sub = centres[l / INTEGERS] + (l % INTEGERS) as f32 - (INTEGERS / 2) as f32;
            subs[l] = clamp(sub, -limit, limit - 1.0);
            lanes[l] = scales[l / INTEGERS] * subs[l];
        }
        let errors = errors::<G, S, W>(simd, &x[k * len..][..len], w.skip(k * len), &lanes);
        let best = errors.lanes_of_least();
        let errors = errors.to_array();
        for u in 0..UNITS {
            fits[u].subs[k] = subs[best[u]];
            totals[u] += errors[best[u]];
        }
    }
    if totals[1] < totals[0] { (fits[1], totals[1]) } else { (fits[0], totals[0]) }
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
