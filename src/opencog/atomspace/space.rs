//! The unpacked store: columns in memory.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::atom_store::{AtomId, AtomStore};
use super::atoms::{AtomTable, Atoms, Content};
use super::column::Column;
use super::types::{AtomType, Kind, TypeId, TypeTable};
use super::value::{AttentionValue, TruthValue, Value};
use super::value_ref::ValueRef;

/// The values of the atoms.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub truth: Column<TruthValue>,
    pub attention: Column<AttentionValue>,
    /// By increasing id of the key.
    pub other: FxHashMap<AtomId, Vec<(AtomId, Value)>>,
}

/// Atoms and their values in memory, with every index. [`Builder`](super::Builder) makes it.
#[derive(Debug, Clone)]
pub struct AtomSpace {
    types: TypeTable,
    atoms: Atoms,
    table: AtomTable,
    values: Values,
    incoming: Lists,
    by_type: Lists,
}

impl AtomSpace {
    pub(super) fn new(types: TypeTable, atoms: Atoms, table: AtomTable, values: Values) -> Self {
        let kinds: Vec<Kind> = types.types().iter().map(|of| of.kind).collect();
        let incoming = incoming(&atoms, &kinds);
        let typed = atoms.types().iter().map(|of| of.index()).zip((0..).map(AtomId));
        let by_type = Lists::new(kinds.len(), typed);
        AtomSpace { types, atoms, table, values, incoming, by_type }
    }

    fn kind(&self, atom: AtomId) -> Kind {
        self.types()[self.type_of(atom).index()].kind
    }
}

impl AtomStore for AtomSpace {
    fn atom_count(&self) -> usize {
        self.atoms.len()
    }

    fn types(&self) -> &[AtomType] {
        self.types.types()
    }

    fn type_of(&self, atom: AtomId) -> TypeId {
        self.atoms.types()[atom.index()]
    }

    fn name(&self, atom: AtomId) -> Option<Cow<'_, [u8]>> {
        (self.kind(atom) == Kind::Node).then(|| Cow::Borrowed(self.atoms.name(atom)))
    }

    fn outgoing(&self, atom: AtomId) -> impl ExactSizeIterator<Item = AtomId> {
        let outgoing = match self.kind(atom) {
            Kind::Node => &[],
            Kind::Link => self.atoms.outgoing(atom),
        };
        outgoing.iter().copied()
    }

    fn incoming(&self, atom: AtomId) -> impl ExactSizeIterator<Item = AtomId> {
        self.incoming.get(atom.index()).iter().copied()
    }

    fn by_type(&self, of: TypeId) -> impl ExactSizeIterator<Item = AtomId> {
        self.by_type.get(of.index()).iter().copied()
    }

    fn by_name(&self, of: TypeId, name: &[u8]) -> Option<AtomId> {
        let is_node = self.types()[of.index()].kind == Kind::Node;
        is_node.then(|| self.table.find(&self.atoms, of, Content::Name(name))).flatten()
    }

    fn by_outgoing(&self, of: TypeId, outgoing: &[AtomId]) -> Option<AtomId> {
        let AtomType { kind, unordered, .. } = self.types()[of.index()];
        if kind == Kind::Node {
            return None;
        }
        let mut outgoing = Cow::Borrowed(outgoing);
        if unordered {
            outgoing.to_mut().sort_unstable();
        }
        self.table.find(&self.atoms, of, Content::Outgoing(&outgoing))
    }

    fn truth_value(&self, atom: AtomId) -> Option<TruthValue> {
        self.values.truth.get(atom)
    }

    fn attention_value(&self, atom: AtomId) -> Option<AttentionValue> {
        self.values.attention.get(atom)
    }

    fn value(&self, atom: AtomId, key: AtomId) -> Option<ValueRef<'_>> {
        let values = self.values.other.get(&atom)?;
        let place = values.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        Some(ValueRef::from(&values[place].1))
    }

    fn values(&self, atom: AtomId) -> impl Iterator<Item = (AtomId, ValueRef<'_>)> {
        let values = self.values.other.get(&atom).map_or(&[][..], Vec::as_slice);
        values.iter().map(|(key, value)| (*key, ValueRef::from(value)))
    }
}

/// A list of atoms for each of some indexes, in compressed sparse rows.
#[derive(Debug, Clone)]
struct Lists {
    starts: Vec<u32>,
    atoms: Vec<AtomId>,
}

impl Lists {
    /// Lists of these pairs of index and atom, each in the order of the pairs.
    fn new(count: usize, pairs: impl Iterator<Item = (usize, AtomId)> + Clone) -> Lists {
        let mut starts = vec![0; count + 1];
        pairs.clone().for_each(|(of, _)| starts[of + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut atoms = vec![AtomId(0); starts[count] as usize];
        let mut next = starts.clone();
        for (of, atom) in pairs {
            atoms[next[of] as usize] = atom;
            next[of] += 1;
        }
        Lists { starts, atoms }
    }

    fn get(&self, of: usize) -> &[AtomId] {
        &self.atoms[self.starts[of] as usize..self.starts[of + 1] as usize]
    }
}

/// The links that hold each atom.
fn incoming(atoms: &Atoms, kinds: &[Kind]) -> Lists {
    let mut pairs = Vec::new();
    let mut last_link = vec![None; atoms.len()];
    for (link, of) in (0..).map(AtomId).zip(atoms.types()) {
        if kinds[of.index()] == Kind::Node {
            continue;
        }
        for member in atoms.outgoing(link) {
            if last_link[member.index()].replace(link) != Some(link) {
                pairs.push((member.0, link));
            }
        }
    }
    Lists::new(atoms.len(), pairs.iter().map(|&(member, link)| (member as usize, link)))
}
