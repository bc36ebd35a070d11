//! Writes atoms as MeTTa text.

use super::super::atomspace::{AtomId, AtomStore, AtomType};
use super::leaf;
use super::sort::Sort;

/// The sorts of a store's types; none where one of them is no type of MeTTa.
pub fn sorts(types: &[AtomType]) -> Option<Vec<Sort>> {
    types.iter().map(Sort::of).collect()
}

/// An atom on its way to text in one line, as Hyperon prints it. How deep it is nested costs no
/// stack, and how long it is no memory.
#[derive(Debug)]
pub struct Printing<'s, S> {
    store: &'s S,
    sorts: &'s [Sort],
    /// What is still to be written, the next one last; none for a closing parenthesis.
    rest: Vec<Option<AtomId>>,
}

impl<'s, S: AtomStore> Printing<'s, S> {
    /// Nothing of it is written yet. `sorts` are those of the store's types.
    pub fn of(store: &'s S, sorts: &'s [Sort], atom: AtomId) -> Printing<'s, S> {
        Printing { store, sorts, rest: vec![Some(atom)] }
    }

    /// Writes on until all is written or `out` is longer than `most`; whether all is. What is
    /// written next depends on the last byte of `out`.
    pub fn write(&mut self, most: usize, out: &mut Vec<u8>) -> bool {
        while out.len() <= most {
            let Some(next) = self.rest.pop() else { return true };
            let Some(atom) = next else {
                out.push(b')');
                continue;
            };
            separate(out);
            match self.store.name(atom) {
                Some(name) => leaf::print(self.sort(atom), &name, out),
                None => {
                    out.push(b'(');
                    self.rest.push(None);
                    let held = self.rest.len();
                    self.rest.extend(self.store.outgoing(atom).map(Some));
                    self.rest[held..].reverse();
                }
            }
        }
        self.rest.is_empty()
    }

    fn sort(&self, atom: AtomId) -> Sort {
        self.sorts[self.store.type_of(atom).index()]
    }
}

/// A blank before the next atom, but not before the first in an expression or a line.
pub(super) fn separate(out: &mut Vec<u8>) {
    // Nothing but an opening parenthesis ends with one.
    if !matches!(out.last(), None | Some(b'(' | b'\n')) {
        out.push(b' ');
    }
}
