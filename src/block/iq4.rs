//! Nibbles that name one of 16 uneven levels: IQ4_NL (blocks of 32) and IQ4_XS (super-blocks).

use super::legacy::codes;
use pulp::Simd;

use super::packing::{f16_at, pack_nibbles, put_f16, unpack_nibbles};
use super::search::{Iq4, Weights, fit_scale, fit_super_symmetric, sum_of_squares, uneven_scale};
use super::{Block, EncodeBlock};
use crate::gguf::Format;

/// `d * level[q]`: F16 d, 32 nibbles.
pub struct IQ4_NL;
/// `d * (s - 32) * level[q]` by sub-blocks of 32: F16 d, the upper two bits of the eight `s` in a
/// `u16`, their nibbles in 4 bytes, 256 nibbles.
pub struct IQ4_XS;

impl Block for IQ4_NL {
    const FORMAT: Format = Format::IQ4_NL;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let d = f16_at(block, 0);
        let mut codes = [0; 32];
        unpack_nibbles(&block[2..18], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * Iq4::LEVELS[code as usize];
        }
    }
}

impl EncodeBlock for IQ4_NL {
    type Reference = f32;
    const GROUP: usize = 8;
    const ENOUGH: f32 = 2.05;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [f32]) {
        for (k, (found, x)) in found.iter_mut().zip(x.chunks_exact(32)).enumerate() {
            let mean_square = if W::EVEN { 0.0 } else { 2.0 * sum_of_squares(x) / 32.0 };
            *found = uneven_scale(simd, x, w.skip(32 * k), mean_square);
        }
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&f32>,
        block: &mut [u8],
    ) {
        let d = fit_scale::<Iq4, S, W>(simd, x, w, theirs.copied());
        put_f16(block, 0, d);
        pack_nibbles(&codes::<Iq4>(x, d), &mut block[2..18]);
    }
}

impl IQ4_XS {
    /// The scale of sub-block `k` in units of `d`, from -32 to 31.
    #[inline(always)]
    pub fn sub(block: &[u8], k: usize) -> i32 {
        let low = (block[4 + k / 2] >> (4 * (k % 2))) & 15;
        let high = u16::from_le_bytes([block[2], block[3]]);
        (low as i32 | (((high >> (2 * k)) & 3) << 4) as i32) - 32
    }

    /// Writes that scale.
    pub fn set_sub(block: &mut [u8], k: usize, sub: i32) {
        let stored = (sub + 32) as u8;
        let (low, high) = (4 * (k % 2), 2 * (k % 4));
        block[4 + k / 2] = (block[4 + k / 2] & !(15 << low)) | ((stored & 15) << low);
        block[2 + k / 4] = (block[2 + k / 4] & !(3 << high)) | ((stored >> 4) << high);
    }
}

impl Block for IQ4_XS {
    const FORMAT: Format = Format::IQ4_XS;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let d = f16_at(block, 0);
        for k in 0..8 {
            let scale = d * IQ4_XS::sub(block, k) as f32;
            let mut codes = [0; 32];
            unpack_nibbles(&block[8 + 16 * k..][..16], &mut codes);
            for (out, code) in out[32 * k..].iter_mut().zip(codes) {
                *out = scale * Iq4::LEVELS[code as usize];
            }
        }
    }
}

impl EncodeBlock for IQ4_XS {
    type Reference = [f32; 8];
    const GROUP: usize = 1;
    const ENOUGH: f32 = 5.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [[f32; 8]]) {
        let mean_square = if W::EVEN { 0.0 } else { 2.0 * sum_of_squares(x) / 256.0 };
        for (k, (found, x)) in found[0].iter_mut().zip(x.chunks_exact(32)).enumerate() {
            *found = uneven_scale(simd, x, w.skip(32 * k), mean_square);
        }
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&[f32; 8]>,
        block: &mut [u8],
    ) {
        let fit = fit_super_symmetric::<Iq4, S, W, 8>(simd, x, w, 32.0, theirs);
        put_f16(block, 0, fit.scale);
        block[2..8].fill(0);
        let mut high = 0;
        for (k, sub) in fit.subs.into_iter().enumerate() {
            let stored = (sub as i32 + 32) as u8;
            block[4 + k / 2] |= (stored & 15) << (4 * (k % 2));
            high |= ((stored >> 4) as u16) << (2 * k);
            let codes = codes::<Iq4>(&x[32 * k..], fit.scale * sub);
            pack_nibbles(&codes, &mut block[8 + 16 * k..][..16]);
        }
        block[2..4].copy_from_slice(&high.to_le_bytes());
    }
}
