//! How far a quantized model is from the full-precision one, measured on a text.

mod chunks;
mod position;
mod softmax;
mod statistics;

pub use chunks::{CONTEXT, ChunkError, Chunks, scored};
pub use position::{NotFinite, Position, Side};
pub use statistics::{Estimate, Spread, Statistics, degradation_of};
