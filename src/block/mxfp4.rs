//! MXFP4: blocks of 32 E2M1 values that share a power of two. Written only where nothing is lost.

use super::format::{Block, EncodeOnLattice, Rounding};
use super::lattice::exact;
use super::packing::{pack_nibbles, unpack_nibbles};
use crate::gguf::Format;

/// `2^(e - 128) * level[q]`: an E8M0 exponent byte, 32 nibbles. The levels are the doubled E2M1
/// values, hence 128 instead of the bias 127.
pub struct MXFP4;

const LEVELS: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

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

/// Encodes 32 weights into one block, if each is one of its values once `round` was applied.
fn encode_exactly(x: &[f32], block: &mut [u8], round: impl Fn(f32) -> f32) -> bool {
    let peak = x.iter().fold(0.0, |peak: f32, x| peak.max(x.abs()));
    let mut codes = [0; 32];
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
    const LEN: usize = 32;
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
        let mut codes = [0; 32];
        unpack_nibbles(&block[1..17], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * LEVELS[code as usize];
        }
    }
}
