//! The formats without blocks: F32, F16 and BF16.

use half::{bf16, f16};

use super::format::{Block, F16_MAX, Rounding};
use crate::gguf::Format;
use crate::simd::{Level, widen_f16};

/// Floats of 32 bits.
pub struct F32;
/// Floats of 16 bits: 5 of exponent.
pub struct F16;
/// Floats of 16 bits: the upper half of F32.
pub struct BF16;

impl Block for F32 {
    const FORMAT: Format = Format::F32;
    const LEN: usize = 1;
    const BYTES: usize = size_of::<f32>();
    const NOMINAL_BITS: u32 = 32;
    const ACTIVATIONS: Rounding = Rounding::None;
    const RANGE: (f32, f32) = (f32::MIN, f32::MAX);

    fn decode(bytes: &[u8], out: &mut [f32]) {
        for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
            *out = f32::from_le_bytes(*bytes);
        }
    }

    fn decode_all(_: Level, bytes: &[u8], out: &mut [f32]) {
        F32::decode(bytes, out);
    }
}

impl Block for F16 {
    const FORMAT: Format = Format::F16;
    const LEN: usize = 1;
    const BYTES: usize = size_of::<f16>();
    const NOMINAL_BITS: u32 = 16;
    const ACTIVATIONS: Rounding = Rounding::Half;
    const RANGE: (f32, f32) = (-F16_MAX, F16_MAX);

    fn decode(bytes: &[u8], out: &mut [f32]) {
        widen_f16(bytes, out);
    }

    fn decode_all(_: Level, bytes: &[u8], out: &mut [f32]) {
        F16::decode(bytes, out);
    }
}

impl Block for BF16 {
    const FORMAT: Format = Format::BF16;
    const LEN: usize = 1;
    const BYTES: usize = size_of::<bf16>();
    const NOMINAL_BITS: u32 = 16;
    const ACTIVATIONS: Rounding = Rounding::Brain;
    /// The largest BF16, of 8 significant bits.
    const RANGE: (f32, f32) = (-f32::from_bits(0x7f7f_0000), f32::from_bits(0x7f7f_0000));

    fn decode(bytes: &[u8], out: &mut [f32]) {
        for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
            *out = bf16::from_le_bytes(*bytes).to_f32();
        }
    }

    fn decode_all(_: Level, bytes: &[u8], out: &mut [f32]) {
        BF16::decode(bytes, out);
    }
}
