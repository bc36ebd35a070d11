//! Numbers below a limit that both sides know, in as many bytes as the largest may need.

/// zstd's level, as for the columns of atoms at rest.
const LEVEL: i32 = 19;

/// Bytes of a number below `limit`.
fn width(limit: usize) -> usize {
    let most = limit.saturating_sub(1) as u64;
    (u64::BITS - most.leading_zeros()).div_ceil(8).clamp(1, 4) as usize
}

/// Numbers one after another, the lowest byte of each first.
pub(super) fn pack(numbers: &[u32], limit: usize) -> Vec<u8> {
    let width = width(limit);
    numbers.iter().flat_map(|number| number.to_le_bytes().into_iter().take(width)).collect()
}

/// Numbers as steps from one to the next, compressed: first the lowest bytes of all.
pub(super) fn compress(numbers: &[u32], limit: usize) -> Vec<u8> {
    let mut before = 0;
    let step = |&number: &u32| number.wrapping_sub(std::mem::replace(&mut before, number));
    let steps: Vec<u32> = numbers.iter().map(step).collect();
    let planes = |plane| steps.iter().map(move |step| (step >> (8 * plane)) as u8);
    let bytes: Vec<u8> = (0..width(limit)).flat_map(planes).collect();
    // It fails only where memory does, or for a level that there isn't.
    zstd::bulk::compress(&bytes, LEVEL).expect("zstd compresses whatever it is given")
}

/// The most numbers for each byte that they are compressed to: beyond, a file is broken.
const MOST: usize = 1 << 16;

/// The `count` numbers below `limit` that were compressed; none where the bytes are others.
pub(super) fn expand(bytes: &[u8], count: usize, limit: usize) -> Option<Vec<u32>> {
    if count == 0 {
        return bytes.is_empty().then(Vec::new);
    }
    let width = width(limit);
    let len = count.checked_mul(width).filter(|len| len / MOST <= bytes.len())?;
    let planes = zstd::bulk::decompress(bytes, len).ok().filter(|found| found.len() == len)?;
    let mask = u32::MAX >> (u32::BITS as usize - 8 * width);
    let mut number = 0u32;
    let mut next = |i: usize| {
        let byte = |plane: usize| u32::from(planes[plane * count + i]) << (8 * plane);
        number = number.wrapping_add((0..width).map(byte).sum()) & mask;
        Some(number).filter(|&number| (number as usize) < limit)
    };
    (0..count).map(&mut next).collect()
}

/// Packed numbers, where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Ids<'a> {
    /// Numbers below `limit`; none where the bytes are not a whole count of them.
    pub fn new(bytes: &'a [u8], limit: usize) -> Option<Ids<'a>> {
        let width = width(limit);
        bytes.len().is_multiple_of(width).then_some(Ids { bytes, width })
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// Number `i`, which there must be.
    pub fn get(&self, i: usize) -> u32 {
        number(&self.bytes[i * self.width..(i + 1) * self.width])
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.bytes.chunks_exact(self.width).map(number)
    }

    /// The place of a number among ascending ones.
    pub fn find(&self, wanted: u32) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(raw in proptest::collection::vec(any::<u32>(), 0..50), limit in 1usize..1 << 32) {
            let numbers: Vec<u32> = raw.iter().map(|&n| (n as usize % limit) as u32).collect();
            let bytes = pack(&numbers, limit);
            let ids = Ids::new(&bytes, limit).unwrap();
            prop_assert_eq!(ids.iter().collect::<Vec<_>>(), &numbers[..]);
            let rest = if numbers.is_empty() { Vec::new() } else { compress(&numbers, limit) };
            prop_assert_eq!(expand(&rest, numbers.len(), limit), Some(numbers.clone()));
            prop_assert_eq!(expand(&rest, numbers.len() + 1, limit), None);
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let bytes = pack(&sorted, limit);
            let ids = Ids::new(&bytes, limit).unwrap();
            for (i, &number) in sorted.iter().enumerate() {
                prop_assert_eq!(ids.find(number), Some(i));
            }
            prop_assert_eq!(ids.find(u32::MAX).is_some(), sorted.contains(&u32::MAX));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), count: u16, limit: u32) {
            if let Some(numbers) = expand(&bytes, count.into(), limit as usize) {
                prop_assert_eq!(numbers.len(), usize::from(count));
            }
            if let Some(ids) = Ids::new(&bytes, limit as usize) {
                ids.find(limit);
            }
        }
    }

    #[test]
    fn few_bytes_are_no_billions_of_numbers() {
        assert_eq!(expand(&compress(&[0], 2), usize::MAX / 8, 1 << 20), None);
        assert_eq!(expand(&[], 1 << 40, 1 << 20), None);
    }
}
