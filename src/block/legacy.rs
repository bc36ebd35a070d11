//! Blocks of 32 values with one scale: Q4_0, Q5_0, Q8_0; with a scale and a minimum: Q4_1, Q5_1.
//!
//! Layouts as in ggml-common.h. The high bits of the 5-bit formats are one little-endian `u32`,
//! bit `i` belonging to value `i`.

use pulp::Simd;

use super::format::{Block, EncodeBlock, EncodeOnLattice, F16_MAX, Rounding};
use super::grid::Levels;
use super::lattice::{affine, exact, symmetric};
use super::packing::{f16_at, pack_nibbles, put_f16, unpack_nibbles};
use super::search::{
    Affine, Grid, LANES, Signed, Steps, Unsigned, Weights, affines, fit_affine, fit_scale, inverse,
    scales_by_importance,
};
use crate::gguf::Format;

/// `d * (q - 8)`: F16 d, 32 nibbles.
pub struct Q4_0;
/// `d * q + m`: F16 d, F16 m, 32 nibbles.
pub struct Q4_1;
/// `d * (q - 16)`: F16 d, 32 high bits, 32 nibbles.
pub struct Q5_0;
/// `d * q + m`: F16 d, F16 m, 32 high bits, 32 nibbles.
pub struct Q5_1;
/// `d * q`: F16 d, 32 signed bytes.
pub struct Q8_0;

const LEN: usize = 32;

#[inline(always)]
fn unpack_high_bits(bytes: &[u8], codes: &mut [u8]) {
    let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    for (i, code) in codes.iter_mut().enumerate() {
        *code |= (((bits >> i) & 1) << 4) as u8;
    }
}

#[inline(always)]
fn pack_high_bits(codes: &[u8], bytes: &mut [u8]) {
    let mut bits = 0;
    for (i, &code) in codes.iter().enumerate() {
        bits |= u32::from(code >> 4) << i;
    }
    bytes[..4].copy_from_slice(&bits.to_le_bytes());
}

/// The codes of `x` on the grid `G` at `scale`.
#[inline(always)]
pub(super) fn codes<G: Grid>(x: &[f32], scale: f32) -> [u8; LEN] {
    let inverse = inverse(scale);
    let mut codes = [0; LEN];
    for (code, &x) in codes.iter_mut().zip(x) {
        *code = G::code(x, inverse);
    }
    codes
}

/// The codes of `x` on a grid of `TOP` steps of `scale` above `min`.
#[inline(always)]
pub(super) fn affine_codes<const TOP: i32>(x: &[f32], scale: f32, min: f32) -> [u8; LEN] {
    let inverse = inverse(scale);
    let mut codes = [0; LEN];
    for (code, &x) in codes.iter_mut().zip(x) {
        *code = Unsigned::<TOP>::code(x - min, inverse);
    }
    codes
}

impl Block for Q4_0 {
    const FORMAT: Format = Format::Q4_0;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 16;
    const NOMINAL_BITS: u32 = 4;
    const ACTIVATIONS: Rounding = Rounding::Q8_0;
    const REPACKED: bool = true;
    const RANGE: (f32, f32) = (-8.0 * F16_MAX, 8.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(symmetric::one_scale);

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let d = f16_at(block, 0);
        let mut codes = [0; LEN];
        unpack_nibbles(&block[2..18], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * (code as i32 - 8) as f32;
        }
    }
}

impl EncodeBlock for Q4_0 {
    const LEVELS: Levels = Levels::even(-8, 7);

    type Reference = f32;
    const GROUP: usize = LANES;
    const ENOUGH: f32 = 0.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [f32]) {
        let scales = scales_by_importance::<Signed<-8, 7>, S, W>(simd, x, w);
        found.copy_from_slice(&scales[..found.len()]);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&f32>,
        block: &mut [u8],
    ) {
        let d = fit_scale::<Signed<-8, 7>, S, W>(simd, x, w, theirs.copied());
        put_f16(block, 0, d);
        pack_nibbles(&codes::<Signed<-8, 7>>(x, d), &mut block[2..18]);
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        unpack_nibbles(&block[2..18], out);
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        pack_nibbles(codes, &mut block[2..18]);
    }
}

impl Block for Q4_1 {
    const FORMAT: Format = Format::Q4_1;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 2 + 16;
    const NOMINAL_BITS: u32 = 4;
    const ACTIVATIONS: Rounding = Rounding::Q8_1;
    /// Down to the minimum, and up by all steps from a minimum of zero.
    const RANGE: (f32, f32) = (-F16_MAX, 15.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(|block| exact(affine::one_grid(block)));

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        let mut codes = [0; LEN];
        unpack_nibbles(&block[4..20], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * code as f32 + m;
        }
    }
}

impl EncodeBlock for Q4_1 {
    const LEVELS: Levels = Levels::even(0, 15);
    const HAS_MIN: bool = true;

    type Reference = Affine;
    const GROUP: usize = LANES;
    const ENOUGH: f32 = 0.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [Affine]) {
        let mean_squares = [w.row_mean_square(); LANES];
        let steps = Steps::IMPORTANCE;
        let fits = affines::<15, S, W>(simd, x, w, steps, &mean_squares).0;
        found.copy_from_slice(&fits[..found.len()]);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&Affine>,
        block: &mut [u8],
    ) {
        let fit = fit_affine::<15, S, W>(simd, x, w, theirs.copied());
        put_f16(block, 0, fit.scale);
        put_f16(block, 2, fit.min);
        pack_nibbles(&affine_codes::<15>(x, fit.scale, fit.min), &mut block[4..20]);
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        unpack_nibbles(&block[4..20], out);
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        pack_nibbles(codes, &mut block[4..20]);
    }
}

impl Block for Q5_0 {
    const FORMAT: Format = Format::Q5_0;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 4 + 16;
    const NOMINAL_BITS: u32 = 5;
    const ACTIVATIONS: Rounding = Rounding::Q8_0;
    const RANGE: (f32, f32) = (-16.0 * F16_MAX, 16.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(symmetric::one_scale);

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let d = f16_at(block, 0);
        let mut codes = [0; LEN];
        unpack_nibbles(&block[6..22], &mut codes);
        unpack_high_bits(&block[2..6], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * (code as i32 - 16) as f32;
        }
    }
}

impl EncodeBlock for Q5_0 {
    const LEVELS: Levels = Levels::even(-16, 15);

    type Reference = f32;
    const GROUP: usize = LANES;
    const ENOUGH: f32 = 0.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [f32]) {
        let scales = scales_by_importance::<Signed<-16, 15>, S, W>(simd, x, w);
        found.copy_from_slice(&scales[..found.len()]);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&f32>,
        block: &mut [u8],
    ) {
        let d = fit_scale::<Signed<-16, 15>, S, W>(simd, x, w, theirs.copied());
        let codes = codes::<Signed<-16, 15>>(x, d);
        put_f16(block, 0, d);
        pack_high_bits(&codes, &mut block[2..6]);
        pack_nibbles(&codes, &mut block[6..22]);
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        unpack_nibbles(&block[6..22], out);
        unpack_high_bits(&block[2..6], out);
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        pack_high_bits(codes, &mut block[2..6]);
        pack_nibbles(codes, &mut block[6..22]);
    }
}

impl Block for Q5_1 {
    const FORMAT: Format = Format::Q5_1;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 2 + 4 + 16;
    const NOMINAL_BITS: u32 = 5;
    const ACTIVATIONS: Rounding = Rounding::Q8_1;
    const RANGE: (f32, f32) = (-F16_MAX, 31.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(|block| exact(affine::one_grid(block)));

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let (d, m) = (f16_at(block, 0), f16_at(block, 2));
        let mut codes = [0; LEN];
        unpack_nibbles(&block[8..24], &mut codes);
        unpack_high_bits(&block[4..8], &mut codes);
        for (out, code) in out.iter_mut().zip(codes) {
            *out = d * code as f32 + m;
        }
    }
}

impl EncodeBlock for Q5_1 {
    const LEVELS: Levels = Levels::even(0, 31);
    const HAS_MIN: bool = true;

    type Reference = Affine;
    const GROUP: usize = LANES;
    const ENOUGH: f32 = 0.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, found: &mut [Affine]) {
        let mean_squares = [w.row_mean_square(); LANES];
        let steps = Steps::IMPORTANCE;
        let fits = affines::<31, S, W>(simd, x, w, steps, &mean_squares).0;
        found.copy_from_slice(&fits[..found.len()]);
    }

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(
        simd: S,
        x: &[f32],
        w: W,
        theirs: Option<&Affine>,
        block: &mut [u8],
    ) {
        let fit = fit_affine::<31, S, W>(simd, x, w, theirs.copied());
        let codes = affine_codes::<31>(x, fit.scale, fit.min);
        put_f16(block, 0, fit.scale);
        put_f16(block, 2, fit.min);
        pack_high_bits(&codes, &mut block[4..8]);
        pack_nibbles(&codes, &mut block[8..24]);
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        unpack_nibbles(&block[8..24], out);
        unpack_high_bits(&block[4..8], out);
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        pack_high_bits(codes, &mut block[4..8]);
        pack_nibbles(codes, &mut block[8..24]);
    }
}

impl Block for Q8_0 {
    const FORMAT: Format = Format::Q8_0;
    const LEN: usize = LEN;
    const BYTES: usize = 2 + 32;
    const NOMINAL_BITS: u32 = 8;
    const ACTIVATIONS: Rounding = Rounding::Q8_0;
    const RANGE: (f32, f32) = (-127.0 * F16_MAX, 127.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(|block| exact(symmetric::eight_bits(block)));

    #[inline(always)]
    fn decode(block: &[u8], out: &mut [f32]) {
        let d = f16_at(block, 0);
        for (out, &code) in out.iter_mut().zip(&block[2..34]) {
            *out = d * (code as i8) as f32;
        }
    }
}

impl EncodeBlock for Q8_0 {
    const LEVELS: Levels = Levels::even(-128, 127);

    /// ggml only rounds.
    type Reference = ();
    const GROUP: usize = 1;
    const ENOUGH: f32 = 0.0;

    #[inline(always)]
    fn references<S: Simd, W: Weights>(_: S, _: &[f32], _: W, _: &mut [()]) {}

    #[inline(always)]
    fn encode<S: Simd, W: Weights>(simd: S, x: &[f32], w: W, _: Option<&()>, block: &mut [u8]) {
        let d = fit_scale::<Signed<-128, 127>, S, W>(simd, x, w, None);
        put_f16(block, 0, d);
        for (byte, code) in block[2..34].iter_mut().zip(codes::<Signed<-128, 127>>(x, d)) {
            *byte = code ^ 128; // from offset to two's complement
        }
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        // From two's complement to an offset.
        out.iter_mut().zip(&block[2..34]).for_each(|(out, &byte)| *out = byte ^ 128);
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        block[2..34].iter_mut().zip(codes).for_each(|(byte, &code)| *byte = code ^ 128);
    }
}
