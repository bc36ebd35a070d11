//! The algorithm of SentencePiece vocabularies: characters are merged, the pair first that makes
//! the token of the highest score.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::alphabet::SPACE;
use super::error::TokenizerError;
use super::keys::{SCORES, flag};
use super::tokens::TokenKind;
use super::vocabulary::Vocabulary;
use crate::gguf::{Array, Metadata, Value};

const ADD_SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";

/// What a vocabulary of this kind has beside its tokens.
#[derive(Debug)]
pub(super) struct Spm {
    pub(super) scores: Vec<f32>,
    /// The token of each byte, for characters that are no tokens; where it has none, that for what
    /// is unknown.
    bytes: Vec<Option<u32>>,
    /// Text is encoded as if a space stood before it.
    pub(super) space_before: bool,
}

/// A part of the text while it is merged: `len` bytes from `start`, none when a neighbour has
/// swallowed them.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: usize,
    len: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// A merge that could be done.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    /// Of both together: less than they have once one of them was merged with another.
    len: usize,
}

/// The highest score is the greatest, of equal ones the leftmost.
impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> Ordering {
        // -0.0 and 0.0 are equal here, as they are to llama.cpp; there are no NaNs.
        let by_score = self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal);
        by_score.then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl Spm {
    pub(super) fn read(
        metadata: &Metadata,
        vocabulary: &Vocabulary,
    ) -> Result<Spm, TokenizerError> {
        let space_before = flag(metadata, ADD_SPACE_PREFIX)?.unwrap_or(true);
        let unknown = (0..vocabulary.len()).find(|&id| vocabulary.kind(id) == TokenKind::Unknown);
        let bytes = (0..=255).map(|byte| byte_token(vocabulary, byte).or(unknown)).collect();
        Ok(Spm { scores: scores(metadata, vocabulary)?, bytes, space_before })
    }

    /// Appends the ids of `text`.
    pub(super) fn encode(&self, text: &str, vocabulary: &Vocabulary, ids: &mut Vec<u32>) {
        let before = if self.space_before { SPACE } else { "" };
        let text = [before, &text.replace(' ', SPACE)].concat();
        for symbol in self.merge(&text, vocabulary).iter().filter(|symbol| symbol.len > 0) {
            let piece = &text.as_bytes()[symbol.start..symbol.start + symbol.len];
            match vocabulary.id(piece) {
                Some(id) => ids.push(id),
                None => ids.extend(piece.iter().filter_map(|&byte| self.bytes[usize::from(byte)])),
            }
        }
    }

    /// Merges the characters of a text until no two neighbours make a token.
    fn merge(&self, text: &str, vocabulary: &Vocabulary) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(i, (start, c))| Symbol {
                start,
                len: c.len_utf8(),
                previous: i.checked_sub(1),
                next: (start + c.len_utf8() < text.len()).then_some(i + 1),
            })
            .collect();
        let candidate = |symbols: &[Symbol], left: Option<usize>, right: Option<usize>| {
            let (left, right) = (left?, right?);
            let len = symbols[left].len + symbols[right].len;
            let start = symbols[left].start;
            let id = vocabulary.id(&text.as_bytes()[start..start + len])?;
            Some(Candidate { score: self.scores[id as usize], left, right, len })
        };
        let starts = (1..symbols.len()).filter_map(|i| candidate(&symbols, Some(i - 1), Some(i)));
        let mut queue: BinaryHeap<Candidate> = starts.collect();
        while let Some(Candidate { left, right, len, .. }) = queue.pop() {
            let (l, r) = (symbols[left], symbols[right]);
            if l.len == 0 || r.len == 0 || l.len + r.len != len {
                continue; // one of them has been merged with another since
            }
            symbols[left].len = len;
            symbols[left].next = r.next;
            symbols[right].len = 0;
            if let Some(next) = r.next {
                symbols[next].previous = Some(left);
            }
            queue.extend(candidate(&symbols, l.previous, Some(left)));
            queue.extend(candidate(&symbols, Some(left), r.next));
        }
        symbols
    }
}

/// The score of each token; all the same where the file has none. llama.cpp leaves alone what more
/// there is.
fn scores(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Vec<f32>, TokenizerError> {
    let malformed = |fault: String| Err(TokenizerError::malformed(SCORES, fault));
    let count = vocabulary.len() as usize;
    let mut scores: Vec<f32> = match metadata.get(SCORES) {
        None => return Ok(vec![0.0; count]),
        Some(Value::Array(Array::F32(scores))) => scores.clone(),
        Some(Value::Array(Array::I32(scores))) => scores.iter().map(|&x| x as f32).collect(),
        Some(other) => {
            return malformed(format!("is {other}, and should be an array of f32 or i32"));
        }
    };
    if scores.len() < count {
        return malformed(format!("has {} scores for {count} tokens", scores.len()));
    }
    scores.truncate(count);
    match scores.iter().position(|score| score.is_nan()) {
        Some(id) => malformed(format!("has NaN for token {id}")),
        None => Ok(scores),
    }
}

/// The token that stands for a byte: `<0x0A>`, or the byte itself.
fn byte_token(vocabulary: &Vocabulary, byte: u8) -> Option<u32> {
    let name = format!("<0x{byte:02X}>");
    vocabulary.id(name.as_bytes()).or_else(|| vocabulary.id(&[byte]))
}
