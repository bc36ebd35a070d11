//! Why there is no pack.

use crate::gguf::{self, Format};
use crate::model::{ModelError, TokenizerError};

/// Why a model cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be run here, and so neither rebuilt.
    #[error("it cannot be packed for a TPU: {0}; --tpu-layout none packs nothing")]
    Model(#[from] ModelError),
    /// Its tokenizer cannot be written down.
    #[error("it cannot be packed for a TPU: its tokenizer: {0}; --tpu-layout none packs nothing")]
    Tokenizer(#[from] TokenizerError),
    /// It does what the loaders' model of this architecture does not.
    #[error(
        "it cannot be packed for a TPU: {0}, which the loaders' {1} has no place for; --tpu-layout \
         none packs nothing"
    )]
    NoTwin(String, &'static str),
    /// A matrix in a format that a TPU does not multiply.
    #[error(
        "{module} cannot be packed for a TPU in {format}: expected Q8_0, Q4_0, F32, F16 or BF16"
    )]
    Format {
        /// Whose weights they are.
        module: String,
        /// Their format.
        format: Format,
    },
    /// Scales that are not those of a TPU's number grid.
    #[error(
        "{module} cannot be packed for a TPU, which multiplies rows or tiles with one scale: in row \
         {row} of the pack, {fault}; quantize it with --hardware tpu"
    )]
    Scales {
        /// Whose weights they are.
        module: String,
        /// A row, counted as in the pack.
        row: usize,
        /// What is wrong with its scales.
        fault: String,
    },
    /// The folder cannot be made.
    #[error(transparent)]
    Write(#[from] gguf::Error),
}
