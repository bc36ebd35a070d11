//! F16 numbers, widened to F32 with the CPU's own instructions.

use half::f16;
use half::slice::HalfFloatSliceExt;
use pulp::bytemuck::cast_slice;

/// Widens F16 numbers: little-endian bytes, which need no alignment.
pub fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if let pulp::Arch::V4(simd) = pulp::Arch::new() {
            return pulp::Simd::vectorize(simd, x86::Widen { simd, bytes, out });
        }
        if is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c") {
            // SAFETY: the CPU has what the function is compiled for.
            return unsafe { x86::widen_eights(bytes, out) };
        }
    }
    widen_buffered(bytes, out);
}

/// By `half`, a stack buffer at a time.
fn widen_buffered(bytes: &[u8], out: &mut [f32]) {
    let mut halves = [f16::ZERO; 256];
    for (bytes, out) in bytes.chunks(512).zip(out.chunks_mut(256)) {
        let halves = &mut halves[..out.len()];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*bytes);
        }
        halves.convert_to_f32_slice(out);
    }
}

/// Widens F16 numbers.
pub fn widen_halves(halves: &[f16], out: &mut [f32]) {
    widen_f16(cast_slice(halves), out);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::_mm256_cvtph_ps;

    use pulp::x86::V4;
    use pulp::{Simd, WithSimd, cast};

    use super::widen_buffered;

    /// Sixteen at a time, where `half` takes eight and copies them first.
    pub struct Widen<'a> {
        pub simd: V4,
        pub bytes: &'a [u8],
        pub out: &'a mut [f32],
    }

    impl WithSimd for Widen<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Widen { simd, bytes, out } = self;
            let (halves, last_bytes) = bytes.as_chunks::<32>();
            let (wide, last) = out.as_chunks_mut::<16>();
            for (wide, halves) in wide.iter_mut().zip(halves) {
                *wide = cast(simd.avx512f._mm512_cvtph_ps(cast(*halves)));
            }
            widen_last(last_bytes, last);
        }
    }

    /// Eight at a time: inlined, where `half` calls a function for each eight.
    #[target_feature(enable = "avx,f16c")]
    pub fn widen_eights(bytes: &[u8], out: &mut [f32]) {
        let (halves, last_bytes) = bytes.as_chunks::<16>();
        let (wide, last) = out.as_chunks_mut::<8>();
        for (wide, halves) in wide.iter_mut().zip(halves) {
            *wide = cast(_mm256_cvtph_ps(cast(*halves)));
        }
        widen_last(last_bytes, last);
    }

    /// Not even the buffer is needed most of the time.
    #[inline(always)]
    fn widen_last(bytes: &[u8], out: &mut [f32]) {
        if !out.is_empty() {
            widen_buffered(bytes, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Way = fn(&[u8], &mut [f32]);

    /// All ways that this CPU has.
    fn ways() -> Vec<Way> {
        let mut ways: Vec<Way> = vec![widen_f16, widen_buffered];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c") {
            // SAFETY: the CPU has what the function is compiled for.
            ways.push(|bytes, out| unsafe { x86::widen_eights(bytes, out) });
        }
        ways
    }

    #[test]
    fn every_number_is_widened_exactly() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        // Odd lengths and places, too.
        for (skip, leave) in [(0, 0), (1, 0), (3, 2), (0, 17)] {
            let bytes = &bytes[2 * skip..bytes.len() - 2 * leave];
            for widen in ways() {
                let mut out = vec![0.0; bytes.len() / 2];
                widen(bytes, &mut out);
                for (out, bytes) in out.iter().zip(bytes.as_chunks().0) {
                    let expected = f16::from_le_bytes(*bytes).to_f32();
                    let same = out.to_bits() == expected.to_bits();
                    assert!(same || (out.is_nan() && expected.is_nan()), "{out} for {expected}");
                }
            }
        }
    }
}
