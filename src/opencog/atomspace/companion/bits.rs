//! Numbers of a fixed width in bits, packed without gaps and read in place.

/// The widest numbers: with the bits before it in its first byte, one must fit in 64 bits.
const MAX_WIDTH: u32 = 56;

/// Bytes past the last number, so that any number is read as one word.
const PADDING: u64 = 8;

/// The bits of the numbers up to `max`: none where that is 0.
pub(super) fn width_of(max: u64) -> u32 {
    u64::BITS - max.leading_zeros()
}

/// Bytes that `len` numbers take, or none where that is more than can be counted. Numbers of no
/// width take nothing.
pub(super) fn packed_bytes(len: u64, width: u32) -> Option<u64> {
    match len.checked_mul(width.into())? {
        0 => Some(0),
        bits => Some(bits.div_ceil(8) + PADDING),
    }
}

/// Packs numbers, the first in the lowest bits of the first byte.
///
/// # Panics
/// If `width` is more than 56.
pub(super) fn pack(numbers: impl IntoIterator<Item = u64>, width: u32) -> Vec<u8> {
    assert!(width <= MAX_WIDTH, "numbers of {width} bits");
    let mut out = Vec::new();
    let (mut word, mut filled) = (0u64, 0);
    for number in numbers {
        debug_assert!(width_of(number) <= width, "{number} in {width} bits");
        word |= number << filled;
        filled += width;
        while filled >= 8 {
            out.push(word as u8);
            word >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(word as u8);
    }
    if !out.is_empty() {
        out.extend([0; PADDING as usize]);
    }
    out
}

/// Packed numbers, where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    bytes: &'a [u8],
    width: u32,
    mask: u64,
    len: usize,
}

impl<'a> Packed<'a> {
    /// `len` numbers of up to `max`; none unless the bytes are exactly theirs.
    pub fn new(bytes: &'a [u8], len: u64, max: u64) -> Option<Packed<'a>> {
        let width = width_of(max);
        let fits = width <= MAX_WIDTH && packed_bytes(len, width) == Some(bytes.len() as u64);
        let len = usize::try_from(len).ok().filter(|_| fits)?;
        Some(Packed { bytes, width, mask: (1 << width) - 1, len })
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Number `i`. Past the last one anything may come, but no panic.
    #[inline]
    pub fn get(&self, i: usize) -> u64 {
        self.from(i as u64 * u64::from(self.width)) & self.mask
    }

    /// The bits from this one on, 57 of them at least.
    #[inline]
    fn from(&self, bit: u64) -> u64 {
        let word = self.bytes.get((bit >> 3) as usize..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| u64::from_le_bytes(*word) >> (bit & 7))
    }

    /// The numbers as bytes, where they are of 8 bits.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        self.bytes.get(..self.len).filter(|_| self.width == 8)
    }

    /// Numbers `start` to `end`, as far as there are any.
    #[inline]
    pub fn range(&self, start: u64, end: u64) -> PackedRange<'a> {
        let end = end.min(self.len as u64);
        let left = end.saturating_sub(start) as usize;
        // Less than all bits, if there are any numbers left.
        let bit = start.wrapping_mul(self.width.into());
        PackedRange { packed: *self, bit, left, word: 0, ready: 0 }
    }

    /// All numbers.
    pub fn iter(&self) -> PackedRange<'a> {
        self.range(0, self.len as u64)
    }

    /// Whether the numbers never fall and the last is `last`: whether they bound lists.
    pub fn bounds_lists_up_to(&self, last: u64) -> bool {
        let mut so_far = 0;
        let rises = self.iter().all(|bound| std::mem::replace(&mut so_far, bound) <= bound);
        rises && so_far == last
    }
}

/// Some neighbours among packed numbers.
#[derive(Debug, Clone)]
pub(super) struct PackedRange<'a> {
    packed: Packed<'a>,
    /// Where the next one begins.
    bit: u64,
    left: usize,
    /// Bits that were read ahead, the next number in the lowest, and how many there are: neighbours
    /// often lie in one word.
    word: u64,
    ready: u32,
}

impl Iterator for PackedRange<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let width = self.packed.width;
        if self.ready < width {
            self.word = self.packed.from(self.bit);
            self.ready = u64::BITS - (self.bit & 7) as u32;
        }
        let number = self.word & self.packed.mask;
        self.word >>= width;
        self.ready -= width;
        self.bit += u64::from(width);
        Some(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for PackedRange<'_> {}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(width in 0u32..=56, raw in vec(any::<u64>(), 0..200)) {
            let max = (1u64 << width) - 1;
            let numbers: Vec<u64> = raw.iter().map(|n| n & max).collect();
            let bytes = pack(numbers.iter().copied(), width);
            prop_assert_eq!(packed_bytes(numbers.len() as u64, width), Some(bytes.len() as u64));
            let packed = Packed::new(&bytes, numbers.len() as u64, max).unwrap();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), &numbers[..]);
            prop_assert_eq!(packed.len(), numbers.len());
            let part = packed.range(3, 7).collect::<Vec<_>>();
            prop_assert_eq!(&part[..], numbers.get(3..7.min(numbers.len())).unwrap_or(&[]));
        }

        #[test]
        fn nothing_past_the_end_panics(bytes in vec(any::<u8>(), 0..40), len in any::<u64>(), max in any::<u64>(), i in any::<u32>()) {
            if let Some(packed) = Packed::new(&bytes, len, max) {
                packed.get(i as usize);
                packed.range(u64::from(i), u64::MAX).for_each(drop);
            }
        }
    }

    #[test]
    fn lengths_must_fit() {
        let bytes = pack([1, 2, 3], 2);
        assert_eq!(bytes.len(), 9);
        assert!(Packed::new(&bytes, 3, 3).is_some());
        assert!(Packed::new(&bytes, 4, 3).is_some(), "six and eight bits take a byte both");
        assert!(Packed::new(&bytes, 5, 3).is_none());
        assert!(Packed::new(&bytes, u64::MAX, 3).is_none());
        assert!(Packed::new(&[], u64::MAX, u64::MAX).is_none());
        assert_eq!(Packed::new(&[], 7, 0).unwrap().iter().sum::<u64>(), 0);
    }

    #[test]
    fn bounds_rise_to_the_last() {
        let check = |numbers: &[u64], last| {
            let bytes = pack(numbers.iter().copied(), 4);
            Packed::new(&bytes, numbers.len() as u64, 15).unwrap().bounds_lists_up_to(last)
        };
        assert!(check(&[0, 3, 3, 9], 9));
        assert!(!check(&[0, 3, 3, 9], 8));
        assert!(!check(&[0, 4, 3, 9], 9));
    }
}
