//! Which values a format can hold.

use std::ops::RangeInclusive;

use crate::gguf::Format;

/// The largest F16: no scale and no minimum is larger.
const F16_MAX: f32 = 65504.0;

/// The values that `format` can hold, each on its own: its outermost level times its largest scale.
/// A value comes back within half a step of its block. Where a block reaches from one end of the
/// range to beyond the other, shorter end of its levels (-8 to 7 in Q4_0), it is within one step.
///
/// # Panics
/// If blocks of the format [cannot be written](super::can_encode), but for F32, F16 and BF16.
pub fn range(format: Format) -> RangeInclusive<f32> {
    let around_zero = |largest: f32| -largest..=largest;
    match format {
        Format::F32 => around_zero(f32::MAX),
        Format::BF16 => around_zero(half::bf16::MAX.to_f32()),
        Format::F16 => around_zero(F16_MAX),
        Format::Q4_0 => around_zero(8.0 * F16_MAX),
        Format::Q5_0 => around_zero(16.0 * F16_MAX),
        Format::Q8_0 => around_zero(127.0 * F16_MAX),
        Format::Q6_K => around_zero(32.0 * 127.0 * F16_MAX),
        Format::IQ4_NL => around_zero(127.0 * F16_MAX),
        Format::IQ4_XS => around_zero(127.0 * 31.0 * F16_MAX),
        // Down to the minimum, and up by all steps from a minimum of zero.
        Format::Q4_1 => -F16_MAX..=15.0 * F16_MAX,
        Format::Q5_1 => -F16_MAX..=31.0 * F16_MAX,
        Format::Q4_K => -63.0 * F16_MAX..=15.0 * 63.0 * F16_MAX,
        Format::Q5_K => -63.0 * F16_MAX..=31.0 * 63.0 * F16_MAX,
        format => panic!("{format} is not written"),
    }
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
    fn each_format_has_its_own_range() {
        let held = |format, x| unstorable(format, &[x]).is_none();
        assert!(held(Format::Q8_0, 127.0 * 65504.0) && !held(Format::Q8_0, 128.0 * 65504.0));
        assert!(held(Format::Q4_0, -8.0 * 65504.0) && !held(Format::Q4_0, 9.0 * 65504.0));
        assert!(held(Format::Q4_1, 15.0 * 65504.0) && !held(Format::Q4_1, -65536.0));
        assert!(held(Format::Q4_K, 6e7) && !held(Format::Q4_K, -6e7));
        assert!(held(Format::BF16, 3e38) && !held(Format::BF16, f32::INFINITY));
    }
}
