//! The tokenizer of a model, built from the vocabulary in its file: the same ids as llama.cpp's.
//!
//! A text is first cut at the special tokens spelled out in it ([`special`] says which those are,
//! [`partition`] cuts). What remains is encoded by one of two algorithms: [`bpe`], which splits
//! text into [`words`] and merges their bytes in the order of a list, or [`spm`], which merges
//! characters by the scores of the tokens they make. A vocabulary of another kind is refused: a
//! tokenizer that is nearly right makes texts that the model has never seen, and nothing shows it.

mod alphabet;
mod bpe;
mod character;
mod error;
mod keys;
mod partition;
mod special;
mod spm;
#[cfg(test)]
mod tests;
mod tokens;
mod vocabulary;
mod words;

pub use alphabet::SPACE;
pub use error::TokenizerError;
pub use keys::MERGES;
pub use tokens::TokenKind;
pub use vocabulary::Vocabulary;
pub use words::Split;

use crate::gguf::Metadata;
use bpe::Bpe;
use partition::{Fragment, Specials};
use spm::Spm;
use vocabulary::Family;
use words::Pretokenizer;

/// Turns text into the ids of tokens.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    specials: Specials,
    algorithm: Algorithm,
}

/// How text between special tokens becomes tokens, for those who write it down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spelling<'a> {
    /// Words of bytes, which the merges of [`MERGES`] make tokens of.
    Bytes {
        /// What is a word.
        split: Split,
        /// A word that is a token is that token, whatever the merges would make of it.
        words_are_tokens: bool,
    },
    /// Characters, [`SPACE`] for spaces, of which the neighbours are merged first whose token has the
    /// highest score.
    Characters {
        /// The score of each token.
        scores: &'a [f32],
        /// Text is encoded as if a space stood before it.
        space_before: bool,
    },
}

/// How text between special tokens is encoded.
#[derive(Debug)]
enum Algorithm {
    Bpe(Bpe),
    Spm(Spm),
}

impl Tokenizer {
    /// The tokenizer that the metadata of a model describes.
    pub fn read(metadata: &Metadata) -> Result<Tokenizer, TokenizerError> {
        let vocabulary = Vocabulary::read(metadata)?;
        let algorithm = match Family::of(metadata)? {
            Family::Bytes => {
                let pretokenizer = Pretokenizer::read(metadata)?;
                Algorithm::Bpe(Bpe::read(metadata, &vocabulary, pretokenizer)?)
            }
            Family::Characters => Algorithm::Spm(Spm::read(metadata, &vocabulary)?),
        };
        let specials = Specials::read(metadata, &vocabulary);
        Ok(Tokenizer { vocabulary, specials, algorithm })
    }

    /// The tokens.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// How text between special tokens becomes tokens.
    pub fn spelling(&self) -> Spelling<'_> {
        match &self.algorithm {
            Algorithm::Bpe(bpe) => Spelling::Bytes {
                split: bpe.pretokenizer.split,
                words_are_tokens: bpe.pretokenizer.words_are_tokens,
            },
            Algorithm::Spm(spm) => {
                Spelling::Characters { scores: &spm.scores, space_before: spm.space_before }
            }
        }
    }

    /// The ids of a text. Control tokens spelled out in it are text like any other; nothing is put
    /// before or after it.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_fragments(text, self.specials.cut_plain(text, &self.vocabulary))
    }

    /// The ids of a text in which control tokens are spelled out, as a chat template writes it.
    /// Nothing is put before or after it.
    pub fn encode_with_special(&self, text: &str) -> Vec<u32> {
        self.encode_fragments(text, self.specials.cut(text, &self.vocabulary))
    }

    /// The ids of a whole text as the model expects them and as llama-perplexity takes them: those
    /// of [`encode`](Self::encode), with the tokens that begin and end a text where the vocabulary
    /// asks for them.
    pub fn encode_document(&self, text: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = self.vocabulary.leading().into_iter().collect();
        ids.extend(self.encode(text));
        ids.extend(self.vocabulary.trailing());
        ids
    }

    fn encode_fragments(&self, text: &str, fragments: Vec<Fragment>) -> Vec<u32> {
        let mut ids = Vec::new();
        for fragment in fragments {
            match (fragment, &self.algorithm) {
                (Fragment::Token(id), _) => ids.push(id),
                (Fragment::Text(range), Algorithm::Bpe(bpe)) => bpe.encode(&text[range], &mut ids),
                (Fragment::Text(range), Algorithm::Spm(spm)) => {
                    spm.encode(&text[range], &self.vocabulary, &mut ids);
                }
            }
        }
        ids
    }
}
