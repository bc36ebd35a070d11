//! Nibbles that name one of 16 uneven levels: IQ4_NL (blocks of 32) and IQ4_XS (super-blocks).

use pulp::Simd;

use super::format::{Block, EncodeBlock, EncodeOnLattice, F16_MAX, Rounding};
use super::grid::{Levels, SubGrid, multiple, times};
use super::lattice::{exact, symmetric};
use super::legacy::codes;
use super::packing::{f16_at, pack_nibbles, put_f16, unpack_nibbles};
use super::search::{Iq4, Weights, fit_scale, fit_super_symmetric, sum_of_squares, uneven_scale};
use crate::gguf::Format;

/// `d * level[q]`: F16 d, 32 nibbles.
pub struct IQ4_NL;
/// `d * (s - 32) * level[q]` by sub-blocks of 32: F16 d, the upper two bits of the eight `s` in a
/// `u16`, their nibbles in 4 bytes, 256 nibbles.
pub struct IQ4_XS;

impl Block for IQ4_NL {
    const FORMAT: Format = Format::IQ4_NL;
    const LEN: usize = 32;
    const BYTES: usize = 2 + 16;
    const NOMINAL_BITS: u32 = 4;
    const ACTIVATIONS: Rounding = Rounding::Q8_0;
    const REPACKED: bool = true;
    const RANGE: (f32, f32) = (-127.0 * F16_MAX, 127.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> = Some(symmetric::one_scale);

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
    const LEVELS: Levels = Levels::Table(&Iq4::LEVELS);

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

    fn codes(block: &[u8], out: &mut [u8]) {
        unpack_nibbles(&block[2..18], out);
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        pack_nibbles(codes, &mut block[2..18]);
    }
}

impl IQ4_XS {
    /// The scales of sub-blocks, in units of `d`.
    const SUBS: (i32, i32) = (-32, 31);

    /// The scale of sub-block `k` in units of `d`, from -32 to 31.
    #[inline(always)]
    fn sub(block: &[u8], k: usize) -> i32 {
        let low = (block[4 + k / 2] >> (4 * (k % 2))) & 15;
        let high = u16::from_le_bytes([block[2], block[3]]);
        (low as i32 | (((high >> (2 * k)) & 3) << 4) as i32) - 32
    }

    /// Writes that scale.
    fn set_sub(block: &mut [u8], k: usize, sub: i32) {
        let stored = (sub + 32) as u8;
        let (low, high) = (4 * (k % 2), 2 * (k % 4));
        block[4 + k / 2] = (block[4 + k / 2] & !(15 << low)) | ((stored & 15) << low);
        block[2 + k / 4] = (block[2 + k / 4] & !(3 << high)) | ((stored >> 4) << high);
    }
}

impl Block for IQ4_XS {
    const FORMAT: Format = Format::IQ4_XS;
    const LEN: usize = 256;
    const BYTES: usize = 2 + 2 + 4 + 128;
    const NOMINAL_BITS: u32 = 4;
    const ACTIVATIONS: Rounding = Rounding::Q8_K;
    const RANGE: (f32, f32) = (-127.0 * 31.0 * F16_MAX, 127.0 * 31.0 * F16_MAX);
    const ON_LATTICE: Option<EncodeOnLattice> =
        Some(|block| exact(symmetric::super_block(block, IQ4_XS::SUBS)));

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
    const LEVELS: Levels = Levels::Table(&Iq4::LEVELS);
    const SUB_LEN: usize = 32;

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

    fn grids(block: &[u8], out: &mut [SubGrid]) {
        let d = IQ4_XS::unit(block).scale;
        for (k, out) in out.iter_mut().enumerate() {
            *out = SubGrid { scale: d * IQ4_XS::sub(block, k) as f32, min: 0.0 };
        }
    }

    fn nearest_grid(unit: SubGrid, wanted: SubGrid) -> SubGrid {
        SubGrid { scale: multiple(wanted.scale, unit.scale, IQ4_XS::SUBS), min: 0.0 }
    }

    fn set_grid(block: &mut [u8], k: usize, grid: SubGrid) {
        IQ4_XS::set_sub(block, k, times(grid.scale, IQ4_XS::unit(block).scale));
    }

    fn codes(block: &[u8], out: &mut [u8]) {
        let subs = out.chunks_exact_mut(32).zip(block[8..].chunks_exact(16));
        subs.for_each(|(out, bytes)| unpack_nibbles(bytes, out));
    }

    fn set_codes(block: &mut [u8], codes: &[u8]) {
        let subs = codes.chunks_exact(32).zip(block[8..].chunks_exact_mut(16));
        subs.for_each(|(codes, bytes)| pack_nibbles(codes, bytes));
    }
}
