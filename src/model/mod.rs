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
mod doubts;
mod error;
mod few;
mod forward;
mod gate;
mod kind;
mod kv_cache;
mod layer_pass;
mod linear;
mod matmul;
mod norm;
mod overflow;
mod per_token;
mod quantizable;
mod role;
mod rope;
mod shape;
mod single;
mod stepwise;
mod tokenizer;
mod weights;

pub use activations::Rounding;
pub use architecture::{Activation, Architecture, RopePairs, WindowPattern};
pub use backward::{DenseLayer, DenseMatrix, Gain, LayerPlace, Map, Tape, norm_backward};
pub use cache::Cache;
pub use doubts::doubts;
pub use error::ModelError;
pub use forward::{Model, Session, Wanted};
pub use kind::Kind;
pub use kv_cache::{UnknownCache, context_length, kv_cache_bytes};
pub use layer_pass::{LinearInput, Observer, Unobserved};
pub use linear::{Linear, Matrix};
pub use matmul::{Product, View, multiply};
pub use norm::rms_norm;
pub use overflow::{Extremes, InHalf, Overflow};
pub use per_token::{PROMPT_TOKENS, PerToken, Phase};
pub use quantizable::may_quantize;
pub use role::Role;
pub use rope::{RopeScaling, Rotation};
pub use shape::{AttentionShape, ModelShape, Window};
pub use stepwise::Stepwise;
pub use tokenizer::{
    MERGES, SPACE, Spelling, Split, TokenKind, Tokenizer, TokenizerError, Vocabulary,
};
pub use weights::{FUSED, Layer, Weights, layer_part};

use crate::gguf::Metadata;

/// Tokens whose vectors one task handles where the work for each is small.
const TOKENS_PER_TASK: usize = 32;

/// The architecture's name, `llama` for example; empty where the file names none.
pub fn architecture_name(metadata: &Metadata) -> &str {
    metadata.get("general.architecture").and_then(|value| value.as_str()).unwrap_or("")
}
