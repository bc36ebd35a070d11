//! ggml's own search for scales (`make_qx_quants`, `make_qkx2_quants`, `make_qkx3_quants`,
//! `make_qp_quants` and that of IQ4_NL in ggml-quants.c): what it finds is one more candidate of
//! ours, so that no block is worse than ggml's.
//!
//! It goes from one candidate to the next, so here [`LANES`] blocks are searched side by side. Every
//! sum is rounded in the order in which ggml rounds it, without fused operations, so that ties end
//! as they do there.

use pulp::Simd;

use super::affine::Affine;
use super::grid::{Grid, Iq4, MAGIC};
use super::{LANES, Lanes, Weights, by_lane, extremes};

/// Blocks of smaller values count as zeros.
const NEGLIGIBLE: f32 = 1e-15;

/// A number for each value of [`LANES`] blocks: those of the first values, of the second, ...
pub type Columns<const N: usize> = [[f32; LANES]; N];

/// Up to [`LANES`] blocks of `N` values, side by side; those that are not there are zeros.
#[inline(always)]
fn columns<const N: usize>(x: &[f32]) -> Columns<N> {
    let mut columns = [[0.0; LANES]; N];
    for (l, block) in x.as_chunks::<N>().0.iter().enumerate() {
        for (column, &x) in columns.iter_mut().zip(block) {
            column[l] = x;
        }
    }
    columns
}

/// The weights of those values, side by side.
#[inline(always)]
fn columns_of_weights<W: Weights, const N: usize>(w: W, len: usize) -> Columns<N> {
    let mut columns = [[0.0; LANES]; N];
    for l in 0..len / N {
        let w = w.skip(l * N);
        for (i, column) in columns.iter_mut().enumerate() {
            column[l] = w.raw(i);
        }
    }
    columns
}

/// What ggml weights errors with, where it knows the importance of columns: that, times a magnitude
/// in which the mean square of the values around each block counts.
#[inline(always)]
fn by_importance<W: Weights, const N: usize>(
    x: &Columns<N>,
    len: usize,
    w: W,
    mean_squares: &[f32; LANES],
) -> Columns<N> {
    let mut weights = columns_of_weights(w, len);
    for (weights, x) in weights.iter_mut().zip(x) {
        for l in 0..LANES {
            weights[l] *= (mean_squares[l] + x[l] * x[l]).sqrt();
        }
    }
    weights
}

/// What it weights them with otherwise: squares.
#[inline(always)]
fn by_square<const N: usize>(x: &Columns<N>) -> Columns<N> {
    let mut weights = *x;
    weights.iter_mut().flatten().for_each(|x| *x *= *x);
    weights
}

/// The same in formats with a minimum.
#[inline(always)]
fn by_magnitude<const N: usize>(x: &Columns<N>) -> Columns<N> {
    let mut squares = [0.0; LANES];
    for x in x {
        for l in 0..LANES {
            squares[l] += x[l] * x[l];
        }
    }
    let roots = by_lane(|l| (squares[l] / N as f32).sqrt());
    let mut weights = *x;
    for weights in &mut weights {
        for l in 0..LANES {
            weights[l] = roots[l] + weights[l].abs();
        }
    }
    weights
}

/// In the order of the values.
#[inline(always)]
pub fn sum_of_squares(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x * x)
}

/// The first value of largest magnitude.
#[inline(always)]
fn first_peak<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (low, high) = extremes(simd, x);
    if high == -low {
        return x.iter().copied().find(|x| x.abs() == high).unwrap_or(high);
    }
    if high > -low { high } else { low }
}

/// `x * inverse` rounded to an integer from `low` to `high`, by two roundings.
#[inline(always)]
fn nearest_integer<S: Simd>(x: Lanes<S>, inverse: Lanes<S>, (low, high): (f32, f32)) -> Lanes<S> {
    let splat = |value| Lanes::splat(x.simd(), value);
    let magic = splat(MAGIC);
    (x * inverse + magic).max(splat(MAGIC + low)).min(splat(MAGIC + high)) - magic
}

/// The scales that ggml takes for blocks of 32 values on the even levels of `G`, if it knows the
/// importance of columns.
#[inline(always)]
pub fn scales_by_importance<G: Grid, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
) -> [f32; LANES] {
    let columns = columns::<32>(x);
    let weights = by_importance(&columns, x.len(), w, &[w.row_mean_square(); LANES]);
    even_scales::<G, S, 32>(simd, &columns, &weights)
}

/// The scales that ggml takes for the sub-blocks of a super-block `x` of Q6_K.
#[inline(always)]
pub fn scales_of_16<G: Grid, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> [f32; LANES] {
    let columns = columns::<16>(x);
    let weights = if W::EVEN { by_square(&columns) } else { columns_of_weights(w, x.len()) };
    even_scales::<G, S, 16>(simd, &columns, &weights)
}

/// The scales of blocks `x` on the even levels of `G` (`make_qx_quants`).
#[inline(always)]
fn even_scales<G: Grid, S: Simd, const N: usize>(
    simd: S,
    x: &Columns<N>,
    weights: &Columns<N>,
) -> [f32; LANES] {
    let splat = |value| Lanes::splat(simd, value);
    let zero = splat(0.0);
    let (mut peaks, mut magnitudes) = (zero, zero);
    for x in x {
        let x = Lanes::new(simd, x);
        let larger = x.max(zero - x) - magnitudes;
        peaks = x.where_positive(larger, peaks);
        magnitudes = magnitudes.max(x.max(zero - x));
    }
    let (mut scales, mut best) = (zero, zero);
    for (i, tenths) in TENTHS.into_iter().enumerate() {
        let inverses = splat(-(0.1 * tenths - G::ENDS.0)) / peaks;
        let (mut xq, mut qq) = (zero, zero);
        for (x, w) in x.iter().zip(weights) {
            let (x, w) = (Lanes::new(simd, x), Lanes::new(simd, w));
            let q = nearest_integer(x, inverses, G::ENDS);
            xq = xq + w * x * q;
            qq = qq + w * q * q;
        }
        let better = if i == 0 { qq } else { xq * xq - best * qq };
        let better = better.where_positive(qq, zero);
        scales = (xq / qq).where_positive(better, scales);
        best = (scales * xq).where_positive(better, best);
    }
    zero.where_positive(splat(NEGLIGIBLE) - magnitudes, scales).to_array()
}

/// Where the peak lands, in tenths of a step outside of the lower end, in the order of ggml.
const TENTHS: [f32; 19] = [
    0.0, -9.0, -8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0,
    8.0, 9.0,
];

/// The scale that ggml takes for a block of 32 values on the levels of IQ4_NL; here candidates are
/// side by side. `mean_square` is that of the values around, and counts if importance is known.
#[inline(always)]
pub fn uneven_scale<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, mean_square: f32) -> f32 {
    let peak = first_peak(simd, x);
    if peak.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let end = Iq4::ENDS.0;
    let turned = 1.0 / (-peak / end);
    let inverses = by_lane(|l| if l == 0 { turned } else { (l as f32 - 8.0 + end) / peak });
    let inverses = Lanes::new(simd, &inverses);
    let (mut xq, mut qq) = (Lanes::splat(simd, 0.0), Lanes::splat(simd, 0.0));
    for (i, &x) in x.iter().enumerate() {
        let weight = if W::EVEN { x * x } else { w.raw(i) * (mean_square + x * x).sqrt() };
        let x = Lanes::splat(simd, x);
        let q = Iq4::nearest(simd, x, inverses);
        let wq = Lanes::splat(simd, weight) * q;
        xq = xq + wq * x;
        qq = qq + wq * q;
    }
    let (xq, qq) = (xq.to_array(), qq.to_array());
    let (mut scale, mut best) = (0.0, 0.0);
    for l in 0..LANES {
        if qq[l] > 0.0 && (l == 0 || xq[l] * xq[l] > best * qq[l]) {
            scale = xq[l] / qq[l];
            best = scale * xq[l];
        }
    }
    scale
}

/// The grids that ggml tries for a scale and a minimum: how many steps there are from the smallest
/// value to the largest, counted from the highest code, from `first` on by `step`.
#[derive(Clone, Copy)]
pub struct Steps {
    first: f32,
    step: f32,
    count: usize,
}

impl Steps {
    /// Of Q4_K without importance.
    pub const Q4_K: Steps = Steps { first: -1.0, step: 0.1, count: 21 };
    /// Of Q5_K without importance.
    pub const Q5_K: Steps = Steps { first: -0.5, step: 0.1, count: 16 };
    /// Of all formats with importance.
    pub const IMPORTANCE: Steps = Steps { first: -0.9, step: 0.05, count: 37 };
}

/// The scales and the minimums that ggml takes for blocks of 32 values (`make_qkx2_quants`,
/// `make_qkx3_quants`), and the sums of what it weights their errors with.
#[inline(always)]
pub fn affines<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    steps: Steps,
    mean_squares: &[f32; LANES],
) -> ([Affine; LANES], [f32; LANES]) {
    let columns = columns::<32>(x);
    let weights = if W::EVEN {
        by_magnitude(&columns)
    } else {
        by_importance(&columns, x.len(), w, mean_squares)
    };
    let blocks = Blocks { simd, x: &columns, weights: &weights };
    let (scales, mins, sums) = blocks.fit::<TOP>(steps);
    (std::array::from_fn(|l| Affine { scale: scales[l], min: mins[l] }), sums)
}

/// Blocks of 32 values, and the weights of their errors.
struct Blocks<'a, S> {
    simd: S,
    x: &'a Columns<32>,
    weights: &'a Columns<32>,
}

impl<S: Simd> Blocks<'_, S> {
    #[inline(always)]
    fn splat(&self, value: f32) -> Lanes<S> {
        Lanes::splat(self.simd, value)
    }

    /// The values and their weights.
    #[inline(always)]
    fn values(&self) -> impl Iterator<Item = (Lanes<S>, Lanes<S>)> {
        let pairs = self.x.iter().zip(self.weights);
        pairs.map(|(x, w)| (Lanes::new(self.simd, x), Lanes::new(self.simd, w)))
    }

    /// Scales, minimums, and the sums of the weights.
    #[inline(always)]
    fn fit<const TOP: i32>(&self, steps: Steps) -> ([f32; LANES], [f32; LANES], [f32; LANES]) {
        let top = self.splat(TOP as f32);
        let zero = self.splat(0.0);
        let (mut low, mut high) = (zero, self.splat(f32::MIN));
        let (mut sum_w, mut sum_x) = (zero, zero);
        for (x, w) in self.values() {
            low = low.min(x);
            high = high.max(x);
            sum_w = sum_w + w;
            sum_x = sum_x + w * x;
        }
        let inverse = top / (high - low);
        let (mut scale, mut min) = (self.splat(1.0) / inverse, low);
        let mut least = self.errors(&self.codes::<TOP>(inverse, min), scale, min);
        for i in 0..steps.count {
            let steps = steps.first + steps.step * i as f32 + TOP as f32;
            let codes = self.codes::<TOP>(self.splat(steps) / (high - min), min);
            let (sound, new_scale, new_min) = self.solve(&codes, sum_w, sum_x);
            let error = self.errors(&codes, new_scale, new_min);
            let better = (least - error).where_positive(sound, zero);
            least = error.where_positive(better, least);
            scale = new_scale.where_positive(better, scale);
            min = new_min.where_positive(better, min);
        }
        let range = high - low;
        let (scale, min) = (scale.where_positive(range, zero), min.where_positive(range, low));
        (scale.to_array(), min.to_array(), sum_w.to_array())
    }

    /// The codes on a grid from `min` on.
    #[inline(always)]
    fn codes<const TOP: i32>(&self, inverse: Lanes<S>, min: Lanes<S>) -> Columns<32> {
        let mut codes = [[0.0; LANES]; 32];
        for (codes, x) in codes.iter_mut().zip(self.x) {
            let above = Lanes::new(self.simd, x) - min;
            *codes = nearest_integer(above, inverse, (0.0, TOP as f32)).to_array();
        }
        codes
    }

    /// The scale and the minimum that leave least with these codes; and a number that is positive
    /// if there are such.
    #[inline(always)]
    fn solve(
        &self,
        codes: &Columns<32>,
        sum_w: Lanes<S>,
        sum_x: Lanes<S>,
    ) -> (Lanes<S>, Lanes<S>, Lanes<S>) {
        let zero = self.splat(0.0);
        let (mut q1, mut qq, mut xq) = (zero, zero, zero);
        for ((x, w), q) in self.values().zip(codes) {
            let q = Lanes::new(self.simd, q);
            let wq = w * q;
            q1 = q1 + wq;
            qq = qq + wq * q;
            xq = xq + wq * x;
        }
        let determinant = sum_w * qq - q1 * q1;
        let scale = (sum_w * xq - sum_x * q1) / determinant;
        let min = (qq * sum_x - q1 * xq) / determinant;
        let scale = (xq / qq).where_positive(min, scale);
        (determinant, scale, zero.where_positive(min, min))
    }

    /// What a scale and a minimum leave with these codes.
    #[inline(always)]
    fn errors(&self, codes: &Columns<32>, scale: Lanes<S>, min: Lanes<S>) -> Lanes<S> {
        let mut errors = self.splat(0.0);
        for ((x, w), q) in self.values().zip(codes) {
            let e = scale * Lanes::new(self.simd, q) + min - x;
            errors = errors + w * (e * e);
        }
        errors
    }
}

/// The unit and the integers that ggml stores the eight scales or depths `x` of a super-block with,
/// weighted by `w` (`make_qp_quants`).
#[inline(always)]
pub fn integers(x: &[f32; 8], w: &[f32; 8]) -> (f32, [f32; 8]) {
    const TOP: f32 = 63.0;
    let nearest = |x: f32| (x + MAGIC) - MAGIC;
    let largest = x.iter().fold(0.0, |largest: f32, &x| largest.max(x));
    if largest < NEGLIGIBLE {
        return (0.0, [0.0; 8]);
    }
    let error = |inverse: f32| {
        let scale = 1.0 / inverse;
        let square = |(&x, &w): (&f32, &f32)| {
            let e = x - scale * nearest(inverse * x).min(TOP);
            w * e * e
        };
        x.iter().zip(w).fold(0.0, |error, value| error + square(value))
    };
    let mut inverse = TOP / largest;
    let mut least = error(inverse);
    for tenths in [-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0] {
        let other = (0.1 * tenths + TOP) / largest;
        let error = error(other);
        if error < least {
            (least, inverse) = (error, other);
        }
    }
    let mut codes = x.map(|x| nearest(inverse * x).min(TOP));
    let (mut xq, mut qq) = (0.0, 0.0);
    for i in 0..8 {
        xq += w[i] * x[i] * codes[i];
        qq += w[i] * codes[i] * codes[i];
    }
    for _ in 0..5 {
        if !improve(x, w, &mut codes, &mut xq, &mut qq) {
            break;
        }
    }
    (if qq > 0.0 { xq / qq } else { 0.0 }, codes)
}

/// One round of moving each code to where the others' scale would have it; whether any moved.
#[inline(always)]
fn improve(x: &[f32; 8], w: &[f32; 8], codes: &mut [f32; 8], xq: &mut f32, qq: &mut f32) -> bool {
    let mut moved = false;
    for i in 0..8 {
        let mut other_xq = *xq - w[i] * x[i] * codes[i];
        let mut other_qq = *qq - w[i] * codes[i] * codes[i];
        if other_xq <= 0.0 || other_qq <= 0.0 {
            continue;
        }
        let code = ((x[i] * other_qq / other_xq + MAGIC) - MAGIC).min(63.0);
        if code == codes[i] {
            continue;
        }
        other_xq += w[i] * x[i] * code;
        other_qq += w[i] * code * code;
        if other_xq * other_xq * *qq > *xq * *xq * other_qq {
            (codes[i], *xq, *qq) = (code, other_xq, other_qq);
            moved = true;
        }
    }
    moved
}
