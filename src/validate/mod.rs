//! How far a quantized model is from the full-precision one, measured on a text.
//!
//! A text is cut into [`Chunks`]; both models predict the second half of each; what they say at one
//! place becomes a [`Position`], and all places together [`Statistics`]. All of it follows
//! llama-perplexity, whose figures people know. What the specification promises beside is here too:
//! [`Bench`] and [`Ceilings`] tell of speed, [`MemoryUse`] of memory, [`Alignment`]
//! of activations. [`LogitsWriter`] keeps the full-precision model's
//! predictions in its file format, so that it can check ours.

mod alignment;
mod along;
mod chunks;
mod compare;
mod degradation;
mod llama_bench;
mod logits_file;
mod machine;
mod memory;
pub mod opencog;
mod position;
mod reference;
mod statistics;

pub use alignment::{Alignment, LayerAlignment, align};
pub use along::{Along, Said, Stretch, Surprise};
pub use chunks::{CONTEXT, ChunkError, Chunks, scored};
pub use compare::{CompareError, compare};
pub use degradation::{Target, degradation_of};
pub use llama_bench::{Bench, BenchError, Benched, Speeds, TimeLimits, on_path};
pub use logits_file::{LogitsFileError, LogitsHeader, LogitsReader, LogitsWriter, encode_logits};
pub use machine::Ceilings;
pub use memory::MemoryUse;
pub use position::{Likeliest, NotFinite, Position, Side};
pub use reference::Reference;
pub use statistics::{Estimate, Spread, Statistics};
