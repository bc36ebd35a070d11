//! How far tokens go, several bytes at a time.

/// As many bytes as are asked at once.
trait Block: Sized + Copy {
    const WIDTH: usize;

    /// The first bytes, if there are so many.
    fn first(bytes: &[u8]) -> Option<Self>;

    /// Where the first byte may be that is no blank; no later than it is.
    fn not_blank(self) -> usize;

    /// Where the first byte may be that ends a word; no later than it is.
    fn word_end(self) -> usize;

    /// Where the first `"` or `\` may be; no later than it is.
    fn text_end(self) -> usize;
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

/// Whether a byte ends a text, or is one that may not.
#[inline(always)]
fn ends_text(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

/// Up to the first byte for which `is`, of which `find` passes none.
#[inline(always)]
fn up_to<B: Block>(bytes: &[u8], find: impl Fn(B) -> usize, is: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while let Some(block) = B::first(&bytes[at..]) {
        let found = find(block);
        at += found;
        if found < B::WIDTH {
            if is(bytes[at]) {
                return at;
            }
            at += 1;
        }
    }
    let rest = bytes[at..].iter().position(|&byte| is(byte));
    rest.map_or(bytes.len(), |rest| at + rest)
}

#[inline(always)]
fn space_by<B: Block>(bytes: &[u8]) -> usize {
    // Mostly none, or one.
    let first = bytes.iter().take(2).take_while(|&&byte| is_space(byte)).count();
    if first < 2 {
        return first;
    }
    2 + up_to(&bytes[2..], B::not_blank, |byte| !is_space(byte))
}

/// The length of the space that bytes begin with.
#[inline(always)]
pub(super) fn space(bytes: &[u8]) -> usize {
    space_by::<Widest>(bytes)
}

/// The length of the word that bytes begin with; all of them where it does not end in them.
#[inline(always)]
pub(super) fn word(bytes: &[u8]) -> usize {
    up_to(bytes, Widest::word_end, ends_word)
}

/// The bytes before the first `"` or `\`; all of them where there is none.
#[inline(always)]
pub(super) fn text(bytes: &[u8]) -> usize {
    up_to(bytes, Widest::text_end, ends_text)
}

#[cfg(target_arch = "x86_64")]
use sse2::Sixteen as Widest;

#[cfg(not(target_arch = "x86_64"))]
use portable::Eight as Widest;

/// Eight bytes as a number. A byte that is asked for gets its high bit set, and so may, by a borrow,
/// bytes after it; so that the first one is the first one.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::Block;

    #[derive(Debug, Clone, Copy)]
    pub struct Eight(u64);

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }

    impl Eight {
        fn those(self, byte: u8) -> u64 {
            zeros(self.0 ^ (ONES * u64::from(byte)))
        }
    }

    fn first(highs: u64) -> usize {
        highs.trailing_zeros() as usize / 8
    }

    impl Block for Eight {
        const WIDTH: usize = 8;

        fn first(bytes: &[u8]) -> Option<Eight> {
            Some(Eight(u64::from_le_bytes(*bytes.first_chunk()?)))
        }

        fn not_blank(self) -> usize {
            let blank = self.0 ^ (ONES * u64::from(b' '));
            first((blank | ((blank & !HIGHS) + !HIGHS)) & HIGHS)
        }

        fn word_end(self) -> usize {
            let below = self.0.wrapping_sub(ONES * u64::from(b'!')) & !self.0 & HIGHS;
            let parens = zeros((self.0 & !ONES) ^ (ONES * u64::from(b'(')));
            first(below | parens | self.those(b'"') | self.those(b';'))
        }

        fn text_end(self) -> usize {
            first(self.those(b'"') | self.those(b'\\'))
        }
    }
}

/// Sixteen bytes, which every x86-64 asks at once.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
        _mm_set1_epi8,
    };

    use super::Block;

    #[derive(Debug, Clone, Copy)]
    pub struct Sixteen(__m128i);

    /// A bit for each of sixteen bytes.
    type Bits = u32;

    impl Sixteen {
        /// The bytes that are this one.
        #[inline(always)]
        fn those(self, byte: u8) -> Bits {
            // SAFETY: every x86-64 has SSE2.
            unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8))) as Bits }
        }

        /// The bytes that are no more than this one.
        #[inline(always)]
        fn up_to(self, byte: u8) -> Bits {
            // SAFETY: every x86-64 has SSE2.
            unsafe {
                let least = _mm_min_epu8(self.0, _mm_set1_epi8(byte as i8));
                _mm_movemask_epi8(_mm_cmpeq_epi8(least, self.0)) as Bits
            }
        }

        /// The bytes with these bits alone.
        #[inline(always)]
        fn masked(self, bits: u8) -> Sixteen {
            // SAFETY: every x86-64 has SSE2.
            Sixteen(unsafe { _mm_and_si128(self.0, _mm_set1_epi8(bits as i8)) })
        }
    }

    #[inline(always)]
    fn first(bits: Bits) -> usize {
        (bits | 1 << 16).trailing_zeros() as usize
    }

    impl Block for Sixteen {
        const WIDTH: usize = 16;

        #[inline(always)]
        fn first(bytes: &[u8]) -> Option<Sixteen> {
            let bytes: &[u8; 16] = bytes.first_chunk()?;
            // SAFETY: there are sixteen bytes to load, from wherever they begin.
            Some(Sixteen(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }))
        }

        #[inline(always)]
        fn not_blank(self) -> usize {
            self.those(b' ').trailing_ones() as usize
        }

        #[inline(always)]
        fn word_end(self) -> usize {
            let parens = self.masked(!1).those(b'(');
            first(self.up_to(b' ') | parens | self.those(b'"') | self.those(b';'))
        }

        #[inline(always)]
        fn text_end(self) -> usize {
            first(self.those(b'"') | self.those(b'\\'))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::portable::Eight;
    use super::*;

    /// As [`up_to`], a byte at a time.
    fn plainly(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
        bytes.iter().position(|&byte| is(byte)).unwrap_or(bytes.len())
    }

    fn check_by<B: Block>(bytes: &[u8]) {
        assert_eq!(space_by::<B>(bytes), plainly(bytes, |byte| !is_space(byte)), "{bytes:?}");
        assert_eq!(up_to(bytes, B::word_end, ends_word), plainly(bytes, ends_word), "{bytes:?}");
        assert_eq!(up_to(bytes, B::text_end, ends_text), plainly(bytes, ends_text), "{bytes:?}");
    }

    fn check(bytes: &[u8]) {
        check_by::<Eight>(bytes);
        check_by::<Widest>(bytes);
    }

    #[test]
    fn every_byte_is_seen_wherever_it_lies() {
        for byte in 0..=u8::MAX {
            for around in [b'a', b' ', b'\t', 0, 0x7f, 0x80, 0xff] {
                for at in 0..36 {
                    let mut bytes = [around; 36];
                    bytes[at] = byte;
                    check(&bytes);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_seen_as_one_at_a_time_does(
            bytes in vec(prop_oneof![Just(b' '), Just(b'a'), 0u8..=0x40, any::<u8>()], 0..90),
        ) {
            check(&bytes);
        }
    }
}
