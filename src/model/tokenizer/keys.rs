//! The metadata of a tokenizer: its keys, and what stands under them.

use super::error::TokenizerError;
use crate::gguf::{Metadata, Strings, Value};

pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const SCORES: &str = "tokenizer.ggml.scores";
/// The metadata key of the merges of a vocabulary of bytes.
pub const MERGES: &str = "tokenizer.ggml.merges";
pub(super) const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";

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

/// The error for a tokenizer of the kind and the pre-tokenizer that the metadata names.
pub(super) fn unsupported(metadata: &Metadata) -> TokenizerError {
    let named = |key| metadata.get(key).map_or("none".into(), Value::to_string);
    TokenizerError::Unsupported { model: named(MODEL), pre: named(PRE) }
}
