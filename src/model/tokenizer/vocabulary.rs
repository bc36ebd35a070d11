//! The tokens of a model: what the metadata says of them, checked.

use std::collections::BTreeSet;

use super::error::TokenizerError;
use super::keys::{MODEL, PRE, flag, number, string, unsupported};
use super::tokens::{TokenKind, Tokens};
use super::{alphabet, special};
use crate::gguf::{Metadata, Strings};

const BEGIN: &str = "tokenizer.ggml.bos_token_id";
const END: &str = "tokenizer.ggml.eos_token_id";
const ADD_BEGIN: &str = "tokenizer.ggml.add_bos_token";
const ADD_END: &str = "tokenizer.ggml.add_eos_token";
const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// How the tokens of a vocabulary are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// One letter for each byte of text.
    Bytes,
    /// Characters, as SentencePiece has them.
    Characters,
}

impl Family {
    /// That of the vocabulary that the metadata describes.
    pub(super) fn of(metadata: &Metadata) -> Result<Family, TokenizerError> {
        match string(metadata, MODEL)? {
            None | Some("none" | "no_vocab") => Err(TokenizerError::Missing),
            Some("gpt2") => Ok(Family::Bytes),
            Some("llama") => Ok(Family::Characters),
            Some(_) => Err(unsupported(metadata)),
        }
    }
}

/// What holds if the file is silent, or names a token that is not there.
struct Defaults {
    begin: Option<u32>,
    end: u32,
    adds_begin: bool,
}

impl Defaults {
    /// llama.cpp's, which go by the name of the pre-tokenizer, whether or not it is known here.
    fn of(family: Family, pre: &str) -> Defaults {
        if family == Family::Characters {
            return Defaults { begin: Some(1), end: 2, adds_begin: true };
        }
        let begin = (!matches!(pre, "chatglm-bpe" | "glm4" | "glm5")).then_some(11);
        let adds_begin = matches!(
            pre,
            "llama-bpe"
                | "llama3"
                | "llama-v3"
                | "falcon3"
                | "falcon-h1"
                | "pixtral"
                | "midm-2.0"
                | "lfm2"
                | "jina-v5-nano"
                | "tekken"
                | "chameleon"
        );
        Defaults { begin, end: 11, adds_begin }
    }
}

/// The tokens of a model and what they mean.
///
/// Where the file is silent, llama.cpp's defaults apply. An id past the last token, which a padded
/// embedding has rows for, is an unused token without bytes.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    tokens: Tokens,
    /// The bytes they stand for.
    pieces: Strings,
    begin: Option<u32>,
    end: Option<u32>,
    adds_begin: bool,
    adds_end: bool,
    ends_generation: BTreeSet<u32>,
    chat_template: Option<String>,
}

impl Vocabulary {
    /// The vocabulary that the metadata of a model describes.
    pub fn read(metadata: &Metadata) -> Result<Vocabulary, TokenizerError> {
        let family = Family::of(metadata)?;
        let tokens = Tokens::read(metadata)?;
        let count = tokens.len() as usize;
        let mut vocabulary = Vocabulary { tokens, ..Vocabulary::default() };
        let defaults = Defaults::of(family, string(metadata, PRE)?.unwrap_or(""));
        vocabulary.begin = id(metadata, BEGIN, defaults.begin, count)?;
        vocabulary.end = id(metadata, END, Some(defaults.end), count)?;
        vocabulary.adds_begin = flag(metadata, ADD_BEGIN)?.unwrap_or(defaults.adds_begin);
        vocabulary.adds_end = flag(metadata, ADD_END)?.unwrap_or(false);
        let framing = [
            (ADD_BEGIN, vocabulary.adds_begin, vocabulary.begin, BEGIN),
            (ADD_END, vocabulary.adds_end, vocabulary.end, END),
        ];
        for (key, wanted, token, token_key) in framing {
            if wanted && token.is_none() {
                let fault = format!("asks for a token, and `{token_key}` names none");
                return Err(TokenizerError::malformed(key, fault));
            }
        }
        vocabulary.ends_generation =
            special::read(metadata, &mut vocabulary.tokens, vocabulary.end)?;
        vocabulary.chat_template = string(metadata, CHAT_TEMPLATE)?.map(str::to_string);
        vocabulary.pieces =
            (0..vocabulary.len()).map(|id| piece(&vocabulary, id, family)).collect();
        Ok(vocabulary)
    }

    /// The number of tokens.
    pub fn len(&self) -> u32 {
        self.tokens.len()
    }

    /// Whether there are none; such a vocabulary is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token that the file spells like this.
    pub fn id(&self, text: &[u8]) -> Option<u32> {
        self.tokens.id(text)
    }

    /// The token as the file spells it.
    pub fn text(&self, id: u32) -> &[u8] {
        self.tokens.text(id)
    }

    /// The bytes of text that a token stands for; the name of a control token.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.pieces.get(id as usize).unwrap_or_default()
    }

    /// What a token is.
    pub fn kind(&self, id: u32) -> TokenKind {
        self.tokens.kind(id)
    }

    /// Whether a token is ordinary text by itself: whole characters, none of them for control but
    /// tabs and line breaks.
    pub fn is_text(&self, id: u32) -> bool {
        let printable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        let text = |bytes| std::str::from_utf8(bytes).is_ok_and(|s| s.chars().all(printable));
        self.kind(id) == TokenKind::Normal && !self.bytes(id).is_empty() && text(self.bytes(id))
    }

    /// The token that begins a text, whether or not it is put there.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The token that ends a text.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The token that the model expects before every text, if any.
    pub fn leading(&self) -> Option<u32> {
        self.begin.filter(|_| self.adds_begin)
    }

    /// The token that the model expects after every text, if any.
    pub fn trailing(&self) -> Option<u32> {
        self.end.filter(|_| self.adds_end)
    }

    /// Whether the model says with this token that it has finished.
    pub fn ends_generation(&self, id: u32) -> bool {
        self.ends_generation.contains(&id)
    }

    /// The Jinja template that makes a prompt of a conversation.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// The bytes that the tokens stand for together.
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|&id| self.bytes(id)).copied().collect()
    }
}

/// The bytes that a token stands for.
fn piece(vocabulary: &Vocabulary, id: u32, family: Family) -> Vec<u8> {
    let text = vocabulary.text(id);
    match vocabulary.kind(id) {
        TokenKind::Unknown | TokenKind::Control | TokenKind::UserDefined => text.to_vec(),
        TokenKind::Normal if family == Family::Bytes => {
            alphabet::bytes(text).unwrap_or_else(|| text.to_vec())
        }
        TokenKind::Normal => match std::str::from_utf8(text) {
            Ok(text) => text.replace(alphabet::SPACE, " ").into_bytes(),
            Err(_) => text.to_vec(),
        },
        TokenKind::Byte => named_byte(text).into_iter().collect(),
        TokenKind::Unused => Vec::new(),
    }
}

/// The byte of `<0x0A>`.
fn named_byte(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The token that `key` names. If there is no such token, this is `default`, if there is that one.
fn id(
    metadata: &Metadata,
    key: &str,
    default: Option<u32>,
    count: usize,
) -> Result<Option<u32>, TokenizerError> {
    let there_is = |id: &u32| (*id as usize) < count;
    let named = number(metadata, key)?.and_then(|id| u32::try_from(id).ok());
    Ok(named.filter(there_is).or(default.filter(there_is)))
}
