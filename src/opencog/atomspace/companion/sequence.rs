//! Columns of numbers as bytes that compress well: whole bytes, so that a compressor sees what
//! recurs.

/// How the numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The lowest bytes of all numbers, then the next ones, as many as the largest needs.
    Planes,
    /// Seven bits a byte, the lowest first; all bytes of a number but its last have the high bit.
    Varints,
}

impl Layout {
    const ALL: [Layout; 2] = [Layout::Planes, Layout::Varints];

    fn encode(self, numbers: &[u32]) -> Vec<u8> {
        let mut out = vec![self as u8];
        match self {
            Layout::Planes => {
                let largest = numbers.iter().copied().max().unwrap_or(0);
                let planes = (u32::BITS - largest.leading_zeros()).div_ceil(8).max(1);
                for plane in 0..planes {
                    out.extend(numbers.iter().map(|number| (number >> (8 * plane)) as u8));
                }
            }
            Layout::Varints => {
                for &number in numbers {
                    let mut rest = number;
                    while rest > 0x7f {
                        out.push(rest as u8 | 0x80);
                        rest >>= 7;
                    }
                    out.push(rest as u8);
                }
            }
        }
        out
    }
}

/// The numbers in each layout, of which the one that compresses best is to be kept.
pub(super) fn encodings(numbers: &[u32]) -> impl Iterator<Item = Vec<u8>> {
    Layout::ALL.into_iter().map(|layout| layout.encode(numbers))
}

/// The `count` numbers that these bytes are; none where they are others.
pub(super) fn decode(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    let (&layout, rest) = bytes.split_first()?;
    match Layout::ALL.into_iter().find(|known| *known as u8 == layout)? {
        Layout::Planes => planes(rest, count),
        Layout::Varints => varints(rest, count),
    }
}

fn planes(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    if count == 0 {
        return bytes.is_empty().then(Vec::new);
    }
    let planes = bytes.len() / count;
    if !bytes.len().is_multiple_of(count) || !(1..=4).contains(&planes) {
        return None;
    }
    let number = |i: usize| {
        let byte = |plane: usize| u32::from(bytes[plane * count + i]) << (8 * plane);
        (0..planes).map(byte).sum()
    };
    Some((0..count).map(number).collect())
}

fn varints(bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    // Each takes a byte at least.
    let mut out = Vec::with_capacity(count.min(bytes.len()));
    let (mut number, mut shift) = (0u32, 0);
    for &byte in bytes {
        let part = u32::from(byte & 0x7f);
        if shift > 28 || shift == 28 && part > 0xf {
            return None;
        }
        number |= part << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            out.push(number);
            (number, shift) = (0, 0);
        }
    }
    (out.len() == count && shift == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u32> {
        (any::<u32>(), 0u32..32).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in vec(number(), 0..100)) {
            for bytes in encodings(&numbers) {
                prop_assert_eq!(decode(&bytes, numbers.len()), Some(numbers.clone()));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in vec(any::<u8>(), 0..60), count in prop_oneof![0usize..70, any::<usize>()]) {
            if let Some(numbers) = decode(&bytes, count) {
                prop_assert_eq!(numbers.len(), count);
            }
        }
    }

    #[test]
    fn numbers_must_be_as_many_as_are_expected() {
        for bytes in encodings(&[1, 2, 300]) {
            assert_eq!(decode(&bytes, 4), None);
            assert_eq!(decode(&bytes, 0), None);
        }
        assert_eq!(decode(&[], 0), None);
    }

    #[test]
    fn a_varint_is_no_longer_than_its_number() {
        let varints = |bytes: &[u8]| decode(&[&[Layout::Varints as u8], bytes].concat(), 1);
        assert_eq!(varints(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(vec![u32::MAX]));
        assert_eq!(varints(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(varints(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), None);
    }
}
