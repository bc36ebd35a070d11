//! Byte-pair encoding: the bytes of a word are merged, pair by pair, in the order of a list.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::alphabet;
use super::error::TokenizerError;
use super::keys::{MERGES, strings};
use super::vocabulary::Vocabulary;
use super::words::Pretokenizer;
use crate::gguf::Metadata;

/// The merges of a vocabulary.
///
/// A *piece* is a string of bytes that merging can reach: 0 to 255 are the single bytes.
#[derive(Debug)]
pub(super) struct Bpe {
    pub(super) pretokenizer: Pretokenizer,
    /// By the two pieces that are merged.
    merges: HashMap<(u32, u32), Merge>,
    /// What each piece is encoded as: mostly one token.
    tokens: Vec<Vec<u32>>,
    /// Tokens that words are compared with first; empty where they are not.
    whole: HashMap<Vec<u8>, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Merge {
    rank: u32,
    piece: u32,
}

/// A part of a word while it is merged. Symbols that a neighbour has swallowed stay in the list.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    /// `None` when swallowed.
    piece: Option<u32>,
    previous: Option<u32>,
    next: Option<u32>,
}

/// A merge that could be done: the earliest of the list first, of those the leftmost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    merge: Merge,
    left: u32,
    right: u32,
    pieces: (u32, u32),
}

/// Finds the number of a piece, and gives new ones the next.
struct Pieces(HashMap<Vec<u8>, u32>);

impl Pieces {
    fn new() -> Pieces {
        Pieces((0..=255).map(|byte| (vec![byte], u32::from(byte))).collect())
    }

    fn number(&mut self, bytes: Vec<u8>) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(bytes).or_insert(next)
    }
}

impl Bpe {
    pub(super) fn read(
        metadata: &Metadata,
        vocabulary: &Vocabulary,
        pretokenizer: Pretokenizer,
    ) -> Result<Bpe, TokenizerError> {
        let list = strings(metadata, MERGES)?
            .ok_or_else(|| TokenizerError::malformed(MERGES, "is missing"))?;
        let mut pieces = Pieces::new();
        let mut merges = HashMap::with_capacity(list.len());
        for (rank, merge) in list.iter().enumerate() {
            // What is not spelled in the alphabet of bytes can never come up.
            let Some((left, right)) = halves(merge) else { continue };
            let merged = [left.as_slice(), &right].concat();
            let pair = (pieces.number(left), pieces.number(right));
            let piece = pieces.number(merged);
            merges.entry(pair).or_insert(Merge { rank: rank as u32, piece });
        }
        let mut tokens = vec![Vec::new(); pieces.0.len()];
        for (bytes, &piece) in &pieces.0 {
            tokens[piece as usize] = encoded(bytes, vocabulary);
        }
        let mut whole = HashMap::new();
        if pretokenizer.words_are_tokens {
            let word = |id| Some((alphabet::bytes(vocabulary.text(id))?, id));
            whole = (0..vocabulary.len()).filter_map(word).collect();
        }
        Ok(Bpe { pretokenizer, merges, tokens, whole })
    }

    /// Appends the ids of `text`.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        // Texts repeat themselves: where in `ids` each word already stands.
        let mut seen: HashMap<&str, (usize, usize)> = HashMap::new();
        self.pretokenizer.words(text, |word| match seen.get(word) {
            Some(&(start, end)) => ids.extend_from_within(start..end),
            None => {
                let start = ids.len();
                self.encode_word(word.as_bytes(), ids);
                seen.insert(word, (start, ids.len()));
            }
        });
    }

    fn encode_word(&self, word: &[u8], ids: &mut Vec<u32>) {
        if let Some(&id) = self.whole.get(word) {
            ids.push(id);
            return;
        }
        let symbols = self.merge(word);
        for piece in symbols.iter().filter_map(|symbol| symbol.piece) {
            ids.extend_from_slice(&self.tokens[piece as usize]);
        }
    }

    /// Merges the bytes of a word until no more merges apply.
    fn merge(&self, word: &[u8]) -> Vec<Symbol> {
        let last = word.len().saturating_sub(1);
        let mut symbols: Vec<Symbol> = word
            .iter()
            .enumerate()
            .map(|(i, &byte)| Symbol {
                piece: Some(byte.into()),
                previous: i.checked_sub(1).map(|i| i as u32),
                next: (i < last).then_some(i as u32 + 1),
            })
            .collect();
        let starts = (1..word.len() as u32).filter_map(|right| {
            self.candidate(&symbols, Some(right - 1), Some(right)).map(Reverse)
        });
        let mut queue: BinaryHeap<Reverse<Candidate>> = starts.collect();
        while let Some(Reverse(candidate)) = queue.pop() {
            let Candidate { merge, left, right, pieces } = candidate;
            let (l, r) = (left as usize, right as usize);
            if (symbols[l].piece, symbols[r].piece) != (Some(pieces.0), Some(pieces.1)) {
                continue; // one of them has been merged with another since
            }
            symbols[l].piece = Some(merge.piece);
            symbols[r].piece = None;
            symbols[l].next = symbols[r].next;
            if let Some(next) = symbols[r].next {
                symbols[next as usize].previous = Some(left);
            }
            let (previous, next) = (symbols[l].previous, symbols[l].next);
            queue.extend(self.candidate(&symbols, previous, Some(left)).map(Reverse));
            queue.extend(self.candidate(&symbols, Some(left), next).map(Reverse));
        }
        symbols
    }

    fn candidate(
        &self,
        symbols: &[Symbol],
        left: Option<u32>,
        right: Option<u32>,
    ) -> Option<Candidate> {
        let (left, right) = (left?, right?);
        let pieces = (symbols[left as usize].piece?, symbols[right as usize].piece?);
        let merge = *self.merges.get(&pieces)?;
        Some(Candidate { merge, left, right, pieces })
    }
}

/// The bytes of the two pieces of an entry of the list, which stand with a space between them.
fn halves(merge: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let space = merge.iter().skip(1).position(|&byte| byte == b' ')? + 1;
    let (left, right) = (alphabet::bytes(&merge[..space])?, alphabet::bytes(&merge[space + 1..])?);
    (!right.is_empty()).then_some((left, right))
}

/// The token of a piece. A piece that is none is encoded byte by byte of its spelling, and what is
/// no token then is dropped, as llama.cpp has it.
fn encoded(piece: &[u8], vocabulary: &Vocabulary) -> Vec<u32> {
    let spelled: String = piece.iter().map(|&byte| alphabet::letter(byte)).collect();
    match vocabulary.id(spelled.as_bytes()) {
        Some(id) => vec![id],
        None => spelled.as_bytes().iter().filter_map(|&byte| vocabulary.id(&[byte])).collect(),
    }
}
