//! What every store of atoms can be asked.

use std::borrow::Cow;

use super::types::{AtomType, Kind, TypeId};
use super::value::{AttentionValue, TruthValue};
use super::value_ref::ValueRef;

/// An atom of a store: its number, from 0. What a link holds has smaller numbers than the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct AtomId(pub u32);

impl AtomId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Atoms, each there once, and their values; nothing is changed through it.
///
/// A node is its type and its name; a link is its type and its outgoing set, whose order says
/// nothing where the type is unordered. Ids and types are those of this store; asking for others
/// panics.
pub trait AtomStore {
    /// How many atoms there are; their ids are the numbers below it.
    fn atom_count(&self) -> usize;

    /// The types, by [`TypeId`].
    fn types(&self) -> &[AtomType];

    /// The type of an atom.
    fn type_of(&self, atom: AtomId) -> TypeId;

    /// The name of a node, usually UTF-8; none for a link. A `NumberNode` has its number in the
    /// shortest spelling.
    fn name(&self, atom: AtomId) -> Option<Cow<'_, [u8]>>;

    /// What a link holds, in order, by increasing id where the type is unordered; nothing for a
    /// node.
    fn outgoing(&self, atom: AtomId) -> impl ExactSizeIterator<Item = AtomId>;

    /// The links that hold an atom, each once, by increasing id.
    fn incoming(&self, atom: AtomId) -> impl ExactSizeIterator<Item = AtomId>;

    /// The atoms of a type (of it alone, not of types that inherit from it), by increasing id.
    fn by_type(&self, of: TypeId) -> impl ExactSizeIterator<Item = AtomId>;

    /// The node of this type and name.
    fn by_name(&self, of: TypeId, name: &[u8]) -> Option<AtomId>;

    /// The truth value, if one was given; an atom without one has [`TruthValue::DEFAULT`].
    fn truth_value(&self, atom: AtomId) -> Option<TruthValue>;

    /// The attention value, if one was given.
    fn attention_value(&self, atom: AtomId) -> Option<AttentionValue>;

    /// The value of an atom under another key.
    fn value(&self, atom: AtomId, key: AtomId) -> Option<ValueRef<'_>>;

    /// The other values of an atom and their keys, by increasing id of the key.
    fn values(&self, atom: AtomId) -> impl Iterator<Item = (AtomId, ValueRef<'_>)>;

    /// The link of this type that holds this, in any order where the type is unordered.
    fn by_outgoing(&self, of: TypeId, outgoing: &[AtomId]) -> Option<AtomId> {
        find_link_in_incoming(self, of, outgoing)
    }

    /// The type of this long name.
    fn find_type(&self, name: &str, kind: Kind) -> Option<TypeId> {
        let mut types = self.types().iter();
        let found = types.position(|known| known.kind == kind && &*known.name == name)?;
        Some(TypeId(found as u16))
    }

    /// All atoms, by increasing id.
    fn atoms(&self) -> impl ExactSizeIterator<Item = AtomId> {
        // there are at most 2^32 - 1
        (0..self.atom_count() as u32).map(AtomId)
    }
}

/// Finds a link where a store has no index of links: among those that hold its rarest member.
pub fn find_link_in_incoming<S: AtomStore + ?Sized>(
    store: &S,
    of: TypeId,
    outgoing: &[AtomId],
) -> Option<AtomId> {
    let mut wanted = Cow::Borrowed(outgoing);
    if store.types()[of.index()].unordered {
        wanted.to_mut().sort_unstable();
    }
    let is = |&link: &AtomId| {
        store.type_of(link) == of && store.outgoing(link).eq(wanted.iter().copied())
    };
    match wanted.iter().min_by_key(|&&member| store.incoming(member).len()) {
        Some(&rarest) => store.incoming(rarest).find(is),
        None => store.by_type(of).find(is),
    }
}
