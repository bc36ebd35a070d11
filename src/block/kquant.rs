//! The K-quants: super-blocks of 256 values whose sub-blocks have small integer scales.
//!
//! Layouts as in ggml-common.h. Q2_K and Q3_K are only read; Q4_K, Q5_K and Q6_K also written.

use pulp::Simd;

use super::format::{Block, EncodeBlock, EncodeOnLattice, F16_MAX, Rounding};
use super::grid::{Levels, SubGrid, multiple, times};
use super::lattice::{affine, exact, symmetric};
use super::legacy::affine_codes;
use super::packing::{
    f16_at, pack_nibbles, pack_scale_mins, put_f16, unpack_nibbles, unpack_scale_mins,
};
use super::search::{
    Grid, Signed, SuperAffine, SuperReference, Weights, fit_super_affine, fit_super_symmetric,
    inverse, scales_of_16, super_references,
};
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

const LEN: usize = 256;

impl Block for Q2_K {
    const FORMAT: Format = Format::Q2_K;
    const LEN: usize = LEN;
    const BYTES: usize = 16 + 64 + 2 + 2;
    const NOMINAL_BITS: u32 = 2;
    const ACTIVATIONS: Rounding = Rounding::Q8_K;
    const RANGE: (f32, f32) = (-15.0 * F16_MAX, 15.0 * 3.0 * F16_MAX);

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
    const LEN: usize = LEN;
    const BYTES: usize = 32 + 64 + 12 + 2;
    const NOMINAL_BITS: u32 = 3;
    const ACTIVATIONS: Rounding = Rounding::Q8_K;
    const RANGE: (f32, f32) = (-4.0 * 32.0 * F16_MAX, 4.0 * 32.0 * F16_MAX);

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

impl Block for Q4_K {
    const FORMAT: Format = Format::Q4_K;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 2 + 12 + 128;
    const NOMINAL_BITS: u32 = 4;
    const ACTIVATIONS: Rounding = Rounding::Q8_K;
    const REPACKED: bool = true;
    const RANGE: (f32, f32) = (-63.0 * F16_MAX, 15.0 * 63.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(|block| exact(affine::super_block(block)));

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let mut codes = [0; 256];
        Q4_K::codes(block, &mut codes);
        decode_affine(&block[..16], &codes, out);
    }
}

impl Block for Q5_K {
    const FORMAT: Format = Format::Q5_K;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 2 + 12 + 32 + 128;
    const NOMINAL_BITS: u32 = 5;
    const ACTIVATIONS: Rounding = Rounding::Q8_K;
    const RANGE: (f32, f32) = (-63.0 * F16_MAX, 31.0 * 63.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(|block| exact(affine::super_block(block)));

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let mut codes = [0; 256];
        Q5_K::codes(block, &mut codes);
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

/// The most that a sub-block's scale or minimum is, in units.
const MOST: i32 = 63;

/// The grids of eight sub-blocks, in 12 bytes.
fn affine_grids(unit: SubGrid, bytes: &[u8], out: &mut [SubGrid]) {
    let (scales, mins) = unpack_scale_mins(bytes);
    for (k, out) in out.iter_mut().enumerate() {
        let (scale, min) = (f32::from(scales[k]), f32::from(mins[k]));
        *out = SubGrid { scale: unit.scale * scale, min: -(unit.min * min) };
    }
}

fn nearest_affine_grid(unit: SubGrid, wanted: SubGrid) -> SubGrid {
    let scale = multiple(wanted.scale, unit.scale, (0, MOST));
    SubGrid { scale, min: -multiple(-wanted.min, unit.min, (0, MOST)) }
}

fn set_affine_grid(unit: SubGrid, bytes: &mut [u8], k: usize, grid: SubGrid) {
    let (mut scales, mut mins) = unpack_scale_mins(bytes);
    let (scale, min) = (times(grid.scale, unit.scale), times(-grid.min, unit.min));
    (scales[k], mins[k]) = (scale as u8, min as u8);
    pack_scale_mins(&scales, &mins, bytes);
}

impl EncodeBlock for Q4_K {
    const LEVELS: Levels = Levels::even(0, 15);
    const SUB_LEN: usize = 32;
    const HAS_MIN: bool = true;

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
        Q4_K::set_codes(block, &codes);
    }

    fn grids(block: &[u8], out: &mut [SubGrid]) {
        affine_grids(Q4_K::unit(block), &block[4..16], out);
    }

    fn nearest_grid(unit: SubGrid, wanted: SubGrid) -> SubGrid {
        nearest_affine_grid(unit, wanted)
    }

    fn set_grid(block: &mut [u8], k: usize, grid: SubGrid) {
        set_affine_grid(Q4_K::unit(block), &mut block[4..16], k, grid);
    }

    #[inline(always)]
    fn codes(block: &[u8], out: &mut [u8]) {
        for (out, bytes) in out.chunks_exact_mut(64).zip(block[16..].chunks_exact(32)) {
            unpack_nibbles(bytes, out);
        }
    }

    #[inline(always)]
    fn set_codes(block: &mut [u8], codes: &[u8]) {
        for (codes, bytes) in codes.chunks_exact(64).zip(block[16..].chunks_exact_mut(32)) {
            pack_nibbles(codes, bytes);
        }
    }
}

impl EncodeBlock for Q5_K {
    const LEVELS: Levels = Levels::even(0, 31);
    const SUB_LEN: usize = 32;
    const HAS_MIN: bool = true;

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
        Q5_K::set_codes(block, &codes);
    }

    fn grids(block: &[u8], out: &mut [SubGrid]) {
        affine_grids(Q5_K::unit(block), &block[4..16], out);
    }

    fn nearest_grid(unit: SubGrid, wanted: SubGrid) -> SubGrid {
        nearest_affine_grid(unit, wanted)
    }

    fn set_grid(block: &mut [u8], k: usize, grid: SubGrid) {
        set_affine_grid(Q5_K::unit(block), &mut block[4..16], k, grid);
    }

    #[inline(always)]
    fn codes(block: &[u8], out: &mut [u8]) {
        for (out, bytes) in out.chunks_exact_mut(64).zip(block[48..].chunks_exact(32)) {
            unpack_nibbles(bytes, out);
        }
        for (k, out) in out.chunks_exact_mut(32).enumerate() {
            for (code, high) in out.iter_mut().zip(&block[16..48]) {
                *code |= ((high >> k) & 1) << 4;
            }
        }
    }

    #[inline(always)]
    fn set_codes(block: &mut [u8], codes: &[u8]) {
        for (codes, bytes) in codes.chunks_exact(64).zip(block[48..].chunks_exact_mut(32)) {
            pack_nibbles(codes, bytes);
        }
        for (i, high) in block[16..48].iter_mut().enumerate() {
            *high = (0..8).fold(0, |bits, k| bits | ((codes[32 * k + i] >> 4) << k));
        }
    }
}

impl Q6_K {
    /// The scales of sub-blocks, in units of `d`.
    const SUBS: (i32, i32) = (-128, 127);

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
}

impl Block for Q6_K {
    const FORMAT: Format = Format::Q6_K;
    const LEN: usize = LEN;
    const BYTES: usize = 128 + 64 + 16 + 2;
    const NOMINAL_BITS: u32 = 6;
    const ACTIVATIONS: Rounding = Rounding::Q8_K;
    const RANGE: (f32, f32) = (-32.0 * 127.0 * F16_MAX, 32.0 * 127.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> =
        Some(|block| exact(symmetric::super_block(block, Q6_K::SUBS)));

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
    const LEVELS: Levels = Levels::even(-32, 31);
    const SUB_LEN: usize = 16;
    const SCALE_AT: usize = 208;

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
        Q6_K::set_codes(block, &codes);
    }

    fn grids(block: &[u8], out: &mut [SubGrid]) {
        let d = Q6_K::unit(block).scale;
        for (out, &sub) in out.iter_mut().zip(&block[192..208]) {
            *out = SubGrid { scale: d * f32::from(sub as i8), min: 0.0 };
        }
    }

    fn nearest_grid(unit: SubGrid, wanted: SubGrid) -> SubGrid {
        SubGrid { scale: multiple(wanted.scale, unit.scale, Q6_K::SUBS), min: 0.0 }
    }

    fn set_grid(block: &mut [u8], k: usize, grid: SubGrid) {
        block[192 + k] = times(grid.scale, Q6_K::unit(block).scale) as i8 as u8;
    }

    #[inline(always)]
    fn codes(block: &[u8], out: &mut [u8]) {
        for (half, out) in out.chunks_exact_mut(128).enumerate() {
            Q6_K::unpack_half(block, half, out);
        }
    }

    #[inline(always)]
    fn set_codes(block: &mut [u8], codes: &[u8]) {
        for (half, codes) in codes.chunks_exact(128).enumerate() {
            pack_nibbles(codes, &mut block[64 * half..][..64]);
            for i in 0..32 {
                let upper = (0..4).fold(0, |bits, k| bits | ((codes[32 * k + i] >> 4) << (2 * k)));
                block[128 + 32 * half + i] = upper;
            }
        }
    }
}
