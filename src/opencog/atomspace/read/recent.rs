//! What was read lately, and how it was written: a file has few types and few truth values.

use super::super::value::{TruthKind, TruthValue};
use super::heads::Head;

/// Words that may be remembered; each has two places among them.
const PLACES: usize = 128;

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

/// The bytes of a word of 1 to 24 bytes, which with its length tell it from all others.
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
        (.., 0) => None,
        (.., 4..) => Some([half_of(word.first_chunk()?), 0, half_of(word.last_chunk()?)]),
        _ => Some([word.iter().fold(0, |so_far, &byte| so_far << 8 | u64::from(byte)), 0, 0]),
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
        let place = place(key, word.len());
        let is = |entry: &Entry| entry.key == key && entry.len == word.len();
        let (first, second) = (&self.entries[place], &self.entries[place ^ 1]);
        if is(first) {
            return Some(first.head);
        }
        is(second).then_some(second.head)
    }

    /// Remembers what a word means.
    pub fn keep(&mut self, word: &[u8], head: Head) {
        if let Some(key) = key(word) {
            let len = word.len();
            let first = place(key, len);
            let is_taken = self.entries[first].len > 0;
            let place = if is_taken { first ^ 1 } else { first };
            self.entries[place] = Entry { key, len, head };
        }
    }

    /// Forgets all, where words may have been given other meanings.
    pub fn clear(&mut self) {
        *self = Recent::default();
    }
}

/// Truth values that may be remembered.
const TRUTHS: usize = 4;

/// The longest text of one, from after its word to its `)`.
const LONGEST: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Written {
    kind: TruthKind,
    /// The text, and the bits that are of it.
    text: [u128; 2],
    mask: [u128; 2],
    len: usize,
    value: TruthValue,
}

/// The truth values that were read last, by their text: a file has few, in few spellings.
#[derive(Debug, Default)]
pub(super) struct RecentTruths {
    entries: [Option<Written>; TRUTHS],
    next: usize,
}

fn two_words(bytes: &[u8; LONGEST]) -> [u128; 2] {
    let (words, _) = bytes.as_chunks::<16>();
    [u128::from_le_bytes(words[0]), u128::from_le_bytes(words[1])]
}

impl RecentTruths {
    /// The truth value of this kind that bytes begin with, after its word, and the length of its
    /// text, if it was read lately.
    #[inline]
    pub fn find(&self, kind: TruthKind, ahead: &[u8]) -> Option<(TruthValue, usize)> {
        let [a, b] = two_words(ahead.first_chunk()?);
        self.entries.iter().flatten().find_map(|known| {
            let [text_a, text_b] = known.text;
            let [mask_a, mask_b] = known.mask;
            let differs = (a ^ text_a) & mask_a | (b ^ text_b) & mask_b;
            (differs == 0 && known.kind == kind).then_some((known.value, known.len))
        })
    }

    /// Remembers a truth value whose text is the first `len` of these bytes.
    pub fn keep(&mut self, kind: TruthKind, text: &[u8; LONGEST], len: usize, value: TruthValue) {
        if len > LONGEST {
            return;
        }
        let mut mask = [0; LONGEST];
        mask[..len].fill(0xff);
        let (text, mask) = (two_words(text), two_words(&mask));
        self.entries[self.next] = Some(Written { kind, text, mask, len, value });
        self.next = (self.next + 1) % TRUTHS;
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
            let expected = (a == b && (1..=24).contains(&a.len())).then_some(Head::Named(AtomId(1)));
            prop_assert_eq!(found, expected);
            recent.clear();
            prop_assert_eq!(recent.find(a.as_bytes()), None);
        }
    }

    #[test]
    fn truth_values_are_known_by_their_whole_text() {
        let mut recent = RecentTruths::default();
        let text = b" 0.5 1)                         ";
        let value = TruthValue::Simple { strength: 0.5, confidence: 1.0 };
        recent.keep(TruthKind::Simple, text, 7, value);
        let mut ahead = *text;
        ahead[7..].fill(b'(');
        assert_eq!(recent.find(TruthKind::Simple, &ahead), Some((value, 7)));
        assert_eq!(recent.find(TruthKind::Count, &ahead), None);
        assert_eq!(recent.find(TruthKind::Simple, &ahead[1..]), None, "too little is at hand");
        ahead[6] = b'1';
        assert_eq!(recent.find(TruthKind::Simple, &ahead), None);
        (0..TRUTHS).for_each(|_| recent.keep(TruthKind::Simple, &ahead, 7, TruthValue::DEFAULT));
        assert_eq!(recent.find(TruthKind::Simple, text), None);
    }
}
