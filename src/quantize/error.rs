//! Why there is no plan, and why a search ended without a model.

use std::error;

use crate::gguf::Format;
use crate::model::{ModelError, Overflow};
use crate::work::WorkError;

use super::encode::EncodeError;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to do.
    #[error("the model holds no tensor that can be quantized to the allowed formats")]
    NothingToQuantize,
    /// Nothing of the input is in full precision.
    #[error(
        "tensor {tensor} is already quantized, to {format}, and so is all else that could be; \
         quantize from the full-precision model, or let tensors get fewer bits, at a double loss, \
         with --allow-requantize"
    )]
    AlreadyQuantized {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// A weight that no allowed format can hold.
    #[error("{weight}, the widest that {allowed} allows; {}", able(*.could))]
    Beyond {
        /// The weight, and the widest of the allowed formats.
        weight: EncodeError,
        /// The flag that says which formats are allowed.
        allowed: String,
        /// The smallest format that could hold it, if any.
        could: Option<Format>,
    },
    /// The input has what the output must not have.
    #[error(
        "tensor {tensor} is kept in {format}, which is not among the formats that --portable keeps \
         to; quantize from a model that has it in full precision, or leave --portable out"
    )]
    Unportable {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// The input has what a TPU cannot multiply.
    #[error(
        "tensor {tensor} is kept in {format}, whose blocks share no scales as --hardware tpu needs \
         them to; quantize from a model that has it in full precision, or for another --hardware"
    )]
    OffGrid {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// Two tensors that are loaded as one cannot have the same format.
    #[error(
        "tensors {tensor} and {other} are loaded as one on a TPU, and need one format, but none \
         that is allowed holds both: allow more (--bits, --formats, --strategy search)"
    )]
    Apart {
        /// One of them.
        tensor: String,
        /// The other.
        other: String,
    },
    /// A limit cannot be met.
    #[error("{0}")]
    Unreachable(String),
    /// One size of several asks for other formats than the rest.
    #[error(
        "{size}: tensors on the lattice of a block format keep to it in the smallest model, or give \
         it up there, and not in this one; make it with a run of its own"
    )]
    OtherFormats {
        /// The flag that asks for it.
        size: String,
    },
    /// A tensor whose inputs llama.cpp cannot hold in any of its formats.
    #[error(
        "tensor {tensor} in {formats}: {overflow}: what it computes would be NaN; {}: allow one of \
         those (--formats, --bits, --strategy search)",
        .overflow.kept.way_out()
    )]
    Overflow {
        /// The tensor.
        tensor: String,
        /// Those that it may have.
        formats: String,
        /// What is too large.
        overflow: Overflow,
    },
    /// A weight that is no number.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Which format could hold a weight.
fn able(could: Option<Format>) -> String {
    match could {
        Some(format) => format!("{format} could hold the tensor"),
        None => "no block format could hold the tensor".into(),
    }
}

/// Why a search ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A weight that no format can hold.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be measured.
    #[error("{0}")]
    Measure(#[source] Box<dyn error::Error + Send + Sync>),
    /// The work folder.
    #[error(transparent)]
    Work(#[from] WorkError),
}
