//! The level grids of the block formats, in units of the scale.

use pulp::Simd;

use super::lanes::{LANES, Lanes};

/// A fixed grid of levels: a weight is stored as the code of one of them.
pub trait Grid: Copy {
    /// Where the block's value of largest magnitude may land, in units of the scale: the first
    /// candidates of the search.
    const LANDINGS: [f32; LANES];
    /// Where it lands in plain rounding: at either end.
    const ENDS: (f32, f32);

    /// The level nearest to `x * inverse`, in each lane.
    fn nearest<S: Simd>(simd: S, x: Lanes<S>, inverse: Lanes<S>) -> Lanes<S>;

    /// The level nearest to `x * inverse`.
    fn level(x: f32, inverse: f32) -> f32;

    /// The code of the level nearest to `x * inverse`.
    fn code(x: f32, inverse: f32) -> u8;
}

/// 1.5 * 2^23: a float of this size has a last place worth 1, so adding it rounds to an integer
/// (ties to even), on every CPU in one instruction, and leaves that integer in the lowest bits.
const MAGIC: f32 = 12_582_912.0;

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
    const LANDINGS: [f32; LANES] = landings(LOW as f32, HIGH as f32, spread(HIGH));
    const ENDS: (f32, f32) = (LOW as f32, HIGH as f32);

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
/// around its upper end. From 0.6 of a `step` outside to 1.85 steps inside: a finer grid that clips
/// the largest values against a coarser one that reaches them.
const fn landings(low: f32, high: f32, step: f32) -> [f32; LANES] {
    let mut landings = [0.0; LANES];
    let mut l = 0;
    while l < LANES {
        let outside = step * (0.6 - 0.35 * (l % (LANES / 2)) as f32);
        landings[l] = if l < LANES / 2 { low - outside } else { high + outside };
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

    #[inline(always)]
    fn nearest<S: Simd>(simd: S, x: Lanes<S>, inverse: Lanes<S>) -> Lanes<S> {
        let v = x * inverse;
        let mut level = Lanes::splat(simd, Self::LEVELS[0]);
        for pair in Self::LEVELS.windows(2) {
            level = level + v.step_above(0.5 * (pair[0] + pair[1]), pair[1] - pair[0]);
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
