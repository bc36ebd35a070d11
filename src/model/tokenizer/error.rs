//! Why there is no tokenizer.

use super::vocabulary::{MODEL, PRE};
use crate::gguf::{Metadata, Value};

/// Why a model's tokenizer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The file holds a bare model.
    #[error("the model has no tokenizer")]
    Missing,
    /// The file: its tokenizer contradicts itself or breaks a rule of GGUF.
    #[error("`{key}` {fault}")]
    Malformed {
        /// The metadata that is wrong.
        key: String,
        /// What is wrong with it.
        fault: String,
    },
    /// This program: the tokenizer may be sound, but is of a kind that is not known here.
    #[error(
        "the tokenizer is of kind `{model}` with pre-tokenizer `{pre}`, which cannot be reproduced \
         here exactly"
    )]
    Unsupported {
        /// `tokenizer.ggml.model`.
        model: String,
        /// `tokenizer.ggml.pre`, or `none`.
        pre: String,
    },
}

impl TokenizerError {
    /// Of the kind and the pre-tokenizer that the metadata names.
    pub(super) fn unsupported(metadata: &Metadata) -> TokenizerError {
        let named = |key| metadata.get(key).map_or("none".into(), Value::to_string);
        TokenizerError::Unsupported { model: named(MODEL), pre: named(PRE) }
    }

    pub(super) fn malformed(key: &str, fault: impl Into<String>) -> TokenizerError {
        TokenizerError::Malformed { key: key.into(), fault: fault.into() }
    }
}
