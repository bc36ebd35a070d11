//! AtomSpace: typed, named nodes, links over them, and values attached to both.
//!
//! [`AtomStore`] is what every store of atoms can be asked; [`AtomSpace`] is the unpacked one, in
//! memory, which [`Builder`] makes, and [`companion`] the packed one, in a file.

mod atom_store;
mod atoms;
mod builder;
pub mod codec;
mod column;
pub mod companion;
mod compare;
mod error;
pub mod export;
mod known_types;
mod number;
pub mod query;
pub mod read;
mod space;
mod types;
mod value;

pub use atom_store::{AtomId, AtomStore, find_link_in_incoming};
pub use builder::{Added, Builder};
pub use compare::difference;
pub use error::Error;
pub use space::AtomSpace;
pub use types::{AtomType, Kind, TypeId};
pub use value::{
    ATTENTION_KEY, AttentionValue, LOOKAHEAD, TRUTH_KEY, TruthKind, TruthValue, Value,
    confidence_of_count, count_of_confidence,
};
