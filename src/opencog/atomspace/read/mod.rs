//! Reads AtomSpace text in all its dialects.
//!
//! What is read: the text of FileStorage, what the Scheme printer dumps, dumps of 2008 to 2017 with
//! `av`, and files written by hand with short names, `define`s of types and atoms, and the commands
//! `cog-set-value!`, `cog-set-values!`, `cog-set-tv!`, `cog-set-av!`, `cog-new-node`, `cog-new-link`.
//! Each form at the top is taken whole or passed over whole, but that a value of a kind that is not
//! known is passed over alone; what is passed over is counted.
//!
//! `define` gives words to types, atoms and values. One for a state that another one took the place
//! of means that state again where a link holds it: it is the state of its key then, as in AtomSpace.
//!
//! Atoms may be nested to any depth; atoms and `LinkValue`s inside values
//! [`Value::DEEPEST`](super::Value::DEEPEST) deep.

mod atoms;
mod commands;
mod heads;
mod lexer;
mod options;
mod parts;
mod reader;
mod recent;
mod scan;
mod skipped;
#[cfg(test)]
mod tests;
mod values;

use std::io::Read;

use super::builder::Builder;
use super::declarations::Declarations;
use super::error::Error;
use super::space::AtomSpace;
use parts::{Parts, TakePart};

pub use options::{ReadOptions, ReadSummary, TvMerge};
pub use parts::{PartOfText, Slot};
pub use skipped::{Skipped, SkippedKind};

/// Reads a text into a space of its own.
///
/// # Errors
/// The text is broken, an alias is of no type, or there is too much of it.
pub fn read(source: impl Read, options: &ReadOptions) -> Result<(AtomSpace, ReadSummary), Error> {
    let mut builder = begun(options);
    let mut reader = reader::Reader::new(&mut builder, source, options, None)?;
    let mut summary = reader.run()?;
    let lines = std::mem::take(&mut reader.replaced);
    let (space, gone) = builder.finish_without();
    summary.without(&gone, &lines);
    Ok((space, summary))
}

/// Reads a text into a space that may have atoms already, with the types that are declared there.
/// After an error, it has what the forms
/// before the broken one say.
///
/// # Errors
/// As [`read`].
pub fn read_into(
    builder: &mut Builder,
    source: impl Read,
    options: &ReadOptions,
) -> Result<ReadSummary, Error> {
    reader::Reader::new(builder, source, options, None)?.run()
}

/// Reads a text in parts, where it is more than about `limit` bytes of memory: all parts but the last
/// are given to `take`, in order, the last one comes back. A text that names atoms with `define`,
/// has scopes or states is one part from there on, since what comes may mean those.
///
/// # Errors
/// As [`read`], and what `take` fails with.
pub fn read_in_parts(
    source: impl Read,
    options: &ReadOptions,
    limit: usize,
    take: TakePart,
) -> Result<(PartOfText, ReadSummary), Error> {
    let mut builder = begun(options);
    let parts = Parts::new(limit, take);
    let mut reader = reader::Reader::new(&mut builder, source, options, Some(parts))?;
    let mut summary = reader.run()?;
    let noted = reader.parts.take().map(Parts::into_noted).unwrap_or_default();
    let lines = std::mem::take(&mut reader.replaced);
    let (space, gone) = builder.finish_without();
    summary.without(&gone, &lines);
    Ok((noted.without(&gone).of(space), summary))
}

/// An empty space of the types that a text is read with.
fn begun(options: &ReadOptions) -> Builder {
    let types = options.types.clone().unwrap_or_else(|| Declarations::builtin().clone());
    Builder::with_types(types)
}
