//! MXFP4: blocks of 32 E2M1 values that share a power of two.

use pulp::Simd;

use super::format::{Block, EncodeBlock, EncodeOnLattice, Rounding};
use super::grid::{Levels, SubGrid};
use super::lattice::exact;
use super::packing::{pack_nibbles, unpack_nibbles};
use super::search::Weights;
use crate::gguf::Format;

/// `2^(e - 128) * level[q]`: an E8M0 exponent byte, 32 nibbles. The levels are the doubled E2M1
/// values, hence 128 instead of the bias 127.
pub struct MXFP4;

const LEN: usize = 32;

const LEVELS: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];
/// The largest of them.
const TOP: f32 = 12.0;

/// The levels in ascending order, each in the place of the code that is told and set for it: the
/// zero that is always written comes before the other one.
const ASCENDING: [f32; 16] = {
    let mut ascending = [0.0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        ascending[place(nibble) as usize] = LEVELS[nibble as usize];
        nibble += 1;
    }
    ascending
};

/// Where a nibble's level stands in ascending order.
const fn place(nibble: u8) -> u8 {
    match nibble {
        0 => 7,
        8 => 8,
        1..8 => 8 + nibble,
        _ => 15 - nibble,
    }
}

/// The inverse of [`place`].
fn nibble(place: u8) -> u8 {
    match place {
        7 => 0,
        8 => 8,
        0..7 => 15 - place,
        _ => place - 8,
    }
}

/// The largest level times a scale that is an F32: 1.5 * 2^127.
const LARGEST: f32 = f32::from_bits(0x7f40_0000);

/// `2^(exponent - 128)`; the two lowest exponents are subnormal.
#[inline(always)]
fn half_power(exponent: u8) -> f32 {
    match exponent {
        0 | 1 => f32::from_bits(0x0020_0000 << exponent),
        _ => f32::from_bits((exponent as u32 - 1) << 23),
    }
}

/// The exponent byte of a power of two, if there is one.
fn exponent(half_power: f32) -> Option<u8> {
    match half_power.to_bits() {
        0x0020_0000 => Some(0),
        0x0040_0000 => Some(1),
        bits if bits & 0x007f_ffff == 0 => u8::try_from((bits >> 23) + 1).ok().filter(|&e| e > 1),
        _ => None,
    }
}

/// The exponent byte of the power of two nearest to `scale`: 0 if that is not positive, and never
/// 255, which other programs take for NaN.
fn nearest_exponent(scale: f32) -> u8 {
    const LARGEST: u32 = 254;
    if scale >= f32::MIN_POSITIVE {
        // Half of a significand of 1 carries into the exponent.
        (((scale.to_bits() + (1 << 22)) >> 23) + 1).min(LARGEST) as u8
    } else {
        let powers = [half_power(0), half_power(1), half_power(2)];
        powers.windows(2).filter(|pair| scale >= 0.5 * (pair[0] + pair[1])).count() as u8
    }
}

/// The level nearest to `v`, of two the one that rounding to even finds.
#[inline(always)]
fn nearest_level(v: f32) -> f32 {
    /// 1.5 * 2^23: adding it leaves an integer, and twice it an even one.
    const MAGIC: f32 = 12_582_912.0;
    let size = if v.abs() < TOP { v.abs() } else { TOP };
    // Levels are one apart up to 4, two up to 8, and then four.
    let magic = if size < 4.0 { MAGIC } else { 2.0 * MAGIC };
    let magic = if size < 8.0 { magic } else { 4.0 * MAGIC };
    ((size + magic) - magic).copysign(v)
}

/// The nibble of the level nearest to `v`. Zero has no sign.
#[inline(always)]
fn nearest_nibble(v: f32) -> u8 {
    let level = nearest_level(v);
    let size: u8 = LEVELS[1..8].iter().map(|&other| (level.abs() >= other) as u8).sum();
    if level < 0.0 { size + 8 } else { size }
}

/// A block, divided by the power of two that leaves its largest magnitude from 1 to 2; or if that is
/// subnormal, below.
struct Normalized {
    x: [f32; LEN],
    w: [f32; LEN],
    /// The exponent byte of that power as F32 has it, at least 1.
    exponent: u8,
}

/// What is lost at an exponent.
struct Loss {
    error: f32,
    /// What all lower exponents lose at least: what lies beyond the largest level.
    beyond: f32,
}

impl Normalized {
    #[inline(always)]
    fn new<W: Weights>(x: &[f32], w: W) -> Normalized {
        let peak = x.iter().fold(0.0, |peak: f32, x| if x.abs() > peak { x.abs() } else { peak });
        let exponent = ((peak.to_bits() >> 23) as u8).max(1);
        let factor = half_power(255 - exponent);
        let mut block = Normalized { x: [0.0; LEN], w: [0.0; LEN], exponent };
        for (i, (to, x)) in block.x.iter_mut().zip(x).enumerate() {
            *to = x * factor;
            block.w[i] = w.at(i);
        }
        block
    }

    /// The scale of an exponent, divided as the values are.
    #[inline(always)]
    fn scale(&self, exponent: u8) -> f32 {
        half_power((u32::from(exponent) + 127).saturating_sub(self.exponent.into()) as u8)
    }

    /// In fixed lanes, so that it vectorises to the same bits anywhere.
    #[inline(always)]
    fn loss(&self, exponent: u8) -> Loss {
        const LANES: usize = 16;
        let scale = self.scale(exponent);
        let inverse = 1.0 / scale;
        let (mut error, mut beyond) = ([0.0; LANES], [0.0; LANES]);
        for start in (0..LEN).step_by(LANES) {
            for l in 0..LANES {
                let (x, w) = (self.x[start + l], self.w[start + l]);
                let off = x - nearest_level(x * inverse) * scale;
                error[l] += w * off * off;
                let past = x.abs() - TOP * scale;
                let past = if past > 0.0 { past } else { 0.0 };
                beyond[l] += w * past * past;
            }
        }
        Loss { error: error.iter().sum(), beyond: beyond.iter().sum() }
    }

    /// The exponent that loses least: none of the others, of which there are enough, would lose
    /// less. It differs from that of ggml, which goes by the largest magnitude alone, only if the
    /// loss does by more than rounding the sums can tell.
    #[inline(always)]
    fn best_exponent(&self) -> u8 {
        const SURELY: f32 = 1.0 - 1e-5;
        let of_ggml = self.exponent.saturating_sub(2);
        let (mut best, mut least) = (of_ggml, self.loss(of_ggml).error);
        // On the next coarser grid the largest magnitude is within its levels, so that no other one
        // holds any value better.
        let coarser = self.exponent - 1;
        let error = self.loss(coarser).error;
        if error < SURELY * least {
            (best, least) = (coarser, error);
        }
        for finer in (0..of_ggml).rev() {
            let Loss { error, beyond } = self.loss(finer);
            if error < SURELY * least {
                (best, least) = (finer, error);
            }
            if beyond >= least {
                break;
            }
        }
        best
    }
}

/// Encodes 32 weights into one block, if each is one of its values once `round` was applied.
fn encode_exactly(x: &[f32], block: &mut [u8], round: impl Fn(f32) -> f32) -> bool {
    let peak = x.iter().fold(0.0, |peak: f32, x| peak.max(x.abs()));
    let mut codes = [0; LEN];
    let mut fill = |exponent: u8| {
        let code = |x: f32| {
            let is_it = |level: &f32| round(half_power(exponent) * level) == x;
            LEVELS.iter().position(is_it)
        };
        let found = codes.iter_mut().zip(x).all(|(to, &x)| match code(x) {
            Some(code) => {
                *to = code as u8;
                true
            }
            None => false,
        });
        if found {
            block[0] = exponent;
            pack_nibbles(&codes, &mut block[1..17]);
        }
        found
    };
    if peak == 0.0 {
        return fill(0);
    }
    LEVELS[1..8].iter().rev().filter_map(|level| exponent(peak / level)).any(&mut fill)
}

impl Block for MXFP4 {
    const FORMAT: Format = Format::MXFP4;
    const LEN: usize = LEN;
    const BYTES: usize = 1 + 16;
    const NOMINAL_BITS: u32 = 4;
    const ACTIVATIONS: Rounding = Rounding::Q8_0;
    const REPACKED: bool = true;
    const RANGE: (f32, f32) = (-LARGEST, LARGEST);
    const ON_LATTICE: Option<EncodeOnLattice> =
        Some(|block| exact(encode_exactly(block.x, block.bytes, |x| block.stored.round(x))));

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let d = half_power(block[0]);
        let mut codes = [0; LEN];
        unpack_nibbles(&block[1..17], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * LEVELS[code as usize];
        }
    }
}

impl EncodeBlock for MXFP4 {
    const LEVELS: Levels = Levels::Table(&ASCENDING);

    /// ggml only rounds, and the search begins there.
    type Reference = ();
    const GROUP: usize = 1;
    const ENOUGH: f32 = 0.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(_: S, _: &[f32], _: W, _: &mut [()]) {}

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(_: S, x: &[f32], w: W, _: Option<&()>, block: &mut [u8]) {
        if x.iter().all(|&x| x == 0.0) {
            block.fill(0);
            return;
        }
        let normalized = Normalized::new(x, w);
        block[0] = normalized.best_exponent();
        let inverse = 1.0 / normalized.scale(block[0]);
        let mut codes = [0; LEN];
        for (code, x) in codes.iter_mut().zip(normalized.x) {
            *code = nearest_nibble(x * inverse);
        }
        pack_nibbles(&codes, &mut block[1..17]);
    }

    fn unit(block: &[u8]) -> SubGrid {
        SubGrid { scale: half_power(block[0]), min: 0.0 }
    }

    fn set_unit(block: &mut [u8], unit: SubGrid) {
        block[0] = nearest_exponent(unit.scale);
    }

    fn nearest_grid(_unit: SubGrid, wanted: SubGrid) -> SubGrid {
        SubGrid { scale: half_power(nearest_exponent(wanted.scale)), min: 0.0 }
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        unpack_nibbles(&block[1..17], out);
        out.iter_mut().for_each(|code| *code = place(*code));
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        let mut nibbles = [0; LEN];
        nibbles.iter_mut().zip(codes).for_each(|(to, &code)| *to = nibble(code));
        pack_nibbles(&nibbles, &mut block[1..17]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::search::{Flat, Importance};
    use super::super::tests::{Random, VALUES};
    use super::*;

    /// What a block loses at an exponent, its values each on the nearest level.
    fn loss(x: &[f32], w: &[f32], exponent: u8) -> f64 {
        let scale = 2f64.powi(i32::from(exponent) - 128);
        let off = |x: f32, level: f32| (f64::from(x) - scale * f64::from(level)).abs();
        let least = |x: f32| LEVELS.iter().map(|&level| off(x, level)).fold(f64::MAX, f64::min);
        x.iter().zip(w).map(|(&x, &w)| f64::from(w) * least(x).powi(2)).sum()
    }

    #[test]
    fn no_other_exponent_loses_less() {
        let mut random = Random(1);
        let flat = [1.0; LEN];
        for (k, values) in VALUES.into_iter().cycle().take(400).enumerate() {
            let x = values.sample(&mut random, [0.02, 3e-20, 1e25][k % 3], LEN);
            let mut columns = flat;
            columns.fill_with(|| 10f32.powf(8.0 * random.uniform() - 4.0));
            let importance = Importance { columns: &columns, raw: &columns, row_mean_square: 1.0 };
            for (w, found) in [
                (&flat, Normalized::new(&x, Flat).best_exponent()),
                (&columns, Normalized::new(&x, importance).best_exponent()),
            ] {
                let least =
                    (0..=254).map(|exponent| loss(&x, w, exponent)).fold(f64::MAX, f64::min);
                let found = loss(&x, w, found);
                assert!(found <= least * (1.0 + 2e-5), "{values:?}: {found:e} for {least:e}");
            }
        }
    }

    #[test]
    fn numbers_go_to_the_nearest_level() {
        for i in -1600..=1600 {
            let v = i as f32 / 100.0;
            let off = |level: f32| (level - v).abs();
            let least = LEVELS.into_iter().map(off).fold(f32::MAX, f32::min);
            assert_eq!(off(nearest_level(v)), least, "{v}");
            assert_eq!(LEVELS[usize::from(nearest_nibble(v))], nearest_level(v), "{v}");
            assert_ne!(nearest_nibble(v), 8, "{v}");
        }
    }

    #[test]
    fn scales_go_to_the_nearest_power_of_two() {
        for exponent in 0..=254 {
            assert_eq!(nearest_exponent(half_power(exponent)), exponent);
            assert_eq!(nearest_exponent(1.45 * half_power(exponent)), exponent);
            assert_eq!(nearest_exponent(1.55 * half_power(exponent)), (exponent + 1).min(254));
        }
        for none in [0.0, -1.0, f32::NAN, 1e-45] {
            assert_eq!(nearest_exponent(none), 0, "{none}");
        }
        assert_eq!(nearest_exponent(f32::MAX), 254);
    }

    #[test]
    fn codes_ascend_with_their_levels() {
        assert!(ASCENDING.is_sorted());
        for code in 0..16 {
            assert_eq!(nibble(place(code)), code);
            assert_eq!(MXFP4::LEVELS.at(place(code)), LEVELS[usize::from(code)]);
        }
        assert_eq!(nibble(MXFP4::LEVELS.code(0.0)), 0, "zero has no sign");
    }
}
