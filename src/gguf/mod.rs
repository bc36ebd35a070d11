//! The container: reading and writing GGUF files.

pub mod format;

pub use format::Format;
