//! OpenCog data: the knowledge, programs and attention that stand beside a language model.

pub mod atomspace;
pub mod miner;
