//! What the first words of expressions meant lately: a file has few, and most are short.

use super::heads::Head;

/// Words that may be remembered; each has one place among them.
const PLACES: usize = 64;

/// The bytes of a short word: the first eight, the next ones, the last eight.
type Key = [u64; 3];

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    len: usize,
    head: Head,
}

/// The meanings of some words.
#[derive(Debug)]
pub(super) struct Recent {
    entries: [Entry; PLACES],
}

impl Default for Recent {
    fn default() -> Self {
        let none = Entry { key: [0; 3], len: 0, head: Head::Unknown };
        Recent { entries: [none; PLACES] }
    }
}

/// The bytes of a word of 4 to 24 bytes, which with its length tell it from all others.
#[inline(always)]
fn key(word: &[u8]) -> Option<Key> {
    let word_of = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let half_of = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match (word.first_chunk::<8>(), word.last_chunk::<8>(), word.len()) {
        (Some(first), Some(last), ..=16) => Some([word_of(first), 0, word_of(last)]),
        (Some(first), Some(last), ..=24) => {
            Some([word_of(first), word_of(word[8..].first_chunk()?), word_of(last)])
        }
        (Some(_), ..) => None,
        _ => Some([half_of(word.first_chunk()?), 0, half_of(word.last_chunk()?)]),
    }
}

#[inline(always)]
fn place(key: Key, len: usize) -> usize {
    let [first, middle, last] = key;
    let mixed = (first ^ middle.rotate_left(16) ^ last.rotate_left(32) ^ len as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - PLACES.ilog2())) as usize
}

impl Recent {
    /// What a word meant; none where it is long or was not used lately.
    #[inline(always)]
    pub fn find(&self, word: &[u8]) -> Option<Head> {
        let key = key(word)?;
        let entry = &self.entries[place(key, word.len())];
        (entry.key == key && entry.len == word.len()).then_some(entry.head)
    }

    /// Remembers what a word means.
    pub fn keep(&mut self, word: &[u8], head: Head) {
        if let Some(key) = key(word) {
            let len = word.len();
            self.entries[place(key, len)] = Entry { key, len, head };
        }
    }

    /// Forgets all, where words may have been given other meanings.
    pub fn clear(&mut self) {
        *self = Recent::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::atom_store::AtomId;
    use super::*;

    proptest! {
        #[test]
        fn no_word_is_taken_for_another(a in "[ab]{0,28}", b in "[ab]{0,28}") {
            let mut recent = Recent::default();
            recent.keep(a.as_bytes(), Head::Named(AtomId(1)));
            let found = recent.find(b.as_bytes());
            let expected = (a == b && (4..=24).contains(&a.len())).then_some(Head::Named(AtomId(1)));
            prop_assert_eq!(found, expected);
            recent.clear();
            prop_assert_eq!(recent.find(a.as_bytes()), None);
        }
    }
}
