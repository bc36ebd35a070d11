//! Numbers of a fixed width in whole bytes, without gaps, read in place: a number is one load and a
//! mask, wherever it begins.

/// The widest numbers, in bytes: any is read as a part of one word.
const MAX_WIDTH: usize = 7;

/// Bytes past the last number, so that any number is read as one word.
const PADDING: u64 = 8;

/// The bytes of the numbers up to `max`: none where that is 0.
pub(super) fn width_of(max: u64) -> usize {
    (u64::BITS - max.leading_zeros()).div_ceil(8) as usize
}

/// Bytes that `len` numbers take, or none where that is more than can be counted. Numbers of no
/// width take nothing.
pub(super) fn packed_bytes(len: u64, width: usize) -> Option<u64> {
    match len.checked_mul(width as u64)? {
        0 => Some(0),
        bytes => bytes.checked_add(PADDING),
    }
}

/// Packs numbers, the lowest byte of each first.
///
/// # Panics
/// If `width` is more than 7.
pub(super) fn pack(numbers: impl IntoIterator<Item = u64>, width: usize) -> Vec<u8> {
    assert!(width <= MAX_WIDTH, "numbers of {width} bytes");
    let mut out = Vec::new();
    for number in numbers {
        debug_assert!(width_of(number) <= width, "{number} in {width} bytes");
        out.extend_from_slice(&number.to_le_bytes()[..width]);
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
    width: usize,
    mask: u64,
    len: usize,
}

/// The word that begins here. Past the last number anything may come, but no panic.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

impl<'a> Packed<'a> {
    /// `len` numbers of up to `max`; none unless the bytes are exactly theirs.
    pub fn new(bytes: &'a [u8], len: u64, max: u64) -> Option<Packed<'a>> {
        let width = width_of(max);
        let fits = width <= MAX_WIDTH && packed_bytes(len, width) == Some(bytes.len() as u64);
        let len = usize::try_from(len).ok().filter(|_| fits)?;
        Some(Packed { bytes, width, mask: (1 << (8 * width)) - 1, len })
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn from(&self, i: usize) -> &'a [u8] {
        self.bytes.get(i.wrapping_mul(self.width)..).unwrap_or(&[])
    }

    /// Number `i`. Past the last one anything may come, but no panic.
    #[inline(always)]
    pub fn get(&self, i: usize) -> u64 {
        word(self.from(i)) & self.mask
    }

    /// Numbers `i` and `i + 1`, between which a list lies.
    #[inline(always)]
    pub fn bounds(&self, i: usize) -> (u64, u64) {
        if 2 * self.width <= size_of::<u64>() {
            let word = word(self.from(i));
            (word & self.mask, word >> (8 * self.width) & self.mask)
        } else {
            (self.get(i), self.get(i + 1))
        }
    }

    /// The numbers as bytes, where they are of one byte.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        self.bytes.get(..self.len).filter(|_| self.width == 1)
    }

    /// Numbers `start` to `end`, as far as there are any.
    #[inline(always)]
    pub fn range(&self, start: u64, end: u64) -> PackedRange<'a> {
        let left = end.min(self.len as u64).saturating_sub(start) as usize;
        PackedRange { rest: self.from(start as usize), width: self.width, mask: self.mask, left }
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
    /// From the next one on.
    rest: &'a [u8],
    width: usize,
    mask: u64,
    left: usize,
}

impl Iterator for PackedRange<'_> {
    type Item = u64;

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let number = word(self.rest) & self.mask;
        self.rest = self.rest.get(self.width..).unwrap_or(&[]);
        Some(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// With a width that the compiler knows, for those that ids of up to 32 bits have.
    #[inline(always)]
    fn fold<B, F: FnMut(B, u64) -> B>(self, start: B, each: F) -> B {
        match self.width {
            1 => self.fold_of_width::<1, B, F>(start, each),
            2 => self.fold_of_width::<2, B, F>(start, each),
            3 => self.fold_of_width::<3, B, F>(start, each),
            4 => self.fold_of_width::<4, B, F>(start, each),
            _ => self.fold_by_turns(start, each),
        }
    }
}

impl PackedRange<'_> {
    #[inline(always)]
    fn fold_of_width<const WIDTH: usize, B, F>(self, start: B, mut each: F) -> B
    where
        F: FnMut(B, u64) -> B,
    {
        let (numbers, _) = self.rest.as_chunks::<WIDTH>();
        numbers.iter().take(self.left).fold(start, |so_far, number| {
            let mut word = [0; 8];
            word[..WIDTH].copy_from_slice(number);
            each(so_far, u64::from_le_bytes(word))
        })
    }

    fn fold_by_turns<B, F: FnMut(B, u64) -> B>(self, start: B, mut each: F) -> B {
        let mut so_far = start;
        for number in self {
            so_far = each(so_far, number);
        }
        so_far
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
        fn numbers_come_back(width in 0usize..=7, raw in vec(any::<u64>(), 0..200)) {
            let max = (1u64 << (8 * width)) - 1;
            let numbers: Vec<u64> = raw.iter().map(|n| n & max).collect();
            let bytes = pack(numbers.iter().copied(), width);
            prop_assert_eq!(packed_bytes(numbers.len() as u64, width), Some(bytes.len() as u64));
            let packed = Packed::new(&bytes, numbers.len() as u64, max).unwrap();
            let mut turns = packed.iter();
            for &number in &numbers {
                prop_assert_eq!(turns.next(), Some(number));
            }
            prop_assert_eq!(turns.next(), None);
            prop_assert_eq!(packed.len(), numbers.len());
            let folded = packed.iter().fold(Vec::new(), |mut so_far, number| {
                so_far.push(number);
                so_far
            });
            prop_assert_eq!(folded, &numbers[..]);
            let part = packed.range(3, 7).collect::<Vec<_>>();
            prop_assert_eq!(&part[..], numbers.get(3..7.min(numbers.len())).unwrap_or(&[]));
            for (i, pair) in numbers.windows(2).enumerate() {
                prop_assert_eq!(packed.bounds(i), (pair[0], pair[1]));
            }
        }

        #[test]
        fn nothing_past_the_end_panics(bytes in vec(any::<u8>(), 0..40), len in any::<u64>(), max in any::<u64>(), i in any::<u32>()) {
            if let Some(packed) = Packed::new(&bytes, len, max) {
                packed.get(i as usize);
                packed.bounds(i as usize);
                packed.range(u64::from(i), u64::MAX).for_each(drop);
            }
        }
    }

    #[test]
    fn lengths_must_fit() {
        let bytes = pack([1, 2, 3], 1);
        assert_eq!(bytes.len(), 11);
        assert!(Packed::new(&bytes, 3, 3).is_some());
        assert!(Packed::new(&bytes, 3, 300).is_none());
        assert!(Packed::new(&bytes, 4, 3).is_none());
        assert!(Packed::new(&bytes, u64::MAX, 3).is_none());
        assert!(Packed::new(&[], u64::MAX, u64::MAX).is_none());
        assert_eq!(Packed::new(&[], 7, 0).unwrap().iter().sum::<u64>(), 0);
    }

    #[test]
    fn bounds_rise_to_the_last() {
        let check = |numbers: &[u64], last| {
            let bytes = pack(numbers.iter().copied(), 1);
            Packed::new(&bytes, numbers.len() as u64, 15).unwrap().bounds_lists_up_to(last)
        };
        assert!(check(&[0, 3, 3, 9], 9));
        assert!(!check(&[0, 3, 3, 9], 8));
        assert!(!check(&[0, 4, 3, 9], 9));
    }
}
