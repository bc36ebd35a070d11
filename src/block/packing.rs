//! The bit layouts that several block formats share: nibbles, single high bits, 6-bit scale pairs.

use half::f16;

/// Reads the F16 at byte `at` of a block.
#[inline(always)]
pub fn f16_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Writes `value`, which F16 represents exactly, at byte `at` of a block.
#[inline(always)]
pub fn put_f16(block: &mut [u8], at: usize, value: f32) {
    // CPUs differ in which of two zeros is the smaller, so there is but one: -0 + 0 is 0.
    block[at..at + 2].copy_from_slice(&f16::from_f32(value + 0.0).to_le_bytes());
}

/// Unpacks `2 * bytes.len()` nibbles: the low ones first, then the high ones.
#[inline(always)]
pub fn unpack_nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(bytes.len());
    for ((&byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = byte & 15;
        *high = byte >> 4;
    }
}

/// The inverse of [`unpack_nibbles`]; only the low four bits of each code are kept.
#[inline(always)]
pub fn pack_nibbles(codes: &[u8], bytes: &mut [u8]) {
    let (low, high) = codes.split_at(bytes.len());
    for ((byte, &low), &high) in bytes.iter_mut().zip(low).zip(high) {
        *byte = (low & 15) | (high << 4);
    }
}

/// The eight (scale, min) pairs of 6 bits each in the 12 bytes of Q4_K and Q5_K.
///
/// Pairs 0..4 sit in the low six bits of bytes 0..4 (scale) and 4..8 (min); the others have their
/// low nibbles in bytes 8..12 and their upper two bits in the top of bytes 0..8.
#[inline(always)]
pub fn unpack_scale_mins(bytes: &[u8]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut mins) = ([0; 8], [0; 8]);
    for k in 0..4 {
        scales[k] = bytes[k] & 63;
        mins[k] = bytes[k + 4] & 63;
        scales[k + 4] = (bytes[k + 8] & 15) | ((bytes[k] >> 6) << 4);
        mins[k + 4] = (bytes[k + 8] >> 4) | ((bytes[k + 4] >> 6) << 4);
    }
    (scales, mins)
}

/// The inverse of [`unpack_scale_mins`].
#[inline(always)]
pub fn pack_scale_mins(scales: &[u8; 8], mins: &[u8; 8], bytes: &mut [u8]) {
    for k in 0..4 {
        bytes[k] = scales[k] | ((scales[k + 4] >> 4) << 6);
        bytes[k + 4] = mins[k] | ((mins[k + 4] >> 4) << 6);
        bytes[k + 8] = (scales[k + 4] & 15) | (mins[k + 4] << 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nibbles_round_trip(bytes in prop::array::uniform16(any::<u8>())) {
            let mut codes = [0; 32];
            unpack_nibbles(&bytes, &mut codes);
            let mut again = [0; 16];
            pack_nibbles(&codes, &mut again);
            prop_assert_eq!(bytes, again);
        }

        #[test]
        fn scale_mins_round_trip(bytes in prop::array::uniform12(any::<u8>())) {
            let (scales, mins) = unpack_scale_mins(&bytes);
            let mut again = [0; 12];
            pack_scale_mins(&scales, &mins, &mut again);
            prop_assert_eq!(bytes, again);
        }
    }
}
