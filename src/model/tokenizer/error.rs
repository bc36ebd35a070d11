//! Why there is no tokenizer.

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
    pub(super) fn malformed(key: &str, fault: impl Into<String>) -> TokenizerError {
        TokenizerError::Malformed { key: key.into(), fault: fault.into() }
    }
}
