//! The formats without blocks: F32, F16 and BF16.

use half::bf16;

use crate::simd::widen_f16;

/// Widens little-endian F32 values.
pub fn decode_f32(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
        *out = f32::from_le_bytes(*bytes);
    }
}

/// Widens little-endian BF16 values.
pub fn decode_bf16(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
        *out = bf16::from_le_bytes(*bytes).to_f32();
    }
}

/// Widens little-endian F16 values.
pub fn decode_f16(bytes: &[u8], out: &mut [f32]) {
    widen_f16(bytes, out);
}
