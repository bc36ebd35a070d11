//! Which values a format can hold.

use std::ops::RangeInclusive;

use super::format::Block;
use crate::gguf::Format;

/// The values that `format` can hold, each on its own: its outermost level times its largest scale.
/// A value comes back within half a step of its block. Where a block reaches from one end of the
/// range to beyond the other, shorter end of its levels (-8 to 7 in Q4_0), it is within one step.
///
/// # Panics
/// If the format [cannot be decoded](super::can_decode).
pub fn range(format: Format) -> RangeInclusive<f32> {
    let (low, high) =
        for_format!(read format, B => B::RANGE, else panic!("{format} cannot be decoded"));
    low..=high
}

/// The place of the first value that `format` cannot hold: NaN, infinite, or out of its [`range`].
///
/// # Panics
/// As [`range`].
pub fn unstorable(format: Format, x: &[f32]) -> Option<usize> {
    let range = range(format);
    let within = |x: &f32| range.contains(x);
    // All of a run first, which vectorises.
    let all_within = |x: &[f32]| x.iter().fold(true, |all, x| all & within(x));
    let run = x.chunks(RUN).position(|x| !all_within(x))?;
    (run * RUN..x.len()).find(|&i| !within(&x[i]))
}

/// Values looked at between two decisions.
const RUN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_is_found() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 65505.0, -1e30] {
            assert_eq!(unstorable(Format::F16, &[0.0, -65504.0, bad, f32::NAN]), Some(2));
            let mut many = vec![1.0; 5000];
            many[3210] = bad;
            assert_eq!(unstorable(Format::F16, &many), Some(3210));
        }
        assert_eq!(unstorable(Format::F16, &[0.0, 65504.0, -65504.0, f32::MIN_POSITIVE]), None);
    }

    #[test]
    fn outermost_codes_and_scales_of_formats_that_are_only_read_reach_the_ends() {
        let decoded = |format: Format, block: &[u8]| {
            let mut x = [0.0; 256];
            super::super::decode(format, block, &mut x);
            x[0]
        };
        let largest = half::f16::MAX.to_le_bytes();
        // The scale in the lower nibbles, the minimum in the upper ones.
        let q2_k =
            |scale: u8, codes: u8| [&[scale; 16][..], &[codes; 64], &largest, &largest].concat();
        let (low, high) = (q2_k(0xf0, 0), q2_k(0x0f, 0xff));
        let ends = decoded(Format::Q2_K, &low)..=decoded(Format::Q2_K, &high);
        assert_eq!(ends, range(Format::Q2_K));
        // No high bits are -4, and scales of 0 stand for -32.
        let q3_k = |unit: [u8; 2]| [&[0; 32 + 64 + 12][..], &unit].concat();
        let (high, low) = (q3_k(largest), q3_k(half::f16::MIN.to_le_bytes()));
        let ends = decoded(Format::Q3_K, &low)..=decoded(Format::Q3_K, &high);
        assert_eq!(ends, range(Format::Q3_K));
    }

    #[test]
    fn each_format_has_its_own_range() {
        let held = |format, x| unstorable(format, &[x]).is_none();
        assert!(held(Format::Q8_0, 127.0 * 65504.0) && !held(Format::Q8_0, 128.0 * 65504.0));
        assert!(held(Format::Q4_0, -8.0 * 65504.0) && !held(Format::Q4_0, 9.0 * 65504.0));
        assert!(held(Format::Q4_1, 15.0 * 65504.0) && !held(Format::Q4_1, -65536.0));
        assert!(held(Format::Q4_K, 6e7) && !held(Format::Q4_K, -6e7));
        assert!(held(Format::BF16, 3e38) && !held(Format::BF16, f32::INFINITY));
    }
}
