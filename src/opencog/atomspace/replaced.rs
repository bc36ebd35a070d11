//! Atoms without those that others took the place of.

use super::atom_store::AtomId;
use super::atom_table::{AtomTable, Content};
use super::atoms::Atoms;
use super::space::Values;
use super::types::{Kind, TypeTable};
use super::value::Value;

/// The atoms and values without the first ones of these pairs, without what holds them, and without
/// values that name one of both.
pub(super) fn without(
    types: &TypeTable,
    atoms: &Atoms,
    values: &Values,
    replaced: &[(AtomId, AtomId)],
) -> (Atoms, AtomTable, Values) {
    let mut gone = vec![false; atoms.len()];
    replaced.iter().for_each(|(old, _)| gone[old.index()] = true);
    let (mut kept, mut table) = (Atoms::default(), AtomTable::default());
    // What a link holds has smaller ids.
    let mut new: Vec<Option<AtomId>> = Vec::with_capacity(atoms.len());
    let mut outgoing = Vec::new();
    for (atom, of) in (0..).map(AtomId).zip(atoms.types()) {
        let content = match types.types()[of.index()].kind {
            Kind::Node => Some(Content::Name(atoms.name(atom))),
            Kind::Link => {
                outgoing.clear();
                outgoing.extend(atoms.outgoing(atom).iter().map_while(|held| new[held.index()]));
                let is_whole = outgoing.len() == atoms.outgoing(atom).len();
                is_whole.then_some(Content::Outgoing(&outgoing))
            }
        };
        let content = content.filter(|_| !gone[atom.index()]);
        // There are fewer than before, all of them distinct.
        let added = content.and_then(|content| table.intern(&mut kept, of, content).ok());
        new.push(added.map(|(atom, _)| atom));
    }
    let id = |atom: AtomId| new[atom.index()];
    (kept, table, moved(values, atoms.len(), &id))
}

/// The values with the ids that atoms have now.
fn moved(values: &Values, atoms: usize, id: &impl Fn(AtomId) -> Option<AtomId>) -> Values {
    let mut out = Values::default();
    for atom in (0..atoms as u32).map(AtomId) {
        let Some(new) = id(atom) else { continue };
        if let Some(truth) = values.truth.get(atom) {
            out.truth.set(new, truth, truth.bits());
        }
        if let Some(attention) = values.attention.get(atom) {
            out.attention.set(new, attention, attention.bits());
        }
        let others = values.other.get(&atom).map_or(&[][..], Vec::as_slice);
        let cell = |(key, value): &(AtomId, Value)| Some((id(*key)?, value.moved(id)?));
        let cells: Vec<(AtomId, Value)> = others.iter().filter_map(cell).collect();
        if !cells.is_empty() {
            out.other.insert(new, cells);
        }
    }
    out
}
