//! AtomSpaces.

pub mod codec;
