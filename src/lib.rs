//! Quantizes a full-precision GGUF language model to the best mix of 4 to 8 bit formats that stock
//! llama.cpp runs.

pub mod block;
pub mod gguf;
