//! OpenCog data: read in its own formats, kept in few bytes, and proven not to change what is
//! concluded from it.
//!
//! Each kind of data has its room. What a room stores is a [`section::Section`] of the companion
//! file, a GGUF of the architecture `opencog`.

pub mod atomspace;
mod codec_names;
pub mod ecan;
pub mod metta;
pub mod miner;
pub mod moses;
pub mod section;
