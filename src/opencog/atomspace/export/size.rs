//! How long the text of a store is.

use super::super::atom_store::{AtomId, AtomStore};
use super::super::error::Error;
use super::super::value_ref::ValueRef;
use super::has_values;

/// How many atoms a text may consist of, each counted as often as it is written.
const MOST_WRITTEN: u64 = 1 << 33;

/// An error if the text would be longer than anything that can be written.
pub(super) fn check(store: &impl AtomStore) -> Result<(), Error> {
    if atoms_written(store) > MOST_WRITTEN {
        let limit = "2^33, each counted as often as it is written";
        return Err(Error::Parameter(format!("as text, this would be more atoms than {limit}")));
    }
    Ok(())
}

/// Of how many atoms the text of each atom consists, those that it holds counted as often as they are
/// written.
pub(in super::super) fn sizes_as_text(store: &impl AtomStore) -> Vec<u64> {
    let mut sizes: Vec<u64> = Vec::with_capacity(store.atom_count());
    for atom in store.atoms() {
        let held = store.outgoing(atom).map(|held| sizes[held.index()]);
        sizes.push(held.fold(1, u64::saturating_add));
    }
    sizes
}

/// How many atoms the text consists of, in the keys and values of atoms too.
pub(super) fn atoms_written(store: &impl AtomStore) -> u64 {
    let sizes = sizes_as_text(store);
    let line = |atom: AtomId| {
        let of_values = store
            .values(atom)
            .map(|(key, value)| sizes[key.index()].saturating_add(atoms_in(value, &sizes)));
        of_values.fold(sizes[atom.index()], u64::saturating_add)
    };
    let has_line = |atom: &AtomId| store.incoming(*atom).len() == 0 || has_values(store, *atom);
    store.atoms().filter(has_line).map(line).fold(0, u64::saturating_add)
}

/// How many atoms the text of a value consists of, where `sizes` tells it of each atom.
fn atoms_in(value: ValueRef, sizes: &[u64]) -> u64 {
    sum_over(value, &|value| match value {
        ValueRef::Atom(atom) => sizes[atom.index()],
        _ => 0,
    })
}

/// The sum over a value and all that lie in it.
pub(super) fn sum_over(value: ValueRef, of: &impl Fn(ValueRef) -> u64) -> u64 {
    match value {
        ValueRef::Links(values) => {
            values.iter().map(|value| sum_over(value, of)).fold(0, u64::saturating_add)
        }
        ValueRef::Derived(derived) => sum_over(derived.held(), of),
        value => of(value),
    }
}
