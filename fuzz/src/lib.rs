//! What the fuzz targets share: a bound on memory, a folder for files, and mutations that know what
//! a GGUF is.

mod memory;
mod mutate;
mod scratch;

pub use memory::bounded;
pub use mutate::mutated_gguf;
pub use scratch::{path_of, put};

/// A number that the bytes decide, by which a target varies what it does with them.
pub fn choice(data: &[u8]) -> usize {
    data.iter().fold(7, |hash: usize, &byte| hash.wrapping_mul(131) ^ usize::from(byte)) >> 5
}
