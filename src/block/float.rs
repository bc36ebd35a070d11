//! The formats without blocks: F32, F16 and BF16.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

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

/// Widens little-endian F16 values, a stack buffer at a time so that the bytes need no alignment.
pub fn decode_f16(bytes: &[u8], out: &mut [f32]) {
    let mut halves = [f16::ZERO; 256];
    for (bytes, out) in bytes.chunks(512).zip(out.chunks_mut(256)) {
        let halves = &mut halves[..out.len()];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*bytes);
        }
        halves.convert_to_f32_slice(out);
    }
}

/// Stores values as little-endian F32.
pub fn encode_f32(values: &[f32], out: &mut [u8]) {
    for (value, out) in values.iter().zip(out.as_chunks_mut().0) {
        *out = value.to_le_bytes();
    }
}

/// Stores values as little-endian F16, rounded to nearest, ties to even.
pub fn encode_f16(values: &[f32], out: &mut [u8]) {
    for (value, out) in values.iter().zip(out.as_chunks_mut().0) {
        *out = f16::from_f32(*value).to_le_bytes();
    }
}

/// Stores values as little-endian BF16, rounded to nearest, ties to even.
pub fn encode_bf16(values: &[f32], out: &mut [u8]) {
    for (value, out) in values.iter().zip(out.as_chunks_mut().0) {
        *out = bf16::from_f32(*value).to_le_bytes();
    }
}
