//! Writes atoms as MeTTa text.

use super::super::atomspace::{AtomId, AtomStore, AtomType};
use super::leaf;
use super::sort::Sort;

/// The sorts of a store's types; none where one of them is no type of MeTTa.
pub fn sorts(types: &[AtomType]) -> Option<Vec<Sort>> {
    types.iter().map(Sort::of).collect()
}

/// An atom as text in one line, as Hyperon prints it, where `out` does not become longer than
/// `most` by it; whether it did not. How deep it is nested costs no stack.
///
/// # Panics
/// `sorts` are not those of the store's types.
pub fn print_within(
    store: &impl AtomStore,
    sorts: &[Sort],
    atom: AtomId,
    most: usize,
    out: &mut Vec<u8>,
) -> bool {
    if print_leaf(store, sorts, atom, out) {
        return out.len() <= most;
    }
    out.push(b'(');
    let mut open = vec![store.outgoing(atom)];
    while let Some(rest) = open.last_mut().filter(|_| out.len() <= most) {
        let Some(held) = rest.next() else {
            out.push(b')');
            open.pop();
            continue;
        };
        separate(out);
        if !print_leaf(store, sorts, held, out) {
            out.push(b'(');
            open.push(store.outgoing(held));
        }
    }
    out.len() <= most
}

/// A blank before the next atom of an expression, but not before the first.
pub(super) fn separate(out: &mut Vec<u8>) {
    // Nothing but an opening parenthesis ends with one.
    if out.last() != Some(&b'(') {
        out.push(b' ');
    }
}

/// Writes an atom if it is a leaf; whether it is one.
pub(super) fn print_leaf(
    store: &impl AtomStore,
    sorts: &[Sort],
    atom: AtomId,
    out: &mut Vec<u8>,
) -> bool {
    let Some(name) = store.name(atom) else { return false };
    leaf::print(sorts[store.type_of(atom).index()], &name, out);
    true
}
