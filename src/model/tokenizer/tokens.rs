//! The tokens as the file has them: how each is spelled, and what it is.

use std::collections::HashMap;

use super::error::TokenizerError;
use super::keys::{TOKEN_TYPE, TOKENS, strings};
use crate::gguf::{Array, Metadata, Strings, Value};

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

/// The tokens, by their ids and by their texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    /// As the file spells them.
    texts: Strings,
    kinds: Vec<TokenKind>,
    ids: HashMap<Box<[u8]>, u32>,
}

impl Tokens {
    /// Those that the metadata describes.
    pub(super) fn read(metadata: &Metadata) -> Result<Tokens, TokenizerError> {
        let texts = texts(metadata)?;
        let kinds = kinds(metadata, texts.len())?;
        let mut ids: HashMap<Box<[u8]>, u32> = HashMap::with_capacity(texts.len());
        for (id, text) in texts.iter().enumerate() {
            if let Some(first) = ids.insert(text.into(), id as u32) {
                let fault = format!("has the same text for tokens {first} and {id}");
                return Err(TokenizerError::malformed(TOKENS, fault));
            }
        }
        Ok(Tokens { texts, kinds, ids })
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> u32 {
        self.kinds.len() as u32
    }

    /// The token that the file spells like this.
    pub(super) fn id(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The token as the file spells it.
    pub(super) fn text(&self, id: u32) -> &[u8] {
        self.texts.get(id as usize).unwrap_or_default()
    }

    /// What a token is.
    pub(super) fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Unused)
    }

    /// Corrects what a token is.
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
