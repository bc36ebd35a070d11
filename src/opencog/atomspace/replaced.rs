//! Atoms without those that others took the place of.

use super::atom_store::AtomId;
use super::atom_table::{AtomTable, Content};
use super::atoms::Atoms;
use super::space::Values;
use super::types::{Kind, TypeTable};
use super::value::Value;

/// The atoms and values that are left.
pub(super) struct Left {
    pub atoms: Atoms,
    pub table: AtomTable,
    pub values: Values,
    /// What is gone beside the atoms whose place others took.
    pub gone: Gone,
}

/// What is gone with atoms whose place others took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// For each of these atoms, in the order in which others took their places: how many links, which
    /// held it.
    pub links: Vec<u64>,
    /// For each of them: how many values, which it or these links had, or which named one of them.
    pub values: Vec<u64>,
    /// The atoms that are left and have lost the value under this key.
    pub cleared: Vec<(AtomId, AtomId)>,
    /// Of each atom the id that it has now; empty if all have the same.
    ids: Vec<Now>,
}

/// The id that an atom has now, or by which of the atoms whose place others took it is gone.
type Now = Result<AtomId, u32>;

impl Gone {
    /// The id that an atom has now; none if it is gone.
    pub fn id(&self, atom: AtomId) -> Option<AtomId> {
        self.ids.get(atom.index()).map_or(Some(atom), |now| now.ok())
    }
}

/// The atoms and values without the first ones of these pairs, without what holds them, and without
/// values that name one of both.
pub(super) fn without(
    types: &TypeTable,
    atoms: &Atoms,
    values: &Values,
    replaced: &[(AtomId, AtomId)],
) -> Left {
    let mut by: Vec<Option<u32>> = vec![None; atoms.len()];
    for (place, (old, _)) in (0..).zip(replaced) {
        by[old.index()] = Some(place);
    }
    let none = || vec![0; replaced.len()];
    let mut gone = Gone { links: none(), values: none(), ..Gone::default() };
    let (mut kept, mut table) = (Atoms::default(), AtomTable::default());
    // What a link holds has smaller ids.
    let mut ids: Vec<Now> = Vec::with_capacity(atoms.len());
    let mut outgoing = Vec::new();
    for (atom, of) in (0..).map(AtomId).zip(atoms.types()) {
        let content = match (by[atom.index()], types.types()[of.index()].kind) {
            (Some(by), _) => Err(by),
            (None, Kind::Node) => Ok(Content::Name(atoms.name(atom))),
            (None, Kind::Link) => {
                outgoing.clear();
                let mut held = atoms.outgoing(atom).iter();
                let all = held.try_for_each(|held| {
                    outgoing.push(ids[held.index()]?);
                    Ok(())
                });
                all.inspect_err(|&by: &u32| gone.links[by as usize] += 1)
                    .map(|()| Content::Outgoing(&outgoing))
            }
        };
        ids.push(content.map(|content| {
            let added = table.intern(&mut kept, of, content);
            added.expect("there are fewer than before").0
        }));
    }
    gone.ids = ids;
    let values = moved(values, &mut gone);
    Left { atoms: kept, table, values, gone }
}

/// The values with the ids that atoms have now.
fn moved(values: &Values, gone: &mut Gone) -> Values {
    let mut out = Values::default();
    for atom in (0..gone.ids.len() as u32).map(AtomId) {
        let (truth, attention) = (values.truth.get(atom), values.attention.get(atom));
        let others = values.other.get(&atom).map_or(&[][..], Vec::as_slice);
        let new = match gone.ids[atom.index()] {
            Ok(new) => new,
            Err(by) => {
                let own = u64::from(truth.is_some()) + u64::from(attention.is_some());
                gone.values[by as usize] += own + others.len() as u64;
                continue;
            }
        };
        if let Some(truth) = truth {
            out.truth.set(new, truth, truth.bits());
        }
        if let Some(attention) = attention {
            out.attention.set(new, attention, attention.bits());
        }
        let mut cells: Vec<(AtomId, Value)> = Vec::new();
        for (key, value) in others {
            let now = |atom: AtomId| gone.ids[atom.index()];
            match now(*key).and_then(|key| Ok((key, value.moved(&now)?))) {
                Ok(cell) => cells.push(cell),
                Err(by) => {
                    gone.values[by as usize] += 1;
                    gone.cleared.extend(now(*key).ok().map(|key| (new, key)));
                }
            }
        }
        if !cells.is_empty() {
            out.other.insert(new, cells);
        }
    }
    out
}
