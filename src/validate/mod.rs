//! How far a quantized model is from the full-precision one, measured on a text.

mod position;
mod softmax;

pub use position::{NotFinite, Position, Side};
