//! MeTTa, the language of Hyperon: its atoms read from text, kept in the packed store of an
//! AtomSpace, asked there, and written as text again.
//!
//! A leaf is a node whose type is its [`Sort`], an expression an ordered link, each there once. So a
//! store of atoms holds what a text says; the list of the atoms at the top, in their order and with
//! those that stand there twice, lies beside it.

mod ids;
mod leaf;
mod packed;
mod print;
pub mod query;
mod read;
mod sort;
mod tokens;
mod tops;
mod truth;

pub use packed::PackedMetta;
pub use print::{Printing, sorts};
pub use read::{Commands, Metta, read};
pub use sort::Sort;
pub use tops::{Tops, VERSION, expand, is_in};
pub use truth::Truths;
