//! Links that say of what they hold that it is so: an AtomSpace of 2026 takes only those that are
//! not plainly wrong (`setAtomSpace` of the files in `constrain`).

use super::super::super::atom_store::{AtomId, AtomStore};
use super::constructors::EXECUTABLE_2026;
use super::variables::Variables;

/// Whether a link is such a one, and is refused or may be.
pub(super) fn is_refused<S: AtomStore>(variables: &mut Variables<S>, link: AtomId) -> bool {
    let of = variables.facts(link);
    let members = variables.outgoing(link);
    let is_executable = |held: &AtomId| variables.is_any(*held, EXECUTABLE_2026);
    if of.is_any(&["ExclusiveLink"]) {
        return has_twice(members.iter().filter(|held| !is_executable(held)));
    }
    if of.is_any(&["AlphaEqualLink"]) {
        // Those that differ only in the names of their variables are not told from others.
        return differ(members.iter().filter(|held| !is_executable(held)));
    }
    if of.is_any(&["EqualLink"]) {
        let fixed: Vec<AtomId> = members.into_iter().filter(|held| !is_executable(held)).collect();
        return differ(fixed.iter().filter(|held| variables.is_closed(**held) != Some(false)));
    }
    if of.is_any(&["IdenticalLink"]) {
        return differ(members.iter().filter(|held| variables.is_closed(**held) != Some(false)));
    }
    if of.is_any(&["AlwaysLink"]) {
        return has_twice(members.iter()) || variables.is_closed(link) != Some(false);
    }
    of.is_any(&["PresentLink"])
        && (has_twice(members.iter())
            || members.iter().any(|held| variables.is_closed(*held) != Some(false)))
}

fn differ<'a>(mut atoms: impl Iterator<Item = &'a AtomId>) -> bool {
    let first = atoms.next();
    atoms.any(|other| Some(other) != first)
}

/// Whether an atom is there twice, in an unordered link.
fn has_twice<'a>(atoms: impl Iterator<Item = &'a AtomId>) -> bool {
    let mut last = None;
    atoms.into_iter().any(|atom| last.replace(atom) == Some(atom))
}
