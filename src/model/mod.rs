//! What a transformer is: the roles of its tensors, which of them may be quantized, how much memory
//! its context takes, and its tokenizer.

mod kv_cache;
mod quantizable;
mod role;
mod tokenizer;

pub use kv_cache::{context_length, kv_cache_bytes};
pub use quantizable::may_quantize;
pub use role::Role;
pub use tokenizer::{TokenKind, Tokenizer, TokenizerError, Vocabulary};

use crate::gguf::Metadata;

/// The architecture's name, `llama` for example; empty where the file names none.
pub fn architecture(metadata: &Metadata) -> &str {
    metadata.get("general.architecture").and_then(|value| value.as_str()).unwrap_or("")
}
