//! The unpacked store: columns in memory.

use std::borrow::Cow;
use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::atom_store::{AtomId, AtomStore};
use super::atom_table::{AtomTable, Content};
use super::atoms::Atoms;
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

/// About how many bytes the values of an atom under other keys take: mostly a few numbers.
const BYTES_OF_OTHERS: usize = 200;

impl Values {
    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        self.truth.bytes() + self.attention.bytes() + self.other.len() * BYTES_OF_OTHERS
    }
}

/// Atoms and their values in memory. [`Builder`](super::Builder) makes it; the indexes of incoming
/// sets and of types are made when something is first asked of them.
#[derive(Debug, Clone)]
pub struct AtomSpace {
    types: TypeTable,
    atoms: Atoms,
    table: AtomTable,
    values: Values,
    incoming: OnceLock<Lists>,
    by_type: OnceLock<Lists>,
}

impl AtomSpace {
    pub(super) fn new(types: TypeTable, atoms: Atoms, table: AtomTable, values: Values) -> Self {
        let (incoming, by_type) = (OnceLock::new(), OnceLock::new());
        AtomSpace { types, atoms, table, values, incoming, by_type }
    }

    /// About how many bytes of memory the atoms and their values take, without indexes.
    pub fn bytes(&self) -> usize {
        self.atoms.bytes() + self.table.bytes() + self.values.bytes()
    }

    /// The links that hold each atom.
    fn incoming_sets(&self) -> &Lists {
        self.incoming.get_or_init(|| {
            let kinds: Vec<Kind> = self.types().iter().map(|of| of.kind).collect();
            incoming(&self.atoms, &kinds)
        })
    }

    /// The atoms of each type.
    fn atoms_by_type(&self) -> &Lists {
        self.by_type.get_or_init(|| {
            Lists::new(self.types().len(), |see| {
                for (of, atom) in self.atoms.types().zip((0..).map(AtomId)) {
                    see(of.index(), atom);
                }
            })
        })
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
        self.atoms.type_of(atom)
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
        self.incoming_sets().get(atom.index()).iter().copied()
    }

    fn by_type(&self, of: TypeId) -> impl ExactSizeIterator<Item = AtomId> {
        self.atoms_by_type().get(of.index()).iter().copied()
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
    /// Lists of the pairs of index and atom that `each` shows, the same ones each time, in their
    /// order.
    fn new(count: usize, each: impl Fn(&mut dyn FnMut(usize, AtomId))) -> Lists {
        // Two places on from its index, the length of a list; then one place on, where it begins,
        // and when it is filled, where it ends, which is where the next one begins.
        let mut starts = vec![0u32; count + 2];
        each(&mut |of, _| starts[of + 2] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut atoms = vec![AtomId(0); starts[count + 1] as usize];
        each(&mut |of, atom| {
            let next = &mut starts[of + 1];
            atoms[*next as usize] = atom;
            *next += 1;
        });
        Lists { starts, atoms }
    }

    fn get(&self, of: usize) -> &[AtomId] {
        &self.atoms[self.starts[of] as usize..self.starts[of + 1] as usize]
    }
}

/// The links that hold each atom, each once.
fn incoming(atoms: &Atoms, kinds: &[Kind]) -> Lists {
    Lists::new(atoms.len(), |see| {
        let mut sorted = Vec::new();
        for (link, of) in (0..).map(AtomId).zip(atoms.types()) {
            if kinds[of.index()] == Kind::Node {
                continue;
            }
            match *atoms.outgoing(link) {
                [a, b] if a != b => [a, b].iter().for_each(|held| see(held.index(), link)),
                ref outgoing => {
                    sorted.clear();
                    sorted.extend_from_slice(outgoing);
                    sorted.sort_unstable();
                    sorted.dedup();
                    sorted.iter().for_each(|held: &AtomId| see(held.index(), link));
                }
            }
        }
    })
}
