//! How far a quantized model is from the full-precision one, measured on a text.

mod chunks;
mod position;
mod softmax;

pub use chunks::{CONTEXT, ChunkError, Chunks, scored};
pub use position::{NotFinite, Position, Side};
