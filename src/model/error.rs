//! Why a model cannot be run.

use crate::gguf::Format;

use super::architecture::Architecture;
use super::overflow::Overflow;

/// Why a model cannot be run; its weights can be quantized all the same.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// An architecture that is not in the table.
    #[error(
        "the architecture {} is not among those that this version can run: {}",
        if .0.is_empty() { "(none named)" } else { .0 },
        Architecture::names()
    )]
    UnknownArchitecture(String),
    /// Something that llama.cpp may run and this version does not.
    #[error("this version cannot run the model: {0}")]
    Unsupported(String),
    /// A key that is missing or makes no sense.
    #[error("{key}: expected {expected}, found {found}")]
    OddKey {
        /// The key of the metadata.
        key: String,
        /// What would make sense.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A tensor that must be there.
    #[error("the tensor {0} is missing")]
    MissingTensor(String),
    /// A tensor of another shape than the metadata says.
    #[error("tensor {tensor} has the shape {found}, and the metadata makes it {expected}")]
    WrongShape {
        /// Its name.
        tensor: String,
        /// By the metadata.
        expected: String,
        /// In the file.
        found: String,
    },
    /// A tensor that cannot be decoded.
    #[error("tensor {tensor} is in {format}, which this version does not decode")]
    Undecodable {
        /// Its name.
        tensor: String,
        /// Its format.
        format: Format,
    },
    /// A token that the vocabulary does not have.
    #[error("token {token} lies outside the vocabulary of {vocabulary}")]
    UnknownToken {
        /// Its number.
        token: u32,
        /// Tokens in the vocabulary.
        vocabulary: usize,
    },
    /// Numbers that are no numbers any more.
    #[error(
        "the {what} of layer {layer} holds NaN or infinity: the model is damaged, or overflows"
    )]
    NotFinite {
        /// What was computed.
        what: &'static str,
        /// Counted from 0.
        layer: usize,
    },
    /// Inputs of a matrix that llama.cpp cannot hold.
    #[error(
        "tensor {tensor} in {format}: {overflow}: what it computes is NaN; {}; eval --activations \
         float measures without that limit",
        .overflow.kept.way_out()
    )]
    Overflow {
        /// The matrix.
        tensor: String,
        /// Its format.
        format: Format,
        /// What is too large.
        overflow: Overflow,
    },
    /// Keys or values that llama.cpp cannot hold.
    #[error(
        "keys or values of layer {layer} are beyond 65504, the end of the F16 that llama.cpp keeps \
         them in: what it computes is NaN, unless it is told --cache-type-k f32 \
         --cache-type-v f32; eval --activations float measures without that limit"
    )]
    CacheOverflow {
        /// Counted from 0.
        layer: usize,
    },
    /// Logits that are no numbers any more.
    #[error("the logits hold NaN or infinity: the model is damaged, or overflows")]
    LogitsNotFinite,
}

impl ModelError {
    /// Whether the model runs, but not as llama.cpp runs it: what that keeps in F16 is too large.
    pub fn is_overflow(&self) -> bool {
        matches!(self, ModelError::Overflow { .. } | ModelError::CacheOverflow { .. })
    }
}
