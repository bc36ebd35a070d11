//! MXFP4: blocks of 32 E2M1 values that share a power of two. Read only.

use super::Block;
use super::packing::unpack_nibbles;
use crate::gguf::Format;

/// `2^(e - 128) * level[q]`: an E8M0 exponent byte, 32 nibbles. The levels are the doubled E2M1
/// values, hence 128 instead of the bias 127.
pub struct MXFP4;

const LEVELS: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// `2^(exponent - 128)`; the two lowest exponents are subnormal.
#[inline(always)]
fn half_power(exponent: u8) -> f32 {
    match exponent {
        0 | 1 => f32::from_bits(0x0020_0000 << exponent),
        _ => f32::from_bits((exponent as u32 - 1) << 23),
    }
}

impl Block for MXFP4 {
    const FORMAT: Format = Format::MXFP4;

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
