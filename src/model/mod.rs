//! What a transformer is: the architectures, the roles of its tensors and which of them may be
//! quantized, and how it is run.
//!
//! [`Model`] is the forward pass. Its weights stay in their file format, mapped; activations are
//! F32. [`Architecture`] describes by data what sets one architecture apart from the others.
//! [`Tokenizer`] turns text into the tokens that it is run on.

mod activations;
mod architecture;
mod attention;
mod backward;
mod cache;
mod dense;
mod doubts;
mod error;
mod few;
mod finite;
mod forward;
mod gate;
mod kind;
mod kv_cache;
mod layer;
mod layer_pass;
mod linear;
mod linear_map;
mod matmul;
mod name;
mod norm;
mod overflow;
mod parts;
mod per_token;
mod quantizable;
mod role;
mod rope;
mod shape;
mod single;
pub(crate) mod softmax;
mod stepwise;
mod tokenizer;
mod trace;
mod weights;

pub use activations::Rounding;
pub use architecture::{
    Activation, Architecture, Cap, Norms, QkNorm, RopePairs, Unrotated, WindowPattern,
    WindowRotation,
};
pub use backward::{LayerPlace, Tape, norm_backward};
pub use cache::Cache;
pub use dense::{DenseLayer, DenseMatrix};
pub use doubts::doubts;
pub use error::ModelError;
pub use forward::{Model, Session, Wanted};
pub use kind::Kind;
pub use kv_cache::{UnknownCache, context_length, kv_cache_bytes};
pub use layer::Layer;
pub use linear::{Linear, Matrix};
pub use matmul::{Product, View, multiply};
pub use name::layer_part;
pub use norm::rms_norm;
pub use overflow::{Extremes, InHalf, Overflow};
pub use parts::{Gain, LinearInput, Map, Part};
pub use per_token::{PROMPT_TOKENS, PerToken, Phase};
pub use quantizable::may_quantize;
pub use role::Role;
pub use rope::{RopeScaling, Rotation, YarnRamp};
pub use shape::{AttentionShape, ModelShape, Temperature, Window};
pub use stepwise::Stepwise;
pub use tokenizer::{
    MERGES, SPACE, Spelling, Split, TokenKind, Tokenizer, TokenizerError, Vocabulary,
};
pub use trace::{Computed, Trace, Untraced};
pub use weights::Weights;

use crate::gguf::Metadata;

/// Tokens whose vectors one task handles where the work for each is small.
const TOKENS_PER_TASK: usize = 32;

/// The architecture's name, `llama` for example; empty where the file names none.
pub fn architecture_name(metadata: &Metadata) -> &str {
    metadata.get("general.architecture").and_then(|value| value.as_str()).unwrap_or("")
}
