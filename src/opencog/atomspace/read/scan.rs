//! How far tokens go, eight bytes at a time.
//!
//! A word of eight bytes is asked for several bytes at once: a byte of it that is one of those gets
//! its high bit set, and so may, by a borrow, bytes after it; so that the first one is the first one.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bits of the bytes that are zero, the first of which is right.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The high bits of the bytes that are this one, the first of which is right.
#[inline(always)]
fn those(word: u64, byte: u8) -> u64 {
    zeros(word ^ (ONES * u64::from(byte)))
}

/// Whether a byte is space between tokens.
#[inline(always)]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether a byte ends a word.
#[inline(always)]
fn ends_word(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b'(' | b')' | b'"' | b';')
}

/// Up to the first byte for which `is`, where `finds` marks at least the first one of a word.
#[inline(always)]
fn up_to(bytes: &[u8], finds: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let found = finds(u64::from_le_bytes(*word));
        if found == 0 {
            at += 8;
            continue;
        }
        at += found.trailing_zeros() as usize / 8;
        if is(bytes[at]) {
            return at;
        }
        at += 1;
    }
    let rest = bytes[at..].iter().position(|&byte| is(byte));
    rest.map_or(bytes.len(), |rest| at + rest)
}

/// The length of the space that bytes begin with.
#[inline(always)]
pub(super) fn space(bytes: &[u8]) -> usize {
    // Mostly none, or one.
    let first = bytes.iter().take(2).take_while(|&&byte| is_space(byte)).count();
    if first < 2 {
        return first;
    }
    // All but blanks, by a carry into their high bits: line feeds and tabs are fewer.
    let others = |word: u64| {
        let blank = word ^ (ONES * u64::from(b' '));
        (blank | (blank & !HIGHS) + (!HIGHS)) & HIGHS
    };
    2 + up_to(&bytes[2..], others, |byte| !is_space(byte))
}

/// The length of the word that bytes begin with; all of them where it does not end in them.
#[inline(always)]
pub(super) fn word(bytes: &[u8]) -> usize {
    let ends = |word: u64| {
        // Below `!`: where taking it away from the low bits borrows from a high bit that is not set.
        let low = word.wrapping_sub(ONES * u64::from(b'!')) & !word & HIGHS;
        let parens = zeros((word & !ONES) ^ (ONES * u64::from(b'(')));
        low | parens | those(word, b'"') | those(word, b';')
    };
    up_to(bytes, ends, ends_word)
}

/// The bytes before the first `"` or `\`; all of them where there is none.
#[inline(always)]
pub(super) fn text(bytes: &[u8]) -> usize {
    let ends = |word: u64| those(word, b'"') | those(word, b'\\');
    up_to(bytes, ends, |byte| matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// As [`up_to`], a byte at a time.
    fn plainly(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
        bytes.iter().position(|&byte| is(byte)).unwrap_or(bytes.len())
    }

    fn check(bytes: &[u8]) {
        assert_eq!(space(bytes), plainly(bytes, |byte| !is_space(byte)), "{bytes:?}");
        assert_eq!(word(bytes), plainly(bytes, ends_word), "{bytes:?}");
        assert_eq!(text(bytes), plainly(bytes, |b| b == b'"' || b == b'\\'), "{bytes:?}");
    }

    #[test]
    fn every_byte_is_seen_wherever_it_lies() {
        for byte in 0..=u8::MAX {
            for around in [b'a', b' ', b'\t', 0, 0x7f, 0x80, 0xff] {
                for at in 0..20 {
                    let mut bytes = [around; 20];
                    bytes[at] = byte;
                    check(&bytes);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_seen_as_one_at_a_time_does(
            bytes in vec(prop_oneof![Just(b' '), Just(b'a'), 0u8..=0x40, any::<u8>()], 0..60),
        ) {
            check(&bytes);
        }
    }
}
