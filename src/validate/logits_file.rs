//! The file in which llama-perplexity keeps a full-precision model's predictions, so that users can
//! check with it what is measured here (`--kl-divergence-base`).
//!
//! All numbers are little-endian: `_logits_`; context, vocabulary and chunks as 32-bit integers; the
//! tokens of the text, 32 bits each; then, for each [scored](super::scored) position, logarithms of
//! probabilities as 16-bit codes: scale and smallest logarithm as F32, a code for each token of the
//! vocabulary, and one more if that is odd. What is more than 16 below the likeliest is stored
//! as if it were 16 below.

mod codes;
mod reader;
mod writer;

pub use codes::RANGE;
pub use reader::{LogitsFileError, LogitsReader};
pub use writer::{LogitsWriter, encode_logits};

use super::scored;

const MAGIC: &[u8; 8] = b"_logits_";

/// The numbers that such a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogitsHeader {
    /// Tokens of a chunk.
    pub context: u32,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// Chunks of the text.
    pub chunks: u32,
}

impl LogitsHeader {
    /// Tokens of the text.
    pub fn tokens(&self) -> u64 {
        u64::from(self.context) * u64::from(self.chunks)
    }

    /// Scored positions of the text.
    pub fn positions(&self) -> u64 {
        scored(self.context as usize).len() as u64 * u64::from(self.chunks)
    }

    /// Bytes of a position.
    fn position_bytes(&self) -> u64 {
        8 + 2 * u64::from(self.vocabulary).next_multiple_of(2)
    }

    /// Bytes of the file; `None` where they are more than a number can say.
    fn file_bytes(&self) -> Option<u64> {
        let before = 20 + 4 * u128::from(self.tokens());
        let bytes = before + u128::from(self.position_bytes()) * u128::from(self.positions());
        bytes.try_into().ok()
    }
}

#[cfg(test)]
mod tests;
