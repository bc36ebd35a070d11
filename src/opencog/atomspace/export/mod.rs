//! Writes AtomSpace text as FileStorage does: a line for each atom that nothing holds or that has
//! values, long type names, values in an `alist`.
//!
//! The fast reader of AtomSpace stops at the first line that it does not take, and some forms it
//! takes wrongly, or never ends with. That reader is `load-file` and a `FileStorageNode`; Guile's own
//! `load` takes less: of a text for 2026 no `alist` of a link, and no `(BoolValue 1)`. So
//! - what no form has that the reader takes is written as what is nearest to it, and counted:
//!   [`Rewritten`];
//! - what only a reader with other modules takes comes last, and is counted: first the attention
//!   values, each on a line of its own, then what it does not know or what its constructors refuse.
//!   All else is read before.
//!
//! What was written as something else is no longer what it was: packed from that text, the atoms are
//! others than those that were exported. What is then exported is the same text again.
//!
//! What the readers take was read from their sources: `AtomSexpr.cc`, `ValueSexpr.cc` and
//! `fast_load.cc` of opencog/atomspace 0574eab396 and opencog/atomspace-storage ecd88d67.

mod checks;
mod destination;
mod print;
mod results;
mod size;
#[cfg(test)]
mod tests;

use std::io::Write;

use super::atom_store::{AtomId, AtomStore};
use super::error::Error;
use super::types::Kind;
use super::value::{ATTENTION_KEY, TRUTH_KEY, Value};
use super::value_ref::ValueRef;
use print::{Given, Printer};
use results::Places;

pub use destination::{Destination, Target};
pub use print::{Rewritten, print_atom, print_atom_within};
pub(super) use size::sizes_as_text;

/// The keys of truth and of attention values, where they are atoms of a store.
#[derive(Debug, Clone, Copy)]
struct OwnKeys {
    truth: Option<AtomId>,
    attention: Option<AtomId>,
}

impl OwnKeys {
    fn of(store: &impl AtomStore) -> OwnKeys {
        let predicate = store.find_type("PredicateNode", Kind::Node);
        let key = |name| predicate.and_then(|of| store.by_name(of, name));
        OwnKeys { truth: key(TRUTH_KEY), attention: key(ATTENTION_KEY) }
    }

    /// What a value under a key is read as: where all that is written of it are its numbers, a truth
    /// or an attention value may be made of them, and is written so at once.
    fn as_read<'a>(self, key: AtomId, value: ValueRef<'a>, target: Target) -> Given<'a> {
        let numbers = || print::numbers_written(value, target).map(Value::Floats);
        let own = match key {
            key if self.truth == Some(key) => {
                numbers().and_then(|value| value.as_truth()).map(Given::Truth)
            }
            key if self.attention == Some(key) => {
                numbers().and_then(|value| value.as_attention()).map(Given::Attention)
            }
            _ => None,
        };
        own.unwrap_or(Given::Other(key, value))
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Lines: one for each root and each atom with values, more where some of its values come later.
    pub lines: u64,
    /// How many of them, before the last ones, hold attention values, which only a reader with the
    /// module `attention` takes; 0 where the reader has it.
    pub attention: u64,
    /// How many of them, the last ones, the reader does not take: there is a type in them that it
    /// does not know, or something that its constructors refuse.
    pub rejected: u64,
    /// Names and strings of `StringValue`s with a line feed, which the fast reader takes out of them.
    pub texts_of_lines: u64,
    /// What is written as something else.
    pub rewritten: Rewritten,
    /// Values under the key of truth values that are none. The AtomSpace with truth values takes them
    /// in, and a program that then asks for the truth value may crash.
    pub no_truths: u64,
}

/// When a part of what an atom has is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// All that the reader takes.
    First,
    /// Attention values, where the reader does not know them.
    Attention,
    /// All that it does not take.
    Last,
}

/// Writes all atoms and values of a store.
///
/// # Errors
/// `out` does not take it, or links hold each other in so many ways that the text would be of more
/// than 2^33 atoms.
pub fn export(
    store: &impl AtomStore,
    to: &Destination,
    out: &mut impl Write,
) -> Result<ExportSummary, Error> {
    size::check(store)?;
    let refused = checks::refused(store, to);
    let (keys, places) = (OwnKeys::of(store), Places::new(store, to));
    let printer = Printer::new(store, to.target);
    let mut exporter = Exporter { store, to, keys, refused, places, printer };
    let mut summary = ExportSummary::default();
    for turn in [Turn::First, Turn::Attention, Turn::Last] {
        for atom in store.atoms() {
            let lines = exporter.lines(atom, turn);
            out.write_all(&exporter.printer.out)
                .map_err(|source| Error::Io { doing: "cannot write the text", source })?;
            exporter.printer.out.clear();
            summary.lines += lines;
            match turn {
                Turn::First => (),
                Turn::Attention => summary.attention += lines,
                Turn::Last => summary.rejected += lines,
            }
        }
    }
    summary.rewritten = exporter.printer.rewritten;
    exporter.count_own(&mut summary.rewritten);
    summary.texts_of_lines = store.atoms().map(|atom| texts_of_lines(store, atom)).sum();
    if to.target == Target::AtomSpace5_0 {
        summary.no_truths = no_truths(store, keys);
    }
    Ok(summary)
}

struct Exporter<'a, S> {
    store: &'a S,
    to: &'a Destination,
    keys: OwnKeys,
    /// The atoms that the reader does not take.
    refused: Vec<bool>,
    /// What is not written, because the reader makes it anew.
    places: Places,
    printer: Printer<'a, S>,
}

impl<'a, S: AtomStore> Exporter<'a, S> {
    /// Prints the lines of an atom whose turn it is; how many.
    fn lines(&mut self, atom: AtomId, turn: Turn) -> u64 {
        // What is refused has all its values on one line.
        let is_refused = self.refused[atom.index()];
        let is_own = turn == if is_refused { Turn::Last } else { Turn::First };
        if is_refused && !is_own {
            return 0;
        }
        let is_due = |given: &Given| is_refused || self.turn_of(given) == turn;
        let given: Vec<Given> = self.given(atom).into_iter().filter(is_due).collect();
        let is_root = self.store.incoming(atom).len() == 0;
        match !given.is_empty() || is_own && is_root {
            true => self.printer.lines(atom, &given),
            false => 0,
        }
    }

    /// All values that an atom has, without those that the reader makes anew, in the order in which
    /// they are written.
    fn given(&self, atom: AtomId) -> Vec<Given<'a>> {
        let store = self.store;
        let truth = store.truth_value(atom).map(Given::Truth);
        let attention = store.attention_value(atom).map(Given::Attention);
        let (keys, target) = (self.keys, self.to.target);
        let others = store
            .values(atom)
            .filter(|&(key, value)| !self.places.has(store, atom, key, value))
            .map(|(key, value)| keys.as_read(key, value, target));
        let mut given: Vec<Given> = truth.into_iter().chain(attention).chain(others).collect();
        given.sort_by_key(|given| match given {
            Given::Truth(_) => 0,
            Given::Attention(_) => 1,
            Given::Other(..) => 2,
        });
        given
    }

    /// Counts what is written as a truth or attention value, and is something else.
    fn count_own(&self, rewritten: &mut Rewritten) {
        if self.keys.truth.or(self.keys.attention).is_none() {
            return;
        }
        let (keys, target) = (self.keys, self.to.target);
        let is_own = |(key, value): &(AtomId, ValueRef<'_>)| {
            !matches!(keys.as_read(*key, *value, target), Given::Other(..))
        };
        for atom in self.store.atoms() {
            for (_, value) in self.store.values(atom).filter(is_own) {
                match value {
                    ValueRef::Bools(_) => rewritten.bools += 1,
                    ValueRef::Derived(_) => rewritten.derived += 1,
                    ValueRef::Truth(_) => rewritten.truths += 1,
                    _ => (),
                }
            }
        }
    }

    fn turn_of(&self, given: &Given) -> Turn {
        match given {
            Given::Truth(_) => Turn::First,
            Given::Attention(_) if self.to.has_attention() => Turn::First,
            Given::Attention(_) => Turn::Attention,
            Given::Other(key, value) => {
                let is_taken = !self.refused[key.index()] && self.takes(*value);
                if is_taken { Turn::First } else { Turn::Last }
            }
        }
    }

    fn takes(&self, value: ValueRef) -> bool {
        match value {
            ValueRef::Atom(atom) => !self.refused[atom.index()],
            ValueRef::Links(values) => values.iter().all(|value| self.takes(value)),
            ValueRef::Derived(derived) => self.takes(derived.held()),
            ValueRef::Attention(_) => self.to.has_attention(),
            _ => true,
        }
    }
}

fn has_values(store: &impl AtomStore, atom: AtomId) -> bool {
    store.truth_value(atom).is_some()
        || store.attention_value(atom).is_some()
        || store.values(atom).next().is_some()
}

fn texts_of_lines(store: &impl AtomStore, atom: AtomId) -> u64 {
    let is_of_lines = |text: &[u8]| text.contains(&b'\n');
    let of_value = |value: ValueRef| match value {
        ValueRef::Strings(texts) => texts.iter().filter(|text| is_of_lines(text)).count() as u64,
        _ => 0,
    };
    let of_values = store.values(atom).map(|(_, value)| size::sum_over(value, &of_value));
    u64::from(store.name(atom).is_some_and(|name| is_of_lines(&name))) + of_values.sum::<u64>()
}

/// How many values under the key of truth values are none, where it is an atom.
fn no_truths(store: &impl AtomStore, keys: OwnKeys) -> u64 {
    let Some(key) = keys.truth else { return 0 };
    let target = Target::AtomSpace5_0;
    let is_none = |value| matches!(keys.as_read(key, value, target), Given::Other(..));
    store.atoms().filter(|&atom| store.value(atom, key).is_some_and(is_none)).count() as u64
}
