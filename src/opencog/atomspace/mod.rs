//! AtomSpace: typed, named nodes, links over them, and values attached to both.
//!
//! [`AtomStore`] is what every store of atoms can be asked; [`AtomSpace`] is the unpacked one, in
//! memory, which [`Builder`] makes, and [`companion`] the packed one, in a file. [`mod@read`] reads
//! text, [`mod@export`] writes it, [`query`] finds what matches patterns with variables.
//!
//! ```
//! # fn main() -> Result<(), opencog_qat::opencog::atomspace::Error> {
//! use opencog_qat::opencog::atomspace::query::{Query, TruthFilter};
//! use opencog_qat::opencog::atomspace::read::{ReadOptions, read};
//! use opencog_qat::opencog::atomspace::AtomStore;
//!
//! let text = r#"(Inheritance (stv 1 0.9) (Concept "Kecia") (Concept "woman"))"#;
//! let (space, summary) = read(text.as_bytes(), &ReadOptions::default())?;
//! assert!(summary.skipped.is_empty());
//!
//! let query = Query::parse(r#"(Inheritance (Variable "$who") (Concept "woman"))"#, &space)?;
//! let matches = query.matches(&space, TruthFilter::Any, 100);
//! assert_eq!(space.name(matches.get(0)[0]).as_deref(), Some(&b"Kecia"[..]));
//! # Ok(())
//! # }
//! ```

mod atom_store;
mod atom_table;
mod atoms;
mod builder;
pub mod codec;
mod column;
pub mod companion;
mod compare;
mod declarations;
mod error;
pub mod export;
mod hexadecimal;
mod identity;
mod number;
pub mod query;
pub mod read;
mod replaced;
mod space;
mod terms;
mod type_choice;
mod type_script;
mod types;
mod value;
mod value_bytes;
mod value_ref;

pub use atom_store::{AtomId, AtomStore, find_link_in_incoming};
pub use builder::{Added, Builder};
pub use compare::{difference, twins};
pub use declarations::Declarations;
pub use error::Error;
pub use space::AtomSpace;
pub use type_script::ScriptError;
pub use types::{AtomType, Kind, TypeId};
pub use value::{
    ATTENTION_KEY, AttentionValue, LOOKAHEAD, TRUTH_KEY, TruthKind, TruthValue, Value,
    confidence_of_count, count_of_confidence,
};
pub use value_bytes::Encoded;
pub use value_ref::{Bools, DerivedRef, Floats, LinksRef, StringsRef, ValueRef};
