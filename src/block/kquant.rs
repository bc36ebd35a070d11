//! The K-quants: super-blocks of 256 values whose sub-blocks have small integer scales.
//!
//! Layouts as in ggml-common.h. Q2_K and Q3_K are only read; Q4_K, Q5_K and Q6_K also written.

use super::legacy::affine_codes;
use pulp::Simd;

use super::packing::{
    f16_at, pack_nibbles, pack_scale_mins, put_f16, unpack_nibbles, unpack_scale_mins,
};
use super::search::{
    Grid, Signed, SuperAffine, SuperReference, Weights, fit_super_affine, fit_super_symmetric,
    inverse, scales_of_16, super_references,
};
use super::{Block, EncodeBlock};
use crate::gguf::Format;

/// `d * s * q - dmin * m` by 16 values, 2-bit codes, 4-bit s and m.
pub struct Q2_K;
/// `d * (s - 32) * q` by 16 values, 3-bit codes, 6-bit s.
pub struct Q3_K;
/// `d * s * q - dmin * m` by 32 values, 4-bit codes, 6-bit s and m.
pub struct Q4_K;
/// `d * s * q - dmin * m` by 32 values, 5-bit codes, 6-bit s and m.
pub struct Q5_K;
/// `d * s * (q - 32)` by 16 values, 6-bit codes, signed 8-bit s.
pub struct Q6_K;

impl Block for Q2_K {
    const FORMAT: Format = Format::Q2_K;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let (scales, codes) = (&block[..16], &block[16..80]);
        let (d, dmin) = (f16_at(block, 80), f16_at(block, 82));
        for (k, out) in out.chunks_exact_mut(16).enumerate() {
            let (scale, min) = (d * (scales[k] & 15) as f32, dmin * (scales[k] >> 4) as f32);
            // 128 values share 32 bytes; each run of 32 of them has its own pair of bits.
            let (bytes, shift) = (&codes[k / 8 * 32 + k % 2 * 16..], k / 2 % 4 * 2);
            for (out, byte) in out.iter_mut().zip(bytes) {
                *out = scale * ((byte >> shift) & 3) as f32 - min;
            }
        }
    }
}

impl Block for Q3_K {
    const FORMAT: Format = Format::Q3_K;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
        let d = f16_at(block, 108);
        for (k, out) in out.chunks_exact_mut(16).enumerate() {
            let nibble = (scales[k % 8] >> (k / 8 * 4)) & 15;
            let upper = (scales[8 + k % 4] >> (k / 4 * 2)) & 3;
            let scale = d * ((nibble | (upper << 4)) as i32 - 32) as f32;
            let (low, shift) = (&low[k / 8 * 32 + k % 2 * 16..], k / 2 % 4 * 2);
            let (high, bit) = (&high[k % 2 * 16..], k / 2);
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                // A set high bit means no offset.
                let offset = if (high >> bit) & 1 == 0 { 4 } else { 0 };
                *out = scale * (((low >> shift) & 3) as i32 - offset) as f32;
            }
        }
    }
}

impl Q4_K {
    #[inline(always)]
    pub fn unpack(block: &[u8], codes: &mut [u8]) {
        for (codes, bytes) in codes.chunks_exact_mut(64).zip(block[16..].chunks_exact(32)) {
            unpack_nibbles(bytes, codes);
        }
    }

    #[inline(always)]
    pub fn pack(codes: &[u8], block: &mut [u8]) {
        for (codes, bytes) in codes.chunks_exact(64).zip(block[16..].chunks_exact_mut(32)) {
            pack_nibbles(codes, bytes);
        }
    }
}

impl Block for Q4_K {
    const FORMAT: Format = Format::Q4_K;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let mut codes = [0; 256];
        Q4_K::unpack(block, &mut codes);
        decode_affine(&block[..16], &codes, out);
    }
}

impl Q5_K {
    #[inline(always)]
    pub fn unpack(block: &[u8], codes: &mut [u8]) {
        for (codes, bytes) in codes.chunks_exact_mut(64).zip(block[48..].chunks_exact(32)) {
            unpack_nibbles(bytes, codes);
        }
        for (k, codes) in codes.chunks_exact_mut(32).enumerate() {
            for (code, high) in codes.iter_mut().zip(&block[16..48]) {
                *code |= ((high >> k) & 1) << 4;
            }
        }
    }

    #[inline(always)]
    pub fn pack(codes: &[u8], block: &mut [u8]) {
        for (codes, bytes) in codes.chunks_exact(64).zip(block[48..].chunks_exact_mut(32)) {
            pack_nibbles(codes, bytes);
        }
        for (i, high) in block[16..48].iter_mut().enumerate() {
            *high = (0..8).fold(0, |bits, k| bits | ((codes[32 * k + i] >> 4) << k));
        }
    }
}

impl Block for Q5_K {
    const FORMAT: Format = Format::Q5_K;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let mut codes = [0; 256];
        Q5_K::unpack(block, &mut codes);
        decode_affine(&block[..16], &codes, out);
    }
}

/// The values of 256 codes, with the units and sub-block scales of the 16 bytes at the block's start.
#[inline(always)]
fn decode_affine(head: &[u8], codes: &[u8; 256], out: &mut [f32]) {
    let (d, dmin) = (f16_at(head, 0), f16_at(head, 2));
    let (scales, mins) = unpack_scale_mins(&head[4..]);
    for (k, (out, codes)) in out.chunks_exact_mut(32).zip(codes.chunks_exact(32)).enumerate() {
        let (scale, min) = (d * scales[k] as f32, dmin * mins[k] as f32);
        for (out, &code) in out.iter_mut().zip(codes) {
            *out = scale * code as f32 - min;
        }
    }
}

/// The codes of the 256 values, and the 16 bytes of units and sub-block scales at the block's start.
#[inline(always)]
fn encode_affine<const TOP: i32, S: Simd, W: Weights>(
    simd: S,
    x: &[f32],
    w: W,
    theirs: Option<&SuperReference>,
    head: &mut [u8],
) -> [u8; 256] {
    let fit: SuperAffine = fit_super_affine::<TOP, S, W>(simd, x, w, theirs);
    put_f16(head, 0, fit.scale);
    put_f16(head, 2, fit.min);
    pack_scale_mins(&fit.scales.map(|s| s as u8), &fit.mins.map(|m| m as u8), &mut head[4..16]);
    let mut codes = [0; 256];
    for (k, codes) in codes.chunks_exact_mut(32).enumerate() {
        let (scale, min) = (fit.scale * fit.scales[k], -(fit.min * fit.mins[k]));
        codes.copy_from_slice(&affine_codes::<TOP>(&x[32 * k..], scale, min));
    }
    codes
}

impl EncodeBlock for Q4_K {
    type Reference = SuperReference;
    const GROUP: usize = 2;
    const ENOUGH: f32 = 5.0;
    const FINDS_LATTICES: bool = true;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [SuperReference]) {
        super_references::<15, S, W>(simd, x, w, found);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&SuperReference>,
        block: &mut [u8],
    ) {
        let codes = encode_affine::<15, S, W>(simd, x, w, theirs, &mut block[..16]);
        Q4_K::pack(&codes, block);
    }
}

impl EncodeBlock for Q5_K {
    type Reference = SuperReference;
    const GROUP: usize = 2;
    const ENOUGH: f32 = 4.0;
    const FINDS_LATTICES: bool = true;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [SuperReference]) {
        super_references::<31, S, W>(simd, x, w, found);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&SuperReference>,
        block: &mut [u8],
    ) {
        let codes = encode_affine::<31, S, W>(simd, x, w, theirs, &mut block[..16]);
        Q5_K::pack(&codes, block);
    }
}

impl Q6_K {
    /// The codes of one half of the block.
    #[inline(always)]
    fn unpack_half(block: &[u8], half: usize, codes: &mut [u8]) {
        unpack_nibbles(&block[64 * half..][..64], codes);
        for (k, codes) in codes.chunks_exact_mut(32).enumerate() {
            for (code, high) in codes.iter_mut().zip(&block[128 + 32 * half..]) {
                *code |= ((high >> (2 * k)) & 3) << 4;
            }
        }
    }

    #[inline(always)]
    pub fn unpack(block: &[u8], codes: &mut [u8]) {
        for (half, codes) in codes.chunks_exact_mut(128).enumerate() {
            Q6_K::unpack_half(block, half, codes);
        }
    }

    #[inline(always)]
    pub fn pack(codes: &[u8], block: &mut [u8]) {
        for (half, codes) in codes.chunks_exact(128).enumerate() {
            pack_nibbles(codes, &mut block[64 * half..][..64]);
            for i in 0..32 {
                let upper = (0..4).fold(0, |bits, k| bits | ((codes[32 * k + i] >> 4) << (2 * k)));
                block[128 + 32 * half + i] = upper;
            }
        }
    }
}

impl Block for Q6_K {
    const FORMAT: Format = Format::Q6_K;

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let subs = &block[192..208];
        let d = f16_at(block, 208);
        for half in 0..2 {
            let mut codes = [0; 128];
            Q6_K::unpack_half(block, half, &mut codes);
            let out = out[128 * half..][..128].chunks_exact_mut(16);
            for ((out, codes), sub) in out.zip(codes.chunks_exact(16)).zip(&subs[8 * half..]) {
                let scale = d * (*sub as i8) as f32;
                for (out, &code) in out.iter_mut().zip(codes) {
                    *out = scale * (code as i32 - 32) as f32;
                }
            }
        }
    }
}

impl EncodeBlock for Q6_K {
    type Reference = [f32; 16];
    const GROUP: usize = 1;
    const ENOUGH: f32 = 3.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [[f32; 16]]) {
        found[0] = scales_of_16::<Signed<-32, 31>, S, W>(simd, x, w);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&[f32; 16]>,
        block: &mut [u8],
    ) {
        type G = Signed<-32, 31>;
        let fit = fit_super_symmetric::<G, S, W, 16>(simd, x, w, 128.0, theirs);
        put_f16(block, 208, fit.scale);
        let mut codes = [0; 256];
        for (k, sub) in fit.subs.into_iter().enumerate() {
            block[192 + k] = sub as i32 as i8 as u8;
            let scale = fit.scale * sub;
            let inverse = inverse(scale);
            for (code, x) in codes[16 * k..][..16].iter_mut().zip(&x[16 * k..]) {
                *code = G::code(*x, inverse);
            }
        }
        Q6_K::pack(&codes, block);
    }
}
