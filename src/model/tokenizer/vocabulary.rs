//! The tokens of a model: what the metadata says of them, checked.

use std::collections::{BTreeSet, HashMap};

use super::error::TokenizerError;
use super::{alphabet, special, spm};
use crate::gguf::{Array, Metadata, Strings, Value};

pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const SCORES: &str = "tokenizer.ggml.scores";
/// The metadata key of the merges of a vocabulary of bytes.
pub const MERGES: &str = "tokenizer.ggml.merges";
const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
const BEGIN: &str = "tokenizer.ggml.bos_token_id";
const END: &str = "tokenizer.ggml.eos_token_id";
const ADD_BEGIN: &str = "tokenizer.ggml.add_bos_token";
const ADD_END: &str = "tokenizer.ggml.add_eos_token";
const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Text.
    Normal,
    /// What stands for text that cannot be encoded.
    Unknown,
    /// A mark of the format: the begin of a text, the end of a turn. It is no text.
    Control,
    /// Text that is always one token, wherever it stands.
    UserDefined,
    /// Nothing.
    Unused,
    /// One byte, for characters that are no tokens.
    Byte,
}

impl TokenKind {
    /// The kind with this number in the file. llama.cpp takes unknown numbers for no kind, too.
    fn from_id(id: i32) -> TokenKind {
        match id {
            1 => TokenKind::Normal,
            2 => TokenKind::Unknown,
            3 => TokenKind::Control,
            4 => TokenKind::UserDefined,
            6 => TokenKind::Byte,
            _ => TokenKind::Unused,
        }
    }
}

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
            Some(_) => Err(TokenizerError::unsupported(metadata)),
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
    /// As the file spells them.
    texts: Strings,
    /// The bytes they stand for.
    pieces: Strings,
    kinds: Vec<TokenKind>,
    ids: HashMap<Box<[u8]>, u32>,
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
        let texts = texts(metadata)?;
        let count = texts.len();
        let mut vocabulary =
            Vocabulary { kinds: kinds(metadata, count)?, texts, ..Vocabulary::default() };
        vocabulary.index()?;
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
        vocabulary.ends_generation = special::read(metadata, &mut vocabulary)?;
        vocabulary.chat_template = string(metadata, CHAT_TEMPLATE)?.map(str::to_string);
        vocabulary.pieces =
            (0..vocabulary.len()).map(|id| piece(&vocabulary, id, family)).collect();
        Ok(vocabulary)
    }

    /// Finds tokens by their text from now on.
    fn index(&mut self) -> Result<(), TokenizerError> {
        self.ids.reserve(self.texts.len());
        for (id, text) in self.texts.iter().enumerate() {
            if let Some(first) = self.ids.insert(text.into(), id as u32) {
                let fault = format!("has the same text for tokens {first} and {id}");
                return Err(TokenizerError::malformed(TOKENS, fault));
            }
        }
        Ok(())
    }

    /// The number of tokens.
    pub fn len(&self) -> u32 {
        self.kinds.len() as u32
    }

    /// Whether there are none; such a vocabulary is refused.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The token that the file spells like this.
    pub fn id(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The token as the file spells it.
    pub fn text(&self, id: u32) -> &[u8] {
        self.texts.get(id as usize).unwrap_or_default()
    }

    /// The bytes of text that a token stands for; the name of a control token.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.pieces.get(id as usize).unwrap_or_default()
    }

    /// What a token is.
    pub fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Unused)
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

    pub(super) fn set_kind(&mut self, id: u32, kind: TokenKind) {
        if let Some(place) = self.kinds.get_mut(id as usize) {
            *place = kind;
        }
    }
}

/// The tokens as the file spells them, empty ones named as llama.cpp names them.
fn texts(metadata: &Metadata) -> Result<Strings, TokenizerError> {
    let texts = strings(metadata, TOKENS)?.ok_or(TokenizerError::Missing)?;
    if texts.is_empty() || i32::try_from(texts.len()).is_err() {
        let fault = format!("has {} tokens", texts.len());
        return Err(TokenizerError::malformed(TOKENS, fault));
    }
    let mut named = Strings::with_capacity(texts.len(), 0);
    for (id, text) in texts.iter().enumerate() {
        match text {
            [] => named.push(format!("[EMPTY_{id}]").as_bytes()),
            text => named.push(text),
        }
    }
    Ok(named)
}

/// The kind of each token; all are text where the file does not say.
fn kinds(metadata: &Metadata, count: usize) -> Result<Vec<TokenKind>, TokenizerError> {
    let malformed = |fault| Err(TokenizerError::malformed(TOKEN_TYPE, fault));
    match metadata.get(TOKEN_TYPE) {
        None => Ok(vec![TokenKind::Normal; count]),
        // llama.cpp leaves alone what more there is.
        Some(Value::Array(Array::I32(types))) if types.len() >= count => {
            Ok(types[..count].iter().map(|&id| TokenKind::from_id(id)).collect())
        }
        Some(Value::Array(Array::I32(types))) => {
            malformed(format!("has {} types for {count} tokens", types.len()))
        }
        Some(other) => malformed(format!("is {other}, and should be an array of i32")),
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
            Ok(text) => text.replace(spm::SPACE, " ").into_bytes(),
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

/// The number under `key`, if any.
pub(super) fn number(metadata: &Metadata, key: &str) -> Result<Option<u64>, TokenizerError> {
    typed(metadata, key, "a number that is not negative", Value::as_u64)
}

/// The truth value under `key`, if any.
pub(super) fn flag(metadata: &Metadata, key: &str) -> Result<Option<bool>, TokenizerError> {
    typed(metadata, key, "true or false", Value::as_bool)
}

/// The text under `key`, if any.
pub(super) fn string<'a>(
    metadata: &'a Metadata,
    key: &str,
) -> Result<Option<&'a str>, TokenizerError> {
    typed(metadata, key, "text", Value::as_str)
}

/// The strings under `key`, if any.
pub(super) fn strings<'a>(
    metadata: &'a Metadata,
    key: &str,
) -> Result<Option<&'a Strings>, TokenizerError> {
    typed(metadata, key, "an array of strings", |value| value.as_array()?.as_strings())
}

fn typed<'a, T>(
    metadata: &'a Metadata,
    key: &str,
    expected: &str,
    of: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, TokenizerError> {
    let Some(value) = metadata.get(key) else { return Ok(None) };
    let wrong = || TokenizerError::malformed(key, format!("is {value}, and should be {expected}"));
    of(value).ok_or_else(wrong).map(Some)
}
