//! One scale for many blocks: for a whole row, or for a tile of it.

use pulp::Simd;

use super::grid::Grid;
use super::symmetric::{Refined, errors, land, refined};
use super::{F16_MIN, LANES, NEGLIGIBLE, Weights, by_lane, peak};

/// The numbers that a scale may be.
pub trait Scales {
    /// How far apart they are, relative to them, at most; below the least normal F16, it is
    /// [`F16_MIN`] if that is more.
    const SPACING: f32;

    /// The nearest of them.
    fn nearest(scale: f32) -> f32;
}

/// The one of `N`'s scales that loses least on `x`, whole [`LANES`] of values. Plain rounding takes
/// part, whichever end of the grid the largest magnitude lands on: nothing is worse than that.
///
/// Of many values the error has few and flat minima: landings show where the lowest one is, and
/// smaller and smaller steps around it find its ground. Far landings pay without importance, too,
/// as of so many values there is nearly always one far from most.
#[inline(always)]
pub fn fit_shared_scale<G: Grid, N: Scales, S: Simd, W: Weights>(simd: S, x: &[f32], w: W) -> f32 {
    /// How far apart scales are tried around the best landing, relative to it.
    const STEP: f32 = 1.0 / 64.0;
    let peak = peak(simd, x);
    if peak.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let near = land::<G, S, W>(simd, x, w, peak, &G::LANDINGS);
    let far = land::<G, S, W>(simd, x, w, peak, &G::FAR_LANDINGS);
    let on_levels = land::<G, S, W>(simd, x, w, peak, &outermost_levels(G::ENDS));
    let landed = lesser(lesser(near, far), on_levels);
    let closer = around(landed.scale, STEP * landed.scale.abs());
    let best = lesser(landed, refined::<G, S, W>(simd, x, w, &closer));
    let (low, high) = G::ENDS;
    let plain = [peak / low, peak / high, -peak / high, -peak / low];
    let mut candidates = around(best.scale, (N::SPACING * best.scale.abs()).max(F16_MIN));
    candidates[LANES - plain.len()..].copy_from_slice(&plain);
    let candidates = by_lane(|l| N::nearest(candidates[l]));
    candidates[errors::<G, S, W>(simd, x, w, &candidates).lane_of_least()]
}

/// The outermost eight levels at either end, where the largest magnitude of values lies that are on
/// a lattice already.
#[inline(always)]
fn outermost_levels((low, high): (f32, f32)) -> [f32; LANES] {
    let inward = |l: usize| (l % (LANES / 2)) as f32;
    by_lane(|l| if l < LANES / 2 { low + inward(l) } else { (high - inward(l)).max(1.0) })
}

#[inline(always)]
fn lesser(one: Refined, other: Refined) -> Refined {
    if other.error < one.error { other } else { one }
}

/// Scales at even steps; `scale` is in the middle of the first twelve.
#[inline(always)]
fn around(scale: f32, step: f32) -> [f32; LANES] {
    by_lane(|l| scale + step * (l as f32 - 6.0))
}
