//! The level grids of the block formats, in units of the scale.

use pulp::Simd;

use super::lanes::{LANES, Lanes};

/// A fixed grid of levels: a weight is stored as the code of one of them.
pub trait Grid: Copy {
    /// Where the block's value of largest magnitude may land, in units of the scale: the first
    /// candidates of the search.
    const LANDINGS: [f32; LANES];
    /// Where it may land far outside, when errors do not all count the same: then it is worth a try
    /// to clip the largest values, which may stand where little counts.
    const FAR_LANDINGS: [f32; LANES] = far_landings(Self::ENDS);
    /// Where it lands in plain rounding: at either end.
    const ENDS: (f32, f32);

    /// Whether the levels are so many that rounding the scale to F16 moves codes: then the F16
    /// values around the best scale are worth a search of their own.
    const FINE: bool;

    /// The level nearest to `x * inverse`, in each lane.
    fn nearest<S: Simd>(simd: S, x: Lanes<S>, inverse: Lanes<S>) -> Lanes<S>;

    /// The level nearest to `x * inverse`.
    fn level(x: f32, inverse: f32) -> f32;

    /// The code of the level nearest to `x * inverse`.
    fn code(x: f32, inverse: f32) -> u8;
}

/// 1.5 * 2^23: a float of this size has a last place worth 1, so adding it rounds to an integer
/// (ties to even), on every CPU in one instruction, and leaves that integer in the lowest bits.
pub(super) const MAGIC: f32 = 12_582_912.0;

/// `x * inverse` rounded to an integer from `LOW` to `HIGH`, in each lane.
#[inline(always)]
fn nearest_integer<S: Simd, const LOW: i32, const HIGH: i32>(
    simd: S,
    x: Lanes<S>,
    inverse: Lanes<S>,
) -> Lanes<S> {
    let low = Lanes::splat(simd, MAGIC + LOW as f32);
    let high = Lanes::splat(simd, MAGIC + HIGH as f32);
    let magic = Lanes::splat(simd, MAGIC);
    x.mul_add(inverse, magic).max(low).min(high) - magic
}

/// [`MAGIC`] plus the integer from `LOW` to `HIGH` nearest to `x * inverse`.
#[inline(always)]
fn magic_integer<const LOW: i32, const HIGH: i32>(x: f32, inverse: f32) -> f32 {
    clamp(x.mul_add(inverse, MAGIC), MAGIC + LOW as f32, MAGIC + HIGH as f32)
}

/// The integer from `LOW` to `HIGH` nearest to `x * inverse`.
#[inline(always)]
fn integer<const LOW: i32, const HIGH: i32>(x: f32, inverse: f32) -> i32 {
    magic_integer::<LOW, HIGH>(x, inverse).to_bits() as i32 - MAGIC.to_bits() as i32
}

/// `v` kept within bounds; two instructions, as no value is NaN.
#[inline(always)]
pub(super) fn clamp(v: f32, low: f32, high: f32) -> f32 {
    let v = if v > low { v } else { low };
    if v < high { v } else { high }
}

/// Rounds `v`, of magnitude below 2^22, to the nearest integer, ties to even.
#[inline(always)]
pub(super) fn round(v: f32) -> f32 {
    (v + MAGIC) - MAGIC
}

/// Integers from `LOW` to `HIGH`, stored as codes from 0 on: -8 to 7 for Q4_0, -16 to 15 for Q5_0,
/// -32 to 31 for Q6_K, -128 to 127 for Q8_0.
#[derive(Clone, Copy)]
pub struct Signed<const LOW: i32, const HIGH: i32>;

impl<const LOW: i32, const HIGH: i32> Grid for Signed<LOW, HIGH> {
    const LANDINGS: [f32; LANES] = {
        let landings = landings(LOW as f32, HIGH as f32, spread(HIGH));
        if Self::FINE { landings } else { on_lattices(LOW as f32, landings) }
    };
    const ENDS: (f32, f32) = (LOW as f32, HIGH as f32);
    const FINE: bool = HIGH > 64;

    #[inline(always)]
    fn nearest<S: Simd>(simd: S, x: Lanes<S>, inverse: Lanes<S>) -> Lanes<S> {
        nearest_integer::<S, LOW, HIGH>(simd, x, inverse)
    }

    #[inline(always)]
    fn level(x: f32, inverse: f32) -> f32 {
        magic_integer::<LOW, HIGH>(x, inverse) - MAGIC
    }

    #[inline(always)]
    fn code(x: f32, inverse: f32) -> u8 {
        (integer::<LOW, HIGH>(x, inverse) - LOW) as u8
    }
}

/// The `step` of the landings on a grid up to `high`. A fine grid loses little from one step more or
/// less at its ends, and gains from candidates further apart, whose errors differ more.
const fn spread(high: i32) -> f32 {
    let share = (high + 1) as f32 / 16.0;
    if share > 1.0 { share } else { 1.0 }
}

/// Landings on a grid from `low` to `high`: around its lower end and, with the scale's sign turned,
/// around its upper end. From 0.7 of a `step` outside to 1.75 steps inside: a finer grid that clips
/// the largest values against a coarser one that reaches them.
const fn landings(low: f32, high: f32, step: f32) -> [f32; LANES] {
    let mut landings = [0.0; LANES];
    let mut l = 0;
    while l < LANES {
        let outside = step * 0.35 * (2.0 - (l % (LANES / 2)) as f32);
        landings[l] = if l < LANES / 2 { low - outside } else { high + outside };
        l += 1;
    }
    landings
}

/// The outermost and the innermost landing replaced. One is opposite to the lower end: there the peak
/// lands where another value of its magnitude, of the other sign, lands on that end. One is half-way
/// to the lower end: values on a lattice of so many levels either way lie on no finer grid that
/// reaches them all, and those of fewer levels do on one that the other landings find.
const fn on_lattices(low: f32, mut landings: [f32; LANES]) -> [f32; LANES] {
    landings[LANES / 2] = -low;
    landings[LANES / 2 - 1] = low / 2.0;
    landings
}

/// Landings up to three times as far out as the ends of the grid.
const fn far_landings(ends: (f32, f32)) -> [f32; LANES] {
    const FACTORS: [f32; LANES / 2] = [1.12, 1.25, 1.4, 1.6, 1.85, 2.15, 2.5, 3.0];
    let mut landings = [0.0; LANES];
    let mut l = 0;
    while l < LANES {
        let end = if l < LANES / 2 { ends.0 } else { ends.1 };
        landings[l] = end * FACTORS[l % (LANES / 2)];
        l += 1;
    }
    landings
}

/// Integers from 0 to `TOP`, of formats that also store a minimum: 15 for Q4_1 and Q4_K, 31 for
/// Q5_1 and Q5_K.
#[derive(Clone, Copy)]
pub struct Unsigned<const TOP: i32>;

impl<const TOP: i32> Unsigned<TOP> {
    /// The level nearest to `x * inverse`, in each lane.
    #[inline(always)]
    pub fn nearest<S: Simd>(simd: S, x: Lanes<S>, inverse: Lanes<S>) -> Lanes<S> {
        nearest_integer::<S, 0, TOP>(simd, x, inverse)
    }

    /// The level nearest to `x * inverse`.
    #[inline(always)]
    pub fn level(x: f32, inverse: f32) -> f32 {
        magic_integer::<0, TOP>(x, inverse) - MAGIC
    }

    /// The code of that level, which is the level itself.
    #[inline(always)]
    pub fn code(x: f32, inverse: f32) -> u8 {
        integer::<0, TOP>(x, inverse) as u8
    }
}

/// The 16 uneven levels of IQ4_NL and IQ4_XS, denser around zero.
#[derive(Clone, Copy)]
pub struct Iq4;

impl Iq4 {
    /// The levels in the order of their codes (`kvalues_iq4nl` in ggml-common.h).
    pub const LEVELS: [f32; 16] = [
        -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0,
        69.0, 89.0, 113.0,
    ];
}

impl Grid for Iq4 {
    const LANDINGS: [f32; LANES] = landings(-127.0, 113.0, 20.0);
    const ENDS: (f32, f32) = (-127.0, 113.0);
    const FINE: bool = false;

    #[inline(always)]
    fn nearest<S: Simd>(simd: S, x: Lanes<S>, inverse: Lanes<S>) -> Lanes<S> {
        let v = x * inverse;
        let mut level = Lanes::splat(simd, Self::LEVELS[0]);
        for pair in Self::LEVELS.windows(2) {
            level = level.raised_above(v, 0.5 * (pair[0] + pair[1]), pair[1]);
        }
        level
    }

    #[inline(always)]
    fn level(x: f32, inverse: f32) -> f32 {
        Self::LEVELS[Self::code(x, inverse) as usize]
    }

    #[inline(always)]
    fn code(x: f32, inverse: f32) -> u8 {
        let v = x * inverse;
        let above = |pair: &[f32]| (v > 0.5 * (pair[0] + pair[1])) as u8;
        Self::LEVELS.windows(2).map(above).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::tests::levels;
    use crate::simd::Level;
    use proptest::prelude::*;
    use pulp::WithSimd;

    /// One grid as the tests see it: its levels, and what it makes of a number.
    struct Case {
        levels: Vec<f32>,
        level: fn(f32, f32) -> f32,
        code: fn(f32, f32) -> u8,
        lanes: fn(&[f32; LANES], f32) -> Vec<[f32; LANES]>,
    }

    struct Nearest<'a, G>(&'a [f32; LANES], f32, G);

    impl<G: Grid> WithSimd for Nearest<'_, G> {
        type Output = [f32; LANES];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [f32; LANES] {
            let (x, inverse) = (Lanes::new(simd, self.0), Lanes::splat(simd, self.1));
            G::nearest(simd, x, inverse).to_array()
        }
    }

    struct NearestStep<'a, const TOP: i32>(&'a [f32; LANES], f32);

    impl<const TOP: i32> WithSimd for NearestStep<'_, TOP> {
        type Output = [f32; LANES];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [f32; LANES] {
            let (x, inverse) = (Lanes::new(simd, self.0), Lanes::splat(simd, self.1));
            Unsigned::<TOP>::nearest(simd, x, inverse).to_array()
        }
    }

    fn signed<const LOW: i32, const HIGH: i32>() -> Case {
        let run = |x: &[f32; LANES], inverse| {
            let at = |level: Level| level.run(Nearest(x, inverse, Signed::<LOW, HIGH>));
            levels().into_iter().map(at).collect()
        };
        Case {
            levels: (LOW..=HIGH).map(|level| level as f32).collect(),
            level: Signed::<LOW, HIGH>::level,
            code: Signed::<LOW, HIGH>::code,
            lanes: run,
        }
    }

    fn unsigned<const TOP: i32>() -> Case {
        let run = |x: &[f32; LANES], inverse| {
            let at = |level: Level| level.run(NearestStep::<TOP>(x, inverse));
            levels().into_iter().map(at).collect()
        };
        Case {
            levels: (0..=TOP).map(|level| level as f32).collect(),
            level: Unsigned::<TOP>::level,
            code: Unsigned::<TOP>::code,
            lanes: run,
        }
    }

    fn uneven() -> Case {
        let run = |x: &[f32; LANES], inverse| {
            let at = |level: Level| level.run(Nearest(x, inverse, Iq4));
            levels().into_iter().map(at).collect()
        };
        Case { levels: Iq4::LEVELS.into(), level: Iq4::level, code: Iq4::code, lanes: run }
    }

    fn grids() -> [Case; 7] {
        [
            signed::<-8, 7>(),
            signed::<-16, 15>(),
            signed::<-32, 31>(),
            signed::<-128, 127>(),
            unsigned::<15>(),
            unsigned::<31>(),
            uneven(),
        ]
    }

    /// Lanes, level and code agree, and no level is nearer.
    fn check(grid: &Case, x: &[f32; LANES], inverse: f32) {
        for (l, &x) in x.iter().enumerate() {
            let level = (grid.level)(x, inverse);
            assert_eq!(grid.levels[(grid.code)(x, inverse) as usize], level, "{x} * {inverse}");
            let exact = f64::from(x) * f64::from(inverse);
            let distance = |level: f32| (exact - f64::from(level)).abs();
            let least = grid.levels.iter().map(|&level| distance(level)).fold(f64::MAX, f64::min);
            // Next to a tie, rounding the product decides.
            let slack = 1e-6 * exact.abs();
            assert!(distance(level) <= least + slack, "{x} * {inverse} became {level}");
            for lanes in (grid.lanes)(&[x; LANES], inverse) {
                assert_eq!(lanes, [level; LANES], "lane {l}: {x} * {inverse}");
            }
        }
    }

    #[test]
    fn edges_go_to_the_nearest_level() {
        let halves: [f32; LANES] = std::array::from_fn(|l| l as f32 * 0.5 - 3.5);
        let far = [1e9, -1e9, 65504.0, -65504.0, 300.0, -300.0, 127.5, -128.5];
        let far: [f32; LANES] = std::array::from_fn(|l| far[l % 8]);
        let small = [0.0, -0.0, 1e-45, -1e-45, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-8, -1e-8];
        let small: [f32; LANES] = std::array::from_fn(|l| small[l % 8]);
        for grid in grids() {
            for inverse in [1.0, -1.0, 0.0, 0.25, 16.0, -16.0] {
                for x in [halves, far, small] {
                    check(&grid, &x, inverse);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_number_goes_to_the_nearest_level(
            x in prop::array::uniform16(-200f32..200.0),
            inverse in prop_oneof![-2f32..2.0, -1e-3f32..1e-3, -1e6f32..1e6],
        ) {
            for grid in grids() {
                check(&grid, &x, inverse);
            }
        }

        #[test]
        fn rounding_is_to_the_nearest_integer(v in -4e6f32..4e6) {
            prop_assert_eq!(round(v), v.round_ties_even());
        }
    }

    #[test]
    fn landings_reach_both_ends_exactly() {
        fn check<G: Grid>() {
            let (low, high) = G::ENDS;
            assert!(G::LANDINGS.contains(&low) && G::LANDINGS.contains(&high));
        }
        // Where plain rounding is one of the candidates, and not tried apart from them.
        check::<Signed<-8, 7>>();
        check::<Signed<-16, 15>>();
        check::<Iq4>();
    }
}
