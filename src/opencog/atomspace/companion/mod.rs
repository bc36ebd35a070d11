//! An AtomSpace in a companion file, small and queried where it lies.
//!
//! [`Ordered`] brings the atoms of any store into one order, from which there are two forms:
//!
//! - *mapped* ([`Form::Mapped`]): packed columns and indexes. [`PackedSpace::of`] opens a file of any
//!   size in the same time; every query of [`AtomStore`](super::AtomStore) reads the file in place and
//!   checks what it reads, whatever its bytes say.
//! - *at rest* ([`Form::AtRest`]): the same columns without the indexes, transformed and compressed.
//!   [`expand`] gives the [`Ordered`] again, and with it the same mapped file byte for byte.
//!
//! A group is all atoms of one type, height and arity; ids go by group, and in a group by name or
//! outgoing set. So types and arities take a few numbers a file, the atoms of a type are a few
//! ranges, a link is found by binary search, and what a link holds always has smaller ids, by which
//! no file can make a cycle. Ids are packed in as many bytes as the largest needs.

mod at_rest;
mod columns;
mod faults;
mod groups;
mod name_index;
mod ordered;
mod packed;
mod reader;
mod run;
mod section;
mod sequence;
mod sorter;
mod space;
mod value_view;

#[cfg(test)]
mod tests;

pub use at_rest::expand;
pub use ordered::{Ordered, OrderedTruth};
pub use sorter::{Sorted, Sorter};
pub use space::PackedSpace;

use super::codec::Codec;
use crate::gguf::{Error, Gguf};

/// The version of the format, under the key `opencog.atomspace.version`.
pub const VERSION: u32 = 2;

/// How truth values are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TruthCoding {
    /// As they are.
    Exact,
    /// In 8 bits by the codec that suits them best, see [`codec::choose`](super::codec::choose).
    Chosen {
        /// The relative error beyond which a value is kept as it is.
        tolerance: f64,
    },
    /// By this codec. Where a palette is asked for and there are too many pairs, as they are.
    Named {
        /// The codec.
        codec: Codec,
        /// The relative error beyond which guarded codecs keep a value as it is.
        tolerance: f64,
    },
}

impl TruthCoding {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TruthCoding::Exact => "exact",
            TruthCoding::Chosen { .. } => "chosen",
            TruthCoding::Named { codec, .. } => codec.name(),
        }
    }
}

/// The form in which a companion has its AtomSpace; none where it has none.
///
/// # Errors
/// The file is no companion, of another version, or names no form.
pub fn form(gguf: &Gguf) -> Result<Option<Form>, Error> {
    Ok(reader::Reader::of_any_form(gguf)?.map(|(_, form)| form))
}

/// The two forms of a companion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// To be mapped and queried in place.
    Mapped,
    /// Compressed, to be kept or sent.
    AtRest,
}
